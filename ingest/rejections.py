"""The quarantine: records that were not landed, with why, where from, and their bytes while they may still be wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from apportion.ledger.connection import Session

BYTES_MAX = 64 * 1024
KEEP_DAYS = 30


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record that was not landed.

    Attributes:
        record: its number in the stream, from 1; headers and blank lines do not count.
        line: its line in the stream, from 1.
        fault: `reason: detail`; the reason is from a bounded vocabulary.
        source: who reported it, where that could be read.
        data: its bytes.
    """

    record: int
    line: int
    fault: str
    source: str
    data: bytes

    @property
    def reason(self) -> str:
        """The part of the fault that is counted."""
        return self.fault.split(":", 1)[0]


def quarantine(session: Session, rejections: Sequence[Rejection], *, kind: str, format_name: str, stream: str) -> None:
    """Keep rejections of the current batch, in its transaction."""
    if not rejections:
        return
    rows = json.dumps([
        {"record": r.record, "line": r.line, "source": r.source, "reason": r.reason, "detail": r.fault.split(":", 1)[-1].strip(),
         "digest": hashlib.sha256(r.data).hexdigest(), "bytes": r.data[:BYTES_MAX].hex()}
        for r in rejections
    ])
    session.do(
        """
        INSERT INTO raw.rejection
        SELECT (SELECT coalesce(max(rejection_no), 0) FROM raw.rejection) + row_number() OVER (ORDER BY entry.record),
            getvariable('batch_no'), $kind, $format, $stream, entry.source, entry.record, entry.line, entry.reason, entry.detail, entry.digest,
            unhex(entry.bytes), getvariable('arrival'), NULL
        FROM (SELECT unnest(from_json($rows, '[{"record": "BIGINT", "line": "BIGINT", "source": "VARCHAR", "reason": "VARCHAR",
            "detail": "VARCHAR", "digest": "VARCHAR", "bytes": "VARCHAR"}]')) AS entry)
        """,
        {"kind": kind, "format": format_name, "stream": stream, "rows": rows},
    )


def judged_again(session: Session, rejection_no: int, rejections: Sequence[Rejection]) -> None:
    """What became of a rejection that was tried again: replayed, or the newest reason why it still stays."""
    still = rejections[0] if rejections else None
    session.do(
        """
        UPDATE raw.rejection
        SET replayed_at = CASE WHEN $reason = '' THEN getvariable('arrival') END,
            reason = CASE WHEN $reason = '' THEN reason ELSE $reason END,
            detail = CASE WHEN $reason = '' THEN detail ELSE $detail END
        WHERE rejection_no = $number
        """,
        {"number": rejection_no, "reason": still.reason if still else "",
         "detail": still.fault.split(":", 1)[-1].strip() if still else ""})


def expire(session: Session) -> int:
    """Forget the bytes of rejections that are old enough; who, where and why stay. Returns: how many."""
    return session.do(
        f"UPDATE raw.rejection SET bytes = NULL WHERE bytes IS NOT NULL "
        f"AND rejected_at < getvariable('arrival')::TIMESTAMP - INTERVAL {KEEP_DAYS} DAY")
