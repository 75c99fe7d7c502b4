"""Owned hardware: the cost of capital, and the end of a life counted in months."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apportion.domain.ownership import financing, months_after
from apportion.domain.period import FOREVER


@pytest.mark.parametrize(
    ("residual", "months", "rate", "expected"),
    [
        (0, 2, "0.12", 15_024_875_622),  # i = 0.01: payments of 507.512437811 each
        (0, 1, "0.12", 10_000_000_000),  # one payment of 1010
        (1000 * 10**9, 1, "0.12", 10_000_000_000),  # a loan that is worth all it cost pays interest only
        (0, 48, "0", 0),
    ],
)
def test_financing_is_what_payments_are_above_the_wear(residual: int, months: int, rate: str, expected: int) -> None:
    """1000 financed over so many months."""
    assert financing(1000 * 10**9, residual, months, Decimal(rate)) == expected


def test_monthly_payments_cost_less_than_yearly_ones() -> None:
    """A server of 833,806 with eight GPUs, 8 %, four years of 35,064 hours: 3.48 per GPU-hour, 2.97 of it wear; paid yearly, 3.59."""
    capex = 833_806 * 10**9
    interest = financing(capex, 0, 48, Decimal("0.08"))

    assert round(Decimal(capex + interest) / (8 * 35_064 * 10**9), 2) == Decimal("3.48")


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        (datetime(2026, 1, 31, 5, tzinfo=UTC), 1, datetime(2026, 2, 28, 5, tzinfo=UTC)),
        (datetime(2026, 12, 15, tzinfo=UTC), 1, datetime(2027, 1, 15, tzinfo=UTC)),
        (datetime(2024, 2, 29, tzinfo=UTC), 48, datetime(2028, 2, 29, tzinfo=UTC)),
        (datetime(9990, 1, 1, tzinfo=UTC), 1200, FOREVER),
    ],
)
def test_months_are_those_of_the_calendar(start: datetime, months: int, expected: datetime) -> None:
    """The same day, or the last of a month that is too short; never beyond the end of time."""
    assert months_after(start, months) == expected
