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
    """

    oldest: datetime
    tags: frozenset[str]
    sample_hold: timedelta
