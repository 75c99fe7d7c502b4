"""Try quarantined records again, after the config, the mapping or the program was mended.

What lands now is marked as replayed; what still does not keeps its place in the quarantine, with the newest reason. A
replay moves no stream position: the records were behind it already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger
from ingest.collectors.slices import Slice
from ingest.formats.format import Format
from ingest.land import Lander, Rules
from ingest.outcome import Outcome
from ingest.rejections import BYTES_MAX, expire

Group = tuple[str, str, str]
Waiting = tuple[int, int, int, bytes, bool]


def replay(
    ledger: Ledger, format_of: Callable[[str], Format | None], rules: Rules, clock: Clock,
) -> tuple[Outcome, list[str]]:
    """Land what can now be landed of the quarantine.

    Returns: what became of the records tried, and sentences about those that could not be tried.
    """
    expire(ledger, clock)
    waiting: dict[Group, list[Waiting]] = defaultdict(list)
    for number, format_name, stream, record, line, data, header, replaced in ledger.session().rows(_WAITING, {"bytes_max": BYTES_MAX}):
        waiting[format_name, stream, header].append((number, record, line, data, replaced))
    total, notes = Outcome(), []
    for (format_name, stream, header), records in waiting.items():
        format_ = format_of(format_name)
        if format_ is None:
            notes.append(f"{len(records)} records of format {format_name} wait: the config has no [[sources]] of that name any more.")
            continue
        current = [record for record in records if format_.stands_alone or not record[-1]]
        if len(current) < len(records):
            notes.append(
                f"{len(records) - len(current)} records of {stream} wait: the file was replaced since, and what they said may no "
                "longer hold; what is still wrong in it has been quarantined anew.")
        total.add(_group(ledger, format_, rules, clock, stream, header.encode(), current))
    return total, notes


_WAITING = """
WITH readings AS (
    SELECT stream, batch_no, position_start, lag(position_end) OVER (PARTITION BY stream ORDER BY batch_no) AS before
    FROM raw.batch
    WHERE position_end > position_start
),
restarts AS (
    SELECT stream, max(batch_no) AS batch_no FROM readings WHERE position_start < before GROUP BY stream
)
SELECT rejection.rejection_no, rejection.format, rejection.stream, rejection.record, rejection.line, rejection.bytes,
    coalesce(position.evidence->>'$.header', ''), coalesce(rejection.batch_no < restarts.batch_no, false)
FROM raw.rejection AS rejection
LEFT JOIN raw.stream_position AS position USING (stream) -- NULL: the stream left no position
LEFT JOIN restarts USING (stream) -- NULL: the stream was never read from its start again
WHERE rejection.bytes IS NOT NULL AND rejection.replayed_at IS NULL
    AND octet_length(rejection.bytes) < $bytes_max AND rejection.reason <> 'oversized'
    AND (rejection.reason <> 'malformed' OR sha256(rejection.bytes) = rejection.digest) -- else only a part of it was kept
ORDER BY rejection.stream, rejection.record, rejection.rejection_no
"""


def _group(
    ledger: Ledger, format_: Format, rules: Rules, clock: Clock, stream: str, header: bytes, records: list[Waiting],
) -> Outcome:
    file = stream.rsplit("#", 1)[0].rsplit("/", 1)[-1]
    lander = Lander(ledger, format_, rules, clock, stream=stream, file=file)
    total = Outcome()
    try:
        for number, record, line, data, _ in records:
            cut = format_.cut(data + b"\n", header, "all")
            if cut.records != 1:
                continue
            piece = Slice(
                data=data + b"\n", start=0, end=0, first_record=record - 1, first_line=line - 1, records=1, sifted=cut.sifted)
            total.add(lander.land(piece, header, "{}", replacing=number))
    finally:
        lander.close()
    return total
