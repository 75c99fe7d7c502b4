"""Dated reference data: what is in force, overlaps and gaps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from apportion.domain.effective import first_overlap, gaps, in_force
from apportion.domain.period import FOREVER, Period

START = datetime(2026, 10, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Price:
    """A dated entry with a name to tell it by."""

    name: str
    effective: Period


def period(start: int, end: int) -> Period:
    """A period between two seconds after the start."""
    return Period(START + timedelta(seconds=start), START + timedelta(seconds=end))


ranges = st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda r: period(r[0], r[0] + r[1]))


def test_an_entry_is_in_force_from_its_start_to_before_its_end() -> None:
    """At the instant of a change the new entry rules, one microsecond before it the old one."""
    old, new = Price("old", period(0, 10)), Price("new", Period(START + timedelta(seconds=10), FOREVER))
    change = START + timedelta(seconds=10)

    assert in_force([old, new], change) is new
    assert in_force([old, new], change - timedelta(microseconds=1)) is old
    assert in_force([old, new], START - timedelta(microseconds=1)) is None


def test_the_first_entry_wins_where_two_are_in_force() -> None:
    """Order decides between entries that are in force at once, as in a directory of rules."""
    one, two = Price("one", period(0, 10)), Price("two", period(0, 10))

    assert in_force([two, one], START) is two


@given(st.lists(ranges, max_size=6))
def test_overlap_is_found_exactly_where_there_is_one(given_ranges: list[Period]) -> None:
    """A pair is reported if and only if some two entries overlap, and the pair does overlap."""
    entries = [Price(str(n), effective) for n, effective in enumerate(given_ranges)]
    found = first_overlap(entries)

    assert (found is not None) == any(a.overlaps(b) for a, b in combinations(given_ranges, 2))
    assert found is None or found[0].effective.overlaps(found[1].effective)


@given(st.lists(ranges, max_size=6), ranges)
def test_gaps_are_what_no_range_covers(given_ranges: list[Period], within: Period) -> None:
    """Second by second, an instant is in a gap exactly where no range covers it; gaps are ascending and disjoint."""
    found = gaps(given_ranges, within)
    second = timedelta(seconds=1)

    instants = [within.start + n * second for n in range((within.end - within.start) // second)]
    uncovered = [at for at in instants if not any(r.start <= at < r.end for r in given_ranges)]
    assert [at for at in instants if any(gap.start <= at < gap.end for gap in found)] == uncovered
    assert all(first.end < second.start for first, second in pairwise(found))
    assert all(within.start <= gap.start < gap.end <= within.end for gap in found)
