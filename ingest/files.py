"""Files into the ledger: choose the format, read from the known position, land slice by slice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError, LedgerError
from apportion.ledger.connection import Ledger, Session
from ingest import slices
from ingest.bench import Bench
from ingest.collectors.cutting import Position
from ingest.collectors.files import FileCollector, stream_name
from ingest.format import Format
from ingest.formats import parquet
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rules import Rules

PARQUET_MAGIC = b"PAR1"
FOOTER_BYTES = 64 * 1024
Progress = Callable[[int, int, Outcome], None]
"""Called after each batch: how far, of how much (bytes of the file, or rows), and the outcome so far."""


def ingest_file(
    ledger: Ledger,
    path: Path,
    format_: Format,
    rules: Rules,
    clock: Clock,
    *,
    progress: Progress | None = None,
    bench: Bench | None = None,
) -> tuple[Outcome, list[str]]:
    """Land what a file has beyond what the ledger has read of it.

    Args:
        ledger: to land in.
        path: of the file.
        format_: what it says.
        rules: what is believed.
        clock: says when it arrives.
        progress: is told after each slice.
        bench: of the format's kind, for whoever lands many files.

    Returns: what became of the records read now, and sentences about the file itself.
    Raises: InputError when the file cannot be read; what was landed before stays.
    """
    if _is_parquet(path):
        return _ingest_parquet(ledger, path, format_, rules, clock, progress=progress, bench=bench)
    collector = FileCollector(path, format_)
    lander = Lander(ledger, format_, rules, clock, stream=collector.stream, file=path.name, bench=bench)
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
    known = session.rows(
        "SELECT position, records, evidence FROM raw.stream_position WHERE stream = $stream", {"stream": stream}
    )
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
    ledger: Ledger,
    path: Path,
    format_: Format,
    rules: Rules,
    clock: Clock,
    *,
    progress: Progress | None,
    bench: Bench | None,
) -> tuple[Outcome, list[str]]:
    stream, contents = stream_name(path, format_), _contents(path)
    known = ledger.session().rows(
        "SELECT position, evidence FROM raw.stream_position WHERE stream = $stream", {"stream": stream}
    )
    read = json.loads(known[0][1]) if known else {}
    start = known[0][0] if read.get("contents") == contents else 0
    if start and start == read["rows"]:
        return Outcome(), []
    own = bench or Bench(ledger, format_.kind)
    total = Outcome()
    try:
        own.spool.link(path)
        canonical, rows = parquet.inspect(own.session, format_.kind, own.spool.path, path)
        lander = Lander(ledger, canonical, rules, clock, stream=stream, file=path.name, bench=own)
        evidence = json.dumps({"contents": contents, "rows": rows})
        for first in range(start, rows, slices.SLICE_RECORDS):
            end = min(rows, first + slices.SLICE_RECORDS)
            total.add(lander.land_rows(first, end, evidence))
            if progress:
                progress(end, rows, total)
    except LedgerError as error:
        if "Exception: " in str(error):  # not a full disk or a lock, which have sentences of their own
            raise parquet.unreadable(path, error) from error
        raise
    finally:
        own.close()
    if known and not start:
        return total, [f"{path}: not the file that was read before; read from its start, known events are recognised."]
    return total, []


def _contents(path: Path) -> str:
    """Digest of a Parquet file's size and end, where the sizes, counts and extremes of every column stand."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - FOOTER_BYTES))
            return hashlib.sha256(f"{size} ".encode() + file.read()).hexdigest()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check the path and its permissions."
        raise InputError(msg) from error
