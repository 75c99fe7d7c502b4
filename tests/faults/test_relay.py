"""The relay against a hostile machine: it, or its receiver, killed at any instant. What was acknowledged arrives, once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.relay.spool import Spool
from tests.ports import free_port
from tests.unit.ingest import receiver as receiver_module
from tests.unit.ingest.receiver import Receiver, landed

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
SEED = int(os.environ.get("SEED", "11"))


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition; a wait that is too long fails."""
    pause = threading.Event()
    for _ in range(PATIENCE_SECONDS * 50):
        if condition():
            return
        pause.wait(0.02)
    pytest.fail(f"never happened: {what}")


def post(port: int, body: bytes, path: str = "/v1/usage", seconds: float = 10) -> int:
    """Status of a request; 0 where there was no answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def page(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)


class Processes:
    """A relay and its receiver as processes, started and killed by hand.

    Attributes:
        folder: where the spool and the receiver's file are.
        port: of the relay, the same after each start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self._receiver_port = folder, free_port(), free_port()
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Run a program of ours."""
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "RELAY_TOKEN": "a-secret-token"},
        )
        self._running.append(process)
        return process

    def relay(self, *more: str, to: str | None = None) -> subprocess.Popen[str]:
        """Start the relay, and wait until it answers."""
        to = to or f"http://127.0.0.1:{self._receiver_port}"
        process = self.start("-m", "apportion", "relay", "--to", to, "--listen", f"127.0.0.1:{self.port}", *more)
        until(lambda: page(self.port, "/healthz")[0] == 200 or process.poll() is not None, "the relay answers")
        assert process.poll() is None
        return process

    def receiver(self, seed: int) -> subprocess.Popen[str]:
        """Start the receiver, and wait until it listens."""
        process = self.start(str(receiver_module.__file__), str(self._receiver_port), "landed", str(seed))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """`kill -9`, and wait for the end of it."""
        process.kill()
        process.wait(PATIENCE_SECONDS)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def end(self) -> None:
        """Nothing is left running."""
        for process in self._running:
            self.kill(process)  # its pipes are closed, also where it has ended by itself


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Nothing running yet."""
    started = Processes(tmp_path)
    yield started
    started.end()


def test_killed_at_any_instant_what_was_acknowledged_arrives_once(processes: Processes) -> None:
    """Senders never repeat; relay and receiver are killed at random, the receiver between landing and answering as well."""
    print(f"SEED={SEED}")
    chance = random.Random(SEED)
    acknowledged: set[bytes] = set()
    sent: set[bytes] = set()
    over, numbers, lock = threading.Event(), iter(range(10**9)), threading.Lock()

    def send() -> None:
        while not over.is_set():
            with lock:
                body = json.dumps({"n": next(numbers)}).encode()
            sent.add(body)
            if post(processes.port, body) == 202:
                acknowledged.add(body)
            over.wait(0.01)

    relay, receiver = processes.relay(), processes.receiver(chance.randrange(1000))
    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(6):
            over.wait(chance.uniform(0.05, 0.4))
            if chance.random() < 0.6:
                processes.kill(relay)
                relay = processes.relay()
            else:
                processes.kill(receiver)
                over.wait(chance.uniform(0, 0.2))
                receiver = processes.receiver(chance.randrange(1000))
    finally:
        over.set()
        for sender in senders:
            sender.join()
    until(lambda: "\n0 requests wait" in page(processes.port, "/readyz")[1], "everything is delivered")
    arrived = landed(processes.folder / "landed")

    assert acknowledged
    assert acknowledged <= {body for _, body in arrived} <= sent
    assert len(arrived) == len({body for _, body in arrived}) == len({key for key, _ in arrived})
    order = [int(key.rpartition("-")[2]) for key, _ in arrived]
    assert order == sorted(order)


