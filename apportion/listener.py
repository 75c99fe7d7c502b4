"""An ASGI app on a port: uvicorn in a thread of its own, with the bounds that it lacks. The only importer of uvicorn.

What is bounded: connections, the bytes and seconds of a request's head, the seconds a connection may idle, the seconds a
reader may stall, and the seconds that closing waits. Bodies are the apps' business. Nothing that a client sent is logged.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apportion.domain.errors import UsageError

CONNECTIONS_MAX: Final = 512
"""Beyond this a client is told to come back."""
HEAD_BYTES_MAX: Final = 64 * 1024
"""Of a request line and its headers."""
HEAD_SECONDS_MAX: Final = 20
"""From the first byte of a head to its last, and from a connection to its first byte."""
IDLE_SECONDS_MAX: Final = 75
"""Longer than the usual scrape interval of a minute, so that connections are kept."""
STALL_SECONDS_MAX: Final = 60
"""How long a reader may take no byte of an answer."""
DRAIN_SECONDS_MAX: Final = 20
"""How long `close` waits for answers under way."""
BACKLOG: Final = 256

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def by_path(pages: Mapping[str, App], otherwise: App) -> App:
    """One app of several: those that answer a path, and one for all other paths."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await pages.get(scope.get("path", ""), otherwise)(scope, receive, send)

    return app


class Listening:
    """A listener at work.

    Attributes:
        host: address it is bound to.
        port: port it is bound to, also where 0 was asked for.
    """

    def __init__(self, bound: socket.socket, app: App, *, connections_max: int, drain_seconds: int) -> None:
        self.host, self.port = str(bound.getsockname()[0]), int(bound.getsockname()[1])
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=type("Connection", (_Connection,), {"connections_max": connections_max}),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE_SECONDS_MAX,
            timeout_graceful_shutdown=drain_seconds,
            backlog=BACKLOG,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name="listener", daemon=True)
        self._thread.start()
        self._server.ready.wait()

    def close(self) -> None:
        """Stop accepting, let answers under way finish for a bounded time, and let go of the port. Twice is harmless."""
        self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listen(
    host: str,
    port: int,
    app: App,
    *,
    connections_max: int = CONNECTIONS_MAX,
    drain_seconds: int = DRAIN_SECONDS_MAX,
) -> Listening:
    """Run an app until closed; port 0 takes any free one.

    Raises: UsageError when the address is in use or not ours, with what to do.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.create_server((str(address[0]), port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "another program listens there; stop it",
            errno.EACCES: "this user may not use that port; take one above 1023",
            errno.EADDRNOTAVAIL: "this machine has no such address; use one of its own",
        }.get(error.errno or 0, f"{error.strerror or error}; use an address of this machine")
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise UsageError(f"cannot listen on {shown}: {reason}, or set another `listen` under [http]") from error
    return Listening(bound, app, connections_max=connections_max, drain_seconds=drain_seconds)


class _Server(uvicorn.Server):
    """Says when it has begun, and leaves no connection behind.

    Attributes:
        ready: set once connections are accepted.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop tells the connections that they are gone


class _Connection(HttpToolsProtocol):
    """uvicorn's connection, its head and its waiting bounded.

    Attributes:
        connections_max: of the listener.
    """

    connections_max: int = CONNECTIONS_MAX

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = self._said = 0
        self._in_head = True
        self._refusal = b"400 Bad Request"
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            self._refuse(b"503 Service Unavailable", b"retry-after: 5\r\n")
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._await_head()
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def on_url(self, url: bytes) -> None:
        self._say(len(url), b"414 URI Too Long")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._say(len(name) + len(value) + 4, b"431 Request Header Fields Too Large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._in_head, self._head_bytes, self._said = False, 0, 0
        if self.parser.should_upgrade() and self.parser.get_method() not in {b"GET", b"HEAD"}:
            self._refusal = b"400 Upgrade Not Supported"
            raise ValueError("the parser would pass the body over")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_reader()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort() if self.transport.get_write_buffer_size() else self.transport.close()

    def send_400_response(self, msg: str) -> None:
        del msg
        self._refuse(self._refusal)

    def _unsupported_upgrade_warning(self) -> None:
        """Who would like another protocol is served in this one."""

    def _say(self, count: int, refusal: bytes) -> None:
        self._said += count
        if self._said > HEAD_BYTES_MAX:
            self._refusal = refusal
            raise ValueError("the head is too long")

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self.transport.abort)

    def _watch_reader(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(STALL_SECONDS_MAX, self.transport.abort)

    def _refuse(self, status: bytes, more: bytes = b"") -> None:
        """Answer without an app, in one send, and hang up."""
        self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\n%sconnection: close\r\n\r\n" % (status, more))
        self.transport.close()
        self._watch_reader()
