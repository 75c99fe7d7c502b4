"""Books to write into and attribute, gone when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger
from tests.blank import blank
from tests.steps.attribution.metered import Books


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One migrated ledger; every test rolls back what it wrote."""
    path: Path = tmp_path_factory.mktemp("attribution") / "apportion.duckdb"
    with Ledger(blank(path), threads=1) as opened:
        yield opened


@pytest.fixture
def books(ledger: Ledger) -> Iterator[Books]:
    """Books with a pool, a deployment and the default policy."""
    session = ledger.session()
    session.do("BEGIN")
    made = Books(session)
    made.pool("p")
    made.deployment("d", "p")
    made.policy()
    yield made
    session.do("ROLLBACK")
