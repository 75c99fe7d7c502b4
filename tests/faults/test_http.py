"""Senders that break off, trickle or hammer, and a process that dies: what was acknowledged is there, once, and nothing else is."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, event, lines
from tests.unit.ingest.door import TOKEN, Door, opened

ROOT = Path(__file__).parents[2]
HEAD = f"POST /v1/usage HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/x-ndjson\r\n"


@pytest.fixture
def door(ledger: Ledger, clock: FrozenClock) -> Iterator[Door]:
    clock.set(NOON)
    with opened(ledger, clock) as found:
        yield found


def connected(door: Door) -> socket.socket:
    return socket.create_connection((door.listening.host, door.listening.port), timeout=30)


def settled(door: Door) -> None:
    """Wait until nothing is held for any request."""
    while door.intake._room.held:
        threading.Event().wait(0.001)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_nothing_of_a_broken_off_body_lands(door: Door, chunked: bool, reset: bool) -> None:
    """Whole lines or not, sized or chunked, closed or reset: no event, no rejection, no memory."""
    body = lines(event(f"e{n}") for n in range(50))
    for cut in (0, 1, len(body) // 2, len(body) - 1):
        with connected(door) as sender:
            if chunked:
                sender.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk(body[:cut] or b"\n"))
            else:
                sender.sendall((HEAD + f"Content-Length: {len(body)}\r\n\r\n").encode() + body[:cut])
            if reset:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    whole = door.post("/v1/usage", [event("whole")])
    settled(door)

    assert whole.status == 200
    assert door.ids() == ["whole"]
    assert door.ledger.session().value("SELECT count(*) FROM raw.rejection") == 0


def test_a_body_without_its_last_chunk_does_not_land(door: Door) -> None:
    """All the bytes are there, but not the sender's word that they are all."""
    with connected(door) as sender:
        sender.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk(lines([event("a")])))
    door.post("/v1/usage", [event("b")])
    settled(door)

    assert door.ids() == ["b"]


