"""Charge periods (hours), billing periods (months) and half-open ranges, in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
MICROSECOND: Final = timedelta(microseconds=1)
HOUR_US: Final = 3_600_000_000
FOREVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""An open `effective_to`: an ordinary time, so that every comparison is an ordinary one."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A half-open range `[start, end)` of aware UTC times.

    Attributes:
        start: first instant inside.
        end: first instant outside; never before start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            msg = f"period {self.start} to {self.end} has no zone"
            raise ValueError(msg)
        if self.end < self.start:
            msg = f"period ends at {self.end}, before it starts at {self.start}"
            raise ValueError(msg)

    def overlap_us(self, other: Period) -> int:
        """Microseconds that both periods share."""
        shared = min(self.end, other.end) - max(self.start, other.start)
        return max(0, shared // MICROSECOND)

    def overlaps(self, other: Period) -> bool:
        """Whether the periods share an instant."""
        return self.start < other.end and other.start < self.end

    def hours(self) -> Iterator[datetime]:
        """Starts of the hours that the period touches."""
        hour = hour_of(self.start)
        while hour < self.end:
            yield hour
            hour += HOUR


def hour_of(instant: datetime) -> datetime:
    """Start of the charge period that holds an instant."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def month_of(instant: datetime) -> datetime:
    """Start of the billing period that holds an instant."""
    return hour_of(instant).replace(day=1, hour=0)


def next_month(start: datetime) -> datetime:
    """Start of the month after the one that starts here."""
    return month_of(start + timedelta(days=31))


def month(label: str) -> Period:
    """The billing period named `2026-10`. Raises: ValueError with the expected form."""
    if not re.fullmatch(r"(?!0000|9999)[0-9]{4}-(0[1-9]|1[0-2])", label):
        msg = f"{label!r} is not a month; write it as 2026-10"
        raise ValueError(msg)
    start = datetime.strptime(label, "%Y-%m").replace(tzinfo=UTC)
    return Period(start, next_month(start))


def spans(hours: Iterable[datetime]) -> list[Period]:
    """Hours joined into the fewest contiguous periods, ascending, none crossing a month."""
    joined: list[Period] = []
    for hour in sorted(set(hours)):
        last = joined[-1] if joined else None
        if last and last.end == hour and month_of(last.start) == month_of(hour):
            joined[-1] = Period(last.start, hour + HOUR)
        else:
            joined.append(Period(hour, hour + HOUR))
    return joined
