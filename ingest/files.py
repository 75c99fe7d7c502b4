"""Files into the ledger: choose the format, read from the known position, land slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger, Session
from ingest.collectors.files import FileCollector, Position
from ingest.collectors.slices import SLICE_RECORDS
from ingest.formats import parquet
from ingest.formats.format import Format
from ingest.land import Lander, Rules
from ingest.outcome import Outcome
from ingest.spool import Spool

PARQUET_MAGIC = b"PAR1"
Progress = Callable[[int, int, Outcome], None]
"""Called after each batch: how far, of how much (bytes of the file, or rows), and the outcome so far."""


def ingest_file(
    ledger: Ledger, path: Path, format_: Format, rules: Rules, clock: Clock, *, progress: Progress | None = None,
) -> tuple[Outcome, list[str]]:
    """Land what a file has beyond what the ledger has read of it.

    Returns: what became of the records read now, and sentences about the file itself.
    Raises: InputError when the file cannot be read; what was landed before stays.
    """
    if _is_parquet(path):
        return _ingest_parquet(ledger, path, format_, rules, clock, progress=progress)
    collector = FileCollector(path, format_)
    lander = Lander(ledger, format_, rules, clock, stream=collector.stream, file=path.name)
    total = Outcome()
    try:
        for piece in collector.slices(position(ledger.session(), collector.stream)):
            total.add(lander.land(piece, collector.header, collector.evidence(piece)))
            if progress:
                progress(collector.consumed(piece), collector.size, total)
    finally:
        lander.close()
    return total, collector.notes


def position(session: Session, stream: str) -> Position:
    """How far the ledger has read a stream; its beginning where it never did."""
    known = session.rows("SELECT position, records, evidence FROM raw.stream_position WHERE stream = $stream", {"stream": stream})
    return Position.at(*known[0]) if known else Position()


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == PARQUET_MAGIC
    except OSError:
        return False


def _ingest_parquet(
    ledger: Ledger, path: Path, format_: Format, rules: Rules, clock: Clock, *, progress: Progress | None,
) -> tuple[Outcome, list[str]]:
    session = ledger.session()
    link = Spool(ledger.work, f"inspect-{path.stem}")
    link.link(path)
    try:
        canonical, rows = parquet.inspect(session, format_.kind, link.path, path)
    finally:
        link.close()
    stream = f"file:{path.resolve()}#{format_.name}"
    stat = path.stat()
    evidence = f'{{"bytes": {stat.st_size}, "rows": {rows}}}'
    known = session.rows("SELECT position, evidence FROM raw.stream_position WHERE stream = $stream", {"stream": stream})
    start = known[0][0] if known and known[0][1] == evidence else 0
    total = Outcome()
    lander = Lander(ledger, canonical, rules, clock, stream=stream, file=path.name)
    try:
        for first in range(start, rows, SLICE_RECORDS):
            total.add(lander.land_rows(path, first, min(rows, first + SLICE_RECORDS), evidence))
            if progress:
                progress(min(rows, first + SLICE_RECORDS), rows, total)
    finally:
        lander.close()
    return total, []
