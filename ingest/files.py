"""Files into the ledger: choose the format, read from the known position, land slice by slice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError, LedgerError
from apportion.ledger.connection import Ledger, Session
from ingest.collectors import slices
from ingest.collectors.cutting import Position
from ingest.collectors.files import FileCollector, stream_name
from ingest.formats import parquet
from ingest.formats.format import Format
from ingest.land import Lander, Rules
from ingest.outcome import Outcome
from ingest.spool import Spool

PARQUET_MAGIC = b"PAR1"
FOOTER_BYTES = 64 * 1024
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
            total.add(lander.land(piece, collector.header, collector.evidence()))
            if progress:
                progress(collector.consumed(piece), collector.size, total)
    finally:
        lander.close()
    return total, collector.notes


def position(session: Session, stream: str) -> Position:
    """How far the ledger has read a stream; its beginning where it never did."""
    known = session.rows("SELECT position, records, evidence FROM raw.stream_position WHERE stream = $stream", {"stream": stream})
    if not known:
        return Position()
    offset, records, evidence = known[0]
    return Position(offset=offset, records=records, lines=int(json.loads(evidence).get("lines", 0)), evidence=evidence)


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == PARQUET_MAGIC
    except OSError:
        return False


def _ingest_parquet(
    ledger: Ledger, path: Path, format_: Format, rules: Rules, clock: Clock, *, progress: Progress | None,
) -> tuple[Outcome, list[str]]:
    session, stream = ledger.session(), stream_name(path, format_)
    link = Spool(ledger.work, "inspected")
    link.link(path)
    try:
        canonical, rows = parquet.inspect(session, format_.kind, link.path, path)
    finally:
        link.close()
    evidence = json.dumps({"bytes": path.stat().st_size, "rows": rows, "footer": _footer(path)})
    known = session.rows("SELECT position, evidence FROM raw.stream_position WHERE stream = $stream", {"stream": stream})
    start = known[0][0] if known and known[0][1] == evidence else 0
    total = Outcome()
    lander = Lander(ledger, canonical, rules, clock, stream=stream, file=path.name)
    try:
        for first in range(start, rows, slices.SLICE_RECORDS):
            end = min(rows, first + slices.SLICE_RECORDS)
            total.add(lander.land_rows(path, first, end, evidence))
            if progress:
                progress(end, rows, total)
    except LedgerError as error:
        if "Exception: " in str(error):  # not a full disk or a lock, which have sentences of their own
            raise parquet.unreadable(path, error) from error
        raise
    finally:
        lander.close()
    notes = [f"{path}: not the file that was read before; read from its start, known events are recognised."] if known and not start else []
    return total, notes


def _footer(path: Path) -> str:
    """Digest of a Parquet file's end, which holds sizes, counts and extremes of every column."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - FOOTER_BYTES))
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check the path and its permissions."
        raise InputError(msg) from error
