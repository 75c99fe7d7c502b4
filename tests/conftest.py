"""What tests of every room share: an open ledger, a clock that stands still, and files that hold expected text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from apportion.ledger.connection import Ledger
from tests.blank import blank
from tests.frozen import FrozenClock

GOLDEN = Path(__file__).parent / "golden"

# A busy machine is no bug, so no example has a deadline; in CI the same examples run every time.
settings.register_profile("apportion", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "apportion")


@pytest.fixture
def clock() -> FrozenClock:
    """A clock at the start of October 2026, to be `set` or `advance`d."""
    return FrozenClock()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of today's schema, in the test's own folder."""
    with Ledger(blank(tmp_path / "apportion.duckdb")) as opened:
        yield opened


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Holds a text against the file of that name in tests/golden; `make golden` writes the file instead."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if os.environ.get("APPORTION_GOLDEN"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
            return
        if not file.exists():
            pytest.fail(f"tests/golden/{name} does not exist; run `make golden`, and review what it writes")
        assert file.read_bytes().decode() == text, (
            f"tests/golden/{name} differs; if that is meant, run `make golden` and review the diff"
        )

    return compare
