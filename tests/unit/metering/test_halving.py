"""What can be computed never waits on what cannot, and a fault of everything ends soon."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apportion.domain.errors import AuditFailed, LedgerBroken, StepFailed
from apportion.domain.period import HOUR, Period
from metering.halving import SPLITS_PER_DOUBLING, halved

START = datetime(2026, 10, 1, tzinfo=UTC)


def part(first: int, end: int) -> Period:
    """Hours of October by their numbers."""
    return Period(START + first * HOUR, START + end * HOUR)


class Hours:
    """Fails for every part with a bad hour, and remembers what passed."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.tries = bad, 0
        self.passed: list[int] = []

    def __call__(self, tried: Period) -> None:
        self.tries += 1
        inside = {(hour - START) // HOUR for hour in tried.hours()}
        if inside & self.bad:
            raise StepFailed("s", tried, "no")
        assert not inside & set(self.passed)
        self.passed += sorted(inside)


@pytest.mark.parametrize("bad", [set(), {0}, {743}, {100}, {5, 400, 700}, set(range(300, 310))])
def test_only_hours_at_fault_fail(bad: set[int]) -> None:
    """Of a month, wherever they are; each other hour is done exactly once."""
    hours = Hours(bad)
    failed = halved(part(0, 744), hours)

    assert list(failed) == [part(hour, hour + 1) for hour in sorted(bad)]
    assert sorted(hours.passed) == sorted(set(range(744)) - bad)


def test_one_hour_takes_two_tries_for_each_doubling() -> None:
    """And says what it was."""
    hours = Hours({517})
    failed = halved(part(0, 1024), hours)

    assert hours.tries == 1 + 2 * 10
    assert failed == {part(517, 518): str(StepFailed("s", part(517, 518), "no"))}


def test_a_fault_of_every_hour_ends_after_some_dozens_of_tries() -> None:
    """Bounded by the doublings, and every hour is in a part that says why."""
    hours = Hours(set(range(744)))
    failed = halved(part(0, 744), hours)

    assert hours.tries == 1 + 2 * SPLITS_PER_DOUBLING * 10
    assert [hour for span in failed for hour in span.hours()] == list(part(0, 744).hours())


def test_trying_again_what_failed_finds_the_rest() -> None:
    """Beyond the bound whole parts wait; runs over what is left come down to the hours at fault."""
    bad = set(range(0, 744, 7))
    left, runs = {part(0, 744): ""}, 0
    while any(span.end - span.start > HOUR for span in left):
        hours, runs = Hours(bad), runs + 1
        left = {span: why for waiting in left for span, why in halved(waiting, hours).items()}

    assert {(span.start - START) // HOUR for span in left} == bad
    assert runs <= 3


def test_an_audit_that_fails_is_halved_too() -> None:
    """Its hour waits, and no other."""

    def attempt(tried: Period) -> None:
        if START in tried.hours():
            raise AuditFailed("s", "a", [(1,)])

    assert list(halved(part(0, 8), attempt)) == [part(0, 1)]


def test_a_broken_ledger_is_no_fault_of_an_hour() -> None:
    """Nothing can go on in this process, so nothing is tried again."""
    tries = []

    def attempt(tried: Period) -> None:
        tries.append(tried)
        raise LedgerBroken("gone")

    with pytest.raises(LedgerBroken):
        halved(part(0, 8), attempt)
    assert tries == [part(0, 8)]
