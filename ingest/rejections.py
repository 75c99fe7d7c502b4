"""The quarantine: records that were not landed, with why, where from, and what may be kept while it may be wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger, Session

BYTES_MAX = 64 * 1024
KEEP_DAYS = 30
GROUP_BYTES = 16 * 1024 * 1024
"""About how much is handed to DuckDB at once: a slice may be nothing but rejections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One record that was not landed.

    Attributes:
        record: its number in the stream, from 1; headers and blank lines do not count.
        line: its line in the stream, from 1.
        fault: `reason: detail`; the reason is from a bounded vocabulary.
        source: who reported it, where that could be read.
        digest: SHA-256 of its bytes, hexadecimal.
        kept: what may be kept of its bytes; None where nothing may.
        stream: whose record it is, where that is not the stream of the whole batch.
    """

    record: int
    line: int
    fault: str
    source: str
    digest: str
    kept: bytes | None
    stream: str = ""

    @property
    def reason(self) -> str:
        """The part of the fault that is counted."""
        return self.fault.split(":", 1)[0]

    @property
    def detail(self) -> str:
        """The part of the fault that is for people."""
        return self.fault.split(":", 1)[-1].strip()


def quarantine(session: Session, rejections: Sequence[Rejection], *, kind: str, format_name: str, stream: str) -> None:
    """Keep rejections of the current batch, in its transaction; `stream` is of those that name no other."""
    for rows in _groups(rejections):
        session.do(_KEEP, {"kind": kind, "format": format_name, "stream": stream, "rows": f"[{','.join(rows)}]"})


def _groups(rejections: Sequence[Rejection]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for r in sorted(rejections, key=lambda rejection: (rejection.stream, rejection.record)):
        row = json.dumps(
            {
                "record": r.record,
                "line": r.line,
                "stream": r.stream,
                "source": r.source,
                "reason": r.reason,
                "detail": r.detail,
                "digest": r.digest,
                "bytes": None if r.kept is None else r.kept[:BYTES_MAX].hex(),
            }
        )
        group.append(row)
        size += len(row)
        if size > GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


_KEEP = """
INSERT INTO raw.rejection
SELECT
    (SELECT coalesce(max(rejection_no), 0) FROM raw.rejection) + row_number() OVER (ORDER BY entry.stream, entry.record, entry.line),
    getvariable('batch_no'), $kind, $format, coalesce(nullif(entry.stream, ''), $stream), entry.source, entry.record, entry.line,
    entry.reason, entry.detail, entry.digest, unhex(entry.bytes), getvariable('arrival'), NULL
FROM (SELECT unnest(from_json($rows, '[{"record": "BIGINT", "line": "BIGINT", "stream": "VARCHAR", "source": "VARCHAR", "reason": "VARCHAR",
    "detail": "VARCHAR", "digest": "VARCHAR", "bytes": "VARCHAR"}]')) AS entry)
"""


def judged_again(session: Session, numbers: Sequence[int], rejections: Sequence[Rejection]) -> None:
    """What became of rejections that were tried again: replayed, or the newest reason why they still stay.

    Args:
        session: in the transaction of the replay.
        numbers: the rejections tried, in the order of their records in the slice.
        rejections: of the slice; its records are numbered from 1.
    """
    session.do(
        "UPDATE raw.rejection SET replayed_at = getvariable('arrival') WHERE rejection_no IN (SELECT unnest($numbers::BIGINT[]))",
        {"numbers": list(numbers)},
    )
    still = [{"number": numbers[r.record - 1], "reason": r.reason, "detail": r.detail} for r in rejections]
    session.do(
        """
        UPDATE raw.rejection SET replayed_at = NULL, reason = entry.reason, detail = entry.detail
        FROM (SELECT unnest(from_json($still, '[{"number": "BIGINT", "reason": "VARCHAR", "detail": "VARCHAR"}]')) AS entry) AS judged
        WHERE rejection_no = entry.number
        """,
        {"still": json.dumps(still)},
    )


def expire(ledger: Ledger, clock: Clock) -> int:
    """Forget what was kept of rejections that are old enough; who, where and why stay. Returns: how many."""
    with ledger.transaction() as session:
        return session.do(
            "UPDATE raw.rejection SET bytes = NULL WHERE bytes IS NOT NULL AND rejected_at < $oldest",
            {"oldest": clock.now() - timedelta(days=KEEP_DAYS)},
        )
