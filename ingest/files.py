"""Files into the ledger: choose the format, read from the known position, land slice by slice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger, Session
from ingest.bench import Bench
from ingest.collectors.cutting import Position
from ingest.collectors.files import FileCollector
from ingest.collectors.identity import Streams
from ingest.collectors.parquet_files import is_parquet, land_parquet
from ingest.format import Format
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rules import Rules
from ingest.streams import shown_name

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
    if is_parquet(path):
        return land_parquet(ledger, path, format_, rules, clock, progress=progress, bench=bench)
    collector = FileCollector(path, format_)
    stream, file, start = _where(ledger.session(), collector, format_)
    lander = Lander(ledger, format_, rules, clock, stream=stream, file=file, bench=bench)
    total = Outcome()
    try:
        for piece in collector.slices(start):
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


def _where(session: Session, collector: FileCollector, format_: Format) -> tuple[str, str, Position]:
    """Stream, name for ids, and position to go on from: a followed file's where `serve` has read this content further."""
    own = position(session, collector.stream)
    streams = Streams(format_)
    streams.load(session, followed=True)
    followed = streams.carried_by(collector)
    if followed and (followed.position.offset >= own.offset or not collector.carries(own)):
        return followed.name, shown_name(followed.name), followed.position
    return collector.stream, collector.path.name, own
