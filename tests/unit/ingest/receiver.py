"""A receiver like `serve`'s: lands a request once per idempotency key, durably before it answers. A program as well."""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


class Receiver(ThreadingHTTPServer):
    """Answers deliveries.

    Attributes:
        seen: every request: path, headers with small names, body.
        answers: what to answer next; 200 once they are used up.
    """

    daemon_threads = True

    def __init__(self, port: int = 0, judge: Callable[[str, dict[str, str], bytes], Answer] | None = None) -> None:
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[Answer] = []
        self._judge = judge or (lambda *_: self.answers.pop(0) if self.answers else (200, {}, b"{}"))
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def judged(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Remember a request and answer it."""
        self.seen.append((path, headers, body))
        return self._judge(path, headers, body)

    def stop(self) -> None:
        """Let go of the port."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender died inside it: no request
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more, said = self.server.judged(self.path, headers, body)
        self.send_response(status)
        for name, value in {**more, "Content-Length": str(len(said))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def landed(file: Path) -> list[tuple[str, bytes]]:
    """Key and body of what a receiver's file holds, in order, a torn last line left out."""
    found = []
    for line in file.read_bytes().split(b"\n")[:-1] if file.exists() else ():
        key, body = json.loads(line)
        found.append((key, base64.b64decode(body)))
    return found


def main(port: int, file: Path, seed: int) -> None:
    """Land in a file; now and then be busy, or fail, before or after landing."""
    chance = random.Random(seed)
    whole = b"".join(json.dumps([key, base64.b64encode(body).decode()]).encode() + b"\n" for key, body in landed(file))
    file.write_bytes(whole)
    keys, lock = {key for key, _ in landed(file)}, threading.Lock()
    ledger = os.open(file, os.O_WRONLY | os.O_APPEND)

    def judge(_: str, headers: dict[str, str], body: bytes) -> Answer:
        with lock:
            fate, key = chance.random(), headers["idempotency-key"]
            if fate < 0.05:
                return 503, {"Retry-After": "0"}, b"busy"
            if key not in keys:
                os.write(ledger, json.dumps([key, base64.b64encode(body).decode()]).encode() + b"\n")
                os.fsync(ledger)
                keys.add(key)
            return (500, {}, b"landed, and then something broke") if fate < 0.055 else (200, {}, b"{}")

    Receiver(port, judge)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
