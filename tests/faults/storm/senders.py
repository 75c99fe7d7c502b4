"""Who sends: a Kafka client that shares no code with the product, senders of requests that do not give up, and logs."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import shutil
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, Producer

from tests.faults.storm.fleet import PATIENCE_SECONDS, TOKENS, BrokenPromise, until
from tests.faults.storm.plan import Batch, Request, Rotation, Writing

REQUEST_SECONDS: Final = 10
RETRY_SECONDS: Final = 0.2
AGAIN: Final = {0, 429, 503}
"""What a correct client tries again after; 0 is no answer. Anything else is the end."""


class Sending:
    """Senders at work, a thread each.

    Attributes:
        errors: what any of them died of.
    """

    def __init__(self, diary: Callable[[str], None]) -> None:
        self.errors: list[BaseException] = []
        self._diary = diary
        self._threads: list[threading.Thread] = []

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Let somebody work."""

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - whoever waits raises it
                self.errors.append(error)
            self._diary(f"{name} is done")

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))
        self._threads[-1].start()

    def finish(self, watch: Callable[[], None]) -> None:
        """Wait for all of them, and watch meanwhile. Raises: what one died of, or what watching raises."""
        until(lambda: watch() or self.errors or not any(one.is_alive() for one in self._threads), self._stuck)
        if self.errors:
            raise self.errors[0]

    def _stuck(self) -> str:
        return f"{', '.join(thread.name for thread in self._threads if thread.is_alive())} ended"


def pause(seconds: float) -> None:
    """Let a planned time pass."""
    threading.Event().wait(seconds)


def produce(broker: str, topic: str, partition: int, batches: Sequence[Batch]) -> None:
    """Send batches to a partition, in order; each is on the broker's disk before the next, whatever becomes of the broker."""
    clients: dict[str, Producer] = {}
    refused: list[str] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            refused.append(str(error))

    for batch in batches:
        client = clients.get(batch.codec)
        if client is None:
            client = clients[batch.codec] = Producer(
                {
                    "bootstrap.servers": broker,
                    "compression.codec": batch.codec,
                    "enable.idempotence": True,
                    "linger.ms": 5,
                    "reconnect.backoff.max.ms": 500,
                    "log_level": 0,
                }
            )
        for value in batch.values:
            client.produce(topic, value, key=None if value else b"key", partition=partition, on_delivery=delivered)
        left = client.flush(PATIENCE_SECONDS)
        if left or refused:
            raise BrokenPromise(f"{left} messages could not be produced: {refused[:1]}")
        pause(batch.pause)


def intrude(broker: str, topics: Sequence[str], group: str, seconds: float) -> None:
    """Be a member of the group for a while: take partitions, read them, commit offsets, and leave."""
    client = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": group,
            "partition.assignment.strategy": "roundrobin",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,
            "auto.commit.interval.ms": 200,
            "session.timeout.ms": 6000,
            "log_level": 0,
        }
    )
    client.subscribe(list(topics))
    left = seconds
    while left > 0:
        client.poll(0.1)
        left -= 0.1
    client.close()


def request_all(url: str, token: str, requests: Sequence[Request]) -> None:
    """Send requests one after another, each until it is answered. Raises: BrokenPromise for an answer that may not be."""
    for request in requests:
        for part in request.aborts:
            _hang_up(url, token, request, part)
        first = _insist(url, token, request)
        if request.again:
            second = _insist(url, token, request)
            if request.key and first != second:
                raise BrokenPromise(f"{request.key} was answered with {first} and then with {second}")
        pause(request.pause)


def _insist(url: str, token: str, request: Request) -> dict[str, Any]:
    """The receipt for a request that is sent until it is taken."""
    found: list[tuple[int, bytes]] = []

    def taken() -> bool:
        status, body = _answer(url, token, request)
        if status in AGAIN:
            pause(RETRY_SECONDS)
            return False
        found.append((status, body))
        return True

    until(taken, f"an answer to {request.key or 'a request'}")
    status, body = found[0]
    if status != 200:
        raise BrokenPromise(f"answered with {status}: {body[:300]!r}")
    receipt: dict[str, Any] = json.loads(body)
    parts = sum(receipt[name] for name in ("accepted", "duplicates", "superseded", "conflicts", "rejected"))
    if not receipt["received"] == parts == request.records:
        raise BrokenPromise(f"{request.records} records were answered with {receipt}")
    return receipt


def _headers(token: str, request: Request) -> dict[str, str]:
    headers = {
        "authorization": f"Bearer {TOKENS[token]}",
        "content-type": request.kind,
        "content-length": str(len(request.body)),
    }
    if request.encoding != "identity":
        headers["content-encoding"] = request.encoding
    if request.key:
        headers["idempotency-key"] = request.key
    return headers


def _answer(url: str, token: str, request: Request) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=REQUEST_SECONDS)
    with contextlib.closing(connection):
        try:
            _begin(connection, token, request)
            step = max(1, len(request.body) // (4 if request.slowly else 1))
            for at in range(0, len(request.body), step):
                connection.send(request.body[at : at + step])
                if request.slowly:
                    pause(0.1)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""


def _hang_up(url: str, token: str, request: Request, part: float) -> None:
    """Send a part of a body, and be gone."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=REQUEST_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        _begin(connection, token, request)
        connection.send(request.body[: int(len(request.body) * part)])


def _begin(connection: http.client.HTTPConnection, token: str, request: Request) -> None:
    connection.putrequest("POST", request.path)
    for name, value in _headers(token, request).items():
        connection.putheader(name, value)
    connection.endheaders()


def write_log(path: Path, writings: Sequence[Writing]) -> None:
    """Write a log as its program and logrotate do."""
    rotated = 0
    for writing in writings:
        with path.open("ab", buffering=0) as log:
            log.write(writing.data[: writing.torn_at])
            pause(writing.pause / 2)
            log.write(writing.data[writing.torn_at :])
        if writing.rotation:
            rotated += 1
            _rotate(path, rotated, writing.rotation)
        pause(writing.pause / 2)


def _rotate(path: Path, number: int, how: Rotation) -> None:
    old = path.with_name(f"{path.name}.{number}")
    if how == "copytruncate":
        shutil.copyfile(path, old)
        os.truncate(path, 0)
        return
    path.rename(old)
    if how == "gzip":  # under a name that is seen while it grows
        packed = gzip.compress(old.read_bytes(), mtime=0)
        with old.with_name(f"{old.name}.gz").open("wb", buffering=0) as archive:
            for at in range(0, len(packed), 400):
                archive.write(packed[at : at + 400])
        old.unlink()
