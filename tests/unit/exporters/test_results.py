"""Publishing: everything of one instant, nothing of a caller, whole files only, and hours carried over exactly."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from apportion.domain.errors import LedgerError
from apportion.ledger.connection import Ledger, read_only
from exporters.results import HOURLY, TABLES, publish
from tests.frozen import FrozenClock
from tests.steps.attribution.metered import NOVEMBER, OCTOBER, Books
from tests.unit.exporters.conftest import worked_example

CLOCK = FrozenClock(NOVEMBER)


def contents(path: Path) -> dict[str, list]:
    """Every table of a results file, but when and by whom it was published."""
    session = read_only(path)
    tables = [row[0] for row in session.rows("SELECT table_name FROM information_schema.tables ORDER BY 1")]
    return {table: sorted(session.rows(f"SELECT * FROM {table}"), key=repr) for table in tables}


def attributed(ledger: Ledger, write, span: int | None = None) -> None:
    """Write books in a transaction and attribute October, or one hour of it."""
    with ledger.transaction() as session:
        books = Books(session)
        write(books)
        books.metered()
        books.attribute(OCTOBER if span is None else books.span(span))


def test_every_view_becomes_a_table_without_callers(kept):
    """Each export view is published under its name, and no table knows a principal."""
    attributed(kept, worked_example)
    session = read_only(publish(kept, CLOCK))
    tables = {row[0] for row in session.rows("SELECT table_name FROM information_schema.tables")}
    views = {row[0] for row in kept.session().rows("SELECT view_name FROM duckdb_views() WHERE schema_name = 'export'")}

    assert tables == {*TABLES, *HOURLY, "status"} == views - {"progress"} | {"status"}
    for table, column in session.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE data_type = 'VARCHAR'"
    ):
        assert session.value(f"SELECT count(*) FROM {table} WHERE {column} LIKE '%key-%'") == 0, (table, column)


def test_status_is_one_row(kept):
    """Status says where it comes from, when it was published and how far figures reach."""
    attributed(kept, worked_example)
    session = read_only(publish(kept, CLOCK))

    assert session.rows("SELECT watermark, metered_hours, dirty_hours, refused_hours, policy_version, billing_currency, published_at, ledger FROM status") == [
        (OCTOBER.start + timedelta(hours=1), 1, 0, 0, 1, "USD", NOVEMBER, str(kept.path))]  # fmt: skip


def test_nothing_metered_is_published_too(kept):
    """An empty ledger publishes empty tables and no watermark."""
    session = read_only(publish(kept, CLOCK))

    assert session.rows("SELECT watermark, metered_hours FROM status") == [(None, 0)]
    assert session.value("SELECT count(*) FROM chargeback") == 0


@pytest.mark.parametrize(("statement", "hours"), [
    ("SELECT 1", 5),
    ("INSERT INTO raw.dirty_hour VALUES (TIMESTAMP '2026-10-01 03:00', TIMESTAMP '2026-11-01')", 3),
    ("INSERT INTO book.dirty_hour VALUES (TIMESTAMP '2026-10-01 02:00', TIMESTAMP '2026-11-01')", 2),
    ("INSERT INTO metering.refused_hour VALUES (TIMESTAMP '2026-10-01 04:00', 'no rate', TIMESTAMP '2026-11-01')", 4),
    ("DELETE FROM metering.metered_hour WHERE charge_period_start = TIMESTAMP '2026-10-01 01:00'", 1),
    ("INSERT INTO raw.dirty_hour VALUES (TIMESTAMP '2026-09-30 23:00', TIMESTAMP '2026-11-01')", 5),
    ("INSERT INTO raw.dirty_hour VALUES (TIMESTAMP '2026-10-01 05:00', TIMESTAMP '2026-11-01')", 5),
])  # fmt: skip
def test_the_watermark_stops_at_the_first_open_hour(kept, statement, hours):
    """Figures are final up to the first hour that is dirty, refused or missing among those metered."""
    with kept.transaction() as session:
        Books(session).metered(5)
        session.do(statement)
    session = read_only(publish(kept, CLOCK))

    assert session.value("SELECT watermark FROM status") == OCTOBER.start + timedelta(hours=hours)


def test_the_watermark_waits_for_every_source(kept):
    """An hour is provisional until every source has reported past its end; one that fell silent long ago is not waited for."""
    with kept.transaction() as session:
        Books(session).metered(5)
        session.do("""
