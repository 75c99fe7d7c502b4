"""Holes in prices: what is due has no rate, a component pauses, or a currency is not exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from apportion.domain.period import Period
from apportion.domain.prices import Hole, Price, holes


def days(first: int, last: int) -> Period:
    """A range of days of October."""
    start = datetime(2026, 10, 1, tzinfo=UTC)
    return Period(start + timedelta(days=first), start + timedelta(days=last))


@dataclass(frozen=True)
class Bought:
    """GPUs of a pool."""

    id: str
    gpus: int
    effective: Period


def price(at: Period, component: str = "accelerator", currency: str = "") -> Price:
    """A price of pool p."""
    return Price(pool="p", component=component, currency=currency, effective=at)


@pytest.mark.parametrize(
    ("due", "prices", "exchanged", "found"),
    [
        ([days(0, 9)], [price(days(0, 9))], [], []),
        ([days(0, 9)], [price(days(2, 5))], [], [("accelerator", "", days(0, 2)), ("accelerator", "", days(5, 9))]),
        ([days(3, 4)], [price(days(2, 5))], [], []),
        ([], [], [], []),
        ([], [price(days(2, 3), "host"), price(days(5, 6), "host")], [], [("host", "", days(3, 5))]),
        ([], [price(days(2, 4), "host", "EUR")], [days(3, 9)], [("host", "EUR", days(2, 3))]),
        ([], [price(days(2, 20), "host", "EUR")], [days(0, 9)], []),
    ],
)
def test_holes_are_found(
    due: list[Period], prices: list[Price], exchanged: list[Period], found: list[tuple[str, str, Period]]
) -> None:
    """Accelerators of GPUs that nothing covers; others between their first and last price; money while the pool is there."""
    assert list(holes([Bought("p", 1, days(0, 9))], {"p": due}, prices, {"EUR": exchanged})) == [
        Hole(pool="p", component=component, currency=currency, effective=at) for component, currency, at in found
    ]
