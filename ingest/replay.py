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

Group = tuple[str, str, str]
Waiting = tuple[int, int, int, bytes]


def replay(
    ledger: Ledger, format_of: Callable[[str], Format | None], rules: Rules, clock: Clock,
) -> tuple[Outcome, list[str]]:
    """Land what can now be landed of the quarantine.

    Returns: what became of the records tried, and sentences about those that could not be tried.
    """
    waiting: dict[Group, list[Waiting]] = defaultdict(list)
    for number, format_name, stream, record, line, data, header in ledger.session().rows(_WAITING):
        waiting[format_name, stream, header].append((number, record, line, data))
    total, notes = Outcome(), []
    for (format_name, stream, header), records in waiting.items():
        format_ = format_of(format_name)
        if format_ is None:
            notes.append(f"{len(records)} records of format {format_name} wait: the config has no [[sources]] of that name any more.")
            continue
        total.add(_group(ledger, format_, rules, clock, stream, header.encode(), records))
    return total, notes


_WAITING = """
SELECT rejection.rejection_no, rejection.format, rejection.stream, rejection.record, rejection.line, rejection.bytes,
    coalesce(position.evidence->>'$.header', '')
FROM raw.rejection AS rejection
LEFT JOIN raw.stream_position AS position USING (stream) -- NULL: the stream left no position
WHERE rejection.bytes IS NOT NULL AND rejection.replayed_at IS NULL
ORDER BY rejection.stream, rejection.record, rejection.rejection_no
"""


def _group(
    ledger: Ledger, format_: Format, rules: Rules, clock: Clock, stream: str, header: bytes, records: list[Waiting],
) -> Outcome:
    file = stream.rsplit("#", 1)[0].rsplit("/", 1)[-1]
    lander = Lander(ledger, format_, rules, clock, stream=stream, file=file)
    total = Outcome()
    try:
        for number, record, line, data in records:
            piece = Slice(data=data + b"\n", start=0, end=0, first_record=record - 1, first_line=line - 1, records=1)
            outcome = lander.land(piece, header, "{}", replacing=number)
            total.add(outcome)
    finally:
        lander.close()
    return total
