"""Somebody on loopback who answers requests as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        path: with its query.
        headers: by lower-case name.
        body: of a form.
    """

    path: str
    headers: Mapping[str, str]
    body: str = ""


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        body: as it is sent.
        status: its code.
        headers: beside Content-Length, which is the body's unless said.
        drip: whether only the first half of the body is sent until the test is over.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: bool = False


Say = Callable[[Asked], Answer]


@dataclass
class Exporter:
    """Somebody who listens.

    Attributes:
        url: of the root.
        asked: every request so far.
        say: answers requests; may be replaced.
        connections: how many have been opened.
    """

    url: str
    say: Say
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0


@contextmanager
def exporter(say: Say | bytes, port: int = 0) -> Iterator[Exporter]:
    """Listens on a port, or a free one, while the context lasts."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            running.connections += 1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            running.asked.append(asked)
            given = running.say(asked)
            self.send_response(given.status)
            for name, value in ({"Content-Length": str(len(given.body))} | dict(given.headers)).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(given.body[: len(given.body) // 2] if given.drip else given.body)
            if given.drip:
                self.wfile.flush()
                over.wait(30)
            if not given.headers.get("Content-Length", "x") or given.drip:
                self.close_connection = True

        do_GET = do_POST = answer  # noqa: N815 - the library calls them so

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    ThreadingHTTPServer.allow_reuse_address = True
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        url = f"http://127.0.0.1:{server.server_address[1]}"
        running = Exporter(url, say if callable(say) else lambda _: Answer(say))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            over.set()
            server.shutdown()
            thread.join()
