"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

from apportion.domain.errors import UsageError


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
    return placed
