"""An empty ledger of today's schema, copied: to write the schema anew takes most of a second."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from tests.frozen import FrozenClock


def blank(path: Path) -> Path:
    """A ledger file that nobody has open, unless there is one already. Returns: the path."""
    if not path.exists():
        shutil.copyfile(_written(), path)
    return path


@functools.cache
def _written() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="apportion-blank-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Ledger(folder / "apportion.duckdb") as ledger:
        migrate(ledger, FrozenClock())
    return folder / "apportion.duckdb"
