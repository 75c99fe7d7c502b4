"""Files that are followed as they grow: rotated, truncated, replaced, compressed and removed under our eyes.

Every poll lists the globs, and of each file that changed since the last look:
1. It is opened once and read through that descriptor. *A rename under way changes nothing of what is read.*
2. What it carries on is told by its content (`identity`). *A renamed, copied or compressed log goes on where it was read to; a
   new log under an old name is a new stream. Inode and path are never asked.*
3. Slices of whole records are cut; a last line without its end waits. *No record is taken half.*
4. That the file still begins as it did and reaches as far is looked at after a slice was read, before it lands. *Where the file
   was truncated meanwhile, the slice is dropped unread: no slice is of two contents.*
5. The slice, its position and its evidence are one transaction, with those of other files where they are small. *Killed before,
   it was never read; after, it is never read again.*

A last line without an end is taken only once nothing has changed for QUIET_SECONDS, and then as `apportion ingest` takes it:
an object if it is whole by itself; a row of a format with a header, which may be torn inside its last field, only of an
archive or of a file that no longer stands where its writer began it.

Not guaranteed: what was written after the last look into a file that then vanished, or went where no glob reaches; where that
can be seen, a note says so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from apportion.config.sources import FilesSource
from apportion.domain.clock import Clock
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.bench import Bench
from ingest.collectors.departures import Departures
from ingest.collectors.files import HEAD_BYTES, FileCollector
from ingest.collectors.globs import regular_files
from ingest.collectors.identity import FOLLOWED, Stream, Streams
from ingest.collectors.parquet_files import is_parquet, land_parquet
from ingest.collectors.tail_landing import Landing
from ingest.format import Format
from ingest.rules import Rules
from ingest.slices import Slice
from ingest.supervise import Health

QUIET_SECONDS: Final = 60.0
"""A file that has not changed for so long is not being copied or compressed, and nobody is in the middle of a line."""


@dataclass(slots=True)
class _Seen:
    """A file when it was looked at last.

    Attributes:
        look: what its directory entry said; while it says the same, nothing has changed.
        since: when it was first seen so, by the stopwatch.
        stream: what it carries on, if that is known.
        unread: bytes of it that belong to no slice yet.
        waits: whether another look is due once the file is quiet.
    """

    look: tuple[int, ...]
    since: float
    stream: str = ""
    unread: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True)
class _Round:
    """Whom one poll works with."""

    bench: Bench
    landing: Landing
    health: Health
    stop: threading.Event


class TailCollector:
    """One `[[sources]]` table of files.

    Attributes:
        name: of the table.
        collector: files.
    """

    collector: Final = "files"

    def __init__(
        self,
        name: str,
        source: FilesSource,
        format_: Format,
        ledger: Ledger,
        rules: Rules,
        clock: Clock,
        *,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._source, self._format = source, format_
        self._ledger, self._rules, self._clock = ledger, rules, clock
        self._stopwatch = stopwatch
        self._streams = Streams(format_)
        self._seen: dict[Path, _Seen] = {}
        self._departures = Departures()
        self._said: dict[Path, str] = {}

    def run(self, health: Health, stop: threading.Event) -> None:
        """Look at the files every poll until told to stop; the slice under way is landed.

        Raises: LedgerError when a slice could not be committed; nothing of it was, and the next run goes on there.
        """
        self._seen.clear()
        self._said.clear()
        self._departures = Departures()
        self._streams.load(self._ledger.session())
        bench = Bench(self._ledger, self._format.kind)
        try:
            while not stop.is_set():
                self.poll(bench, health, stop)
                stop.wait(self._source.poll_seconds)
        finally:
            bench.close()
            bench.session.close()

    def poll(self, bench: Bench, health: Health, stop: threading.Event) -> None:
        """Look once at every file."""
        listed = regular_files(self._source.paths, health.note)
        landing = Landing(
            self._ledger, self._format, self._rules, self._clock, bench=bench, streams=self._streams, health=health
        )
        at = _Round(bench, landing, health, stop)
        for path, status in listed.items():
            if stop.is_set():
                landing.flush()
                return
            self._look(path, status, at)
        landing.flush()
        for path in [path for path in self._seen if path not in listed]:
            gone = self._seen.pop(path)
            self._said.pop(path, None)
            self._departures.add(path, gone.stream, gone.unread, replaced=False)
        for sentence in self._departures.lost({seen.stream for seen in self._seen.values()}):
            health.note(sentence)
        health.alive()
        health.lag(None)  # bytes are known, records are not

    def _look(self, path: Path, status: os.stat_result, at: _Round) -> None:
        look = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        before, now = self._seen.get(path), self._stopwatch()
        quiet = before is not None and before.look == look and now - before.since >= QUIET_SECONDS
        if before and before.look == look and not (before.waits and quiet):
            return
        seen = self._seen[path] = _Seen(look, now)
        said = ""
        try:
            if is_parquet(path):
                self._whole(path, at)
            elif status.st_size:
                with path.open("rb") as file:
                    said = self._read(path, file, seen, at, quiet=quiet)
        except (InputError, OSError) as error:
            seen.waits = True
            said = f"{path}: cannot be read ({error.strerror})." if isinstance(error, OSError) else str(error)
            said += f" It is tried again every {QUIET_SECONDS:.0f} seconds; the other files go on."
        if said and self._said.get(path) != said:
            at.health.note(said)
        self._said[path] = said
        if before and before.stream != seen.stream:
            self._departures.add(path, before.stream, before.unread, replaced=True)

    def _whole(self, path: Path, at: _Round) -> None:
        """Parquet is there whole or not at all."""
        outcome, notes = land_parquet(self._ledger, path, self._format, self._rules, self._clock, bench=at.bench)
        if outcome.received:
            at.health.landed(outcome)
        for note in notes:
            at.health.note(note)

    def _read(self, path: Path, file: BinaryIO, seen: _Seen, at: _Round, *, quiet: bool) -> str:
        """Land what is new in an open file. Returns: a sentence about what cannot be read yet, or nothing."""
        collector = FileCollector(path, self._format, file)
        stream = self._streams.followed_by(collector)
        if stream is None:
            longer = self._streams.longer_than(collector)
            if longer and not quiet:  # a copy or an archive that is being written
                seen.stream, seen.waits = longer.name, True
                return ""
            held = None if longer else self._streams.holding(collector)
            if held:
                seen.stream = held.name
                return ""
            stream = self._streams.begin(path, like=longer)
        final = collector.is_compressed or (quiet and _may_be_whole(collector, stream))
        seen.stream = stream.name
        self._land(collector, stream, at, final=final)
        stream.head = collector.read(0, HEAD_BYTES)
        seen.unread = max(0, collector.size - stream.position.offset) if collector.is_plain else 0
        seen.waits = seen.unread > 0 and not final
        for note in collector.notes:
            at.health.note(note)
        if seen.waits and quiet:
            return f"{path}: its last {seen.unread} bytes may be a torn line; they are read when it ends, or the file is rotated."
        return ""

    def _land(self, collector: FileCollector, stream: Stream, at: _Round, *, final: bool) -> None:
        begun = collector.read(0, HEAD_BYTES)
        for piece in collector.slices(stream.position, growing=not final):
            if not _still(collector, begun, piece, stream):
                return
            at.landing.add(stream, piece, collector.header, collector.evidence())
            if at.stop.is_set():
                return


def _still(collector: FileCollector, begun: bytes, piece: Slice, stream: Stream) -> bool:
    """Whether the file is what it was before a slice was read: begins so, reaches as far, and carries on its stream."""
    if not collector.is_plain:
        return True  # archives are replaced, not truncated, and the one that is open stays
    if piece.start < stream.position.offset and not collector.carries(stream.position):
        return False
    return collector.read(0, HEAD_BYTES).startswith(begun) and bool(collector.read(piece.end - 1, 1))


def _may_be_whole(collector: FileCollector, stream: Stream) -> bool:
    """Whether a last line without its end can be told from a torn one: an object can, and a line nobody goes on with."""
    begun_here = stream.name.startswith(f"{FOLLOWED}{collector.path.resolve()}")
    return (
        not begun_here or collector.read(stream.position.offset, HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    )
