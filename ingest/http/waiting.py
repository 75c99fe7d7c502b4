"""Requests that wait to be landed, in the order in which they came: bounded, and withdrawn until they are taken."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from ingest.http.answers import Refusal
from ingest.http.documents import Load
from ingest.slices import SLICE_BYTES_MAX, SLICE_RECORDS

WAITING_MAX: Final = 1024
"""Requests that may wait at one desk."""
TROUBLE_SECONDS: Final = 5
"""When to come back after the ledger could not be written."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of a request.

    Attributes:
        answer: for the sender, JSON.
        replayed: whether it is the answer to an earlier request with the same key.
    """

    answer: str
    replayed: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Delivery:
    """A request that waits.

    Attributes:
        load: its records, at least one.
        key: its idempotency key, or empty.
        digest: SHA-256 of its content, hexadecimal, where it has a key.
        done: what became of it; cancelled where it was withdrawn.
    """

    load: Load
    key: str = ""
    digest: str = ""
    done: Future[Landed] = field(default_factory=Future)


class Line:
    """Deliveries that wait, until the line is closed."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def join(self, delivery: Delivery) -> None:
        """Let a request wait. Raises: Refusal when the line is closed (503) or too many wait (429)."""
        with self._changed:
            if self._closed:
                raise trouble()
            if len(self._waiting) >= WAITING_MAX:
                raise Refusal(429, "too many requests of this source wait; send fewer, larger ones", retry_after=1)
            self._waiting.append(delivery)
            self._changed.notify()

    def withdraw(self, delivery: Delivery) -> bool:
        """Take a request back. Returns: false where it was taken already, and will be answered."""
        with self._changed:
            if not delivery.done.cancel():
                return False
            if delivery in self._waiting:
                self._waiting.remove(delivery)
            return True

    def close(self) -> None:
        """Nobody joins any more; those that wait are still taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> list[Delivery]:
        """Those that wait, as many as a slice holds. Waits for the first; none once the line is closed and empty."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                taken = self._first()
                if taken or (self._closed and not self._waiting):
                    return taken

    def _first(self) -> list[Delivery]:
        """Those in front, up to the bounds of a slice; no two of one key, and one whose records were sifted goes alone."""
        taken: list[Delivery] = []
        keys: set[str] = set()
        records = size = 0
        while self._waiting:
            delivery = self._waiting[0]
            load = delivery.load
            records, size = records + load.records, size + len(load.data)
            full = records > SLICE_RECORDS or size > SLICE_BYTES_MAX or (delivery.key and delivery.key in keys)
            if taken and (full or load.sifted or taken[0].load.sifted):
                break
            self._waiting.popleft()
            keys.add(delivery.key)
            if delivery.done.set_running_or_notify_cancel():
                taken.append(delivery)
        return taken

    def turn_away(self) -> None:
        """Close the line, and tell everybody in it that nothing can be landed."""
        self.close()
        while left := self.take():
            for delivery in left:
                delivery.done.set_exception(trouble())


def trouble() -> Refusal:
    """The answer where nothing can be landed now; nothing of the request was."""
    return Refusal(503, "nothing can be written at the moment; send the same again later", retry_after=TROUBLE_SECONDS)
