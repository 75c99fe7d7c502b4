"""What bounds senders: events over time for each source, and bytes held in memory for all of them together."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from ingest.http.answers import Refusal

BURST_SECONDS: Final = 10
"""A source that was quiet may send as much at once as it may send in that time."""
PRESSURE_SECONDS: Final = 2
"""When to come back where memory is full: about as long as a few commits take."""


class Rate:
    """A token bucket that may go into debt, so that a body larger than a burst is taken, and paid for afterwards."""

    def __init__(self, per_second: int | None, stopwatch: Callable[[], float]) -> None:
        self._per_second, self._stopwatch = per_second, stopwatch
        self._level = float(per_second or 0) * BURST_SECONDS
        self._at = stopwatch()

    def check(self) -> None:
        """Raises: Refusal (429) while earlier records are not paid for."""
        if self._per_second is None:
            return
        now = self._stopwatch()
        self._level = min(self._level + (now - self._at) * self._per_second, float(self._per_second) * BURST_SECONDS)
        self._at = now
        if self._level < 0:
            sentence = (
                f"this source may send {self._per_second} events per second, and has sent more; wait, then send again"
            )
            raise Refusal(429, sentence, retry_after=max(1, math.ceil(-self._level / self._per_second)))

    def spend(self, records: int) -> None:
        """Pay for records. Raises: Refusal (429) while earlier ones are not paid for; then nothing is spent."""
        self.check()
        self._level -= records


class Room:
    """Bytes that all requests together may hold, and each source its share of them."""

    def __init__(self, bytes_max: int, share_max: int | None = None) -> None:
        self._bytes_max, self._share_max, self._held = bytes_max, share_max or bytes_max, 0
        self._by_owner: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def take(self, count: int, owner: str) -> None:
        """Raises: Refusal (503) when there is no room for so many bytes, or none left in the owner's share."""
        with self._lock:
            if self._held + count > self._bytes_max or self._by_owner[owner] + count > self._share_max:
                raise Refusal(503, "too much is waiting to be written; send again later", retry_after=PRESSURE_SECONDS)
            self._held += count
            self._by_owner[owner] += count

    def give(self, count: int, owner: str) -> None:
        """Let go of bytes taken before."""
        with self._lock:
            self._held -= count
            self._by_owner[owner] -= count


class Hold:
    """What one request holds of the room, let go of at its end.

    Attributes:
        owner: whose share it is of.
    """

    def __init__(self, room: Room, owner: str = "") -> None:
        self.owner = owner
        self._room, self._held = room, 0

    def take(self, count: int) -> None:
        """Hold more. Raises: Refusal (503)."""
        self._room.take(count, self.owner)
        self._held += count

    def release(self) -> None:
        """Let go of everything."""
        self._room.give(self._held, self.owner)
        self._held = 0
