"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from apportion.config.values import stamp
from apportion.domain.errors import UsageError
from apportion.domain.period import Period

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9998
"""As in the config; beyond them a day or an hour further is no time any more."""


def instant(text: str | None, option: str) -> datetime | None:
    """The time that an option gives, in UTC; None where it was left out. Raises: UsageError."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        placed = found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r} is not a time; write it as 2026-10-01T00:00Z.") from None
    if placed is None:
        raise UsageError(f"{option} {text!r} has no zone; end it in Z, as in 2026-10-01T00:00Z.")
    _within(placed, text, option)
    return placed


def day(text: str, option: str) -> Period:
    """The day in UTC that an option gives. Raises: UsageError."""
    try:
        start = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a day; write it as 2026-10-01.") from None
    _within(start, text, option)
    return Period(start, start + timedelta(days=1))


def ascending(since: datetime | None, until: datetime | None) -> None:
    """Whether a span that two options give holds any time. Raises: UsageError."""
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--since {stamp(since)} is not before --until {stamp(until)}; correct one of them.")


def _within(moment: datetime, text: str, option: str) -> None:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UsageError(
            f"{option} {text!r} is outside the years {FIRST_YEAR} to {LAST_YEAR}; write it as 2026-10-01T00:00Z."
        )
