"""A desk per test. Ledgers are opened once per file of tests and emptied in between: opening one is most of a test's time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger
from ingest.bench import Bench
from tests.blank import blank
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, Desk

TABLES = (
    "usage_event",
    "superseded_event",
    "skewed_event",
    "gpu_sample",
    "engine_sample",
    "rejection",
    "stream_position",
    "dirty_hour",
)


@pytest.fixture(scope="module")
def open_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger for the tests of one file, and the benches they land at."""
    with Ledger(blank(tmp_path_factory.mktemp("ledger") / "apportion.duckdb")) as opened:
        yield opened


@pytest.fixture(scope="module")
def benches() -> dict[str, Bench]:
    """Where the tests of one file land records; a session that has met dimensions before is part of what is tested."""
    return {}


@pytest.fixture
def desk(tmp_path: Path, open_ledger: Ledger, benches: dict[str, Bench]) -> Desk:
    """A ledger without a record at noon of 15 October 2026; its dictionaries remember what other tests said."""
    with open_ledger.transaction() as session:
        for table in TABLES:
            session.do(f"DELETE FROM raw.{table}")
    return Desk(open_ledger, FrozenClock(NOON), tmp_path, benches)


@pytest.fixture
def fresh_desk(tmp_path: Path) -> Iterator[Desk]:
    """A ledger of the test's own."""
    with Ledger(blank(tmp_path / "apportion.duckdb")) as opened:
        yield Desk(opened, FrozenClock(NOON), tmp_path)


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One ledger for tests that only add to it or only look at it."""
    folder = tmp_path_factory.mktemp("desk")
    with Ledger(blank(folder / "apportion.duckdb")) as opened:
        yield Desk(opened, FrozenClock(NOON), folder)
