"""What the relay keeps: requests as they were sent, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

ENTRY_BYTES: Final = 512
"""What a request takes beside its body, so that empty ones are bounded too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A request as it was sent.

    Attributes:
        path: where to, with its query.
        content_type: as the sender gave it, or empty.
        content_encoding: as the sender gave it, or empty.
        body: its bytes, never decoded here.
        received_at: when it arrived.
        sequence: its number in the spool; 0 before it has one.
    """

    path: str
    content_type: str
    content_encoding: str
    body: bytes
    received_at: datetime
    sequence: int = 0

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return ENTRY_BYTES + len(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A request that the receiver will never take.

    Attributes:
        sequence: its number.
        path: where to.
        body_bytes: how long its body is.
        received_at: when it arrived.
        status: what the receiver answered.
        answer: the beginning of what it said.
    """

    sequence: int
    path: str
    body_bytes: int
    received_at: datetime
    status: int
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a spool holds.

    Attributes:
        waiting: requests to be delivered.
        waiting_bytes: of them.
        refused: requests set aside.
        refused_bytes: of them.
        oldest_at: when the first waiting one arrived, None without any.
    """

    waiting: int
    waiting_bytes: int
    refused: int
    refused_bytes: int
    oldest_at: datetime | None
