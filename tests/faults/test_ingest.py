"""Ingest against a hostile machine: killed at any instant, a full disk, a second process, files that cannot be read."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from ingest import journal, land
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import CONFIG, NOON, Desk, event, lines

DRIVER = """
import sys
import apportion.cli.ingest, apportion.pipeline
import ingest.collectors.cutting as cutting
cutting.SLICE_RECORDS = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
from apportion.cli import main
sys.exit(main(sys.argv[2:]))
"""
PATIENCE_SECONDS = 60
EVENTS = [
    event(
        f"e{number:05d}", occurred_at=f"2026-10-{1 + number // 400:02d}T{number % 24:02d}:00:00Z", output_tokens=number
    )
    for number in range(6_000)
]
BAD = {17: b"nope", 1_999: json.dumps(event("bad", output_tokens=-1)).encode(), 5_999: b"{}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a config and a file of 6,000 events, three bad lines among them."""
    (tmp_path / "apportion.toml").write_text(CONFIG)
    records: list[Any] = list(EVENTS)
    for place, line in BAD.items():
        records.insert(place, line)
    (tmp_path / "events.ndjson").write_bytes(lines(records))
    return tmp_path


def driver(
    folder: Path, arguments: Sequence[str], *, slice_records: int, file_bytes: int | None = None
) -> subprocess.Popen[str]:
    """A process that has imported everything and waits for a line before it runs a command."""

    def limit() -> None:
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(slice_records), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=limit,  # noqa: PLW1509 - the limit must be the child's alone, and nothing else runs here
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def started(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """Wait until a driver is ready, and let it go."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and what was said."""
    output, said = started(process).communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, output, said


def command(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run `python -m apportion` as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "apportion", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def assert_equals_file(folder: Path) -> None:
    """The ledger holds the file's events once each, its bad lines once each, and every hour is due."""
    with Ledger(folder / "apportion.duckdb") as ledger:
        desk = Desk(ledger, FrozenClock(NOON), folder)
        assert desk.events("event_id", "output_tokens") == [
            (event["event_id"], event["output_tokens"]) for event in EVENTS
        ]
        assert desk.rejections("record", "line", "reason") == [
            (18, 18, "malformed"),
            (2_000, 2_000, "negative"),
            (6_000, 6_000, "missing_field"),
        ]
        assert desk.totals() == {
            "received": 6_003,
            "landed": 6_000,
            "duplicates": 0,
            "superseded": 0,
            "conflicts": 0,
            "rejected": 3,
            "skewed": 0,
            "dropped_tags": 0,
        }
        assert desk.dirty() == sorted({event["occurred_at"][:13] for event in EVENTS})
        ranges = ledger.session().rows("SELECT position_start, position_end FROM raw.batch ORDER BY batch_no")
        assert [start for start, _ in ranges] == [0, *(end for _, end in ranges[:-1])]


def test_killed_at_any_instant_nothing_is_lost_or_doubled(folder: Path) -> None:
    """Ten times `kill -9` at a random instant of a run of many slices; then the command runs again, and all is there once."""
    chance = random.Random(7)
    arguments = ["ingest", "events.ndjson", "--json"]
    waiting = [driver(folder, arguments, slice_records=150) for _ in range(10)]
    killed = 0
    for process in waiting:
        try:
            started(process).wait(timeout=chance.uniform(0.01, 0.7))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.communicate(timeout=PATIENCE_SECONDS)
    code, output, said = command(folder, *arguments)

    assert (code, said) == (0, "")
    assert json.loads(output)["rejected"] <= len(BAD)
    assert killed
    assert_equals_file(folder)
    assert not list((folder / "apportion.duckdb.work").glob("*"))


@pytest.mark.parametrize(
    ("slice_records", "words"), [(4_000, "the disk is full"), (1_000_000, "the slice could not be written")]
)
def test_a_full_disk_is_a_sentence_and_loses_nothing(folder: Path, slice_records: int, words: str) -> None:
    """Where the ledger cannot grow, and where the slice cannot be written: exit 1, what to do, and the next run continues."""
    chance = random.Random(0)
    wide = [
        event | {"trace_id": chance.randbytes(60).hex(), "session_id": chance.randbytes(60).hex()} for event in EVENTS
    ] * 4
    data = lines(event | {"event_id": f"{event['event_id']}-{number:05d}"} for number, event in enumerate(wide))
    (folder / "wide.ndjson").write_bytes(data)
    (folder / "empty.ndjson").touch()
    assert command(folder, "ingest", "empty.ndjson")[0] == 0
    size = (folder / "apportion.duckdb").stat().st_size
    code, output, said = finished(
        driver(folder, ["ingest", "wide.ndjson"], slice_records=slice_records, file_bytes=size + 1_000_000)
    )

    assert code == 1
    assert words in said
    assert "Free some space and run the same command again: it continues where it stopped." in " ".join(said.split())
    assert "Traceback" not in output + said
    assert command(folder, "ingest", "wide.ndjson")[0] == 0
    with Ledger(folder / "apportion.duckdb") as ledger:
        desk = Desk(ledger, FrozenClock(NOON), folder)
        assert (desk.count("raw.usage_event"), desk.totals()["landed"], desk.totals()["received"]) == (len(wide),) * 3


def test_a_second_process_on_the_same_ledger_is_refused(folder: Path) -> None:
    """It names the process that has it, and what to do; the first goes on undisturbed."""
    with Ledger(folder / "apportion.duckdb"):
        code, output, said = command(folder, "ingest", "events.ndjson", "--json")

    assert code == 1
    assert json.loads(output)["error"] == "LedgerError"
    assert f"process {os.getpid()} has this ledger open" in json.loads(output)["message"]
    assert "Traceback" not in said
    assert command(folder, "ingest", "events.ndjson", "--json")[0] == 0
    assert_equals_file(folder)


def test_a_file_that_cannot_be_read_stops_no_other(folder: Path) -> None:
    """Missing, a folder, a damaged Parquet file: a sentence each, exit 1, and the other files land."""
    (folder / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    code, _, said = command(folder, "ingest", "gone.ndjson", str(folder), "broken.parquet", "events.ndjson")

    assert code == 1
    for words in (
        "gone.ndjson: cannot be read (No such file or directory)",
        "cannot be read (Is a directory)",
        "broken.parquet: cannot be read as Parquet",
    ):
        assert words in " ".join(said.split())
    assert "Traceback" not in said
    assert_equals_file(folder)


def saboteur(name: str) -> Callable[..., Any]:
    """Something that fails where a step of the landing should run."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(name)

    return fail


@pytest.mark.parametrize(
    ("where", "what"),
    [(journal, "enter"), (journal, "move"), (journal, "dropped_tags"), (land, "quarantine"), (land, "unlanded")],
)
def test_a_slice_commits_whole_or_not_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: Any, what: str
) -> None:
    """Broken off before any of its records are written down: neither rows, nor position, nor rejections, nor dirty hours are there."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 100)
    with Ledger(folder / "apportion.duckdb") as ledger:
        migrate(ledger, FrozenClock(NOON))
        desk = Desk(ledger, FrozenClock(NOON), folder)
        desk.read(desk.file(lines(EVENTS[:100]), "some.ndjson"))
        tables = (
            "raw.usage_event",
            "raw.rejection",
            "raw.batch",
            "raw.dirty_hour",
            "raw.stream_position",
            "raw.series",
            "raw.caller",
            "book.model",
        )
        before = [ledger.session().rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]
        path = desk.file(lines([*EVENTS[:90], b"nope", event("new", model="new", principal="new")]), "more.ndjson")
        with monkeypatch.context() as sabotage:
            sabotage.setattr(where, what, saboteur(what))
            with pytest.raises(RuntimeError, match=what):
                desk.read(path)
        assert [ledger.session().rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables] == before
        outcome = desk.read(path)

    assert (outcome.landed, outcome.duplicates, outcome.rejected) == (1, 90, 1)
