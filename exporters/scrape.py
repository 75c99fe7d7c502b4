"""What Prometheus scrapes, as an ASGI app: `/metrics`, `/healthz`, `/readyz`, and nothing else.

It answers from bytes that the last publish rendered, so a scrape touches no data; what a client sends is never echoed.
Connections, and how long they may idle or a reader may take, are bounded by the listener that runs it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

PATHS: Final = ("/metrics", "/healthz", "/readyz")
CHUNK_BYTES: Final = 256 * 1024
"""Of a page handed to the connection at once: a slow reader holds so much of it, and not a copy of all."""
TEXT: Final = "text/plain; charset=utf-8"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Readiness = Callable[[], str]
"""Why the service is not ready, as a sentence; empty when it is."""


class Page(Protocol):
    """What `/metrics` answers."""

    def body(self, accept: str, *, gzip: bool) -> tuple[bytes, str, str]:
        """Bytes, content type and content encoding (or empty) for what a client accepts."""
        ...


class Scrape:
    """The pages, to be run by a listener."""

    def __init__(self, page: Page, readiness: Readiness, remarks: Readiness = lambda: "") -> None:
        """Args: the page; why the service is not ready; what people should know though it is, a line each."""
        self._page, self._readiness, self._remarks = page, readiness, remarks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a body that comes with it is not read."""
        del receive
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            # A body may follow that nobody reads, so the connection ends.
            refused = {"allow": "GET, HEAD", "connection": "close"}
            await _answer(scope, send, 405, b"only GET and HEAD\n", more=refused)
        elif scope["path"] == "/metrics":
            accepts_gzip = takes_gzip(_header(scope, b"accept-encoding"))
            body, kind, encoding = self._page.body(_header(scope, b"accept"), gzip=accepts_gzip)
            packed = {"content-encoding": encoding} if encoding else {}
            await _answer(scope, send, 200, body, kind, {"vary": "Accept, Accept-Encoding", **packed})
        elif scope["path"] == "/healthz":
            await _answer(scope, send, 200, b"ok\n")
        elif scope["path"] == "/readyz":
            reason = self._readiness()
            said = f"{reason or 'ready'}\n{self._remarks()}"
            await _answer(scope, send, 503 if reason else 200, said.encode())
        else:
            await _answer(scope, send, 404, b"there is /metrics, /healthz and /readyz\n")


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: named, or by `*`, and not at quality 0."""
    offers: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        offers[name.strip()] = not _refused(parameters)
    return offers.get("gzip", offers.get("*", False))


def _refused(parameters: str) -> bool:
    quality = parameters.replace(" ", "").removeprefix("q=")
    return bool(quality) and not quality.strip("0.")


def _header(scope: Scope, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for header, value in scope["headers"] if header == name)


async def _answer(
    scope: Scope, send: Send, status: int, body: bytes, kind: str = TEXT, more: dict[str, str] | None = None
) -> None:
    headers = {"content-type": kind, "content-length": str(len(body)), **(more or {})}
    encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    rest = memoryview(b"" if scope["method"] == "HEAD" else body)
    while len(rest) > CHUNK_BYTES:
        await send({"type": "http.response.body", "body": rest[:CHUNK_BYTES], "more_body": True})
        rest = rest[CHUNK_BYTES:]
    await send({"type": "http.response.body", "body": bytes(rest)})
