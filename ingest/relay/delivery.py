"""Deliver what the spool holds, in order, until it is accepted.

1. The oldest waiting request is read. *It stays in the spool.*
2. It is sent with its key. *Sent twice, it is landed once: the key is the same.*
3. Accepted, it is removed; refused for good, it is set aside with the answer. *Neither blocks the next.*
4. Otherwise it waits, as long as the receiver asked for or twice as long as before, and is sent again. *Order is kept: nothing
   overtakes it.*
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from ingest.relay.entries import Entry
from ingest.relay.spool import Spool, SpoolError
from ingest.relay.upstream import Upstream, Verdict

BACKOFF_SECONDS: Final = 0.5
BACKOFF_SECONDS_MAX: Final = 60.0
IDLE_SECONDS: Final = 1.0
"""How soon requests that another process put back (`--retry-refused`) are noticed."""
SAID_CHARACTERS_MAX: Final = 200

log = logging.getLogger("ingest.relay")


class Delivery:
    """A thread that empties a spool.

    Attributes:
        trouble: why the oldest request waits, as a sentence; empty while deliveries succeed.
        delivered: requests accepted since this process started.
    """

    def __init__(
        self,
        spool: Spool,
        upstream: Upstream,
        *,
        stopwatch: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._spool, self._upstream, self._stopwatch, self._chance = spool, upstream, stopwatch, chance
        self.trouble, self.delivered = "", 0
        self._arrived, self._stopping = threading.Event(), threading.Event()
        self._drained_by: float | None = None
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="relay delivery", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Something has arrived."""
        self._arrived.set()

    def drain(self, seconds: float) -> None:
        """Go on for so long at most, or until nothing waits; what is left stays in the spool, a delivery under way as well."""
        self._drained_by = self._stopwatch() + seconds
        self._stopping.set()
        self._arrived.set()
        self._thread.join(seconds + 1)
        if not self._thread.is_alive():
            self._upstream.close()

    def _run(self) -> None:
        while True:
            self._arrived.clear()
            try:
                entry = self._spool.oldest()
                pause = IDLE_SECONDS if entry is None else self._attempt(entry)
            except Exception as error:  # whatever it is, the spool keeps what waits, and it is tried again
                log.exception("a delivery went wrong; it is tried again")
                entry, pause = None, self._backoff()
                self.trouble = str(error) if isinstance(error, SpoolError) else f"{type(error).__name__}: {error}"
            else:
                if entry is None and self._drained_by is not None:
                    return
            if self._waited(pause, idle=entry is None and not self._failures):
                return

    def _attempt(self, entry: Entry) -> float:
        """Send a request once. Returns: seconds to wait before the next."""
        verdict = self._upstream.deliver(entry, self._spool.key(entry))
        if verdict.what == "again":
            self.trouble = f"entry {entry.sequence} to {entry.path} waits: {_shown(verdict)}"
            log.warning("%s", self.trouble)
            return self._backoff() if verdict.after_seconds is None else verdict.after_seconds
        if verdict.what == "refused":
            log.error("entry %d to %s was refused and set aside: %s", entry.sequence, entry.path, _shown(verdict))
            self._spool.refuse(entry, verdict.status, verdict.said)
        else:
            self._spool.remove(entry)
            self.delivered += 1
        self.trouble, self._failures = "", 0
        return 0.0

    def _backoff(self) -> float:
        """Doubling, less up to a half by chance, so that many relays do not come back at once."""
        delay: float = min(BACKOFF_SECONDS * 2**self._failures, BACKOFF_SECONDS_MAX)
        self._failures = min(self._failures + 1, 10)
        return delay * (1 - self._chance() / 2)

    def _waited(self, seconds: float, *, idle: bool) -> bool:
        """Wait; when draining, no longer than that may take. Returns: whether the time is over."""
        if self._drained_by is None:
            if not seconds:
                return False
            (self._arrived if idle else self._stopping).wait(seconds)
            return False
        left = self._drained_by - self._stopwatch()
        if left > 0 and seconds:
            threading.Event().wait(min(seconds, left))
        return self._drained_by <= self._stopwatch()


def _shown(verdict: Verdict) -> str:
    said = " ".join(verdict.said.split())[:SAID_CHARACTERS_MAX]
    return f"{verdict.status} {said}" if verdict.status else said
