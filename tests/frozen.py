"""Time in tests: it stands still, and moves only where a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 10, 1, tzinfo=UTC)


class FrozenClock:
    """A clock that stands where it was put; it is a `Clock`."""

    def __init__(self, instant: datetime = START) -> None:
        self.instant = instant

    def now(self) -> datetime:
        """Where it stands, always the same."""
        return self.instant

    def set(self, instant: datetime) -> None:
        """Put it elsewhere, backwards too."""
        self.instant = instant

    def advance(self, span: timedelta) -> datetime:
        """Move it on. Returns: where it stands then."""
        self.instant += span
        return self.instant
