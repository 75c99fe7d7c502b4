"""What the relay answers: an ASGI app that takes requests in for any path of ingest, and says how it is.

1. The token is looked at, then the path, then whether there is room. *Nothing of a body is read for a sender that is refused.*
2. The body is read as it arrives, bounded, slow senders too, and kept as it is: neither decompressed nor looked into.
3. It is committed. 4. Then 202. *What was answered 202 is delivered; whatever was answered otherwise, or not at all, is the
   sender's to send again.*
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from apportion.domain.clock import Clock
from ingest.relay.delivery import Delivery
from ingest.relay.entries import ENTRY_BYTES, Entry, Holding
from ingest.relay.intake import FullError, Intake
from ingest.relay.spool import Spool, SpoolError

RETRY_AFTER_SECONDS: Final = 5
CHUNK_SECONDS_MAX: Final = 30
"""How long a sender may be silent within a body."""
BODY_SECONDS_MAX: Final = 300
HEADER_CHARACTERS_MAX: Final = 200

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_INGEST = re.compile(r"/v1(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+", re.ASCII)
_QUERY = re.compile(r"[!-~]{0,500}")
_VALUE = re.compile(rf"[ -~]{{0,{HEADER_CHARACTERS_MAX}}}")

log = logging.getLogger("ingest.relay")


class _Refusal(Exception):
    """A request that is not taken in."""

    def __init__(self, status: int, said: str, **headers: str) -> None:
        super().__init__(said)
        self.status, self.said, self.headers = status, said, headers


class Door:
    """The app."""

    def __init__(
        self, spool: Spool, intake: Intake, delivery: Delivery, clock: Clock, *, token: str | None, body_bytes_max: int
    ) -> None:
        self._spool, self._intake, self._delivery, self._clock = spool, intake, delivery, clock
        self._token = token.encode() if token else None
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        pages = {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics}
        path = str(scope["path"])
        try:
            if path in pages:
                if scope["method"] not in {"GET", "HEAD"}:
                    raise _Refusal(405, f"{path} is only read.", allow="GET, HEAD")  # noqa: TRY301 - one place answers
                await _answer(send, *await asyncio.to_thread(pages[path]))
                return
            number = await self._taken_in(scope, receive)
        except _Refusal as refusal:
            body = json.dumps({"error": refusal.said}).encode()
            await _answer(send, refusal.status, "application/json", body, **refusal.headers)
        except SpoolError as error:
            log.warning("a request was not taken in: %s", error)
            said = str(error) if isinstance(error, FullError) else "the spool cannot be written; see the relay's log"
            body = json.dumps({"error": said}).encode()
            await _answer(send, 503, "application/json", body, **{"retry-after": str(RETRY_AFTER_SECONDS)})
        else:
            await _answer(send, 202, "application/json", json.dumps({"entry": number}).encode())

    async def _taken_in(self, scope: Scope, receive: Receive) -> int:
        """Commit the request. Returns: its number."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self._admit(headers.get("authorization", ""))
        path, content_type, content_encoding = _described(scope, headers)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:18]) > self._body_bytes_max:
            raise self._too_large()
        reserved = [ENTRY_BYTES]
        self._intake.reserve(ENTRY_BYTES)
        try:
            body = await self._body(receive, reserved)
            entry = Entry(
                path=path,
                content_type=content_type,
                content_encoding=content_encoding,
                body=body,
                received_at=self._clock.now(),
            )
            return await asyncio.wrap_future(self._intake.submit(entry))
        finally:
            self._intake.release(sum(reserved))

    def _admit(self, authorization: str) -> None:
        if self._token is None:
            return
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise _Refusal(
                401, "send `Authorization: Bearer TOKEN` with the relay's token.", **{"www-authenticate": "Bearer"}
            )

    async def _body(self, receive: Receive, reserved: list[int]) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                while True:
                    async with asyncio.timeout(CHUNK_SECONDS_MAX):
                        message = await receive()
                    if message["type"] != "http.request":
                        raise _Refusal(400, "the connection was closed within the body.")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._body_bytes_max:
                        raise self._too_large()
                    self._intake.reserve(len(chunk))
                    reserved.append(len(chunk))
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError as error:
            raise _Refusal(408, "the body did not arrive in time.", connection="close") from error

    def _too_large(self) -> _Refusal:
        said = f"a body may have {self._body_bytes_max} bytes; send smaller batches, or start the relay with more --body-bytes-max."
        return _Refusal(413, said, connection="close")

    def _healthz(self) -> tuple[int, str, bytes]:
        return 200, "text/plain; charset=utf-8", b"ok\n"

    def _readyz(self) -> tuple[int, str, bytes]:
        held, full = self._spool.holding(), self._intake.full()
        lines = [
            "the spool is full" if full else "ready",
            f"{held.waiting} requests wait, {held.waiting_bytes} bytes",
            f"{held.refused} requests were refused and set aside; see `apportion relay --list-refused`",
            f"receiver: {self._delivery.trouble or 'accepts'}",
        ]
        return 503 if full else 200, "text/plain; charset=utf-8", ("\n".join(lines) + "\n").encode()

    def _metrics(self) -> tuple[int, str, bytes]:
        text = exposition(self._spool.holding(), self._delivery.delivered, self._clock)
        return 200, "text/plain; version=0.0.4; charset=utf-8", text.encode()


def exposition(held: Holding, delivered: int, clock: Clock) -> str:
    """What scrapers read; the age is absent while nothing waits."""
    values: list[tuple[str, str, str, float]] = [
        ("waiting_requests", "gauge", "Requests in the spool that wait to be delivered", held.waiting),
        ("waiting_bytes", "gauge", "Bytes of them", held.waiting_bytes),
        ("refused_requests", "gauge", "Requests that the receiver refused for good, set aside", held.refused),
        ("refused_bytes", "gauge", "Bytes of them", held.refused_bytes),
        ("delivered_requests_total", "counter", "Requests accepted since this process started", delivered),
    ]
    if held.oldest_at:
        age = max(0.0, (clock.now() - held.oldest_at).total_seconds())
        values.append(("oldest_age_seconds", "gauge", "How long the oldest waiting request has been here", age))
    return "".join(
        f"# HELP apportion_relay_{name} {said}.\n# TYPE apportion_relay_{name} {kind}\napportion_relay_{name} {value}\n"
        for name, kind, said, value in values
    )


def _described(scope: Scope, headers: dict[str, str]) -> tuple[str, str, str]:
    """Path with its query, and the two headers that say what the body is. Raises: _Refusal."""
    path = (scope.get("raw_path") or str(scope["path"]).encode()).decode("latin-1").partition("?")[0]
    if not _INGEST.fullmatch(path):
        raise _Refusal(404, "the relay takes POST on the paths of ingest, such as /v1/usage.")
    if scope["method"] != "POST":
        raise _Refusal(405, "the relay takes POST.", allow="POST")
    query = bytes(scope.get("query_string", b"")).decode("latin-1")
    kinds = headers.get("content-type", ""), headers.get("content-encoding", "")
    if not _QUERY.fullmatch(query) or not all(_VALUE.fullmatch(kind) for kind in kinds):
        raise _Refusal(400, "the query, Content-Type or Content-Encoding is too long, or no plain text.")
    return f"{path}?{query}" if query else path, *kinds


async def _answer(send: Send, status: int, kind: str, body: bytes, **headers: str) -> None:
    given = {"content-type": kind, "content-length": str(len(body)), **headers}
    encoded = [(name.encode(), value.encode()) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
