"""The ASGI app that records are sent to: every request is refused with a reason, or answered after its commit.

Checks that need no body come first, so that what is refused is not read. The event loop only moves bytes: unpacking and
telling records apart is done by two threads of their own, landing by the desks'.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from ingest.format import Format
from ingest.http import bodies, openapi, telemetry
from ingest.http.answers import NOTHING, Answer, Receive, Refusal, Scope, Send, deliver
from ingest.http.auth import Tokens
from ingest.http.bodies import GoneError
from ingest.http.collector import HttpCollector
from ingest.http.counts import Responses
from ingest.http.documents import load
from ingest.http.limits import Hold, Room
from ingest.http.requests import Head, expects, head, values
from ingest.http.routes import DOCUMENT, ROUTES, Route, routed
from ingest.http.waiting import Delivery, Landed
from ingest.slices import SLICE_BYTES_MAX

UNPACKERS: Final = 2
INLINE_BYTES_MAX: Final = 32 * 1024
"""A plain body up to this size is told apart faster than it is handed to another thread."""
WAIT_SECONDS_MAX: Final = 30
"""How long a request waits for its transaction to begin."""
LINGER_SECONDS: Final = 2
"""How long the rest of a refused body is read and dropped, so that its sender gets to see the answer."""

GONE: Final = 499
"""Counted where a sender hung up before its body was whole: there is nobody to answer."""

Formats = Callable[[str], Format | None]
"""A format by its name."""
Reader = Callable[[bytes], tuple[Format, bytes]]
"""The format of a body's records, and the body as that format reads it."""


