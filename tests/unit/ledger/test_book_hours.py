"""Syncing the config into `book`: which metered hours become dirty, and when only who pays is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.ledger import book_hours
from apportion.ledger.book import SyncReport
from apportion.ledger.book_costs import FX
from apportion.ledger.connection import Row
from tests.unit.ledger.book_samples import BASE, HOURS, START, Book, changed, opened

OCTOBER, NOVEMBER_DAYS = 24 * 31, 24 * 19
SECOND_RATE = """effective_to = 2026-11-10T12:30:00Z
[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "2"
effective_from = 2026-11-10T12:30:00Z
[[shared_costs]]
"""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book beside metered hours."""
    with opened(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("old", "new", "hours", "first"),
    [
        ('per_gpu_hour = "1"', 'per_gpu_hour = "2"', HOURS, START),
        ("[[shared_costs]]\n", SECOND_RATE, HOURS - (OCTOBER + 9 * 24 + 12), datetime(2026, 11, 10, 12, tzinfo=UTC)),
        ("[[shared_costs]]\n", "effective_to = 2027-01-01T00:00:00Z\n[[shared_costs]]\n", 0, None),
        ("gpus = 8\neffective_from", "gpus = 9\neffective_from", HOURS, START),
        ('models = ["m"]', 'models = ["m", "n"]', HOURS, START),
        ('models = ["m"]', 'models = ["m"]\nmatch = { node = "n_1*" }', HOURS, START),
        ('models = ["m"]', 'models = ["m"]\nutilization = "allocation"', HOURS, START),
        ('models = ["m"]', 'models = ["m"]\nphase_split = "auto"', HOURS, START),
        ('models = ["m"]', 'models = ["m"]\nthroughput = { prefill = 10, decode = 1 }', HOURS, START),
        ('models = ["m"]', 'models = ["m"]\ncapacity_source = "load_tested"', HOURS, START),
        ('per_month = "10"', 'per_month = "11"', OCTOBER, START),
        ("effective_to = 2026-11-01T00:00:00Z", "effective_to = 2026-11-02T00:00:00Z", NOVEMBER_DAYS, datetime(2026, 11, 1, tzinfo=UTC)),
        ('alias = "a"\nmodel = "m"\neffective_from = 2026-10-01T00:00:00Z', 'alias = "a"\nmodel = "m"\neffective_from = 2026-10-01T02:00:00Z', 2, START),
        ('idle = "separate"', "weights = { output = 5 }", HOURS, START),
        ('idle = "separate"', "sample_hold_seconds = 60", HOURS, START),
        ('idle = "separate"', "min_coverage = 0.8", HOURS, START),
        ('idle = "separate"', "unlogged_tolerance = 0.5", HOURS, START),
        ('idle = "separate"', 'phase_split = "auto"', HOURS, START),
        ('idle = "separate"', 'utilization = "allocation"', HOURS, START),
    ],
)  # fmt: skip
def test_hours_are_dirty_where_what_is_in_force_differs(
    old: str, new: str, hours: int, first: datetime | None, book: Book
) -> None:
    """Rates, pools, deployments, aliases and metering policy reach the hours they cover, shared costs their months, and
    nothing beyond; who pays is not asked again for its own sake."""
    book.sync(BASE)
    report = book.sync(changed(old, new))
    assert (report.changed, report.dirty_hours, report.reattribute) == (True, hours, False)
    assert book.dirty()[:2] == (hours, first)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('team = "y" }', 'team = "z" }'),
        ('{ principal = "k_1%", team = "x" },', ""),
        ("[directory]\n", "[directory]\ncost_centers = { __idle__ = 'CC' }\n"),
        ('idle = "separate"', 'idle = "even"'),
        ('idle = "separate"', 'over = "hour"'),
        ('per_month = "10"', 'per_month = "10"\npolicy = "even"'),
        ('per_month = "10"', 'per_month = "10"\npolicy = "fixed"\nshares = { x = "1" }'),
        ('models = ["m"]', 'models = ["m"]\nowner = "x"\ncharge_to = "owner"'),
        (
            "[policy]\n",
            '[[entitlements]]\npool = "p"\nteam = "x"\ngpus = 1\neffective_from = 2026-10-01T00:00:00Z\n[policy]\n',
        ),
    ],
)
def test_who_pays_is_attributed_again_without_metering(old: str, new: str, book: Book) -> None:
    """Directory, cost centers, entitlements, owners, shares and settlement policy leave what hours cost alone."""
    book.sync(BASE)
    report = book.sync(changed(old, new))
    assert (report.changed, report.dirty_hours, report.reattribute) == (True, 0, True)
    assert book.dirty()[0] == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [('models = ["m"]', 'models = ["m"]\nowner = "x"'), ("[policy]\n", '[budgets]\nx = "1"\n[policy]\n')],
)
def test_what_nobody_computes_with_is_only_written(old: str, new: str, book: Book) -> None:
    """An owner that is not charged and a budget change no figure."""
    book.sync(BASE)
    assert book.sync(changed(old, new)) == SyncReport(changed=True, dirty_hours=0, reattribute=False, policy_version=1)


def test_hours_outside_the_metered_ones_are_left_alone(book: Book) -> None:
    """What was never metered is due by itself."""
    book.sync(BASE)
    assert book.sync(changed("gpus = 8\nmodels", "gpus = 7\nmodels")).dirty_hours == HOURS
    assert book.dirty()[2] == START + timedelta(hours=HOURS - 1)


BOUNDS = st.lists(st.integers(0, 6 * 60), min_size=2, max_size=6, unique=True).map(sorted)


@given(BOUNDS, BOUNDS, st.integers(1, 2), st.integers(1, 2))
def test_an_hour_is_reached_where_its_own_rows_differ(before: list[int], after: list[int], old: int, new: int) -> None:
    """For any two sets of ranges: exactly the hours in which what is in force differs, minute for minute."""

    def rows(minutes: list[int], amount: int) -> list[Row]:
        edges = [START + timedelta(minutes=minute) for minute in minutes]
        return [("EUR", amount + at % 2, *pair) for at, pair in enumerate(pairwise(edges))]

    def in_force(given: list[Row], minute: int) -> set[int]:
        moment = START + timedelta(minutes=minute)
        return {row[1] for row in given if row[2] <= moment < row[3]}

    one, other = rows(before, old), rows(after, new)
    differing = {minute // 60 for minute in range(6 * 60) if in_force(one, minute) != in_force(other, minute)}
    reached = {hour for period in book_hours.reached(FX, one, other) for hour in period.hours()}

    assert reached == {START + timedelta(hours=hour) for hour in differing}
