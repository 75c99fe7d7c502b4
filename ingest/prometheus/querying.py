"""Ask a Prometheus: what its scrapes found, as they found it, in windows that follow one another without a gap.

What a window gives are raw samples at the times of their scrapes: a range of a selector, never resampled, never a rate. A window is
the time after one position up to the next, both in milliseconds, and each sample lies in exactly one.

What survives a kill -9 after each step:

1. The positions of both streams are read from the ledger; where it knows none, they begin there, in a transaction of its own.
2. A window is asked for, and answered whole or not at all. Nothing is remembered; it is asked for again.
3. The GPU samples land, with their stream's position at the window's end, in one transaction; then the engines' in another. Killed
   between them, the window is asked for again, and of the stream that has moved only what lies after its position is taken.
4. A window that ends before `now` less the lag is followed by the next at once: that is how an outage is caught up with. What is
   older than the late limit would not be believed; it is passed over, and raw.stream_gap says so.

The lag is for scrapes under way: a sample is of when its scrape began, and is there to be asked for only when that has ended. Now is
the earlier of two clocks, ours and the server's: samples have the times of its.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from apportion.config.sources import PrometheusSource
from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger
from ingest.outcome import Outcome
from ingest.prometheus.assembly import REASONS
from ingest.prometheus.client import FetchError
from ingest.prometheus.landing import KINDS, FindFormat, Kind, Landing, Span
from ingest.prometheus.server import Server, Window
from ingest.rules import Rules
from ingest.supervise import Health

LAG_MS: Final = 60_000
"""Longer than a scrape may take, and than a server takes to pass on what it was sent."""
_MILLISECOND: Final = timedelta(milliseconds=1)
WINDOW_MS: Final = 5 * 60_000
WINDOW_MS_MIN: Final = 15_000
WINDOW_MS_MAX: Final = 60 * 60_000
EASY_BYTES: Final = 2 * 1024 * 1024
"""A window that answers with less is followed by one twice as long."""
LATE_MARGIN: Final = timedelta(hours=1)
"""What is about to be too late is passed over as well, so that it is not rejected record by record."""
BEHIND_MS: Final = 60 * 60_000
"""A source that is further behind says so."""
_TOO_MUCH: Final = frozenset({422, 500, 502, 503, 504})
"""Statuses of a server for which a window may be too long."""


class QueryCollector:
    """One source with a server.

    Attributes:
        name: of the `[[sources]]` table.
        collector: prometheus.
    """

    collector: str = "prometheus"

    def __init__(
        self,
        name: str,
        settings: PrometheusSource,
        *,
        authorization: str = "",
        ledger: Ledger,
        find_format: FindFormat,
        rules: Rules,
        clock: Clock,
    ) -> None:
        """Nothing is asked before `run`.

        Args:
            name: of the source.
            settings: of the source.
            authorization: what the server is sent as that header.
            ledger: to land in.
            find_format: what a format's name means.
            rules: what is believed, and how late.
            clock: says up to when to ask.
        """
        self.name = name
        self._settings, self._authorization = settings, authorization
        self._ledger, self._find_format, self._rules, self._clock = ledger, find_format, rules, clock
        self._window_ms = WINDOW_MS
        self._said: set[str] = set()

    def run(self, health: Health, stop: threading.Event) -> None:
        """Ask and land until `stop` is set.

        Raises: FetchError when the server gives no answer; LedgerError when the ledger cannot be written. What has landed stays,
            and the next run goes on from there.
        """
        with contextlib.ExitStack() as stack:
            landing = Landing(
                self.name, ledger=self._ledger, find_format=self._find_format, rules=self._rules, clock=self._clock
            )
            stack.callback(landing.close)
            server = Server(self._settings, self._authorization)
            stack.callback(server.close)
            while not stop.is_set():
                try:
                    done = self.step(server, landing, health)
                except FetchError as error:
                    raise FetchError(f"{self._settings.server} {error}") from error
                if done:
                    stop.wait(self._settings.interval_seconds)

    def step(self, server: Server, landing: Landing, health: Health) -> bool:
        """Read one window. Returns: whether that was all there is by now. Raises: as `run`."""
        until = min(_milliseconds(self._clock), server.time()) - LAG_MS
        at = {kind: self._position(landing, kind, until) for kind in KINDS}
        start = min(at.values())
        span = Span(start, min(start + self._window_ms, until))
        if span.end <= span.start:
            health.alive()
            return True
        window = self._asked(server, span)
        if window is None:
            return False
        total = Outcome()
        for kind in KINDS:
            mine = Span(at[kind], max(at[kind], span.end))
            if mine.end > mine.start:
                total.add(landing.land(kind, window.lines(kind, mine), mine, follows=True))
        health.landed(total)
        self._tell(window, until - span.end, health)
        return span.end >= until

    def _position(self, landing: Landing, kind: Kind, until: int) -> int:
        """Where a stream stands, at the latest. One that has never been read begins; what is too late is passed over."""
        found = landing.position(kind)
        late = self._rules.late
        oldest = 0 if late is None else _milliseconds(self._clock) - (late - LATE_MARGIN) // _MILLISECOND
        if found is None:
            found = max(oldest, self._beginning(until))
            landing.begin(kind, found)
        elif found < oldest:
            landing.pass_over(kind, Span(found, oldest), "late_limit")
            found = oldest
        return found

    def _beginning(self, until: int) -> int:
        """Where a first window begins. The millisecond before, as what lies at a position has been read."""
        if self._settings.start is None:
            now = self._clock.now()
            return min(until, int(now.replace(minute=0, second=0, microsecond=0).timestamp()) * 1000 - 1)
        return int(self._settings.start.timestamp()) * 1000 - 1

    def _asked(self, server: Server, span: Span) -> Window | None:
        """What a window holds; None where a shorter one has to be asked for. Raises: FetchError."""
        try:
            window = server.window(span)
        except FetchError as error:
            long = span.end - span.start > WINDOW_MS_MIN
            if long and (error.too_large or error.status in _TOO_MUCH or not error.status):
                self._window_ms = max(WINDOW_MS_MIN, (span.end - span.start) // 2)
            if long and error.too_large:
                return None
            raise
        if window.size < EASY_BYTES:
            self._window_ms = min(WINDOW_MS_MAX, self._window_ms * 2)
        return window

    def _tell(self, window: Window, behind_ms: int, health: Health) -> None:
        """Say what is new about what a window held."""
        said: Sequence[tuple[str, str]] = [
            *(
                (reason, f"{count} readings are left out: {REASONS[reason]}.")
                for reason, count in window.ignored.items()
            ),
            *((text, f"the server warns: {text}") for text in window.warnings),
        ]
        for key, sentence in said:
            if key not in self._said:
                self._said.add(key)
                health.note(sentence)
        if behind_ms > BEHIND_MS and "behind" not in self._said:
            health.note(f"it is {behind_ms // BEHIND_MS} hours behind, and catches up.")
        (self._said.add if behind_ms > BEHIND_MS else self._said.discard)("behind")


def _milliseconds(clock: Clock) -> int:
    moment = clock.now()
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