class Intake:
    """The HTTP side of ingest.

    Attributes:
        responses: how requests were answered.
        draining: once set, further requests are refused while those under way finish.
    """

    def __init__(
        self,
        collectors: Sequence[HttpCollector],
        tokens: Tokens,
        formats: Formats,
        *,
        body_bytes_max: int,
        pending_bytes_max: int,
    ) -> None:
        self.responses = Responses()
        self.draining = False
        self._collectors = {collector.name: collector for collector in collectors}
        self._tokens, self._formats = tokens, formats
        self._body_bytes_max = min(body_bytes_max, SLICE_BYTES_MAX)
        share = pending_bytes_max if len(collectors) == 1 else max(pending_bytes_max // 2, 2 * self._body_bytes_max)
        self._room = Room(pending_bytes_max, share)
        self._unpackers = ThreadPoolExecutor(UNPACKERS, thread_name_prefix="http unpack")
        self._document = openapi.document(ROUTES, self._body_bytes_max)

    def close(self) -> None:
        """Let go of the threads; no request may be under way."""
        self._unpackers.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        found = routed(scope["path"])
        endpoint = found[0].path if found else DOCUMENT if scope["path"] == DOCUMENT else "other"
        lingers = False
        try:
            if found is None:
                answer = self._page(scope)
            else:
                answer, lingers = await self._taken_or_refused(scope, receive, *found)
        except GoneError:
            self.responses.add(endpoint, GONE)
            return
        except Exception:
            self.responses.add(endpoint, int(HTTPStatus.INTERNAL_SERVER_ERROR))
            raise
        self.responses.add(endpoint, answer.status)
        await deliver(send, answer, head_only=scope["method"] == "HEAD", more=lingers)
        if lingers:
            await _linger(receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _page(self, scope: Scope) -> Answer:
        if scope["path"] != DOCUMENT:
            paths = ", ".join([*(route.path for route in ROUTES), DOCUMENT])
            return Refusal(404, f"there is {paths}", connection="close").answer
        if scope["method"] not in {"GET", "HEAD"}:
            return Refusal(405, "only GET and HEAD", allow="GET, HEAD", connection="close").answer
        return Answer(status=200, body=self._document)

    async def _taken_or_refused(self, scope: Scope, receive: Receive, route: Route, name: str) -> tuple[Answer, bool]:
        """The answer, and whether the rest of the body may still be on its way."""
        hold = Hold(self._room)
        read = False
        try:
            collector, reader, said = self._admitted(scope, route, name)
            hold.owner = collector.name
            body = await bodies.received(receive, hold, self._body_bytes_max)
            read = True
            return await self._landed(collector, reader, said, body, hold), False
        except Refusal as refusal:
            answer = telemetry.refused(refusal.answer, scope) if route.signal else refusal.answer
            if read:
                return answer, False
            closing = Answer(
                status=answer.status,
                body=answer.body,
                kind=answer.kind,
                headers=(*(pair for pair in answer.headers if pair[0] != "connection"), ("connection", "close")),
            )
            return closing, answer.status != HTTPStatus.REQUEST_TIMEOUT and not expects(scope)
        finally:
            hold.release()

    def _admitted(self, scope: Scope, route: Route, name: str) -> tuple[HttpCollector, Reader, Head]:
        """Who sends what. Raises: Refusal, by what the head of the request says."""
        if self.draining:
            raise Refusal(503, "this process is stopping; send the same again later", retry_after=5)
        if scope["method"] != "POST":
            raise Refusal(405, "only POST", allow="POST")
        collector = self._collectors[self._tokens.source(values(scope, b"authorization"))]
        said = head(scope, self._body_bytes_max, protobuf=bool(route.signal))
        if route.signal:
            reader: Reader = telemetry.Request(route.signal, said.kind, self._formats)
        else:
            reader = self._as_it_stands(name)
        collector.rate.check()
        return collector, reader, said

    def _as_it_stands(self, name: str) -> Reader:
        format_ = self._formats(name)
        if format_ is None or not format_.stands_alone:
            raise Refusal(404, "there is no format of that name whose records explain themselves; see the config")
        return lambda content: (format_, content)

    async def _landed(self, collector: HttpCollector, reader: Reader, said: Head, body: bytes, hold: Hold) -> Answer:
        def opened() -> tuple[Format, Delivery]:
            content = bodies.unpacked(body, said.encoding, hold, self._body_bytes_max)
            digest = hashlib.sha256(content).hexdigest() if said.key else ""
            found, lines = reader(content)
            if collector.kind not in {None, found.kind.name}:
                raise Refusal(
                    403, f"source {collector.name} sends {collector.kind} records, and these are {found.kind.name}"
                )
            return found, Delivery(load=load(lines, found), key=said.key, digest=digest)

        if said.encoding == "identity" and len(body) <= INLINE_BYTES_MAX:
            found, delivery = opened()
        else:
            found, delivery = await asyncio.get_running_loop().run_in_executor(self._unpackers, opened)
        if not delivery.load.records:
            return _answered(reader, Landed(NOTHING))
        collector.rate.spend(delivery.load.records)
        return _answered(reader, await _waited(collector, found, delivery))


async def _waited(collector: HttpCollector, format_: Format, delivery: Delivery) -> Landed:
    """What became of a request. Raises: Refusal (503) where its transaction did not begin in time; it is withdrawn then."""
    desk = collector.desk(format_)
    desk.line.join(delivery)
    waiting = asyncio.wrap_future(delivery.done)
    try:
        done, _ = await asyncio.wait({waiting}, timeout=WAIT_SECONDS_MAX)
        if not done and desk.line.withdraw(delivery):
            raise Refusal(503, "the ledger was busy for too long; send the same again later", retry_after=5)
        return await waiting
    except asyncio.CancelledError:
        waiting.cancel()  # where it was not taken yet, it is not landed either
        raise


def _answered(reader: Reader, landed: Landed) -> Answer:
    headers = (("idempotent-replayed", "true"),) if landed.replayed else ()
    if isinstance(reader, telemetry.Request):
        return reader.answered(landed.answer, headers)
    return Answer(status=200, body=landed.answer.encode("utf-8", "replace"), headers=headers)


async def _linger(receive: Receive) -> None:
    """Drop what still arrives of a body whose sender has been answered."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
