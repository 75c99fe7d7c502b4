"""Energy rates in the book: what changes them makes the hours they price dirty, and no others."""

from __future__ import annotations

from datetime import UTC, datetime

from apportion.domain.period import Period
from apportion.ledger.book_hours import reached
from apportion.ledger.book_tables import ENERGY_RATE

OCTOBER, NOVEMBER, DECEMBER = (datetime(2026, month, 1, tzinfo=UTC) for month in (10, 11, 12))


def row(
    per_kwh_nano: int = 100, watts: int = 700, start: datetime = OCTOBER, end: datetime = DECEMBER
) -> tuple[object, ...]:
    """A row in the order of the table's columns."""
    return ("p", per_kwh_nano, 1_200_000, watts, start, end)


def test_a_new_tariff_reaches_the_hours_from_its_start() -> None:
    """A price that changes in November leaves October alone; other watts reach all of it."""
    assert reached(ENERGY_RATE, [row()], [row(end=NOVEMBER), row(120, start=NOVEMBER)]) == [Period(NOVEMBER, DECEMBER)]
    assert reached(ENERGY_RATE, [row()], [row(watts=400)]) == [Period(OCTOBER, DECEMBER)]
    assert reached(ENERGY_RATE, [row()], [row()]) == []