INSERT INTO raw.caller VALUES (1, '1', 'live', '', '', '{}'), (2, '2', 'slow', '', '', '{}'), (3, '3', 'gone', '', '', '{}');
INSERT INTO metering.placed_usage_hourly (charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, tier,
    uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, requests, events)
SELECT heard, 0, 0, 'self', 0, caller_no, '', 1, 0, 0, 0, 0, 1, 1
FROM (VALUES (TIMESTAMP '2026-10-01 04:00', 1), (TIMESTAMP '2026-10-01 02:00', 2), (TIMESTAMP '2026-08-01', 3)) AS usage (heard, caller_no);""")
    session = read_only(publish(kept, CLOCK))

    assert session.value("SELECT watermark FROM status") == OCTOBER.start + timedelta(hours=2)
    assert session.rows("SELECT source FROM sources ORDER BY ALL") == [("live",), ("slow",)]


def test_carrying_over_equals_writing_anew(kept):
    """Whatever changes between two publishes, the results are those that a first publish writes."""

    def later_hours(books):
        for hour in (5, 300):
            books.charge(hour, 10, tokens=1, caller=books.caller("k"), pool="h100-prod", deployment="llama70b")

    def one_hour(books):
        books.charge(300, 3, tokens=1, caller=books.caller("k"))

    def less(books):
        books.session.do(
            "DELETE FROM metering.charge_hourly WHERE charge_period_start = TIMESTAMP '2026-10-01 05:00:00'"
        )

    for write, span in (
        (worked_example, None),
        (later_hours, None),
        (less, 5),
        (lambda books: books.rule(9, "late"), None),
        (one_hour, 300),
    ):
        attributed(kept, write, span)
        carried = contents(publish(kept, CLOCK))
        kept.results.unlink()
        anew = contents(publish(kept, CLOCK))

        assert carried == anew


def test_only_changed_hours_are_written_again(kept, monkeypatch):
    """A publish after one hour changed reads that hour's lines, not the month's."""
    attributed(kept, worked_example)
    publish(kept, CLOCK)
    attributed(kept, lambda books: books.charge(5, 10, tokens=1, caller=books.caller("k")), 5)
    asked = []
    from apportion.ledger.connection import Session

    do = Session.do
    monkeypatch.setattr(
        Session,
        "do",
        lambda self, sql, parameters=None: (asked.append((sql, parameters)), do(self, sql, parameters))[1],
    )
    publish(kept, CLOCK)

    hour = OCTOBER.start + timedelta(hours=5)
    for table in HOURLY:
        assert [parameters for sql, parameters in asked if f".{table} SELECT" in sql] == [
            {"start": hour, "end": hour + timedelta(hours=1)}
        ]
        assert not any("CREATE" in sql and f"export.{table}" in sql for sql, _ in asked)


@pytest.mark.parametrize("before", [b"", b"not a database", None])
def test_another_file_in_the_way_is_replaced(kept, tmp_path, before):
    """Results of another ledger, or something that is no results file, do not end up in ours."""
    attributed(kept, worked_example)
    if before is None:
        with Ledger(tmp_path / "other" / "apportion.duckdb") as other:
            from apportion.ledger.migrations import migrate

            migrate(other, CLOCK)
            attributed(other, worked_example)
            attributed(other, lambda books: books.charge(9, 99, tokens=1, caller=books.caller("k")))
            publish(other, CLOCK).rename(kept.results)
    else:
        kept.results.write_bytes(before)

    found = contents(publish(kept, CLOCK))
    kept.results.unlink()
    assert found == contents(publish(kept, CLOCK))


def test_a_failed_publish_leaves_the_last_one(kept, monkeypatch):
    """Where the new file cannot be put in place, the old one stays, and nothing is left in the work directory."""
    attributed(kept, worked_example)
    before = publish(kept, CLOCK).read_bytes()

    def fail(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(LedgerError, match=r"cannot be published .*No space left.*the ledger itself is unharmed"):
        publish(kept, CLOCK)

    assert kept.results.read_bytes() == before
    assert list(kept.work.iterdir()) == []


def test_the_writer_may_be_busy(kept):
    """Publishing reads what is committed, while a transaction is under way."""
    attributed(kept, worked_example)
    with kept.transaction() as session:
        session.do("DELETE FROM attribution.charge_monthly")
        lines = read_only(publish(kept, CLOCK)).value("SELECT count(*) FROM chargeback")

    assert lines == 8
