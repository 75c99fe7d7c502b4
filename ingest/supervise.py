"""Supervision: each source collects in a thread of its own; one that fails backs off, is seen to, and never stops the others."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from apportion.domain.clock import Clock
from apportion.domain.errors import ApportionError
from ingest.outcome import Outcome

log = logging.getLogger("ingest.supervise")

BACKOFF_SECONDS: Final = 1.0
BACKOFF_SECONDS_MAX: Final = 60.0
"""A failing source is tried again after 1, 2, 4 … 60 seconds; the first sign that it works starts over."""
NOTES_MAX: Final = 5

State = Literal["starting", "running", "failing", "stopped"]
Pause = Callable[[float], bool]
"""Waits that many seconds; true when the service is stopping instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How a source is.

    Attributes:
        name: of the `[[sources]]` table.
        collector: how it arrives, such as files or kafka.
        state: `failing` from the first failure until it works again.
        since: when that state began.
        failures: since this process started.
        last_error: why it failed last; empty while it never did.
        last_success_at: when it last worked; None while it never did.
        lag_records: records waiting at the source; None is unknown.
        notes: the newest sentences about what it met.
    """

    name: str
    collector: str
    state: State
    since: datetime
    failures: int
    last_error: str
    last_success_at: datetime | None
    lag_records: int | None
    notes: tuple[str, ...]


class Health:
    """What a collector says while it runs, from any of its threads."""

    def __init__(self, name: str, collector: str, clock: Clock) -> None:
        self.name, self.collector = name, collector
        self._clock, self._lock = clock, threading.Lock()
        self._state: State = "starting"
        self._since = clock.now()
        self._failures, self._failures_in_a_row, self._last_error = 0, 0, ""
        self._last_success_at: datetime | None = None
        self._lag: int | None = None
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)

    def landed(self, outcome: Outcome) -> None:
        """Records have been committed; so it works."""
        del outcome
        self.alive()

    def alive(self) -> None:
        """It works, though nothing may have arrived."""
        now = self._clock.now()
        with self._lock:
            self._last_success_at, self._failures_in_a_row = now, 0
            self._enter("running", now)

    def lag(self, records: int | None) -> None:
        """Records waiting at the source; None is unknown."""
        with self._lock:
            self._lag = records

    def note(self, sentence: str) -> None:
        """Something that people should see in `apportion status`; the newest few are kept."""
        with self._lock:
            if sentence in self._notes:
                return
            self._notes.append(sentence)
        log.warning("source %s: %s", self.name, sentence)

    def failed(self, error: BaseException) -> float:
        """It ended by an exception. Returns: seconds to wait before the next attempt."""
        said = str(error) if isinstance(error, ApportionError) else f"{type(error).__name__}: {error}"
        with self._lock:
            delay: float = min(BACKOFF_SECONDS * 2**self._failures_in_a_row, BACKOFF_SECONDS_MAX)
            self._failures += 1
            self._failures_in_a_row = min(self._failures_in_a_row + 1, 10)
            self._last_error = said
            self._enter("failing", self._clock.now())
        return delay

    def stopped(self) -> None:
        """It was asked to end, and has."""
        with self._lock:
            self._enter("stopped", self._clock.now())

    def condition(self) -> Condition:
        """How the source is now."""
        with self._lock:
            return Condition(
                name=self.name,
                collector=self.collector,
                state=self._state,
                since=self._since,
                failures=self._failures,
                last_error=self._last_error,
                last_success_at=self._last_success_at,
                lag_records=self._lag,
                notes=tuple(self._notes),
            )

    def _enter(self, state: State, now: datetime) -> None:
        if state != self._state:
            self._state, self._since = state, now


class Collector(Protocol):
    """A way for records to arrive.

    Attributes:
        name: of the `[[sources]]` table.
        collector: how its records arrive, such as files or kafka.
    """

    @property
    def name(self) -> str:
        """Of the `[[sources]]` table."""
        ...

    @property
    def collector(self) -> str:
        """How its records arrive, such as files or kafka."""
        ...

    def run(self, health: Health, stop: threading.Event) -> None:
        """Collect until `stop` is set, then land what was taken in and return. Called again after it raised."""
        ...


class Supervisor:
    """Keeps collectors running.

    Attributes:
        healths: one per collector.
    """

    def __init__(self, collectors: Sequence[Collector], clock: Clock, *, pause: Pause | None = None) -> None:
        self._stop = threading.Event()
        self._pause = pause or self._stop.wait
        self.healths = tuple(Health(one.name, one.collector, clock) for one in collectors)
        self._threads = [
            threading.Thread(target=self._keep, args=(one, health), name=f"source {one.name}", daemon=True)
            for one, health in zip(collectors, self.healths, strict=True)
        ]

    def start(self) -> None:
        """Every collector begins."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Every collector drains and ends; returns when the last one has."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def conditions(self) -> list[Condition]:
        """How each source is now."""
        return [health.condition() for health in self.healths]

    def _keep(self, collector: Collector, health: Health) -> None:
        while not self._stop.is_set():
            try:
                collector.run(health, self._stop)
            except Exception as error:  # whatever it dies of, the others go on
                delay = health.failed(error)
                expected = isinstance(error, ApportionError)
                log.warning(
                    "source %s failed; next attempt in %g s: %s", health.name, delay, error, exc_info=not expected
                )
                self._pause(delay)
        health.stopped()
