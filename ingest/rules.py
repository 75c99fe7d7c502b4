"""What ingest believes, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What landing believes.

    Attributes:
        oldest: records before it are rejected.
        tags: tag keys that are kept.
        sample_hold: how long a GPU sample speaks for its device.
        late: records older than this at arrival are rejected; None where only `oldest` counts.
        sources: globs (`*` and `?`); an event whose source none of them matches is rejected. Empty believes any source.
    """

    oldest: datetime
    tags: frozenset[str]
    sample_hold: timedelta
    late: timedelta | None = None
    sources: tuple[str, ...] = ()

    def oldest_at(self, arrival: datetime) -> datetime:
        """Nothing that happened before it is accepted now."""
        return self.oldest if self.late is None else max(self.oldest, arrival - self.late)
