"""Time, money and the split of a total, as the oracle counts them: plain integers and exact fractions.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. Times are integer microseconds since
1970 in UTC, ranges half-open, money nano-units.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

Range = tuple[int, int]
Part = TypeVar("Part", bound=Any)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NANO = 10**9
PPM = 10**6


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant(text: str) -> int:
    """Microseconds of an RFC 3339 text with at most six decimals."""
    return micros(datetime.fromisoformat(text))


def moment(us: int) -> datetime:
    """The aware time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def hour_of(us: int) -> int:
    """Start of the hour that holds a time."""
    return us - us % HOUR_US


def hour_range(hour: int) -> Range:
    """The hour that starts here."""
    return hour, hour + HOUR_US


def month_of(us: int) -> int:
    """Start of the month that holds a time."""
    return micros(moment(us).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def month_range(us: int) -> Range:
    """The calendar month that holds a time."""
    start = month_of(us)
    return start, month_of(start + 31 * DAY_US)


def year_range(us: int) -> Range:
    """The calendar year that holds a time."""
    first = moment(us).replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return micros(first), micros(first.replace(year=first.year + 1))


def month_hours(us: int) -> range:
    """Starts of all hours of the month that holds a time."""
    return range(*month_range(us), HOUR_US)


def months_after(us: int, months: int) -> int:
    """The same time of the same day, calendar months later; the last day of a month that is too short for it."""
    start = moment(us)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return micros(start.replace(year=year, month=month + 1, day=day))


def shared_us(*ranges: Range) -> int:
    """Microseconds that every range holds."""
    return max(0, min(end for _, end in ranges) - max(start for start, _ in ranges))


def during(entry: Mapping[str, Any]) -> Range:
    """When an entry of a config is in force."""
    return micros(entry.get("effective_from", EPOCH)), micros(entry.get("effective_to", FOREVER))


def scaled(amount: str | int | Decimal, scale: int) -> int:
    """An amount in whole parts of a unit, which it must be."""
    exact = Fraction(Decimal(amount)) * scale
    assert exact.denominator == 1, amount
    return exact.numerator


def nano(amount: str | int | Decimal) -> int:
    """Nano-units of an amount of at most nine decimals."""
    return scaled(amount, NANO)


def spread(total: int, start: int, end: int, part: Range) -> int:
    """The part of an evenly grown total within a range, so that adjoining parts add up to it."""

    def grown(until: int) -> int:
        return total * (min(max(until, start), end) - start) // (end - start)

    return grown(part[1]) - grown(part[0])


def split(total: int, weights: Mapping[Part, int]) -> dict[Part, int]:
    """Shares of a total, each within one of its exact value and together the total; nothing where nothing weighs."""
    whole = sum(weights.values())
    if not whole:
        return {}
    exact = {part: Fraction(abs(total) * weight, whole) for part, weight in weights.items()}
    shares = {part: int(share) for part, share in exact.items()}
    missing = abs(total) - sum(shares.values())
    for part in sorted(weights, key=lambda part: (shares[part] - exact[part], part))[:missing]:
        shares[part] += 1
    return {part: -share if total < 0 else share for part, share in shares.items()}
