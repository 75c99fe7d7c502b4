"""Scrape exporters: every interval each target once, side by side, and what they said lands as one slice of each kind.

A target by itself: one that does not answer, or not with metrics, is named in the source's notes, asked last in the next round, and
keeps no other waiting. Only when none gives anything does the source fail.

What survives a kill -9: rounds that have landed. A round is a reading of now: one that was lost is not read again, the next one is;
counters go on where they were, and what they counted meanwhile is in the difference.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from apportion.config.sources import PrometheusSource
from apportion.domain.clock import Clock
from apportion.domain.errors import ApportionError
from apportion.ledger.connection import Ledger
from ingest.outcome import Outcome
from ingest.prometheus.client import Client, FetchError
from ingest.prometheus.families import names
from ingest.prometheus.landing import KINDS, FindFormat, Landing, Span
from ingest.prometheus.series import Places
from ingest.prometheus.target import Scraped, Target, model_of, silence_of
from ingest.rules import Rules
from ingest.supervise import Health

THREADS_MAX: Final = 16
ANSWER_SECONDS_MAX: Final = 10.0
SHOWN_MAX: Final = 3
"""Targets that a note names."""


class ScrapeCollector:
    """One source with targets.

    Attributes:
        name: of the `[[sources]]` table.
        collector: prometheus.
        ignored: reason -> readings that were left out since this process started.
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
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is asked before `run`.

        Args:
            name: of the source.
            settings: of the source.
            authorization: what every target is sent as that header.
            ledger: to land in.
            find_format: what a format's name means.
            rules: what is believed.
            clock: says when a target is scraped.
            stopwatch: tells rounds apart, in seconds.
        """
        self.name, self.ignored = name, Counter[str]()
        self._settings, self._authorization = settings, authorization
        self._ledger, self._find_format, self._rules, self._clock = ledger, find_format, rules, clock
        self._stopwatch = stopwatch
        self._failing: dict[str, str] = {}

    def run(self, health: Health, stop: threading.Event) -> None:
        """Scrape and land until `stop` is set.

        Raises: FetchError when no target gives anything; LedgerError when the ledger cannot be written.
        """
        with contextlib.ExitStack() as stack:
            landing = Landing(
                self.name, ledger=self._ledger, find_format=self._find_format, rules=self._rules, clock=self._clock
            )
            stack.callback(landing.close)
            targets = [target(self._settings, url, self._authorization, self._clock) for url in self._settings.targets]
            for one in targets:
                stack.callback(one.close)
            pool = stack.enter_context(ThreadPoolExecutor(min(THREADS_MAX, len(targets)), f"scrape {self.name}"))
            while not stop.is_set():
                began = self._stopwatch()
                self.round(pool, targets, landing, health)
                stop.wait(max(0.0, self._settings.interval_seconds - (self._stopwatch() - began)))

    def round(self, pool: ThreadPoolExecutor, targets: Sequence[Target], landing: Landing, health: Health) -> None:
        """Ask every target once, and land what they said. Raises: as `run`."""
        before = _milliseconds(self._clock)
        found, failing = self._asked(pool, targets)
        self._tell(failing, found, health)
        span = Span(before, _milliseconds(self._clock))
        total = Outcome()
        for kind in KINDS:
            lines = [line for one in found.values() for line in getattr(one, kind)]
            total.add(landing.land(kind, lines, span, follows=False))
        if found:
            health.landed(total)
        else:
            url, why = next(iter(failing.items()))
            raise FetchError(f"none of {len(targets)} targets gives anything; {url} {why}")

    def _asked(self, pool: ThreadPoolExecutor, targets: Sequence[Target]) -> tuple[dict[str, Scraped], dict[str, str]]:
        """What targets said, and why others said nothing. Those that failed last time are asked last."""
        ordered = sorted(targets, key=lambda one: one.url in self._failing)
        asked: dict[Future[Scraped], Target] = {pool.submit(one.scrape): one for one in ordered}
        _, late = wait(asked, timeout=self._settings.interval_seconds)
        for future in late:
            if not future.cancel():
                asked[future].abort()
        wait(asked)
        found: dict[str, Scraped] = {}
        failing: dict[str, str] = {}
        for future, one in asked.items():
            if future.cancelled():
                failing[one.url] = "was not asked: others took all of the interval"
            elif error := future.exception():
                failing[one.url] = _sentence(error)
            elif empty := silence_of(future.result()):
                failing[one.url] = empty
            else:
                found[one.url] = future.result()
        return {one.url: found[one.url] for one in targets if one.url in found}, failing

    def _tell(self, failing: dict[str, str], found: Mapping[str, Scraped], health: Health) -> None:
        """Say which targets give nothing, and what was left out, where that is new."""
        if failing.keys() - self._failing.keys() and found:
            shown = "; ".join(f"{url} {why}" for url, why in list(failing.items())[:SHOWN_MAX])
            more = f" and {len(failing) - SHOWN_MAX} more" if len(failing) > SHOWN_MAX else ""
            health.note(f"{len(failing)} of {len(failing) + len(found)} targets give nothing: {shown}{more}.")
        if back := self._failing.keys() & found.keys():
            health.note(f"{min(back)} gives metrics again{f', and {len(back) - 1} more' if len(back) > 1 else ''}.")
        self._failing = failing
        for url, one in found.items():
            for reason in one.ignored.keys() - self.ignored.keys():
                health.note(f"{url}: {one.ignored[reason]} readings are left out as {reason}; the others count.")
            self.ignored.update(one.ignored)


def target(settings: PrometheusSource, url: str, authorization: str, clock: Clock) -> Target:
    """One of a source's targets."""
    seconds = min(ANSWER_SECONDS_MAX, float(settings.interval_seconds))
    asked_for = model_of(url)
    constants = {**({"model": asked_for} if asked_for else {}), **settings.constants}
    return Target(
        url,
        Client(url, seconds=seconds, authorization=authorization, ca_file=settings.ca_file),
        Places(settings.labels, constants),
        names(frozenset(settings.families)),
        clock,
    )


def _milliseconds(clock: Clock) -> int:
    now = clock.now()
    return int(now.timestamp()) * 1000 + now.microsecond // 1000


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, ApportionError) else f"{type(error).__name__}: {error}"
