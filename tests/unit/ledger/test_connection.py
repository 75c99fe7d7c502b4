"""Talking to an open ledger: one writer at a time, nothing outside, whole transactions, times in UTC."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from apportion.domain.errors import LedgerError
from apportion.ledger.connection import Ledger, read_only, results_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may be."""
    return tmp_path / "apportion.duckdb"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """An open ledger with one table of many rows."""
    with Ledger(path) as opened:
        with opened.transaction() as session:
            session.do("CREATE TABLE item AS SELECT range AS n FROM range(100000)")
        yield opened


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{outside}')",
        "COPY item TO '{outside}.csv'",
        "ATTACH '{outside}.duckdb' AS other",
        "CREATE TABLE copied AS FROM read_csv('{outside}')",
        "EXPORT DATABASE '{outside}.export'",
        "SELECT * FROM glob('{outside}*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET temp_directory = '/tmp'",
        "RESET lock_configuration",
    ],
)
def test_sql_reaches_nothing_outside(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    """Files, other databases, extensions and the configuration are out of reach of SQL."""
    outside = tmp_path / "outside"
    outside.write_text("secret", encoding="utf-8")

    with pytest.raises(LedgerError, match=r"disabled|locked|[Pp]ermission|cannot be"):
        ledger.session().do(statement.format(outside=outside))

    assert sorted(p.name for p in tmp_path.glob("outside*")) == ["outside"]


def test_sql_reaches_the_work_directory(ledger: Ledger) -> None:
    """Spools in the ledger's own directory can be written and read."""
    session = ledger.session()
    session.do(f"COPY (SELECT n FROM item WHERE n < 3) TO '{ledger.work}/spool.csv'")

    assert session.rows(f"SELECT n FROM read_csv('{ledger.work}/spool.csv') ORDER BY n") == [(0,), (1,), (2,)]


def test_an_odd_path_is_only_a_path(tmp_path: Path) -> None:
    """Quotes and spaces in the path open the ledger like any other."""
    with Ledger(tmp_path / "it's a ledger.duckdb") as opened:
        assert opened.session().value("SELECT 1") == 1


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_a_transaction_keeps_nothing_when_its_block_fails(ledger: Ledger, error: BaseException) -> None:
    """Rows and tables of a failed block are gone, and the next transaction works."""

    def fail() -> None:
        with ledger.transaction() as session:
            session.do("DELETE FROM item")
            session.do("CREATE TABLE other (n INTEGER)")
            raise error

    with pytest.raises(type(error)):
        fail()
    with ledger.transaction() as session:
        session.do("INSERT INTO item VALUES (-1)")

    assert ledger.session().value("SELECT count(*) FROM item") == 100_001
    assert ledger.session().value("SELECT count(*) FROM information_schema.tables") == 1


def test_a_failed_statement_undoes_the_whole_transaction(ledger: Ledger) -> None:
    """An error of the database is a LedgerError, and what came before it in the block is undone."""

    def fail() -> None:
        with ledger.transaction() as session:
            session.do("DELETE FROM item")
            session.do("SELECT * FROM no_such_table")

    with pytest.raises(LedgerError, match="no_such_table"):
        fail()

    assert ledger.session().value("SELECT count(*) FROM item") == 100_000


def test_readers_see_nothing_before_commit(ledger: Ledger) -> None:
    """Another session sees the state before the transaction until it commits."""
    reader = ledger.session()
    with ledger.transaction() as session:
        session.do("DELETE FROM item")

        assert reader.value("SELECT count(*) FROM item") == 100_000
    assert reader.value("SELECT count(*) FROM item") == 0


def test_writers_take_turns(ledger: Ledger) -> None:
    """Transactions of several threads run one after another, none failing in conflict with another."""
    with ledger.transaction() as session:
        session.do("CREATE TABLE tally AS SELECT 0 AS n")

    def add() -> None:
        for _ in range(20):
            with ledger.transaction() as session:
                session.do("UPDATE tally SET n = n + 1")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.session().value("SELECT n FROM tally") == 80


def test_times_are_naive_utc_inside_and_aware_outside(ledger: Ledger) -> None:
    """A time of any zone is stored as UTC and comes back as the same instant."""
    session = ledger.session()
    india = datetime(2026, 10, 1, 5, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert session.row("SELECT $at::TIMESTAMP, $at::TIMESTAMP::VARCHAR", {"at": india}) == (
        datetime(2026, 10, 1, 0, 0, 0, 123456, tzinfo=UTC),
        "2026-10-01 00:00:00.123456",
    )


def test_times_without_zone_are_refused(ledger: Ledger) -> None:
    """A naive parameter is a mistake that is caught before it is stored."""
    with pytest.raises(ValueError, match="has no zone"):
        ledger.session().rows("SELECT $at::TIMESTAMP", {"at": datetime(2026, 10, 1)})  # noqa: DTZ001


def test_rows_that_are_not_there_are_an_error(ledger: Ledger) -> None:
    """Asking for the one row of an empty answer fails instead of giving nothing."""
    with pytest.raises(LookupError, match="no row"):
        ledger.session().value("SELECT n FROM item WHERE n < 0")


def test_do_counts_the_rows_it_changed(ledger: Ledger) -> None:
    """Insertions and deletions tell how many rows they touched; other statements tell nothing."""
    with ledger.transaction() as session:
        assert session.do("DELETE FROM item WHERE n >= 10") == 99_990
        assert session.do("CREATE TABLE other (n INTEGER)") == 0


@pytest.mark.parametrize("column", ["sum(n)", "1.5", "1.5::DOUBLE", "n::HUGEINT"])
def test_frames_refuse_what_pandas_makes_floats(ledger: Ledger, column: str) -> None:
    """Sums and decimals must be cast before they cross into pandas."""
    with pytest.raises(TypeError, match="cast it to BIGINT or VARCHAR"):
        ledger.session().frame(f"SELECT {column} AS amount FROM item GROUP BY ALL")


def test_frames_hold_integers_and_text(ledger: Ledger) -> None:
    """Integers beyond a float's reach cross into pandas exactly."""
    frame = ledger.session().frame("SELECT 9007199254740993::BIGINT AS nano, 'x' AS team")

    assert frame["nano"].tolist() == [9007199254740993]


def test_results_are_readable_while_the_ledger_is_in_use(path: Path) -> None:
    """A published file opens read-only, locked down, beside the open ledger; before that, it is said what to run."""
    results = results_path(path)
    with Ledger(path):
        with pytest.raises(LedgerError, match="nothing has been published yet; run `apportion meter` first"):
            read_only(results)
        with Ledger(results) as publishing, publishing.transaction() as session:
            session.do("CREATE TABLE month AS SELECT 7 AS n")
        reading = read_only(results)

        assert reading.value("SELECT n FROM month") == 7
        with pytest.raises(LedgerError, match="read-only"):
            reading.do("DELETE FROM month")
        with pytest.raises(LedgerError, match="disabled"):
            reading.rows("SELECT * FROM read_text('/etc/hostname')")


def test_closing_lets_go_of_everything(path: Path) -> None:
    """After closing, neither work directory nor lock remains, and leftovers of a killed process are swept on opening."""
    with Ledger(path) as opened:
        work = opened.work
    assert not work.exists()
    (work / "dead").mkdir(parents=True)
    (work / "link").symlink_to("/etc")
    with Ledger(path):
        assert [p.name for p in work.iterdir()] == []
    assert Path("/etc").is_dir()
