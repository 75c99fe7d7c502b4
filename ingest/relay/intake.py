"""Take requests in: many arrive at once, one thread commits them in groups, and each is answered once it is on disk.

1. Room is reserved before a body is read: bytes on disk, and bytes in memory. *Full is an answer, never a loss.*
2. Requests wait in memory until the committing thread takes all there are, up to GROUP_BYTES_MAX. *One sync serves them all.*
3. They are committed. *Only now is anybody told 202; where it fails, everybody of the group is told to come again.*
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from ingest.relay.entries import Entry
from ingest.relay.spool import Spool, SpoolError

GROUP_BYTES_MAX: Final = 64 * 1024 * 1024
PENDING_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bodies in memory, being received or committed."""


class FullError(SpoolError):
    """There is no room now; there will be."""


class Intake:
    """The bounded way into a spool."""

    def __init__(self, spool: Spool, *, bytes_max: int, delivering: Callable[[], object]) -> None:
        """Start committing.

        Args:
            spool: to fill.
            bytes_max: of everything in it, refused requests too.
            delivering: told after each commit.
        """
        self._spool, self._bytes_max, self._delivering = spool, bytes_max, delivering
        self._lock = threading.Lock()
        self._pending = 0
        held = spool.holding()
        self._on_disk = held.waiting_bytes + held.refused_bytes
        self._queue: queue.SimpleQueue[tuple[Entry, Future[int]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._commit, name="relay intake", daemon=True)
        self._thread.start()

    def reserve(self, size: int) -> None:
        """Make room for bytes to come. Raises: FullError when there is none."""
        with self._lock:
            if self._on_disk + self._pending + size > self._bytes_max:
                held = self._spool.holding()  # others remove what was delivered or dropped
                self._on_disk = held.waiting_bytes + held.refused_bytes
            if self._on_disk + self._pending + size > self._bytes_max:
                msg = f"the spool holds {self._on_disk} bytes of {self._bytes_max}; it empties as its receiver accepts"
                raise FullError(msg)
            if self._pending + size > PENDING_BYTES_MAX:
                msg = f"{self._pending} bytes are being received"
                raise FullError(msg)
            self._pending += size

    def release(self, size: int) -> None:
        """Give room back: the request went wrong, or is committed."""
        with self._lock:
            self._pending -= size

    def submit(self, entry: Entry) -> Future[int]:
        """Have a request committed, within room that was reserved. Returns: its number, later, or SpoolError."""
        done: Future[int] = Future()
        self._queue.put((entry, done))
        return done

    def full(self) -> bool:
        """Whether not even a small request has room."""
        try:
            self.reserve(1)
        except FullError:
            return True
        self.release(1)
        return False

    def close(self) -> None:
        """Commit what was submitted, and end."""
        self._queue.put(None)
        self._thread.join()

    def _commit(self) -> None:
        waiting = self._queue.get()
        while waiting is not None:
            group, size = [waiting], waiting[0].size
            waiting = None
            try:
                while size < GROUP_BYTES_MAX:
                    following = self._queue.get_nowait()
                    if following is None:
                        self._queue.put(None)
                        break
                    group.append(following)
                    size += following[0].size
            except queue.Empty:
                pass
            self._answer([(entry, done) for entry, done in group if done.set_running_or_notify_cancel()])
            waiting = self._queue.get()

    def _answer(self, group: list[tuple[Entry, Future[int]]]) -> None:
        try:
            numbers = self._spool.append([entry for entry, _ in group])
        except SpoolError as error:
            for _, done in group:
                done.set_exception(error)
            return
        with self._lock:
            self._on_disk += sum(entry.size for entry, _ in group)
        for (_, done), number in zip(group, numbers, strict=True):
            done.set_result(number)
        self._delivering()
