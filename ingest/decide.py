"""What becomes of the records of a spooled slice: the statements, in a transaction that somebody else opened.

The clean path decodes the slice once and lands every sound record in one INSERT. Only where an id was met twice does each
record get a verdict of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from apportion.domain.period import HOUR, MICROSECOND, hour_of
from apportion.domain.tokens import TOKENS_MAX
from apportion.ledger import dictionary
from apportion.ledger.connection import Session
from ingest.bench import Bench
from ingest.format import Format
from ingest.outcome import Outcome
from ingest.receipts import firsts
from ingest.rules import Rules
from ingest.slices import Part, Slice
from ingest.unlanded import UncountedError

AHEAD = timedelta(days=1)


class ClashError(Exception):
    """Ids were met twice: land again with a verdict for every record."""


def prepare(bench: Bench, format_: Format, rules: Rules, arrival: datetime, piece: Slice) -> None:
    """Tell the session what the statements read: when this arrives, what is believed, which batch it is."""
    for name, value in {
        "arrival": arrival,
        "ahead": arrival + AHEAD,
        "oldest": rules.oldest_at(arrival),
        "batch_no": bench.session.value("SELECT coalesce(max(batch_no), 0) + 1 FROM raw.batch"),
        "tokens_max": TOKENS_MAX,
        "hold_us": rules.sample_hold // MICROSECOND,
        "careful": False,
        "time_form": format_.time_form,
        "first_record": piece.first_record,
        "slice_start": piece.start,
        "slice_end": piece.end,
        "record_numbers": list(piece.numbers),
    }.items():
        bench.tell(name, value)


def optimistically(bench: Bench, records: int) -> Outcome:
    """Land every sound record. Raises: ClashError, or UncountedError where rows are not the records that went in."""
    session, kind = bench.session, bench.kind
    _take(bench)
    landed = session.do(kind.sql("land"))
    outcome = Outcome(received=landed, landed=landed)
    if landed:
        counted, first, last, outcome.skewed = session.row(kind.sql("batch"))
        window = {"window_start": hour_of(first) - HOUR, "window_end": hour_of(last) + 2 * HOUR}
        if counted != landed or landed > records:
            raise UncountedError
        if session.value(kind.sql("clashes"), window):
            raise ClashError
        if outcome.skewed and kind.skews:
            outcome.skewed = session.do(kind.sql("skewed"))
    return outcome


def carefully(bench: Bench) -> Outcome:
    """Land with a verdict for every sound record."""
    session, kind = bench.session, bench.kind
    _take(bench)
    bench.tell("careful", value=True)
    session.do(kind.sql("staged"))
    written = session.do(kind.sql("careful"))
    # What the careful landing of events writes last are those whose clock ran ahead.
    skewed = written if kind.skews else session.row(kind.sql("batch"))[3]
    verdicts = {str(row[0]): int(row[1]) for row in session.rows("SELECT outcome, count(*) FROM verdict GROUP BY ALL")}
    return Outcome(
        received=sum(verdicts.values()),
        landed=verdicts.get("landed", 0),
        duplicates=verdicts.get("duplicate", 0),
        superseded=verdicts.get("superseded", 0),
        conflicts=verdicts.get("conflict", 0),
        skewed=skewed,
    )


def mark_dirty(bench: Bench) -> None:
    """Write down which hours have to be metered: the batch's, and those that tell of the same calls."""
    session, kind = bench.session, bench.kind
    session.do(kind.sql("dirty"))
    if kind.name == "usage" and session.value(kind.sql("named")):
        session.do(kind.sql("partners"))


def by_part(session: Session, parts: Sequence[Part]) -> dict[tuple[int, str], int]:
    """How many records of each part, by its index, were met before, by verdict; empty after the clean path."""
    if not session.value("SELECT getvariable('careful')"):
        return {}
    bounds = {"firsts": firsts(parts), "counts": [part.records for part in parts]}
    return {(int(index), str(outcome)): int(count) for index, outcome, count in session.rows(_BY_PART, bounds)}


_BY_PART = """
WITH bounds AS (
    SELECT unnest(range(len($firsts::BIGINT[]))) AS part, unnest($firsts::BIGINT[]) AS before, unnest($counts::BIGINT[]) AS records
)
SELECT bounds.part, verdict.outcome, count(*)
FROM verdict
JOIN bounds ON verdict.record > bounds.before AND verdict.record <= bounds.before + bounds.records
WHERE verdict.outcome <> 'landed'
GROUP BY ALL
"""


def _take(bench: Bench) -> None:
    """Decode the slice, and learn the combinations of dimensions that the session has not met."""
    session, kind = bench.session, bench.kind
    session.do(kind.sql("taken"))
    bench.forget_too_many()
    if not session.do(kind.sql("fresh")):
        return
    session.do(kind.sql("series_judged"))
    if kind.names_models:
        models = session.rows("SELECT DISTINCT model FROM judged_series WHERE fault IS NULL")
        dictionary.numbers(session, "book.model", [row[0] for row in models])
    session.do(kind.sql("series"))
