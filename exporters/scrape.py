"""The HTTP listener that Prometheus scrapes: `/metrics`, `/healthz`, `/readyz`, and nothing else.

It answers from bytes that the last publish rendered, so a scrape costs one send and touches no data. Connections, the
time they may idle and the time a slow reader may take are bounded; what a client sends is never echoed.
"""

from __future__ import annotations

import contextlib
import errno
import http
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Protocol, Self

from apportion.domain.errors import UsageError

CONNECTIONS_MAX: Final = 32
"""Scrapers keep one connection each; beyond this a client is told to come back."""
IDLE_SECONDS_MAX: Final = 75
"""Longer than the usual scrape interval of a minute, so that connections are kept; also the bound of one send."""
DRAIN_SECONDS_MAX: Final = 5
"""How long `close` waits for answers already under way."""

TEXT: Final = "text/plain; charset=utf-8"

log = logging.getLogger("exporters.scrape")

Request = socket.socket | tuple[bytes, socket.socket]
Address = tuple[str, int] | str
Readiness = Callable[[], str]
"""Why the service is not ready, as a sentence; empty when it is."""


class Page(Protocol):
    """What `/metrics` answers."""

    def body(self, accept: str, *, gzip: bool) -> tuple[bytes, str, str]:
        """Bytes, content type and content encoding (or empty) for what a client accepts."""
        ...


class Serving:
    """A listener at work.

    Attributes:
        host: address it is bound to.
        port: port it is bound to, also where 0 was asked for.
    """

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.host, self.port = server.server_address[0], server.server_address[1]
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="scrape", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop accepting, let answers under way finish, and let go of the port. Closing twice is harmless."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.drain()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve_in_thread(host: str, port: int, page: Page, readiness: Readiness) -> Serving:
    """Listen in a thread of its own; port 0 takes any free one.

    Raises: UsageError when the address is in use or not ours, with what to do.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return Serving(_Server(family, str(address[0]), port, page, readiness))
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "another program listens there; stop it",
            errno.EACCES: "this user may not use that port; take one above 1023",
            errno.EADDRNOTAVAIL: "this machine has no such address; use one of its own",
        }.get(error.errno or 0, f"{error.strerror or error}; use an address of this machine")
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise UsageError(f"cannot listen on {shown}: {reason}, or set another `listen` under [http]") from error


class _Server(ThreadingHTTPServer):
    """Accepts connections, a bounded number at a time, each served by a thread of its own."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, family: int, host: str, port: int, page: Page, readiness: Readiness) -> None:
        self.page, self.readiness = page, readiness
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._open: dict[int, socket.socket] = {}
        self._open_lock = threading.Lock()
        self.address_family = family
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of the base class, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Address]:
        """Accept a connection, or turn it away while all slots are taken."""
        connection, address = super().get_request()
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):
                connection.settimeout(1)
                connection.sendall(
                    _head(
                        http.HTTPStatus.SERVICE_UNAVAILABLE,
                        {"Content-Length": "0", "Retry-After": "5", "Connection": "close"},
                    )
                )
            connection.close()
            raise BlockingIOError(errno.EAGAIN, "every connection slot is taken")
        with self._open_lock:
            self._open[id(connection)] = connection
        return connection, address

    def shutdown_request(self, request: Request) -> None:
        """Close a connection and free its slot: the one place every accepted connection ends at."""
        with self._open_lock:
            held = self._open.pop(id(request), None)
        super().shutdown_request(request)
        if held is not None:
            self._slots.release()

    def handle_error(self, request: Request, client_address: Address) -> None:
        """A client that went away is routine; whatever else it was is logged with its place in the code."""
        del request
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("answering %s failed", client_address, exc_info=error)

    def drain(self) -> None:
        """Close what idles, and wait a bounded time for what is being sent."""
        with self._open_lock:
            for connection in self._open.values():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + DRAIN_SECONDS_MAX
        held = [self._slots.acquire(timeout=max(0, deadline - time.monotonic())) for _ in range(CONNECTIONS_MAX)]
        for _ in filter(None, held):
            self._slots.release()


class _Handler(BaseHTTPRequestHandler):
    """One connection: requests one after another, each answered by one send."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS_MAX
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer one of the three pages."""
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body nobody reads must not be taken for the next request
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, kind, encoding = self.server.page.body(
                ",".join(self.headers.get_all("Accept", [])),
                gzip=takes_gzip(",".join(self.headers.get_all("Accept-Encoding", []))),
            )
            extra = {"Content-Encoding": encoding} if encoding else {}
            self._answer(http.HTTPStatus.OK, body, kind, {"Vary": "Accept, Accept-Encoding", **extra})
        elif path == "/healthz":
            self._answer(http.HTTPStatus.OK, b"ok\n")
        elif path == "/readyz":
            reason = self.server.readiness()
            status = http.HTTPStatus.SERVICE_UNAVAILABLE if reason else http.HTTPStatus.OK
            self._answer(status, f"{reason or 'ready'}\n".encode())
        else:
            self._answer(http.HTTPStatus.NOT_FOUND, b"there is /metrics, /healthz and /readyz\n")

    def do_HEAD(self) -> None:
        """The same without the body."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is not a readable GET or HEAD, without quoting it, and hang up."""
        del message, explain
        self.close_connection = True
        if code == http.HTTPStatus.NOT_IMPLEMENTED:  # what the base class says to every other method
            self._answer(http.HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", extra={"Allow": "GET, HEAD"})
        else:
            self._answer(http.HTTPStatus(code), f"{http.HTTPStatus(code).phrase}\n".encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Requests are routine; whoever debugs sees them."""
        log.debug(format, *args)

    def _answer(
        self, status: http.HTTPStatus, body: bytes, kind: str = TEXT, extra: dict[str, str] | None = None
    ) -> None:
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **(extra or {})}
        if self.close_connection:
            headers["Connection"] = "close"
        self.log_request(status, len(body))
        _send(self.connection, _head(status, headers), b"" if self.command == "HEAD" else body)


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


def _head(status: http.HTTPStatus, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {text}" for name, text in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _send(connection: socket.socket, head: bytes, body: bytes) -> None:
    """Head and body in one system call where they fit, without copying the body into a joined buffer."""
    sent = connection.sendmsg([head, body])
    if sent < len(head):
        connection.sendall(head[sent:])
        sent = len(head)
    if sent < len(head) + len(body):
        connection.sendall(memoryview(body)[sent - len(head) :])
