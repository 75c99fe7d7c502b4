"""What a batch came to, and how far its stream has been read: written beside the rows, in their transaction."""

from __future__ import annotations

from apportion.ledger.connection import Session
from ingest.outcome import Outcome
from ingest.slices import Slice


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