def test_a_sender_that_trickles_is_served(door: Door) -> None:
    """Byte by byte, in chunks of one, beside others that are served meanwhile."""
    body = lines([event("slow")])
    with connected(door) as sender:
        sender.sendall((HEAD + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n").encode())
        for number in range(len(body)):
            sender.sendall(chunk(body[number : number + 1]))
            if number == len(body) // 2:
                assert door.post("/v1/usage", [event("quick")]).status == 200
        sender.sendall(b"0\r\n\r\n")
        received = sender.recv(65536)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert door.ids() == ["quick", "slow"]


def test_a_sender_that_leaves_before_its_answer_may_send_again(door: Door) -> None:
    """What it sent is landed or not; sent again, it is there once."""
    body = lines([event("a")])
    for _ in range(5):
        with connected(door) as sender:
            sender.sendall((HEAD + f"Idempotency-Key: k\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body)
    again = door.post("/v1/usage", body, Idempotency_Key="k")

    assert again.said["accepted"] == 1
    assert door.ids() == ["a"]


def test_who_asks_first_is_told_before_sending(door: Door) -> None:
    """`Expect: 100-continue` with a wrong token is refused without the body; with the right one it is asked for."""
    body = lines([event("a")])
    expecting = f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    with connected(door) as sender:
        sender.sendall((HEAD.replace(TOKEN, "wrong") + expecting).encode())
        refused = sender.recv(65536)
    with connected(door) as sender:
        sender.sendall((HEAD + expecting).encode())
        first = sender.recv(65536)
        sender.sendall(body)
        answered = sender.recv(65536)

    assert refused.startswith(b"HTTP/1.1 401 ")
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answered.startswith(b"HTTP/1.1 200 ")


def test_many_bombs_at_once_take_bounded_memory(ledger: Ledger, clock: FrozenClock) -> None:
    """Together they hold no more than the bound; each is refused, and a sound request is served after."""
    clock.set(NOON)
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
    with opened(ledger, clock, body_bytes_max=1 << 20, pending_bytes_max=4 << 20) as door:
        codes: list[int] = []
        threads = [
            threading.Thread(target=lambda: codes.append(door.post("/v1/usage", bomb, Content_Encoding="gzip").status))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        sound = door.post("/v1/usage", [event("a")])

    assert len(codes) == 16
    assert set(codes) <= {413, 503}
    assert sound.status == 200


def test_a_repeating_crowd_lands_everything_once(door: Door) -> None:
    """Many senders, each body sent twice by two of them at once, keyed and not: every event once, counts add up."""
    bodies = [[event(f"e{number}-{n}") for n in range(20)] for number in range(24)]
    replies = []

    def send(number: int) -> None:
        key = {"Idempotency_Key": f"k{number}"} if number % 2 else {}
        replies.append(door.post("/v1/usage", bodies[number], **key))

    threads = [threading.Thread(target=send, args=(number,)) for number in (*range(24), *range(24))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    session = door.ledger.session()

    assert {reply.status for reply in replies} == {200}
    assert door.ids() == sorted(one["event_id"] for body in bodies for one in body)
    assert session.row("SELECT sum(received), sum(landed) FROM raw.batch") == session.row(
        "SELECT sum(received), sum(landed) FROM raw.batch_part"
    )


BODIES = 48

SERVER = """
import sys, threading
from pathlib import Path
from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON
from tests.unit.ingest.door import opened

clock = FrozenClock(NOON)
with Ledger(Path(sys.argv[1])) as ledger:
    migrate(ledger, clock)
    with opened(ledger, clock) as door:
        print(door.listening.port, flush=True)
        threading.Event().wait()
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_process_keeps_what_it_acknowledged(tmp_path: Path, clock: FrozenClock, seed: int) -> None:
    """kill -9 at any instant: what was answered 200 is there; what is sent again with its key lands once."""
    chance = random.Random(seed)
    path = tmp_path / "apportion.duckdb"
    bodies = [lines(event(f"e{number}-{n}") for n in range(20)) for number in range(BODIES)]
    acknowledged: set[int] = set()
    with killed_after(path, chance.uniform(0.02, 0.5)) as port:
        senders = [
            threading.Thread(target=send_all, args=(port, bodies, range(first, BODIES, 4), acknowledged))
            for first in range(4)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)

    with Ledger(path) as ledger:
        migrate(ledger, clock)
        there = {row[0] for row in ledger.session().rows("SELECT event_id FROM raw.usage_event")}
        assert there >= {f"e{number}-{n}" for number in acknowledged for n in range(20)}
        clock.set(NOON)
        with opened(ledger, clock) as door:
            for number, body in enumerate(bodies):
                assert door.post("/v1/usage", body, Idempotency_Key=f"k{number}").said["accepted"] == 20, (
                    f"request {number}, seed {seed}"
                )
            assert door.ids() == sorted(f"e{number}-{n}" for number in range(BODIES) for n in range(20))


@contextlib.contextmanager
def killed_after(path: Path, seconds: float) -> Iterator[int]:
    """A process that serves, killed so long after it began to; its port."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    )
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        killer = threading.Timer(seconds, server.kill)
        killer.start()
        yield port
        killer.join()
    finally:
        server.kill()
        server.wait(30)
        server.stdout.close()


def send_all(port: int, bodies: list[bytes], numbers: range, acknowledged: set[int]) -> None:
    """Send requests one after another until the server is gone."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(client):
        for number in numbers:
            client.request(
                "POST",
                "/v1/usage",
                bodies[number],
                {
                    "Content-Type": "application/x-ndjson",
                    "Authorization": f"Bearer {TOKEN}",
                    "Idempotency-Key": f"k{number}",
                },
            )
            answer = client.getresponse()
            if answer.status == 200 and json.loads(answer.read())["accepted"] == 20:
                acknowledged.add(number)
