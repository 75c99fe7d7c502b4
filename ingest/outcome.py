"""What became of records: counts that always add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """Records of one or more batches.

    Attributes:
        received: records that arrived.
        landed: new ids.
        duplicates: the same content again.
        superseded: other revisions of ids that have landed, and samples that completed one that had.
        conflicts: the same id and revision with other content, quarantined.
        rejected: records that could not be read or believed, quarantined.
        skewed: landed records whose clock ran up to a day ahead.
        dropped_tags: tag values not on the allow-list.
        claimed: landed records whose caller wrote who is to pay, which is not believed.
        rejections: rejected records by reason.

    Invariant: received = landed + duplicates + superseded + conflicts + rejected.
    """

    received: int = 0
    landed: int = 0
    duplicates: int = 0
    superseded: int = 0
    conflicts: int = 0
    rejected: int = 0
    skewed: int = 0
    dropped_tags: int = 0
    claimed: int = 0
    rejections: Counter[str] = field(default_factory=Counter)

    def add(self, other: Outcome) -> None:
        """Count another batch in."""
        for name in (
            "received",
            "landed",
            "duplicates",
            "superseded",
            "conflicts",
            "rejected",
            "skewed",
            "dropped_tags",
            "claimed",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rejections.update(other.rejections)

    def as_dict(self) -> dict[str, object]:
        """The counts under the names that `ingest --json` prints."""
        return {
            "received": self.received,
            "landed": self.landed,
            "duplicates": self.duplicates,
            "superseded": self.superseded,
            "conflicts": self.conflicts,
            "rejected": self.rejected,
            "skewed": self.skewed,
            "dropped_tags": self.dropped_tags,
            "claimed": self.claimed,
            "rejections": dict(sorted(self.rejections.items())),
        }
