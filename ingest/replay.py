"""Try quarantined records again, after the config, the mapping or the program was mended.

What lands now is marked as replayed; what still does not keeps its place in the quarantine, with the newest reason. A
replay moves no stream position: the records were behind it already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger, Session
from ingest.format import Format
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rejections import BYTES_MAX, expire
from ingest.rules import Rules
from ingest.slices import Record, Slice
from ingest.streams import shown_name

RECORDS_AT_ONCE = 2_000
"""Of at most 64 KiB each, so that they stay below a slice."""


def replay(
    ledger: Ledger,
    format_of: Callable[[str], Format | None],
    rules_of: Callable[[str], Rules | None],
    clock: Clock,
) -> tuple[Outcome, list[str]]:
    """Land what can now be landed of the quarantine.

    Args:
        ledger: whose quarantine.
        format_of: a format by its name, or None.
        rules_of: what is believed of a stream's source, or None where there is no such source any more.
        clock: says when it is.

    Returns: what became of the records tried, and sentences about those that could not be tried.
    """
    expire(ledger, clock)
    session, total, notes = ledger.session(), Outcome(), []
    for format_name, stream, header, records, outdated in session.rows(_GROUPS, {"bytes_max": BYTES_MAX}):
        format_ = format_of(format_name)
        if format_ is None:
            notes.append(
                f"{records} records of format {format_name} wait: the config has no [[sources]] of that name any more."
            )
            continue
        if outdated and not format_.stands_alone:
            notes.append(
                f"{outdated} records of {stream} wait: the file was replaced since, and what they said may no longer hold; what is "
                "still wrong in it has been quarantined anew."
            )
        rules = rules_of(stream)
        if rules is None:
            notes.append(f"{records} records of {stream} wait: the config has no [[sources]] of that name any more.")
            continue
        lander = Lander(ledger, format_, rules, clock, stream=stream, file=shown_name(stream))
        try:
            for piece, numbers in _slices(session, format_, {"format": format_name, "stream": stream}, header.encode()):
                total.add(lander.land(piece, header.encode(), "{}", replacing=numbers))
        except InputError as error:
            notes.append(f"{stream}: {error}")
        finally:
            lander.close()
    return total, notes


def _slices(
    session: Session,
    format_: Format,
    of: dict[str, Any],
    header: bytes,
) -> Iterator[tuple[Slice, tuple[int, ...]]]:
    """The waiting records of a stream, each told apart by itself, with the numbers of their rejections."""
    last = 0
    while rows := session.rows(
        _WAITING, {**of, "last": last, "bytes_max": BYTES_MAX, "outdated": format_.stands_alone}
    ):
        last = rows[-1][0]
        records: list[Record] = []
        kept: list[tuple[int, int]] = []
        data = b""
        for number, record_number, record in rows:
            sifted = format_.sift(record, header)
            if len(sifted) == 1:
                start, end = len(data) + sifted[0].start, len(data) + sifted[0].end
                records.append(replace(sifted[0], line_ends=0, start=start, end=end))
                kept.append((number, record_number))
                data += record + b"\n"
        if records:
            piece = Slice(
                data=data,
                start=0,
                end=0,
                first_record=0,
                first_line=0,
                records=len(records),
                sifted=tuple(records),
                numbers=tuple(record_number for _, record_number in kept),
            )
            yield piece, tuple(number for number, _ in kept)


_REPLAYABLE = """
WITH readings AS (
    SELECT stream, batch_no, position_start, lag(position_end) OVER (PARTITION BY stream ORDER BY batch_no) AS before
    FROM raw.batch
    WHERE position_end > position_start
),
restart AS (
    SELECT stream, max(batch_no) AS batch_no FROM readings WHERE position_start < before GROUP BY stream
),
waiting AS (
    SELECT rejection.*, coalesce(rejection.batch_no < restart.batch_no, false) AS is_outdated
    FROM raw.rejection AS rejection
    LEFT JOIN restart USING (stream) -- NULL: the stream was never read from its start again
    WHERE rejection.bytes IS NOT NULL AND rejection.replayed_at IS NULL
        AND octet_length(rejection.bytes) < $bytes_max AND rejection.reason NOT IN ('oversized', 'unknown_format')
        AND (rejection.reason <> 'malformed' OR sha256(rejection.bytes) = rejection.digest) -- else only a part of it was kept
)
"""

_GROUPS = (
    _REPLAYABLE
    + """
SELECT waiting.format, waiting.stream, coalesce(position.evidence->>'$.header', ''), count(*), count(*) FILTER (waiting.is_outdated)
FROM waiting
LEFT JOIN raw.stream_position AS position USING (stream) -- NULL: the stream left no position
GROUP BY ALL
ORDER BY ALL
"""
)

_WAITING = (
    _REPLAYABLE
    + f"""
SELECT rejection_no, record, bytes
FROM waiting
WHERE format = $format AND stream = $stream AND rejection_no > $last AND ($outdated OR NOT is_outdated)
ORDER BY rejection_no
LIMIT {RECORDS_AT_ONCE}
"""
)
