"""Files followed by a process that is killed at any instant, while they are rotated in every way there is."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, Desk, event

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
SEED = int(os.environ.get("SEED", "5"))
FOLLOWING = """
import sys, threading
from pathlib import Path
from apportion.config.sources import FilesSource
from apportion.ledger.connection import Ledger
from ingest.collectors import cutting, tail
from ingest.formats.ndjson import Ndjson
from ingest.kinds import USAGE
from ingest.supervise import Health
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, RULES

cutting.SLICE_RECORDS = 40
stop, polls = threading.Event(), [0]

class Told(Health):
    def lag(self, records):
        polls[0] += 1
        print(polls[0], flush=True)
        stop.set() if sys.argv[2] == "once" and polls[0] > 2 else None

source = FilesSource(paths=(sys.argv[1] + "/*.log*",), poll_seconds=0.02)
with Ledger(Path("apportion.duckdb")) as ledger:
    clock = FrozenClock(NOON)
    follower = tail.TailCollector("logs", source, Ndjson("usage", USAGE), ledger, RULES, clock)
    health = Told("logs", "files", clock)
    print("ready", flush=True)
    follower.run(health, stop)
    print("notes", list(health.condition().notes), flush=True)
"""


class Writer:
    """A server that logs, and whoever rotates its log.

    Attributes:
        written: events that are wholly in some file, by number.
    """

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance, self.written = folder, chance, 0
        self._log, self._generation, self._torn = folder / "app.log", 0, b""
        self._file = self._log.open("ab", buffering=0)

    def write(self) -> None:
        """Some records, and sometimes only the beginning of the last one."""
        data = self._torn
        for _ in range(self.chance.randrange(1, 60)):
            record = event(f"e{self.written:06d}", output_tokens=self.written, principal=f"{self.chance.random()}")
            self.written += 1
            data += json.dumps(record).encode() + b"\n"
        cut = self.chance.choice((0, 0, self.chance.randrange(1, 80)))
        self._torn = data[len(data) - cut :]
        self._file.write(data[: len(data) - cut])

    def rotate(self) -> None:
        """Rename, rename and compress, or copy and truncate; records before are whole by then, or go on in the old file."""
        self._generation += 1
        rotated, how = self.folder / f"app.log.{self._generation}", self.chance.choice(("rename", "gzip", "copy"))
        self._finish()
        if how == "copy":
            shutil.copy(self._log, rotated)
            os.truncate(self._log, 0)
            return
        self._log.rename(rotated)
        self.write()  # it does not know yet
        self._finish()
        self._file.close()
        self._file = self._log.open("ab", buffering=0)
        if how == "gzip":
            with rotated.open("rb") as source, gzip.open(f"{rotated}.gz", "wb") as target:
                shutil.copyfileobj(source, target)
            rotated.unlink()

    def end(self) -> None:
        """The last line is whole."""
        self._finish()
        self._file.close()

    def _finish(self) -> None:
        self._file.write(self._torn)
        self._torn = b""


class Followers:
    """Processes that follow, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self, how: str) -> subprocess.Popen[str]:
        """Begin, and wait until it reads."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWING, str(self._folder / "logs"), how],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self._process

    def kill(self) -> None:
        """`kill -9`, and wait for the end of it."""
        if self._process:
            self._process.kill()
            self._process.communicate(timeout=PATIENCE_SECONDS)


@pytest.fixture
def followers(tmp_path: Path) -> Iterator[Followers]:
    """A folder for logs and a ledger, and nobody who follows yet."""
    (tmp_path / "logs").mkdir()
    with Ledger(tmp_path / "apportion.duckdb") as ledger:
        migrate(ledger, FrozenClock())
    made = Followers(tmp_path)
    yield made
    made.kill()


def test_killed_and_rotated_at_any_instant_every_record_lands_once(followers: Followers, tmp_path: Path) -> None:
    """Rename, compression, copy and truncation, torn lines and `kill -9` at random: the ledger holds what was written, once."""
    print(f"SEED={SEED}")
    chance, pause = random.Random(SEED), threading.Event()
    writer = Writer(tmp_path / "logs", chance)
    for _ in range(6):
        followers.start("until killed")
        for _ in range(chance.randrange(3, 9)):
            writer.write()
            pause.wait(chance.uniform(0, 0.05))
            if chance.random() < 0.3:
                writer.rotate()
        followers.kill()
        if chance.random() < 0.5:
            writer.write()
            writer.rotate()
    writer.end()
    said, _ = followers.start("once").communicate(timeout=PATIENCE_SECONDS)

    with Ledger(tmp_path / "apportion.duckdb") as ledger:
        desk = Desk(ledger, FrozenClock(NOON), tmp_path)
        assert desk.events("event_id", "output_tokens") == [
            (f"e{number:06d}", number) for number in range(writer.written)
        ]
        assert desk.rejections() == []
        totals = desk.totals()
        assert (totals["landed"], totals["conflicts"]) == (writer.written, 0)
        assert totals["duplicates"] == 0
        assert sum(desk.read(path).landed for path in sorted((tmp_path / "logs").iterdir())) == 0
    assert said.splitlines()[-1] == "notes []"
