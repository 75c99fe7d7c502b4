"""Parquet files: whole when they are there at all, read by rows, and not by bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError, LedgerError
from apportion.ledger.connection import Ledger
from ingest import slices
from ingest.bench import Bench
from ingest.collectors.files import stream_name
from ingest.format import Format
from ingest.formats import parquet
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rules import Rules

PARQUET_MAGIC = b"PAR1"
FOOTER_BYTES = 64 * 1024


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does."""
    try:
        with path.open("rb") as file:
            return file.read(4) == PARQUET_MAGIC
    except OSError:
        return False


def land_parquet(
    ledger: Ledger,
    path: Path,
    format_: Format,
    rules: Rules,
    clock: Clock,
    *,
    progress: Callable[[int, int, Outcome], None] | None = None,
    bench: Bench | None = None,
) -> tuple[Outcome, list[str]]:
    """Land the rows that the ledger has not read. Returns: what became of them, and sentences about the file.

    Raises: InputError when the file is no whole Parquet file; what was landed before stays.
    """
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
