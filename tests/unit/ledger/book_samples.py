"""A migrated ledger with metered hours, and a small config to sync into it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apportion.config.load import load
from apportion.ledger.book import SyncReport, sync
from apportion.ledger.connection import Ledger, Row
from tests.blank import blank

START = datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOURS = 24 * 50
"""Metered hours from START on: all of October and nineteen days of November."""

BASE = """
[ledger]
path = "l.duckdb"
billing_currency = "USD"
[[pools]]
id = "p"
gpu = "L4"
gpus = 8
effective_from = 2026-10-01T00:00:00Z
[[deployments]]
id = "d"
pool = "p"
gpus = 8
models = ["m"]
effective_from = 2026-10-01T00:00:00Z
[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "1"
effective_from = 2026-10-01T00:00:00Z
[[shared_costs]]
id = "s"
per_month = "10"
effective_from = 2026-10-15T00:00:00Z
effective_to = 2026-11-01T00:00:00Z
[[model_aliases]]
alias = "a"
model = "m"
effective_from = 2026-10-01T00:00:00Z
[policy]
idle = "separate"
[directory]
rules = [
  { principal = "k_1%", team = "x" },
  { tag = { env = "prod*" }, team = "y" },
]
"""


def changed(old: str, new: str) -> str:
    """The base config with one thing changed."""
    assert BASE.count(old) == 1, BASE.count(old)
    return BASE.replace(old, new)


class Frozen:
    """A clock that stands still."""

    def now(self) -> datetime:
        """The same time always."""
        return NOW


@dataclass(frozen=True, slots=True)
class Book:
    """An open ledger and the folder of its config."""

    ledger: Ledger
    folder: Path

    def sync(self, text: str) -> SyncReport:
        """Sync a config text, once nothing is dirty any more."""
        file = self.folder / "apportion.toml"
        file.write_text(text, encoding="utf-8")
        config = load(file)
        with self.ledger.transaction() as session:
            session.do("DELETE FROM book.dirty_hour")
            return sync(session, config, NOW)

    def rows(self, sql: str) -> list[Row]:
        """What the ledger answers."""
        return self.ledger.session().rows(sql)

    def value(self, sql: str) -> Any:
        """The one value the ledger answers."""
        return self.ledger.session().value(sql)

    def forget(self, table: str) -> None:
        """Empty a table."""
        with self.ledger.transaction() as session:
            session.do(f"DELETE FROM {table}")

    def dirty(self) -> tuple[int, datetime | None, datetime | None]:
        """How many hours are dirty, the first and the last."""
        count, first, last = self.rows(
            "SELECT count(*), min(charge_period_start), max(charge_period_start) FROM book.dirty_hour"
        )[0]
        return count, first, last


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Book]:
    """A ledger whose hours are all metered, and whose book is empty."""
    with Ledger(blank(folder / "l.duckdb")) as ledger:
        with ledger.transaction() as session:
            session.do(
                "INSERT INTO metering.metered_hour "
                "SELECT $start + INTERVAL 1 HOUR * hour_no, $start, 1 FROM range($hours) AS hour (hour_no)",
                {"start": START, "hours": HOURS},
            )
        yield Book(ledger, folder)
