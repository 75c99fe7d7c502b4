"""Jobs: retried, recorded, never fatal, at their times in UTC, stopped cleanly."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

import pytest

from apportion.domain.clock import SystemClock
from apportion.domain.errors import AuditFailed, ConfigError, LedgerError
from apportion.schedule import (
    ATTEMPTS_MAX,
    GRACE_SECONDS,
    Drift,
    Job,
    Runner,
    Schedule,
    stopping_on_signals,
    trigger_of,
)
from tests.frozen import FrozenClock

NOON = datetime(2026, 10, 25, 12, tzinfo=UTC)


@dataclass
class Frozen:
    """A clock that stands still."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


@dataclass
class Journal:
    """Remembers attempts and waits; `stopping` makes every wait say that the service stops."""

    records: list[tuple[str, str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    stopping: bool = False

    def record(self, job: str, outcome: str, detail: str, started_at: datetime, seconds: float) -> None:
        assert started_at == NOON
        assert seconds == 1.5
        self.records.append((job, outcome, detail))

    def pause(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.stopping


class Script:
    """A job body that plays one answer per attempt."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    def __call__(self) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def runner(body: Script, journal: Journal) -> Runner:
    ticks = iter([0.0, 1.5] * 20)
    return Runner(
        Job(name="meter", run=body, every_seconds=60),
        clock=Frozen(),
        record=journal.record,
        pause=journal.pause,
        stopwatch=lambda: next(ticks),
    )


def test_a_success_is_recorded_once() -> None:
    """A run that works is one record, with what it said."""
    journal = Journal()

    assert runner(Script("3 hours"), journal)()
    assert journal.records == [("meter", "ok", "3 hours")]


def test_a_failure_is_retried_with_doubling_waits() -> None:
    """Two failures and a success: three records, waits of 0, 2 and 4 seconds."""
    journal = Journal()

    assert runner(Script(LedgerError("disk full"), OSError("gone"), "1 hour"), journal)()
    assert journal.records == [
        ("meter", "failed", "attempt 1 of 4: disk full"),
        ("meter", "failed", "attempt 2 of 4: OSError('gone')"),
        ("meter", "ok", "1 hour"),
    ]
    assert journal.waits == [0.0, 2.0, 4.0]


def test_attempts_are_bounded() -> None:
    """A job that keeps failing gives up until its next due time."""
    journal = Journal()

    assert not runner(Script(*[ValueError("no")] * 9), journal)()
    assert [outcome for _, outcome, _ in journal.records] == ["failed"] * ATTEMPTS_MAX


@pytest.mark.parametrize(
    "error",
    [AuditFailed("metering.charge_hourly", "allocated_equals_origin", [(1,)]), ConfigError(["a.toml:x: wrong"])],
)
def test_a_refusal_is_not_retried(error: Exception) -> None:
    """What an audit or the config refuses would be refused again."""
    journal = Journal()

    assert not runner(Script(error, "never"), journal)()
    assert journal.records == [("meter", "refused", str(error))]


def test_an_error_without_words_is_named() -> None:
    """The detail is never empty."""
    journal = Journal()
    runner(Script(KeyError(), "ok"), journal)()

    assert journal.records[0][2] == "attempt 1 of 4: KeyError()"


def test_a_stopping_service_starts_nothing() -> None:
    """Neither a first attempt nor a retry begins once the service stops."""
    journal = Journal(stopping=True)

    assert not runner(Script("never"), journal)()
    assert journal.records == []


def test_an_unwritable_record_does_not_raise() -> None:
    """The schedule outlives a record that cannot be kept."""
    journal = Journal()

    def broken(*_: object) -> None:
        raise LedgerError("disk full")

    due = Runner(
        Job(name="meter", run=lambda: "x", every_seconds=60), clock=Frozen(), record=broken, pause=journal.pause
    )

    assert due()


@pytest.mark.parametrize("times", [{}, {"every_seconds": 60, "daily_at": time(2)}])
def test_a_job_has_one_kind_of_time(times: dict[str, object]) -> None:
    """A period or a time of day, not both and not neither."""
    with pytest.raises(ValueError, match="either"):
        Job(name="meter", run=lambda: "", **times)  # type: ignore[arg-type]


def test_daily_runs_are_a_day_apart_across_daylight_saving() -> None:
    """The time of day is UTC, so the night the clocks change has one run like any other."""
    trigger = trigger_of(Job(name="chargeback", run=lambda: "", daily_at=time(1, 30)))
    fires, last = [], None
    for _ in range(3):
        last = trigger.get_next_fire_time(last, last + timedelta(seconds=1) if last else NOON - timedelta(days=1))
        fires.append(last.astimezone(UTC))

    assert fires == [datetime(2026, 10, day, 1, 30, tzinfo=UTC) for day in (25, 26, 27)]


def test_periodic_runs_keep_their_period() -> None:
    """Starts are a period apart, however long runs take."""
    trigger = trigger_of(Job(name="meter", run=lambda: "", every_seconds=300))

    assert trigger.get_next_fire_time(NOON, NOON) == NOON + timedelta(seconds=300)


def test_the_first_run_is_at_once_and_failures_do_not_end_the_schedule() -> None:
    """A job that fails, then works, is seen in the records of a live schedule, and stopping ends it."""
    stop, seen = threading.Event(), []

    def record(job: str, outcome: str, detail: str, started_at: datetime, seconds: float) -> None:
        assert started_at.tzinfo is UTC
        assert seconds >= 0
        seen.append((job, outcome, detail))
        if outcome == "ok":
            stop.set()

    jobs = [Job(name="meter", run=Script(RuntimeError("once"), "done"), every_seconds=3600)]
    Schedule(jobs, SystemClock(), record, pause=lambda _: stop.is_set()).run_until(stop)

    assert seen == [("meter", "failed", "attempt 1 of 4: RuntimeError('once')"), ("meter", "ok", "done")]


def test_stopping_finishes_the_run_under_way() -> None:
    """run_until returns only after the running job has ended and was recorded."""
    stop, seen = threading.Event(), []

    def body() -> str:
        stop.set()
        return "finished"

    Schedule(
        [Job(name="meter", run=body, every_seconds=1)], SystemClock(), lambda *attempt: seen.append(attempt[:3])
    ).run_until(stop)

    assert seen == [("meter", "ok", "finished")]


def test_a_run_that_is_too_late_is_recorded_as_missed() -> None:
    """A due time further back than the grace is not made up for, and not silent either."""
    stop, seen = threading.Event(), []

    def record(*attempt: object) -> None:
        seen.append(attempt)
        stop.set()

    asleep = Frozen(SystemClock().now() - timedelta(seconds=2 * GRACE_SECONDS))
    job = Job(name="meter", run=lambda: "", every_seconds=4 * GRACE_SECONDS)
    Schedule([job], asleep, record).run_until(stop)

    assert [attempt[:2] for attempt in seen] == [("meter", "missed")]


@pytest.mark.parametrize(("clock_seconds", "jump"), [(5, 0), (8, 0), (-2395, -2400), (3605, 3600)])
def test_a_clock_that_was_set_is_noticed(clock_seconds: int, jump: int) -> None:
    """By how much, against a stopwatch that nobody can set; and once."""
    clock, watch = FrozenClock(NOON), iter([100.0, 105.0, 110.0])
    drift = Drift(clock, lambda: next(watch))
    clock.advance(timedelta(seconds=clock_seconds))
    jumped = drift.jumped()
    clock.advance(timedelta(seconds=5))

    assert (jumped, drift.jumped()) == (jump, 0)


def test_after_a_jump_periodic_jobs_run_at_once() -> None:
    """A clock that was set back does not silence a job until it has caught up."""
    stop, seen = threading.Event(), []

    def record(*attempt: object) -> None:
        seen.append(attempt[:2])
        if len(seen) == 1:
            schedule.catch_up()
        else:
            stop.set()

    ahead = Frozen(SystemClock().now())
    schedule = Schedule([Job(name="meter", run=lambda: "", every_seconds=86_400)], ahead, record)
    schedule.run_until(stop)

    assert seen == [("meter", "ok"), ("meter", "ok")]


def test_a_signal_stops_and_a_second_one_leaves_at_once() -> None:
    """The first SIGTERM sets the event; the second ends the process with the usual status."""
    stop, left = threading.Event(), []
    before = signal.getsignal(signal.SIGTERM)
    with stopping_on_signals(stop, left.append):
        signal.raise_signal(signal.SIGTERM)
        first = (stop.is_set(), list(left))
        signal.raise_signal(signal.SIGTERM)

    assert first == (True, [])
    assert left == [128 + signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
