"""Charge periods, months and half-open ranges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.domain.period import FOREVER, HOUR, HOUR_US, Period, hour_of, month, month_of, next_month, spans

START = datetime(2026, 10, 1, tzinfo=UTC)
instants = st.integers(0, 10 * 366 * 24 * HOUR_US).map(
    lambda us: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
hours = st.integers(0, 24 * 62).map(lambda n: START + n * HOUR)


def at(us: int) -> datetime:
    """An instant some microseconds after the start."""
    return START + timedelta(microseconds=us)


def test_a_period_holds_its_start_and_not_its_end() -> None:
    """Periods that only touch do not overlap; one more microsecond does."""
    first = Period(START, START + HOUR)

    assert not first.overlaps(Period(at(HOUR_US), at(2 * HOUR_US)))
    assert first.overlaps(Period(at(HOUR_US - 1), at(2 * HOUR_US)))
    assert first.overlap_us(Period(at(HOUR_US - 1), FOREVER)) == 1
    assert first.overlap_us(Period(at(HOUR_US), FOREVER)) == 0


@given(st.lists(instants, min_size=4, max_size=4))
def test_overlap_is_symmetric_and_agrees_with_overlaps(times: list[datetime]) -> None:
    """Shared time is the same both ways, and positive exactly where two non-empty periods overlap."""
    one, two = Period(*sorted(times[:2])), Period(*sorted(times[2:]))

    assert one.overlap_us(two) == two.overlap_us(one)
    assert one.overlap_us(two) <= (one.end - one.start) // timedelta(microseconds=1)
    if one.start < one.end and two.start < two.end:
        assert (one.overlap_us(two) > 0) == one.overlaps(two)


def test_periods_without_zone_or_backwards_are_refused() -> None:
    """A naive time or an end before the start is refused with both times."""
    with pytest.raises(ValueError, match="has no zone"):
        Period(datetime(2026, 10, 1), START)  # noqa: DTZ001
    with pytest.raises(ValueError, match="before it starts"):
        Period(at(1), START)


@given(start=instants, length=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_hours_are_those_the_period_touches(start: datetime, length: timedelta) -> None:
    """Every hour listed shares time with the period, and together they cover it."""
    period = Period(start, start + length)
    touched = list(period.hours())

    assert all(Period(hour, hour + HOUR).overlaps(period) for hour in touched if length)
    assert sum(Period(hour, hour + HOUR).overlap_us(period) for hour in touched) == length // timedelta(microseconds=1)


def test_hours_start_at_the_whole_hour_of_utc() -> None:
    """Zones other than UTC, with half-hours too, do not shift the charge period."""
    india = timezone(timedelta(hours=5, minutes=30))

    assert hour_of(datetime(2026, 10, 1, 5, 29, 59, 999999, tzinfo=india)) == START - HOUR
    assert hour_of(datetime(2026, 10, 1, 5, 30, tzinfo=india)) == START
    assert month_of(datetime(2026, 10, 1, 5, 29, tzinfo=india)) == datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("label", "days"), [("2026-10", 31), ("2028-02", 29), ("2026-02", 28), ("2026-12", 31), ("2026-03", 31)]
)
def test_months_have_all_their_hours(label: str, days: int) -> None:
    """Leap days and clock changes do not matter: a month has 24 hours for each of its days."""
    named = month(label)

    assert len(list(named.hours())) == 24 * days
    assert next_month(named.start) == named.end
    assert month_of(named.end - timedelta(microseconds=1)) == named.start


@pytest.mark.parametrize("label", ["2026-13", "2026-00", "2026-1", "26-10", "2026-10-01", "", "October", "2026-10\n"])
def test_what_is_no_month_is_refused_with_the_form(label: str) -> None:
    """A label of another form is quoted, with the form that is expected."""
    with pytest.raises(ValueError, match="write it as 2026-10"):
        month(label)


@given(st.lists(hours))
def test_spans_hold_exactly_the_hours(given_hours: list[datetime]) -> None:
    """Joining hours loses none, adds none, crosses no month, and leaves no two spans that could be one."""
    joined = spans(given_hours)

    assert [hour for span in joined for hour in span.hours()] == sorted(set(given_hours))
    assert all(month_of(span.start) == month_of(span.end - HOUR) for span in joined)
    assert not any(
        first.end == second.start and month_of(first.start) == month_of(second.start)
        for first, second in pairwise(joined)
    )
