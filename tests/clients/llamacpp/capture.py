"""Ask a llama-server what the golden files hold, and write its answers to the byte.

    python capture.py path/to/llama-server tiny.gguf FOLDER

Runs by hand: building llama-server takes longer than all tests. Needs only the standard library.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any, Self

PORT = 9802
FLAGS = [
    "--host",
    "127.0.0.1",
    "--port",
    str(PORT),
    "--metrics",
    "--alias",
    "tiny-random",
    "-c",
    "8192",
    "-np",
    "2",
    "-t",
    "1",
    "--no-ui",
]
SYSTEM = {"role": "system", "content": "You are a cost report. " * 8}
SAMPLING = {"temperature": 0, "seed": 7, "ignore_eos": True, "cache_prompt": True}
SHORT, LONG, LONGEST = 8, 16, 3000
PAUSE = Event()
CHUNKS_READ = 5
"""Of the stream that its client leaves."""


class Server:
    """A llama-server, from `with` to the end of it."""

    def __init__(self, program: str, model: str) -> None:
        self._command = [program, "-m", model, *FLAGS]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._healthy():
            PAUSE.wait(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def _healthy(self) -> bool:
        try:
            return get("/health")[0] == 200
        except ConnectionError:
            return False

    def idle(self) -> None:
        """Wait until it works for nobody."""
        while b"llamacpp:requests_processing 0" not in get("/metrics")[1]:
            PAUSE.wait(0.1)


def get(path: str) -> tuple[int, bytes]:
    """Status and body of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def chat(question: str, **options: Any) -> http.client.HTTPResponse:
    """An answer, not read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    messages = [SYSTEM, {"role": "user", "content": question}]
    body = {"model": "tiny-random", "messages": messages, **SAMPLING, **options}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.connection = connection
    return answer


def capture(program: str, model: str, folder: Path) -> None:
    """Write every file."""
    folder.mkdir(parents=True, exist_ok=True)
    with Server(program, model) as server:
        (folder / "metrics_before.prom").write_bytes(get("/metrics")[1])
        answers = [chat(question, max_tokens=SHORT).read() for question in ("how much?", "how much?", "and who?")]
        (folder / "answers.ndjson").write_bytes(b"".join(answer.strip() + b"\n" for answer in answers))
        (folder / "refused.json").write_bytes(chat("too long? " * 1000, max_tokens=SHORT).read())
        asked = {"max_tokens": LONG, "stream": True}
        (folder / "stream_usage.sse").write_bytes(
            chat("stream", stream_options={"include_usage": True}, **asked).read()
        )
        (folder / "stream_plain.sse").write_bytes(chat("stream on", **asked).read())
        server.idle()
        (folder / "metrics_clean.prom").write_bytes(get("/metrics")[1])
        aborted = chat("go on", stream=True, max_tokens=LONGEST, stream_options={"include_usage": True})
        lines = [aborted.readline() for _ in range(2 * CHUNKS_READ)]
        aborted.connection.close()
        aborted.close()
        (folder / "stream_aborted.sse").write_bytes(b"".join(lines))
        server.idle()
        (folder / "metrics_aborted.prom").write_bytes(get("/metrics")[1])
    with Server(program, model) as server:
        chat("again", max_tokens=SHORT).read()
        server.idle()
        (folder / "metrics_restarted.prom").write_bytes(get("/metrics")[1])


if __name__ == "__main__":
    capture(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
