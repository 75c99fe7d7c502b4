"""Files followed as they grow: what a poll makes of growth, rotation, truncation, compression, and of files it cannot read."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from apportion.config.sources import FilesSource
from apportion.domain.errors import InputError
from ingest.bench import Bench
from ingest.collectors.files import FileCollector
from ingest.collectors.tail import QUIET_SECONDS, TailCollector
from ingest.land import Lander
from ingest.supervise import Health
from tests.unit.ingest.desk import Desk, event, lines

EVENTS = [event(f"e{number:02d}", output_tokens=number) for number in range(24)]
BY_LINE = """
[[sources]]
name = "rows"
format = "csv"
kind = "usage"
event_id = "{file}:{line}"
time = { column = "t" }
columns = { model = "m", output_tokens = "n" }
"""
ROW = "2026-10-15T11:00:00Z,llama,{}\n"


class Follower:
    """A collector over a folder, polled by hand.

    Attributes:
        collector: under test; another one is as good as a restart.
        health: what it said.
    """

    def __init__(self, desk: Desk, pattern: str = "*.log*", format_name: str = "usage") -> None:
        self.desk, self.folder, self.now = desk, desk.folder, 0.0
        self._pattern, self._format = str(desk.folder / pattern), desk.formats[format_name]
        self.restart()

    def restart(self) -> None:
        """As a new process: all that is known is in the ledger."""
        self.health = Health("logs", "files", self.desk.clock)
        self.collector = TailCollector(
            "logs",
            FilesSource(paths=(self._pattern,), poll_seconds=1),
            self._format,
            self.desk.ledger,
            replace(self.desk.rules, late=timedelta(days=35)),
            self.desk.clock,
            stopwatch=lambda: self.now,
        )
        self.collector._streams.load(self.desk.ledger.session())
        self.bench = self.desk._benches.setdefault(self._format.kind.name, Bench(self.desk.ledger, self._format.kind))

    def look(self, seconds: float = 1) -> tuple[int, int]:
        """Poll once. Returns: records received and landed by it."""
        before = self.desk.totals()
        self.now += seconds
        self.collector.poll(self.bench, self.health, threading.Event())
        after = self.desk.totals()
        return after["received"] - before["received"], after["landed"] - before["landed"]

    def write(self, records: list[Any], name: str = "app.log") -> Path:
        """Append records to a log."""
        path = self.folder / name
        with path.open("ab") as file:
            file.write(lines(records))
        return path

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences in its health."""
        return self.health.condition().notes

    def streams(self) -> list[tuple[str, int]]:
        """Last part of each stream's name, and its position."""
        rows = self.desk.ledger.session().rows("SELECT stream, position FROM raw.stream_position ORDER BY stream")
        return [(name.rsplit("/", 1)[1], position) for name, position in rows]


@pytest.fixture
def follower(desk: Desk) -> Follower:
    """Follows `*.log*` of a folder, as canonical usage."""
    return Follower(desk)


def test_a_log_that_grows_is_read_once(follower: Follower) -> None:
    """Each poll brings what is new; one without news opens nothing and writes nothing."""
    follower.write(EVENTS[:3])
    assert follower.look() == (3, 3)
    follower.write(EVENTS[3:5])
    assert (follower.look(), follower.look()) == ((2, 2), (0, 0))
    follower.restart()

    assert follower.look() == (0, 0)
    assert follower.notes == ()
    assert follower.health.condition().state == "running"


