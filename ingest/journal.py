"""What a batch came to, and how far its stream has been read: written beside the rows, in their transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from apportion.domain.clock import Clock
from apportion.domain.errors import ApportionError
from apportion.ledger.connection import Ledger, Session
from ingest.outcome import Outcome
from ingest.receipts import Answer, Receipt
from ingest.slices import Part, Slice

REQUEST_DAYS: Final = 7
"""How long an idempotency key is remembered; whoever repeats a request does so within hours."""


class StalePositionError(ApportionError):
    """A slice does not begin where the ledger stands: somebody else has landed the stream meanwhile, or this reader has
    passed something over. Nothing of it was landed; read again from the ledger's position.

    Attributes:
        stream: that moved.
        position: where the ledger stands.
    """

    def __init__(self, stream: str, position: int, start: int) -> None:
        self.stream, self.position = stream, position
        super().__init__(
            f"{stream}: the ledger stands at {position}, and these records begin at {start}; read on from there."
        )


def check_follows(session: Session, parts: Sequence[Part]) -> None:
    """Hold the parts that ask for it against the ledger. Raises: StalePositionError for the first that does not follow."""
    following = [part for part in parts if part.follows]
    if not following:
        return
    names = sorted({part.stream for part in following})
    at: dict[str, int] = dict(session.rows(_STAND, {"streams": names}))
    for part in following:
        if at.get(part.stream, part.start) != part.start:
            raise StalePositionError(part.stream, at[part.stream], part.start)
        at[part.stream] = part.end


_STAND = "SELECT stream, position FROM raw.stream_position WHERE stream IN (SELECT unnest($streams::VARCHAR[]))"


def enter_parts(session: Session, receipts: Sequence[Receipt], answer: Answer | None) -> None:
    """One row of raw.batch_part per part, the positions of their streams, and the answers to requests that carry a key."""
    session.do(_PARTS, {"parts": json.dumps([_part_row(receipt) for receipt in receipts])})
    last: dict[str, dict[str, object]] = {}
    for receipt in receipts:
        part = receipt.part
        records = part.first_record + part.records if not part.numbers else part.numbers[-1]
        last[part.stream] = {"stream": part.stream, "position": part.end, "records": records, "evidence": part.evidence}
    session.do(_POSITIONS, {"positions": json.dumps(list(last.values()))})
    keyed = [receipt for receipt in receipts if receipt.part.request]
    if keyed and answer:
        rows = [
            {"key": one.part.request, "stream": one.part.stream, "digest": one.part.digest, "answer": answer(one)}
            for one in keyed
        ]
        session.do(_REQUESTS, {"requests": json.dumps(rows)})


def forget_requests(ledger: Ledger, clock: Clock) -> int:
    """Forget answers that nobody will ask for again. Returns: how many."""
    with ledger.transaction() as session:
        return session.do(
            "DELETE FROM raw.request WHERE answered_at < $oldest",
            {"oldest": clock.now() - timedelta(days=REQUEST_DAYS)},
        )


def _part_row(receipt: Receipt) -> dict[str, object]:
    part, outcome = receipt.part, receipt.outcome
    return {
        "stream": part.stream,
        "position_start": part.start,
        "position_end": part.end,
        "received": outcome.received,
        "landed": outcome.landed,
        "duplicates": outcome.duplicates,
        "superseded": outcome.superseded,
        "conflicts": outcome.conflicts,
        "rejected": outcome.rejected,
    }


_PARTS = """
INSERT INTO raw.batch_part
SELECT getvariable('batch_no'), part.*
FROM (SELECT unnest(from_json($parts, '[{"stream": "VARCHAR", "position_start": "BIGINT", "position_end": "BIGINT",
    "received": "BIGINT", "landed": "BIGINT", "duplicates": "BIGINT", "superseded": "BIGINT", "conflicts": "BIGINT",
    "rejected": "BIGINT"}]')) AS part)
"""

_POSITIONS = """
INSERT INTO raw.stream_position
SELECT entry.stream, entry.position, entry.records, entry.evidence, getvariable('arrival')
FROM (SELECT unnest(from_json($positions, '[{"stream": "VARCHAR", "position": "BIGINT", "records": "BIGINT",
    "evidence": "VARCHAR"}]')) AS entry)
ON CONFLICT (stream) DO UPDATE SET position = excluded.position, records = excluded.records, evidence = excluded.evidence,
    updated_at = excluded.updated_at
"""

_REQUESTS = """
INSERT INTO raw.request
SELECT entry.key, entry.stream, entry.digest, getvariable('arrival'), entry.answer
FROM (SELECT unnest(from_json($requests, '[{"key": "VARCHAR", "stream": "VARCHAR", "digest": "VARCHAR",
    "answer": "VARCHAR"}]')) AS entry)
"""


def enter(session: Session, kind: str, format_name: str, stream: str, piece: Slice, outcome: Outcome) -> None:
    """One row of raw.batch."""
    session.do(
        _BATCH,
        {
            "kind": kind,
            "format": format_name,
            "stream": stream,
            "start": piece.start,
            "end": piece.end,
            "received": outcome.received,
            "landed": outcome.landed,
            "duplicates": outcome.duplicates,
            "superseded": outcome.superseded,
            "conflicts": outcome.conflicts,
            "rejected": outcome.rejected,
            "skewed": outcome.skewed,
            "dropped_tags": outcome.dropped_tags,
        },
    )
    if outcome.claimed:
        session.do("INSERT INTO raw.claim VALUES (getvariable('batch_no'), $events)", {"events": outcome.claimed})


def move(session: Session, stream: str, piece: Slice, outcome: Outcome, evidence: str) -> None:
    """Bring a stream's position to the end of a slice."""
    records = piece.first_record + outcome.received
    session.do(_POSITION, {"stream": stream, "position": piece.end, "records": records, "evidence": evidence})


def dropped_tags(session: Session) -> int:
    """Tag values of the batch's events that are not on the allow-list.

    Events of one series dropped equally many as a rule, and the rows tell; where not, the slice is read once more.
    """
    if not session.value("SELECT count(*) FROM known_series WHERE dropped_tags > 0"):
        return 0
    if session.value("SELECT getvariable('careful')"):
        return int(session.value(_DROPPED_CAREFULLY))
    return int(session.value(_DROPPED_EXACTLY if session.value(_UNEVEN) else _DROPPED))


def claimed(session: Session) -> int:
    """The batch's events whose caller wrote who is to pay, which nobody believed."""
    if not session.value(
        "SELECT count(*) FROM known_series WHERE contains(series_key, '\"' || getvariable('claim_mark') || '\"')"
    ):
        return 0
    return int(session.value(_CLAIMED_CAREFULLY if session.value("SELECT getvariable('careful')") else _CLAIMED))


_CLAIMED = """
SELECT count(*)
FROM taken
JOIN known_series AS series ON series.series_key = taken.series_key AND series.series_no IS NOT NULL
WHERE taken.sound AND contains(taken.series_key, '"' || getvariable('claim_mark') || '"')
"""

_CLAIMED_CAREFULLY = """
SELECT count(*)
FROM numbered JOIN verdict USING (record)
WHERE verdict.outcome IN ('landed', 'superseded') AND contains(numbered.tags, '"' || getvariable('claim_mark') || '"')
"""

_UNEVEN = """
SELECT count(*)
FROM (SELECT series_no FROM known_series WHERE fault IS NULL GROUP BY series_no HAVING min(dropped_tags) < max(dropped_tags)) AS uneven
WHERE series_no IN (SELECT series_no FROM raw.usage_event WHERE batch_no = getvariable('batch_no'))
"""

_DROPPED = """
SELECT coalesce(sum(dropped.dropped_tags), 0)::BIGINT
FROM raw.usage_event AS event
JOIN (SELECT series_no, max(dropped_tags) AS dropped_tags FROM known_series WHERE dropped_tags > 0 GROUP BY series_no) AS dropped
    USING (series_no)
WHERE event.batch_no = getvariable('batch_no')
"""

_DROPPED_EXACTLY = """
SELECT coalesce(sum(series.dropped_tags), 0)::BIGINT
FROM decoded_usage('incoming') AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.dropped_tags > 0
WHERE decoded.sound
"""

_DROPPED_CAREFULLY = """
SELECT coalesce(sum(series.dropped_tags), 0)::BIGINT
FROM decoded_usage('numbered') AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.dropped_tags > 0
JOIN verdict USING (record)
WHERE verdict.outcome IN ('landed', 'superseded')
"""

_BATCH = """
INSERT INTO raw.batch
VALUES (getvariable('batch_no'), $kind, $format, $stream, $start, $end, getvariable('arrival'), $received, $landed, $duplicates,
    $superseded, $conflicts, $rejected, $skewed, $dropped_tags)
"""

_POSITION = """
INSERT INTO raw.stream_position VALUES ($stream, $position, $records, $evidence, getvariable('arrival'))
ON CONFLICT (stream) DO UPDATE SET position = excluded.position, records = excluded.records, evidence = excluded.evidence,
    updated_at = excluded.updated_at
"""
