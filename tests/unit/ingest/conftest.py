"""A desk per test; the schema is made once and copied, because making it is most of a test's time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, Desk


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated ledger file that nobody has open."""
    path = tmp_path_factory.mktemp("blank") / "apportion.duckdb"
    with Ledger(path) as opened:
        migrate(opened, FrozenClock())
    return path


@pytest.fixture
def desk(tmp_path: Path, blank_ledger: Path) -> Iterator[Desk]:
    """An empty ledger at noon of 15 October 2026."""
    shutil.copy(blank_ledger, tmp_path / "apportion.duckdb")
    with Ledger(tmp_path / "apportion.duckdb") as opened:
        yield Desk(opened, FrozenClock(NOON), tmp_path)


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory, blank_ledger: Path) -> Iterator[Desk]:
    """One ledger for a file of tests that only add to it or only look at it."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copy(blank_ledger, folder / "apportion.duckdb")
    with Ledger(folder / "apportion.duckdb") as opened:
        yield Desk(opened, FrozenClock(NOON), folder)