def test_files_that_did_not_change_are_not_opened(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand old logs cost a look at their directory entries each, and no evidence is read again."""
    for number in range(30):
        follower.write(EVENTS[:1] if not number else [event(f"only-{number}")], f"{number}.log")
    assert follower.look() == (30, 30)
    opened = []
    was_open = Path.open

    def counted(self: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(self.name)
        return was_open(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", counted)
    follower.look()
    follower.write(EVENTS[1:2], "7.log")
    follower.look()

    assert {name for name in opened if name.endswith(".log")} == {"7.log"}


def test_a_torn_line_waits_for_its_end(follower: Follower) -> None:
    """Half a record is no record, however often it is looked at; whole, it lands once."""
    path = follower.write(EVENTS[:2])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert (follower.look(), follower.look(), follower.look(QUIET_SECONDS)) == ((1, 1), (0, 0), (0, 0))
    assert any("not a whole record yet" in note for note in follower.notes)
    path.write_bytes(whole)

    assert (follower.look(), follower.desk.count("raw.rejection")) == ((1, 1), 0)


def test_an_object_without_a_line_end_is_taken_when_the_file_is_quiet(follower: Follower) -> None:
    """A sender that ends no last line loses nothing; one that goes on after all neither."""
    path = follower.write(EVENTS[:2])
    path.write_bytes(path.read_bytes()[:-1])
    assert (follower.look(), follower.look(), follower.look(QUIET_SECONDS)) == ((1, 1), (0, 0), (1, 1))
    with path.open("ab") as file:
        file.write(b"\n" + lines(EVENTS[2:3]))

    assert (follower.look(), follower.look(QUIET_SECONDS)) == ((1, 1), (0, 0))


def test_a_row_without_a_line_end_is_taken_only_when_nobody_goes_on_with_it(desk: Desk) -> None:
    """`12` may be the beginning of `1234`: it waits under its own name, and is taken once the file was rotated and is quiet."""
    desk.describe(BY_LINE)
    follower = Follower(desk, format_name="rows")
    path = desk.file(("t,m,n\n" + ROW.format(7) + ROW.format(12).rstrip()).encode(), "app.log")
    assert (follower.look(), follower.look(QUIET_SECONDS), follower.look(QUIET_SECONDS)) == ((1, 1), (0, 0), (0, 0))
    assert len(follower.notes) == 1
    assert "may be a torn line; they are read when it ends, or the file is rotated" in follower.notes[0]
    path.rename(desk.folder / "app.log.1")

    assert (follower.look(), follower.look(QUIET_SECONDS)) == ((0, 0), (1, 1))
    assert desk.events("event_id", "output_tokens") == [("app.log:1", 7), ("app.log:2", 12)]


def test_a_renamed_log_goes_on_where_it_was_read_to(follower: Follower) -> None:
    """What was written between the last look and the rename is read from the new name, and the new log from its start."""
    path = follower.write(EVENTS[:3])
    follower.look()
    follower.write(EVENTS[3:5])
    path.rename(follower.folder / "app.log.1")
    follower.write(EVENTS[5:8])
    assert follower.look() == (5, 5)
    follower.write(EVENTS[8:9], "app.log.1")  # its writer has not opened the new one yet

    assert follower.look() == (1, 1)
    assert [name for name, _ in follower.streams()] == ["app.log#usage", "app.log@2#usage"]
    assert follower.notes == ()


@pytest.mark.parametrize(("ending", "compress"), [("gz", gzip.compress), ("zst", zstandard.ZstdCompressor().compress)])
def test_an_archive_goes_on_where_its_log_was_read_to(
    follower: Follower, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    """Compressed before it was read to the end, and while it is being written: nothing is read twice, nothing is left out."""
    path = follower.write([event(f"k{number:04d}", principal=os.urandom(16).hex()) for number in range(400)])
    assert follower.look() == (400, 400)
    follower.write(EVENTS[:2])
    content = compress(path.read_bytes())
    archive = follower.folder / f"app.log.1.{ending}"
    path.unlink()
    archive.write_bytes(content[: len(content) * 2 // 3])
    assert follower.look() == (0, 0)
    archive.write_bytes(content)

    assert (follower.look(), follower.look(QUIET_SECONDS)) == ((2, 2), (0, 0))
    assert follower.desk.totals()["duplicates"] == 0
    assert len(follower.streams()) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_a_copy_and_truncation_reads_both(follower: Follower, *, restarted: bool) -> None:
    """copytruncate: the copy brings what was not read, the same name begins anew."""
    path = follower.write(EVENTS[:3])
    follower.look()
    follower.write(EVENTS[3:4])
    shutil.copy(path, follower.folder / "app.log.1")
    os.truncate(path, 0)
    follower.write(EVENTS[4:9])
    if restarted:
        follower.restart()

    assert follower.look() == (6, 6)
    assert follower.look() == (0, 0)
    assert follower.notes == ()


def test_a_copy_under_way_is_waited_for(follower: Follower) -> None:
    """A file that begins as a known stream and ends before its position is being copied, until it is quiet."""
    path = follower.write([event(f"k{number:04d}", principal=os.urandom(16).hex()) for number in range(100)])
    follower.look()
    content = path.read_bytes()
    for part in (content[:500], content[:9_000]):
        (follower.folder / "copy.log").write_bytes(part)
        assert follower.look() == (0, 0)
    (follower.folder / "copy.log").write_bytes(content + lines(EVENTS[:1]))

    assert follower.look() == (1, 1)
    assert follower.desk.totals()["duplicates"] == 0


def test_a_copy_that_stays_short_doubles_nothing(follower: Follower) -> None:
    """Records between copy and truncation are in the ledger only: the short copy is recognised, event by event."""
    path = follower.write([event(f"k{number:04d}", principal=os.urandom(16).hex()) for number in range(100)])
    shutil.copy(path, follower.folder / "app.log.1")
    follower.write(EVENTS[:1])
    os.utime(follower.folder / "app.log.1", ns=(2**62, 2**62))  # listed last
    assert follower.look() == (101, 101)
    os.truncate(path, 0)

    assert (follower.look(), follower.look(QUIET_SECONDS)) == ((0, 0), (100, 0))
    assert follower.desk.totals()["duplicates"] == 100
    assert follower.desk.count("raw.usage_event") == 101


def test_a_truncated_log_without_a_copy_says_so(follower: Follower) -> None:
    """What was read stays, what comes is read, and a note says that something may be missing."""
    path = follower.write(EVENTS[:3])
    follower.look()
    os.truncate(path, 0)
    follower.write(EVENTS[3:4])

    assert (follower.look(), follower.look()) == ((1, 1), (0, 0))
    assert [note.partition(": ")[2].partition(",")[0] for note in follower.notes] == ["begun anew"]


def test_a_log_that_vanishes_unread_says_so(follower: Follower) -> None:
    """Half a line was all that was left: the note says how many bytes; a log that was read whole goes quietly."""
    path, other = follower.write(EVENTS[:3]), follower.write(EVENTS[4:6], "read.log")
    path.write_bytes(path.read_bytes()[:-20])
    follower.look()
    path.unlink()
    other.unlink()
    unread = len(lines(EVENTS[2:3])) - 20
    assert (follower.look(), len(follower.notes)) == ((0, 0), 1)

    follower.look()
    assert [note.partition(": ")[2].partition(",")[0] for note in follower.notes] == [
        "matches no file; what comes to match it is read.",
        f"gone with {unread} bytes that were not read",
    ]


def test_a_long_first_line_waits_for_nobody(follower: Follower) -> None:
    """A first record of more than a mebibyte is read while the log grows, as any other."""
    long = event("long", tags={"other": "x" * 1_500_000})
    follower.write([long, *EVENTS[:2]])

    assert follower.look() == (3, 3)


def test_a_replaced_file_is_read_from_its_start(follower: Follower) -> None:
    """Written anew under the same name, as a whole: known events are recognised, new ones land, in a stream of its own."""
    path = follower.write(EVENTS[:6])
    follower.look()
    fresh = follower.write(EVENTS[3:10], "fresh.tmp")
    fresh.replace(path)

    assert follower.look() == (7, 4)
    assert [name for name, _ in follower.streams()] == ["app.log#usage", "app.log@2#usage"]


def test_what_cannot_be_read_is_said_once_and_stops_nothing(follower: Follower) -> None:
    """Folders, links in a circle, links to nowhere, pipes and unreadable files; each is tried again without a new sentence."""
    (follower.folder / "folder.log").mkdir()
    (follower.folder / "loop.log").symlink_to(follower.folder / "loop.log")
    (follower.folder / "nowhere.log").symlink_to(follower.folder / "absent")
    os.mkfifo(follower.folder / "pipe.log")
    follower.write(EVENTS[:2])
    (follower.folder / "again.log").symlink_to(follower.folder / "app.log")

    assert follower.look() == (2, 2)
    assert [follower.look(QUIET_SECONDS) for _ in range(3)] == [(0, 0)] * 3
    assert len(follower.notes) <= 1


def test_a_file_without_permission_is_tried_again(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note names it, the others are read, and it is read once it may be."""
    follower.write(EVENTS[:1], "secret.log")
    follower.write(EVENTS[1:2])
    was_open = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == "secret.log":
            raise PermissionError(13, "Permission denied")
        return was_open(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert (follower.look(), follower.look(QUIET_SECONDS)) == ((1, 1), (0, 0))
    assert len(follower.notes) == 1
    assert "secret.log: cannot be read (Permission denied)" in follower.notes[0]

    assert follower.look(QUIET_SECONDS) == (1, 1)


def test_rows_keep_their_ids_whatever_becomes_of_the_file(desk: Desk) -> None:
    """Ids from `{file}:{line}` follow the content through renames, restarts and `ingest`; a new log has ids of its own."""
    desk.describe(BY_LINE)
    follower = Follower(desk, format_name="rows")
    head = b"t,m,n\n"
    path = desk.file(head[:3], "app.log")
    assert follower.look() == (0, 0)  # a header has to be whole, too
    path.write_bytes(head + ROW.format(1).encode())
    assert follower.look() == (1, 1)
    path.write_bytes(path.read_bytes() + ROW.format(2).encode())
    path.rename(desk.folder / "app.log.1")
    desk.file(head + ROW.format(3).encode(), "app.log")
    follower.restart()
    assert follower.look() == (2, 2)
    expected = [("app.log:1", 1), ("app.log:2", 2), ("app.log@2:1", 3)]
    assert desk.events("event_id", "output_tokens") == expected

    assert [desk.read(desk.folder / name, "rows").received for name in ("app.log", "app.log.1")] == [0, 0]
    desk.file(head + ROW.format(1).encode() + ROW.format(2).encode() + ROW.format(4).encode(), "app.log.1")
    assert desk.read(desk.folder / "app.log.1", "rows").landed == 1
    assert desk.events("event_id")[2] == "app.log:3"
    follower.restart()
    assert follower.look() == (0, 0)


def test_what_was_ingested_by_hand_goes_on_from_there(follower: Follower) -> None:
    """A position of `apportion ingest` counts, whatever the file is called by then."""
    path = follower.write(EVENTS[:4])
    follower.desk.read(path)
    path.rename(follower.folder / "old.log")
    follower.write(EVENTS[4:6], "old.log")
    follower.restart()

    assert follower.look() == (2, 2)
    assert follower.desk.read(follower.folder / "old.log").received == 0


def test_old_events_are_late(follower: Follower) -> None:
    """A live file believes `late_limit_days`, where `ingest` reaches back to the epoch."""
    path = follower.write([event("old", occurred_at="2026-08-01T00:00:00Z"), *EVENTS[:1]])

    assert follower.look() == (2, 1)
    assert follower.desk.rejections("reason") == ["too_old"]
    assert follower.desk.read(path).received == 0


def test_parquet_is_read_when_it_is_whole(follower: Follower) -> None:
    """A file that lacks its end is said, and read when it is there."""
    import duckdb

    source = follower.folder / "whole.parquet"
    duckdb.sql(
        "COPY (SELECT 'p' AS event_id, 's' AS source, 'm' AS model, TIMESTAMPTZ '2026-10-15 11:00:00+00' AS occurred_at) "
        f"TO '{source}' (FORMAT parquet)"
    )
    path = follower.folder / "x.log"
    path.write_bytes(source.read_bytes()[:-30])
    assert follower.look() == (0, 0)
    assert len(follower.notes) == 1
    path.write_bytes(source.read_bytes())

    assert (follower.look(), follower.look()) == ((1, 1), (0, 0))


def test_a_rename_between_opening_and_reading_changes_nothing(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened is what is read: never the old log's position in the new log's bytes."""
    path = follower.write(EVENTS[:6])
    follower.look()
    follower.write(EVENTS[6:8])
    was_open, opened = Path.open, []

    def rotating(self: Path, *arguments: Any, **options: Any) -> Any:
        file = was_open(self, *arguments, **options)
        if self == path and arguments == ("rb",):
            opened.append(self)
            if len(opened) == 2:  # the first look is whether it is Parquet
                path.rename(follower.folder / "app.log.1")
                path.write_bytes(lines([event(f"new-{number}", principal="x" * 99) for number in range(20)]))
        return file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", rotating)
        assert follower.look() == (2, 2)

    assert (follower.look(), follower.desk.count("raw.rejection")) == ((20, 20), 0)
    assert follower.notes == ()


def test_a_slice_of_a_file_truncated_meanwhile_is_dropped(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """Truncated and begun anew after the slice was read: it is not landed; what stands in files then is."""
    path = follower.write(EVENTS[:3])
    follower.look()
    follower.write(EVENTS[3:6])
    slices = FileCollector.slices

    def truncating(self: FileCollector, *arguments: Any, **options: Any) -> Iterator[Any]:
        for piece in slices(self, *arguments, **options):
            shutil.copy(path, follower.folder / "app.log.1")
            path.write_bytes(lines(EVENTS[6:12]))
            yield piece

    with monkeypatch.context() as patch:
        patch.setattr(FileCollector, "slices", truncating)
        assert follower.look() == (0, 0)

    assert follower.look() == (9, 9)
    assert follower.notes == ()


def test_small_slices_of_many_files_share_a_commit(follower: Follower) -> None:
    """A poll over many logs that grew a little is one transaction; each has its position, its counts, its rejections' places."""
    for number in range(40):
        bad: list[Any] = [b"nope"] if number == 7 else []
        follower.write([event(f"{number}-1"), *bad, event(f"{number}-2")], f"{number:02d}.log")

    assert follower.look() == (81, 80)
    assert len(follower.desk.batches()) == 1
    assert len(follower.streams()) == 40
    ((stream, record, line),) = follower.desk.rejections("stream", "record", "line")
    assert (stream.rsplit("/", 1)[1], record, line) == ("07.log#usage", 2, 2)
    follower.restart()
    assert follower.look() == (0, 0)


def test_slices_that_cannot_land_together_land_one_by_one(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose records cannot be told apart is said, and costs no other file its records."""
    follower.write(EVENTS[:2], "a.log")
    follower.write(EVENTS[2:4], "b.log")
    land = Lander.land

    def refuse(*_: Any, **__: Any) -> Any:
        raise InputError("cannot be told apart")

    def refuse_a(self: Lander, *arguments: Any, **options: Any) -> Any:
        return refuse() if self._file == "a.log" else land(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Lander, "land_parts", refuse)
        patch.setattr(Lander, "land", refuse_a)
        assert follower.look() == (2, 2)
    assert follower.notes == ("cannot be told apart",)
    follower.write(EVENTS[4:5], "a.log")

    assert follower.look() == (3, 3)


def test_it_runs_until_told_to_stop(follower: Follower) -> None:
    """Polls again after `poll_seconds`; stops between two looks."""
    follower.write(EVENTS[:2])
    stop = threading.Event()
    follower.health.lag = lambda _: stop.set()  # type: ignore[method-assign]
    follower.collector.run(follower.health, stop)

    assert follower.desk.count("raw.usage_event") == 2
