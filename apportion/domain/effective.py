"""Dated reference data: what is in force when, where ranges overlap, and where they leave gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from apportion.domain.period import Period


class Dated(Protocol):
    """Anything with a half-open range of validity."""

    @property
    def effective(self) -> Period:
        """When it is in force."""
        ...


Entry = TypeVar("Entry", bound=Dated)


def in_force(entries: Iterable[Entry], instant: datetime) -> Entry | None:
    """The first entry in force at an instant, in the order given."""
    for entry in entries:
        if entry.effective.start <= instant < entry.effective.end:
            return entry
    return None


def first_overlap(entries: Iterable[Entry]) -> tuple[Entry, Entry] | None:
    """Two entries that are in force at once, or None."""
    ordered = sorted(entries, key=lambda entry: (entry.effective.start, entry.effective.end))
    latest: Entry | None = None
    for entry in ordered:
        if latest is not None and entry.effective.start < latest.effective.end:
            return latest, entry
        if latest is None or entry.effective.end > latest.effective.end:
            latest = entry
    return None


def gaps(ranges: Sequence[Period], within: Period) -> list[Period]:
    """The parts of a period that no range covers, ascending."""
    found: list[Period] = []
    covered = within.start
    for entry in sorted(ranges):
        if entry.start >= within.end:
            break
        if entry.start > covered:
            found.append(Period(covered, entry.start))
        covered = max(covered, entry.end)
    if covered < within.end:
        found.append(Period(covered, within.end))
    return found
