"""Programs that tests start on loopback and stop by their own process id, and what they are asked."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

PATIENCE_SECONDS = 120
"""How long a busy machine may take to start a proxy of 600 MB."""

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")
"""Of the environment: what a program of another environment may see."""


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a folder, with nothing of this environment but where programs are; ended when the block is."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**kept, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and SIGKILL to what does not end by it. Returns: its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(30)


def until(
    condition: Callable[[], Any], what: str, process: subprocess.Popen[bytes] | None = None, log: Path | None = None
) -> Any:
    """The first true answer of a condition. A wait that is too long fails, and so does the end of the program, with its last words."""
    deadline, pause = monotonic() + PATIENCE_SECONDS, Event()
    while monotonic() < deadline:
        if answer := condition():
            return answer
        if process is not None and process.poll() is not None:
            break
        pause.wait(0.05)
    said = log.read_text(encoding="utf-8", errors="replace")[-4000:] if log else ""
    pytest.fail(f"never happened: {what}\n{said}")


def ask(
    port: int, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of an answer: of a POST where there is something to post; status 0 where nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        try:
            if body is None:
                connection.request("GET", path, headers=dict(headers or {}))
            else:
                kind = {"content-type": "application/json", **(headers or {})}
                connection.request("POST", path, json.dumps(body), kind)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionError:
            return 0, b""
