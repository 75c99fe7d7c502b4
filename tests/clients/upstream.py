"""A model server that says of each call what its message asks it to say: OpenAI's chat API, plain and streamed.

The message is `key=value` pairs: `prompt`, `completion`, `cached`, `reasoning` are its usage, `fail` its status, `chunks` how many it
streams, `silent` keeps a stream's usage back, and `hold` makes it go on until its client has gone. It also takes `/payloads`, and keeps
what it is sent.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

Payload = dict[str, Any]


class Upstream(ThreadingHTTPServer):
    """The server.

    Attributes:
        asked: bodies of the calls that reached it.
        payloads: what was posted to `/payloads`, in the order of arrival.
        may_answer: until it is set, what is posted to `/payloads` is kept and not answered.
        gone: set when a client left in the middle of a stream.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Payload] = []
        self.payloads: list[Payload] = []
        self.may_answer, self.gone = threading.Event(), threading.Event()
        self.numbers = count(1)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""


@contextmanager
def serving() -> Iterator[Upstream]:
    """An upstream that answers while the block lasts."""
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def usage(wish: dict[str, str]) -> Payload:
    """The usage that a message asks for, as OpenAI words it."""
    prompt, completion = int(wish["prompt"]), int(wish["completion"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": int(wish.get("cached", 0))},
        "completion_tokens_details": {"reasoning_tokens": int(wish.get("reasoning", 0))},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, *_: object) -> None:
        """Nothing goes to the test's output."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/payloads":
            self.server.payloads.extend(body if isinstance(body, list) else [body])
            self.server.may_answer.wait(60)
            self._answer(200, {})
            return
        self.server.asked.append(body)
        wish = dict(pair.split("=") for pair in body["messages"][-1]["content"].split())
        head = {"id": f"chatcmpl-{next(self.server.numbers)}", "created": 1_700_000_000, "model": body["model"]}
        if "fail" in wish:
            self._answer(
                int(wish["fail"]), {"error": {"message": "overloaded", "type": "server_error", "code": "busy"}}
            )
        elif body.get("stream"):
            asked = bool((body.get("stream_options") or {}).get("include_usage"))
            self._stream(head, wish, tell_usage=asked and "silent" not in wish)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "an answer"}, "finish_reason": "stop"}
            self._answer(200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage(wish)})

    def _answer(self, status: int, body: Payload) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, head: Payload, wish: dict[str, str], *, tell_usage: bool) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for number in range(int(wish.get("chunks", 3))):
                self._chunk(
                    head,
                    [{"index": 0, "delta": {"role": "assistant", "content": f"part {number} "}, "finish_reason": None}],
                )
            if "hold" in wish:
                self._hold(head)
            self._chunk(head, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
            if tell_usage:
                self._chunk(head, [], usage(wish))
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.gone.set()

    def _hold(self, head: Payload) -> None:
        """Go on, slowly, until nobody listens; a minute at most."""
        for _ in range(600):
            self._chunk(head, [{"index": 0, "delta": {"content": "more "}, "finish_reason": None}])
            self.server.gone.wait(0.1)

    def _chunk(self, head: Payload, choices: list[Payload], told: Payload | None = None) -> None:
        said = {**head, "object": "chat.completion.chunk", "choices": choices, **({"usage": told} if told else {})}
        self.wfile.write(b"data: " + json.dumps(said).encode() + b"\n\n")
        self.wfile.flush()
