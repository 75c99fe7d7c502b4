"""Times as canonical records write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(nanoseconds: int) -> str | None:
    """RFC 3339 to the microsecond; None for 0, and a time that no calendar has as its number, for landing to reject and show."""
    if not nanoseconds:
        return None
    try:
        found = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return str(nanoseconds)
    return found.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
