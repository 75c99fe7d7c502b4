"""Migrations: each whole or not at all, together with its record; other people's files are left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from apportion.domain.errors import LedgerError
from apportion.ledger import migrations
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.migrations import available, migrate
from tests.frozen import START, FrozenClock

KILLED_BEFORE_ITS_RECORD = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from apportion.ledger import connection, migrations

class Clock:
    def now(self):
        return datetime(2026, 10, 1, tzinfo=UTC)

do = connection.Session.do
def dying(self, sql, parameters=None):
    if "INSERT INTO ledger.migration" in sql and parameters["version"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return do(self, sql, parameters)
connection.Session.do = dying
migrations.migrate(connection.Ledger(Path(sys.argv[1])), Clock())
"""


def tables(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Every column of every table of a ledger."""
    return [
        (str(row[0]), str(row[1]), str(row[2]))
        for row in ledger.session().rows(
            "SELECT table_schema || '.' || table_name, column_name, data_type FROM information_schema.columns ORDER BY ALL"
        )
    ]


def test_a_new_ledger_gets_every_migration_once(tmp_path: Path) -> None:
    """All run, each leaves its record, and running again does nothing."""
    with Ledger(tmp_path / "l.duckdb") as ledger:
        assert migrate(ledger, FrozenClock()) == len(available())
        assert migrate(ledger, FrozenClock()) == 0
        assert ledger.session().rows("SELECT version, name, applied_at FROM ledger.migration ORDER BY version") == [
            (version, name, START) for version, name, _ in available()
        ]


def test_versions_ascend_without_a_gap() -> None:
    """Migrations are numbered from 0 on in the order they run."""
    assert [version for version, _, _ in available()] == list(range(len(available())))


def test_every_stage_has_its_schema(tmp_path: Path) -> None:
    """The schemas of a ledger are the architecture: one per stage, beside reference data and the ledger's own records."""
    with Ledger(tmp_path / "l.duckdb") as ledger:
        migrate(ledger, FrozenClock())
        schemas = {table.partition(".")[0] for table, _, _ in tables(ledger)}

    assert {"ledger", "raw", "book", "metering", "attribution"} <= schemas


def test_every_table_says_what_it_holds(tmp_path: Path) -> None:
    """Each table carries a comment, from which the data dictionary is made."""
    with Ledger(tmp_path / "l.duckdb") as ledger:
        migrate(ledger, FrozenClock())

        assert ledger.session().rows("SELECT schema_name, table_name FROM duckdb_tables() WHERE comment IS NULL") == []


@pytest.mark.parametrize(
    "stem", ["ledger", "raw", "book", "metering", "export", "information_schema", "temp", "main", "it's"]
)
def test_any_file_name_is_a_ledgers(tmp_path: Path, stem: str) -> None:
    """A ledger may be called like one of its own schemas or of the database's."""
    with Ledger(tmp_path / f"{stem}.duckdb") as ledger:
        migrate(ledger, FrozenClock())

        assert ledger.session().value("SELECT count(*) FROM raw.batch") == 0


def test_a_kill_in_the_middle_leaves_a_usable_ledger(tmp_path: Path) -> None:
    """A process killed after a migration's tables and before its record leaves neither; the next start finishes."""
    path = tmp_path / "l.duckdb"
    killed = subprocess.run([sys.executable, "-c", KILLED_BEFORE_ITS_RECORD, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL

    with Ledger(path) as ledger:
        assert ledger.session().rows("SELECT version FROM ledger.migration ORDER BY version") == [(0,), (1,)]
        assert not any(table.startswith("book.") for table, _, _ in tables(ledger))
        assert migrate(ledger, FrozenClock()) == len(available()) - 2
        finished = tables(ledger)
    with Ledger(tmp_path / "other.duckdb") as other:
        migrate(other, FrozenClock())

        assert tables(other) == finished


def test_a_migration_that_fails_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements before the failing one are undone with it, and earlier migrations stay."""
    broken = [
        *available(),
        (len(available()), "broken", "CREATE SCHEMA later; CREATE TABLE later.a (n INTEGER); SELECT nonsense"),
    ]
    monkeypatch.setattr(migrations, "available", lambda: broken)

    with Ledger(tmp_path / "l.duckdb") as ledger:
        with pytest.raises(LedgerError, match="nonsense"):
            migrate(ledger, FrozenClock())

        assert ledger.session().value("SELECT max(version) FROM ledger.migration") == len(broken) - 2
        assert not any(table.startswith("later.") for table, _, _ in tables(ledger))


def test_a_newer_ledger_says_to_upgrade(tmp_path: Path) -> None:
    """A ledger that a later version has migrated is left alone, naming both versions."""
    path = tmp_path / "l.duckdb"
    with Ledger(path) as ledger:
        migrate(ledger, FrozenClock())
        with ledger.transaction() as session:
            session.do("INSERT INTO ledger.migration VALUES (9000, '9000_later', $now)", {"now": START})
        before = tables(ledger)

        with pytest.raises(LedgerError) as refused:
            migrate(ledger, FrozenClock())

        assert tables(ledger) == before
    newest = available()[-1][0]
    assert f"{path}: this ledger is at schema 9000, and this program knows up to {newest}; upgrade apportion" in str(
        refused.value
    )


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    """A DuckDB file with tables that apportion did not make is refused and unchanged."""
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(str(path)) as theirs:
        theirs.execute("CREATE TABLE sale AS SELECT 1 AS n")

    with Ledger(path) as ledger:
        with pytest.raises(
            LedgerError, match=r"theirs\.duckdb: this database was not made by apportion; point --ledger"
        ):
            migrate(ledger, FrozenClock())

        assert tables(ledger) == [("main.sale", "n", "INTEGER")]


def test_an_empty_database_becomes_a_ledger(tmp_path: Path) -> None:
    """A DuckDB file without any table is as good as a new one."""
    path = tmp_path / "empty.duckdb"
    duckdb.connect(str(path)).close()

    with Ledger(path) as ledger:
        assert migrate(ledger, FrozenClock()) == len(available())


METERED_BEFORE = """
INSERT INTO metering.metered_hour SELECT TIMESTAMP '2026-10-01' + to_hours(h::INTEGER), TIMESTAMP '2026-10-02', 1 FROM range(6) AS t (h);
INSERT INTO book.coverage VALUES
    ('asset/a', 0, 4, TIMESTAMP '2026-10-01 00:30', TIMESTAMP '2026-10-01 01:00'),
    ('asset/a', 1, 4, TIMESTAMP '2026-10-01 00:00', TIMESTAMP '2026-10-01 06:00'),
    ('commitment/c', 0, 4, TIMESTAMP '2026-10-01 00:00', TIMESTAMP '2026-10-01 06:00');
INSERT INTO book.deployment BY NAME
SELECT
    no AS deployment_no, 1 AS pool_no, 1 AS gpus, 'active' AS utilization, '' AS owner, 'caller' AS charge_to, role,
    TIMESTAMP '2026-10-01' + to_hours(begins::INTEGER) AS effective_from, TIMESTAMP '2026-10-01' + to_hours(ends::INTEGER) AS effective_to
FROM (VALUES (1, 'prefill', 1, 2), (2, 'decode', 0, 6)) AS t (no, role, begins, ends);
INSERT INTO metering.engine_state_hourly BY NAME
SELECT
    TIMESTAMP '2026-10-01' + to_hours(h::INTEGER) AS charge_period_start, 1 AS pool_no, no AS deployment_no, 1 AS empty_us, 1 AS running_us,
    1 AS covered_us
FROM (VALUES (3, 2), (4, 3)) AS t (h, no);
INSERT INTO metering.deployment_hourly BY NAME
SELECT
    TIMESTAMP '2026-10-01' + to_hours(h::INTEGER) AS charge_period_start, 1 AS pool_no, no AS deployment_no, utilization,
    {zeros}
FROM (VALUES (3, 2, 'active'), (4, 3, 'capacity')) AS t (h, no, utilization);
"""


def test_hours_that_older_rules_metered_are_metered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with unused owned GPUs, of readers of prompts, and where engines tell of `active` deployments; no others."""
    older = [migration for migration in available() if migration[1] < "0028"]
    with monkeypatch.context() as patch, Ledger(tmp_path / "l.duckdb") as ledger:
        patch.setattr(migrations, "available", lambda: older)
        migrate(ledger, FrozenClock())
        session = ledger.session()
        session.do(METERED_BEFORE.format(zeros=_zeros(session)))
    with Ledger(tmp_path / "l.duckdb") as ledger:
        assert migrate(ledger, FrozenClock()) == len(available()) - len(older)
        assert ledger.session().rows("SELECT hour(charge_period_start) FROM book.dirty_hour ORDER BY ALL") == [
            (0,), (1,), (3,),
        ]  # fmt: skip


def test_a_ledger_with_rows_goes_through_every_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in every table that there is at each version: none stands in the way of the next one, and none is lost for it."""
    every = available()
    for count in range(1, len(every) + 1):
        monkeypatch.setattr(migrations, "available", lambda count=count: every[:count])
        with Ledger(tmp_path / "l.duckdb") as ledger:
            assert migrate(ledger, FrozenClock()) == 1
            session = ledger.session()
            for schema, table in session.rows(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> 'ledger'"
            ):
                if not session.value(f"SELECT EXISTS (FROM {schema}.{table})"):
                    session.do(f"INSERT INTO {schema}.{table} SELECT {_somethings(session, str(schema), str(table))}")
    with Ledger(tmp_path / "l.duckdb") as ledger:
        assert ledger.session().rows("SELECT recurring_per_hour_nano FROM book.commitment") == [(0,)]


def _somethings(session: Session, schema: str, table: str) -> str:
    """A value for every column of a table, in order."""
    kinds = session.rows(
        "SELECT data_type FROM duckdb_columns() WHERE schema_name = $schema AND table_name = $table ORDER BY column_index",
        {"schema": schema, "table": table},
    )
    plain = {
        "TIMESTAMP": "TIMESTAMP '2026-10-01'",
        "VARCHAR": "''",
        "BLOB": "''",
        "BOOLEAN": "FALSE",
        "DATE": "DATE '2026-10-01'",
    }
    return ", ".join(
        kind.removeprefix("ENUM(").partition(",")[0]
        if kind.startswith("ENUM")
        else "'[]'"
        if kind.endswith("[]")
        else plain.get(kind, "0")
        for (kind,) in kinds
    )


def _zeros(session: Session) -> str:
    """A zero or an empty text for every column that an hour of a deployment must have and no rule asks about."""
    asked = ["charge_period_start", "pool_no", "deployment_no", "utilization"]
    return ", ".join(
        f"{'0' if 'INT' in kind else 'FALSE' if kind == 'BOOLEAN' else repr('')} AS {name}"
        for name, kind in session.rows(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'metering' AND NOT is_nullable "
            "AND table_name = 'deployment_hourly' AND NOT list_contains($asked, column_name) ORDER BY column_index",
            {"asked": asked},
        )
    )
