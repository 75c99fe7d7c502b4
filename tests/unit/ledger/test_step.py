"""Steps and audits: headers are checked, windows replaced whole, and nothing is kept that an audit denies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from apportion.domain.errors import AuditFailed, LedgerBroken, LedgerError, StepFailed
from apportion.domain.period import HOUR, Period
from apportion.ledger.connection import Ledger
from apportion.ledger.step import audit, load, parse, run
from tests.blank import blank
from tests.frozen import START, FrozenClock

PERIOD = Period(START, START + 2 * HOUR)

STEP = """-- step:   work.tally
-- grain:  charge_period_start, name
-- reads:  work.source
-- params: period_start, period_end, factor
-- why:    A test needs a table
--         that is filled in two lines of explanation.
SELECT name, (n * $factor)::BIGINT AS n, charge_period_start
FROM work.source
WHERE charge_period_start >= $period_start AND charge_period_start < $period_end
"""
AUDIT = """-- audit: no_tally_is_negative
-- reads: work.tally
-- params: period_start, period_end
-- why: A tally counts.
SELECT name, n FROM work.tally WHERE n < 0 AND charge_period_start >= $period_start AND charge_period_start < $period_end;
"""
WHOLE = """-- step: work.names
-- grain: name
-- reads: work.source
-- params: none
-- why: Names have no time.
SELECT DISTINCT name FROM work.source
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with a source of one row each in the hours -1 to 2, and an empty table for each step."""
    with Ledger(blank(tmp_path / "l.duckdb")) as opened:
        with opened.transaction() as session:
            session.do(
                "CREATE SCHEMA work; CREATE TABLE work.names (name VARCHAR);"
                "CREATE TABLE work.source (charge_period_start TIMESTAMP, name VARCHAR, n BIGINT);"
                "CREATE TABLE work.tally (charge_period_start TIMESTAMP NOT NULL, name VARCHAR NOT NULL, n BIGINT)"
            )
            for hour in range(-1, 3):
                session.do("INSERT INTO work.source VALUES ($at, 'a', $n)", {"at": START + hour * HOUR, "n": hour})
        yield opened


def tallies(ledger: Ledger) -> list[tuple[int, str, int]]:
    """The filled table, hours counted from the start."""
    rows = ledger.session().rows("SELECT charge_period_start, name, n FROM work.tally ORDER BY ALL")
    return [((at - START) // HOUR, name, n) for at, name, n in rows]


def fill(ledger: Ledger, *, factor: int = 10, sql: str = STEP, period: Period = PERIOD) -> None:
    """Run one step and the audit in one transaction."""
    with ledger.transaction() as session:
        run(session, [parse(sql, "tally.sql")], period, {"factor": factor}, FrozenClock())
        audit(session, [parse(AUDIT, "audit.sql")], period, {})


def test_a_header_says_everything_about_its_query() -> None:
    """Every field is read, lists are lists, and an explanation may run over lines."""
    query = parse(STEP, "tally.sql")

    assert (query.kind, query.name, query.grain, query.reads, query.params, query.window) == (
        "step",
        "work.tally",
        ("charge_period_start", "name"),
        ("work.source",),
        ("period_start", "period_end", "factor"),
        "charge_period_start",
    )
    assert query.why == "A test needs a table that is filled in two lines of explanation."
    assert parse(WHOLE, "names.sql").params == ()
    assert parse(WHOLE, "names.sql").window is None
    assert parse(AUDIT, "audit.sql").kind == "audit"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "SELECT 1",
        "-- step: work.tally\n",
        "-- a comment\n-- step: work.tally",
        STEP.replace("-- reads:  work.source\n", ""),
        STEP.replace("-- reads:", "-- writes:"),
        STEP.replace("-- why:", "-- note: x\n-- why:"),
        STEP.replace("-- grain:  charge_period_start, name", "-- grain:  charge_period_start\n-- grain:  name"),
        STEP.replace(
            "-- grain:  charge_period_start, name\n-- reads:  work.source", "-- reads:  work.source\n-- grain:  name"
        ),
        AUDIT.replace("-- audit:", "-- step:"),
    ],
)
def test_a_wrong_header_names_its_file_and_what_is_expected(header: str) -> None:
    """A field that is missing, doubled, unknown or out of order is refused before anything runs."""
    with pytest.raises(ValueError, match=r"tally\.sql: header has .* expected"):
        parse(header, "tally.sql")


def test_a_run_fills_the_window_and_nothing_beside_it(ledger: Ledger) -> None:
    """Rows outside the period stay as they were, whatever runs inside it."""
    with ledger.transaction() as session:
        session.do(
            "INSERT INTO work.tally VALUES ($before, 'kept', 1), ($inside, 'stale', 2), ($last, 'stale', 3), ($after, 'kept', 4)",
            {
                "before": START - timedelta(microseconds=1),
                "inside": START,
                "last": PERIOD.end - timedelta(microseconds=1),
                "after": PERIOD.end,
            },
        )
    fill(ledger)

    assert tallies(ledger) == [(-1, "kept", 1), (0, "a", 0), (1, "a", 10), (2, "kept", 4)]


def test_running_again_changes_nothing(ledger: Ledger) -> None:
    """The second run of a window leaves the rows of the first, and each run leaves its record."""
    fill(ledger)
    once = tallies(ledger)
    fill(ledger)

    assert tallies(ledger) == once == [(0, "a", 0), (1, "a", 10)]
    assert (
        ledger.session().rows("SELECT step, period_start, period_end, row_count, finished_at FROM ledger.step_run")
        == [("work.tally", PERIOD.start, PERIOD.end, 2, START)] * 2
    )


def test_a_table_without_time_is_rebuilt_whole(ledger: Ledger) -> None:
    """Where the grain has no period, the window is the table."""
    fill(ledger, sql=WHOLE)
    with ledger.transaction() as session:
        session.do("UPDATE work.source SET name = 'b'")
    fill(ledger, sql=WHOLE)

    assert ledger.session().rows("SELECT name FROM work.names") == [("b",)]


def test_two_rows_of_one_grain_keep_nothing(ledger: Ledger) -> None:
    """A doubled key is refused with the key, and the window stays as it was before the run."""
    fill(ledger)
    with ledger.transaction() as session:
        session.do("INSERT INTO work.source VALUES ($at, 'a', 7)", {"at": START})

    with pytest.raises(AuditFailed, match=r"each_grain_is_one_row of work\.tally refused to commit"):
        fill(ledger)

    assert tallies(ledger) == [(0, "a", 0), (1, "a", 10)]
    assert ledger.session().value("SELECT count(*) FROM ledger.step_run") == 1


def test_a_key_without_value_keeps_nothing(ledger: Ledger) -> None:
    """A NULL in a key column is no row of the grain."""
    with ledger.transaction() as session:
        session.do("INSERT INTO work.source VALUES ($at, NULL, 7)", {"at": START})

    with pytest.raises(StepFailed, match=r"work\.tally[\s\S]*NOT NULL"):
        fill(ledger)

    assert tallies(ledger) == []


def test_an_audit_that_finds_rows_keeps_nothing(ledger: Ledger) -> None:
    """The rows of the step and its record are gone, and the error shows truth and rows."""
    fill(ledger)

    with pytest.raises(AuditFailed) as refused:
        fill(ledger, factor=-1)

    assert (refused.value.step, refused.value.audit, refused.value.rows) == (
        "work.tally",
        "no_tally_is_negative",
        (("a", -1),),
    )
    assert tallies(ledger) == [(0, "a", 0), (1, "a", 10)]
    assert ledger.session().value("SELECT count(*) FROM ledger.step_run") == 1


def test_silent_audits_let_the_transaction_pass(ledger: Ledger) -> None:
    """Audits see the rows of their own transaction, and only those of the period."""
    with ledger.transaction() as session:
        session.do("INSERT INTO work.tally VALUES ($at, 'old', -5)", {"at": START - HOUR})
        run(session, [parse(STEP, "tally.sql")], PERIOD, {"factor": 1}, FrozenClock())
        audit(session, [parse(AUDIT, "audit.sql")], PERIOD, {})

    assert tallies(ledger) == [(-1, "old", -5), (0, "a", 0), (1, "a", 1)]


def test_a_step_that_cannot_run_keeps_nothing(ledger: Ledger) -> None:
    """A column that the table lacks is an error of the ledger, after which the window is as before."""
    fill(ledger)

    with pytest.raises(LedgerError, match="surplus"):
        fill(ledger, sql=STEP.replace("AS n,", "AS n, 1 AS surplus,"))

    assert tallies(ledger) == [(0, "a", 0), (1, "a", 10)]


@pytest.mark.parametrize(
    "folder", [("metering", "sql"), ("metering", "audits"), ("attribution", "sql"), ("attribution", "audits")]
)
def test_every_query_of_the_product_has_a_right_header(folder: tuple[str, str]) -> None:
    """Each file parses, is named after what it fills or protects, and is one kind per folder."""
    queries = load(*folder)

    assert queries
    assert {query.kind for query in queries.values()} == {"audit" if folder[1] == "audits" else "step"}


def test_a_step_that_overflows_names_itself_and_its_span(ledger: Ledger) -> None:
    """The engine's own first line stands in the message with what to do, and what was there before stays."""
    fill(ledger)
    before = tallies(ledger)

    with pytest.raises(StepFailed) as refused:
        fill(ledger, factor=2**64)

    assert (refused.value.step, refused.value.period) == ("work.tally", PERIOD)
    assert str(refused.value).startswith(
        f"work.tally from {PERIOD.start:%Y-%m-%dT%H:%MZ} to {PERIOD.end:%Y-%m-%dT%H:%MZ}: a number"
    )
    assert "INT64" in str(refused.value)
    assert "nothing was changed" in str(refused.value)
    assert "Look for a count, weight, rate or price that cannot be true." in str(refused.value)
    assert tallies(ledger) == before


def test_an_audit_that_cannot_be_computed_names_itself(ledger: Ledger) -> None:
    """An audit fails as a step does: by its name and the span."""
    sql = AUDIT.replace("n < 0", "n * n < 0")
    with ledger.transaction() as session:
        session.do("INSERT INTO work.tally VALUES ($at, 'a', 9223372036854775807)", {"at": PERIOD.start})

    with pytest.raises(StepFailed, match=r"^audit no_tally_is_negative from .* Overflow in multiplication"):
        audit(ledger.session(), [parse(sql, "audit.sql")], PERIOD, {})


def test_a_broken_ledger_stays_broken(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only a new process can mend is no failure of a step: who watches for it must still see it."""

    def give_up(*_: object) -> None:
        raise LedgerBroken("restart the process.")

    session = ledger.session()
    monkeypatch.setattr(session, "rows", give_up)

    with pytest.raises(LedgerBroken):
        audit(session, [parse(AUDIT, "audit.sql")], PERIOD, {})
