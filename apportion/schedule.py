"""When jobs run: periodically or daily, retried with bounded backoff, every attempt recorded, stopped cleanly.

`Runner` is what a due job does and knows no scheduler; `Schedule` is the wiring to APScheduler and knows no rule. Jobs
share one thread, so that the daily file never competes with metering for the ledger. A failure never ends the
schedule: it is recorded, and the next due time comes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import Final

from apscheduler.events import EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from apportion.domain.clock import Clock
from apportion.domain.errors import ApportionError, AuditFailed, ConfigError, HoursFailed

ATTEMPTS_MAX: Final = 4
BACKOFF_SECONDS: Final = 2.0
"""Before the second attempt; doubled before each further one: 2, 4 and 8 seconds."""
GRACE_SECONDS: Final = 6 * 3600
"""How late a run may still start, after the machine slept or a long run held the thread; later ones are recorded as
missed and left to the next due time."""

LOOK_SECONDS: Final = 5.0
"""How often the clock is held against the stopwatch."""
JUMP_SECONDS: Final = 5.0
"""A clock that gained or lost more than this in between was set: due times counted by the old one mean nothing any more."""

log = logging.getLogger("apportion.schedule")

Record = Callable[[str, str, str, datetime, float], None]
"""Told of every attempt: job, outcome, detail, start, seconds."""

Pause = Callable[[float], bool]
"""Waits that many seconds; true when the service is stopping instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to run again and again.

    Attributes:
        name: what it is called in records and metrics.
        run: does it, and says in a sentence what it did.
        every_seconds: period between starts; the first run is at once.
        daily_at: time of day in UTC, instead of a period.
    """

    name: str
    run: Callable[[], str]
    every_seconds: int | None = None
    daily_at: time_of_day | None = None

    def __post_init__(self) -> None:
        if (self.every_seconds is None) == (self.daily_at is None):
            raise ValueError(f"job {self.name} needs either a period or a time of day")


class Runner:
    """One due run of a job: attempts until one succeeds, none is left, or the service stops.

    Outcomes: `ok`; `failed`, retried; `refused`, where trying again cannot help (an audit or the config says no, or hours
    cannot be computed).
    """

    def __init__(
        self,
        job: Job,
        *,
        clock: Clock,
        record: Record,
        pause: Pause,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.job = job
        self._clock, self._record, self._pause, self._stopwatch = clock, record, pause, stopwatch

    def __call__(self) -> bool:
        """Run the job. Returns: whether an attempt succeeded. Never raises but to end the process."""
        delay = 0.0
        for attempt in range(1, ATTEMPTS_MAX + 1):
            if self._pause(delay):
                return False
            outcome = self._attempt(attempt)
            if outcome != "failed":
                return outcome == "ok"
            delay = BACKOFF_SECONDS * 2 ** (attempt - 1)
        return False

    def _attempt(self, attempt: int) -> str:
        started_at, began = self._clock.now(), self._stopwatch()
        try:
            outcome, detail = "ok", self.job.run()
        except (AuditFailed, ConfigError, HoursFailed) as error:
            outcome, detail = "refused", str(error)
        except Exception as error:
            said = str(error) if isinstance(error, ApportionError) else repr(error)
            outcome, detail = "failed", f"attempt {attempt} of {ATTEMPTS_MAX}: {said}"
            log.exception("job %s failed, attempt %d of %d", self.job.name, attempt, ATTEMPTS_MAX)
        self._tell(outcome, detail, started_at, self._stopwatch() - began)
        return outcome

    def _tell(self, outcome: str, detail: str, started_at: datetime, seconds: float) -> None:
        """A record that cannot be written, on a full disk say, must not cost the next run."""
        try:
            self._record(self.job.name, outcome, detail, started_at, seconds)
        except Exception:
            log.exception("job %s ended %s, and that could not be recorded", self.job.name, outcome)


class Drift:
    """Notices when a clock was set, by a stopwatch that nobody can set."""

    def __init__(self, clock: Clock, stopwatch: Callable[[], float]) -> None:
        self._clock, self._stopwatch = clock, stopwatch
        self._apart = self._now_apart()

    def jumped(self) -> float:
        """Seconds that the clock gained (negative: lost) beside the stopwatch since the last look, where that is a jump; else 0."""
        apart = self._now_apart()
        gained, self._apart = apart - self._apart, apart
        return gained if abs(gained) > JUMP_SECONDS else 0.0

    def _now_apart(self) -> float:
        return self._clock.now().timestamp() - self._stopwatch()


class Schedule:
    """Jobs at their times, until told to stop.

    At most one instance of a job runs; runs missed meanwhile are made up for by one.
    """

    def __init__(self, jobs: Sequence[Job], clock: Clock, record: Record, *, pause: Pause | None = None) -> None:
        self._clock, self._record = clock, record
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": GRACE_SECONDS},
        )
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED)
        for job in jobs:
            runner = Runner(job, clock=clock, record=record, pause=pause or self._stopping.wait)
            first = {} if job.every_seconds is None else {"next_run_time": clock.now()}
            self._scheduler.add_job(runner, trigger_of(job), id=job.name, name=job.name, **first)

    def run_until(self, stop: threading.Event, *, leaving: Callable[[], object] = lambda: None) -> None:
        """Run jobs until the event is set; a run under way is finished, its retries are not.

        Args:
            stop: the event.
            leaving: what else there is to end, while that run goes on.
        """
        drift = Drift(self._clock, time.monotonic)
        self._scheduler.start()
        try:
            while not stop.wait(LOOK_SECONDS):
                if jump := drift.jumped():
                    log.warning("the clock was set by %+.0f s; periodic jobs run now", jump)
                    self.catch_up()
        finally:
            self._stopping.set()
            leaving()
            self._scheduler.shutdown(wait=True)

    def catch_up(self) -> None:
        """Let every periodic job run now and count its period from here, and every daily one find its next time."""
        for job in self._scheduler.get_jobs():
            periodic = isinstance(job.trigger, IntervalTrigger)
            now = self._clock.now()
            job.modify(next_run_time=now if periodic else job.trigger.get_next_fire_time(None, now))

    def _missed(self, event: JobExecutionEvent) -> None:
        late = self._clock.now() - event.scheduled_run_time
        log.warning("job %s missed its run of %s", event.job_id, event.scheduled_run_time)
        self._record(
            event.job_id,
            "missed",
            f"could not start in time, {late} late",
            event.scheduled_run_time.astimezone(UTC),
            0.0,
        )


def trigger_of(job: Job) -> BaseTrigger:
    """The APScheduler trigger of a job, in UTC: daylight saving never moves or doubles a run."""
    if job.daily_at is not None:
        at = job.daily_at
        return CronTrigger(hour=at.hour, minute=at.minute, second=at.second, timezone=UTC)
    return IntervalTrigger(seconds=job.every_seconds, timezone=UTC)


@contextlib.contextmanager
def stopping_on_signals(stop: threading.Event, leave: Callable[[int], object] = os._exit) -> Iterator[None]:
    """SIGTERM and SIGINT set the event; a second one leaves at once, which the ledger's transactions survive.

    Main thread only; the handlers found are put back at the end.
    """

    def handle(number: int, _: object) -> None:
        if stop.is_set():
            leave(128 + number)
        stop.set()

    found = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in found.items():
            signal.signal(number, handler)