def test_a_receiver_that_is_down_loses_nothing(processes: Processes) -> None:
    """Everything is acknowledged meanwhile, and delivered in order once it is up; SIGTERM in between leaves it in the spool."""
    relay = processes.relay("--drain-seconds", "0")
    bodies = [json.dumps({"n": number}).encode() for number in range(30)]
    assert {post(processes.port, body) for body in bodies} == {202}
    status, said = page(processes.port, "/readyz")
    assert (status, "\n30 requests wait" in said) == (200, True)
    assert "apportion_relay_waiting_requests 30" in page(processes.port, "/metrics")[1]
    relay.send_signal(signal.SIGTERM)
    assert relay.wait(PATIENCE_SECONDS) == 0
    assert post(processes.port, b"{}") == 0
    processes.receiver(1)
    processes.relay()
    until(lambda: len(landed(processes.folder / "landed")) == 30, "everything is delivered")

    assert [body for _, body in landed(processes.folder / "landed")] == bodies


def test_sigterm_delivers_what_it_can(processes: Processes) -> None:
    """A receiver that is up gets everything before the relay ends, and the relay ends with 0."""
    relay = processes.relay()
    for number in range(20):
        assert post(processes.port, str(number).encode()) == 202
    processes.receiver(2)
    relay.send_signal(signal.SIGTERM)

    assert relay.wait(PATIENCE_SECONDS) == 0
    assert len(landed(processes.folder / "landed")) == 20


def test_a_refused_request_is_shown_and_the_others_arrive(processes: Processes) -> None:
    """From one end to the other: the token by reference, a refusal set aside, listed and tried again while the relay runs."""
    receiving = Receiver(
        judge=lambda _, __, body: (
            (400, {}, b"no good") if body == b"bad" and len(receiving.seen) < 3 else (200, {}, b"")
        )
    )
    processes.relay("--token-env", "RELAY_TOKEN", "--listen-token-env", "RELAY_TOKEN", to=receiving.url)
    assert post(processes.port, b"x") == 401
    for body in (b"bad", b"good"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{processes.port}/v1/litellm",
            data=body,
            headers={"authorization": "Bearer a-secret-token"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 202
    until(lambda: len(receiving.seen) == 2, "both were sent")
    until(lambda: "\n1 requests were refused" in page(processes.port, "/readyz")[1], "the refusal is shown")
    listed = processes.start("-m", "apportion", "relay", "--list-refused", "--json").communicate(
        timeout=PATIENCE_SECONDS
    )[0]
    (refused,) = json.loads(listed)["refused"]
    assert (refused["path"], refused["status"], refused["answer"]) == ("/v1/litellm", 400, "no good")
    assert processes.start("-m", "apportion", "relay", "--retry-refused").wait(PATIENCE_SECONDS) == 0
    until(lambda: len(receiving.seen) == 3, "it was sent again")
    receiving.stop()

    assert {headers["authorization"] for _, headers, _ in receiving.seen} == {"Bearer a-secret-token"}
    assert b"a-secret-token" not in b"".join(file.read_bytes() for file in processes.folder.iterdir())


def test_a_full_disk_is_not_acknowledged(tmp_path: Path) -> None:
    """Where a file may not grow any further, the group fails as a whole, and what was acknowledged before is still there."""
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom datetime import UTC, datetime\n"
        "from ingest.relay.entries import Entry\nfrom ingest.relay.spool import Spool, SpoolError\n"
        "spool = Spool(Path('relay.spool'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "kept = 0\n"
        "try:\n"
        "    while True:\n"
        "        body = bytes(20_000)\n"
        "        kept += len(spool.append([Entry(path='/v1/usage', content_type='', content_encoding='', body=body,"
        " received_at=datetime(2026, 10, 1, tzinfo=UTC))]))\n"
        "except SpoolError as error:\n"
        "    print(kept, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    spool = Spool(tmp_path / "relay.spool")
    kept = spool.holding().waiting
    spool.close()

    assert kept == int(done.stdout) > 0
