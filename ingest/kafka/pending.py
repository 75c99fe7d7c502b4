"""What was fetched and waits to be landed: bounded, in the order it came, filled by many readers and emptied by one lander."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ingest.kafka.member import Place
from ingest.slices import ROW_GROUP_RECORDS, SLICE_BYTES_MAX, SLICE_RECORDS

WAITING_RECORDS_MAX = 2 * SLICE_RECORDS
"""One slice lands while the next is collected; then fetching pauses."""

WAITING_BYTES_MAX = 2 * SLICE_BYTES_MAX


@dataclass(slots=True, eq=False)
class Claim:
    """One reader's right to land one partition, from when it begins to read until it loses the partition or has to seek.

    Attributes:
        place: the partition.
        stream: its name in the ledger.
        landed: the next offset to land; only the lander moves it.
        is_alive: whether what was fetched under it may still be landed.
        is_stale: whether the ledger stood elsewhere, so that the reader has to seek.
    """

    place: Place
    stream: str
    landed: int
    is_alive: bool = True
    is_stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Consecutive messages of a partition.

    Attributes:
        claim: under which they were fetched.
        offsets: of the messages, rising.
        values: of the messages; None is a tombstone.
        formats: what each message says it is, None where it says nothing; empty where none does.
        bytes_held: of all values and formats.
        records: how many each message counts for; empty where each is one. A message without content counts as one, too.
    """

    claim: Claim
    offsets: Sequence[int]
    values: Sequence[bytes | None]
    formats: Sequence[str | None]
    bytes_held: int
    records: Sequence[int] = ()

    @property
    def size(self) -> int:
        """Records of all messages."""
        return sum(self.records) if self.records else len(self.offsets)

    def split(self, room: int) -> tuple[Delivery, Delivery]:
        """The first messages, with as many records as asked for or a message more, and the others, of which there may be none."""
        count = min(room, len(self.offsets))
        if self.records:
            full = (number for number, records in enumerate(accumulate(self.records), 1) if records >= room)
            count = next(full, len(self.offsets))
        return self._part(0, count), self._part(count, len(self.offsets))

    def _part(self, start: int, end: int) -> Delivery:
        values, formats = self.values[start:end], self.formats[start:end]
        return Delivery(
            claim=self.claim,
            offsets=self.offsets[start:end],
            values=values,
            formats=formats,
            records=self.records[start:end],
            bytes_held=bytes_of(values, formats),
        )


def bytes_of(values: Sequence[bytes | None], formats: Sequence[str | None]) -> int:
    """How much messages hold in memory, about."""
    return sum(map(len, filter(None, values))) + sum(map(len, filter(None, formats)))


class Pending:
    """Deliveries on their way. Thread-safe. What bounds it are records, of which a message may hold many, and bytes."""

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._monotonic = seconds, monotonic
        self._changed = threading.Condition()
        self._waiting: deque[Delivery] = deque()
        self._landing: list[Delivery] = []
        self._records = self._bytes = 0
        self._since = self._taken_at = 0.0
        self._is_closing = False

    @property
    def is_full(self) -> bool:
        """Whether readers should pause. What one of them has in hand still goes in."""
        return self._records >= WAITING_RECORDS_MAX or self._bytes >= WAITING_BYTES_MAX

    @property
    def is_idle(self) -> bool:
        """Whether all that came has landed."""
        with self._changed:
            return not (self._waiting or self._landing)

    @property
    def landing_seconds(self) -> float:
        """How long what was taken has been landing; 0 where nothing is."""
        with self._changed:
            return self._monotonic() - self._taken_at if self._landing else 0.0

    def put(self, delivery: Delivery) -> None:
        """Hand over what was fetched."""
        with self._changed:
            if not self._waiting:
                self._since = self._monotonic()
            self._waiting.append(delivery)
            self._records += delivery.size
            self._bytes += delivery.bytes_held
            self._changed.notify_all()

    def take(self) -> list[Delivery]:
        """What lands next: at least a row group, or whatever came within the seconds. Empty when all is over.

        What was taken counts as landed when `take` is called again.
        """
        with self._changed:
            self._landing = []
            self._changed.notify_all()
            while not (self._is_closing or self._is_due()):
                left = self._since + self._seconds - self._monotonic() if self._waiting else None
                self._changed.wait(left if left is None or left > 0 else 0)
            self._landing = self._slice()
            self._since = self._taken_at = self._monotonic()
            return self._landing

    def messages_of(self, claim: Claim) -> int:
        """How many messages of a claim are still to be landed."""
        with self._changed:
            return sum(len(one.offsets) for one in (*self._waiting, *self._landing) if one.claim is claim)

    def flush(self, until: Callable[[], bool]) -> None:
        """Wait until everything that was handed over has landed, or until somebody gives up."""
        with self._changed:
            while (self._waiting or self._landing) and not until():
                self._changed.wait(0.1)

    def close(self) -> None:
        """Nothing more comes: hand out what is left, then nothing."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def _is_due(self) -> bool:
        if self._records >= ROW_GROUP_RECORDS or self._bytes >= SLICE_BYTES_MAX:
            return True
        return bool(self._waiting) and self._monotonic() - self._since >= self._seconds

    def _slice(self) -> list[Delivery]:
        found: list[Delivery] = []
        groups = min(self._records, SLICE_RECORDS) // ROW_GROUP_RECORDS
        room, bytes_left = groups * ROW_GROUP_RECORDS or SLICE_RECORDS, SLICE_BYTES_MAX
        while self._waiting and room > 0 and (bytes_left > 0 or not found):
            delivery = self._waiting.popleft()
            if delivery.size > room:
                delivery, rest = delivery.split(room)
                if rest.offsets:
                    self._waiting.appendleft(rest)
            found.append(delivery)
            room, bytes_left = room - delivery.size, bytes_left - delivery.bytes_held
        self._records -= sum(one.size for one in found)
        self._bytes -= sum(one.bytes_held for one in found)
        return found
