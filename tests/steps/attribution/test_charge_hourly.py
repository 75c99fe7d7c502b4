"""Metered lines by who pays for them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apportion.domain.errors import AuditFailed
from apportion.ledger import step
from attribution import attribute


def lines(books, columns="team, cost_kind, cause, consumed_tokens, effective_cost_nano"):
    """Hourly lines in order."""
    return books.session.rows(f"SELECT {columns} FROM attribution.charge_hourly ORDER BY ALL")


def test_lines_of_one_payer_add_up(books):
    """Callers of one team become one line, which keeps the other dimensions."""
    books.rule(1, "search", principal="s%", team_name="Search", project="p1", cost_center="CC-1")
    books.charge(0, 3, tokens=30, caller=books.caller("s1"), tier="gold")
    books.charge(0, 4, tokens=40, caller=books.caller("s2"), tier="gold")
    books.charge(0, 5, tokens=50, caller=books.caller("s2"))
    books.run()

    assert lines(books, "team, team_name, project, cost_center, tier, consumed_tokens, effective_cost_nano") == [
        ("search", "Search", "p1", "CC-1", "", 50, 5),
        ("search", "Search", "p1", "CC-1", "gold", 70, 7),
    ]


def test_an_unmapped_key_is_a_visible_line(books):
    """Usage of a caller that no rule fits keeps its cost, tokens and project under __unmapped__."""
    books.charge(0, 7, tokens=70, caller=books.caller("who", project="x"))
    books.run()

    assert lines(books, "team, project, consumed_tokens, effective_cost_nano") == [("__unmapped__", "x", 70, 7)]


def test_system_lines_name_what_became_of_the_cost(books):
    """Lines of nobody go to the system's teams by cost kind, under the cost centers given to them."""
    books.session.do("INSERT INTO book.cost_center VALUES ('__idle__', 'CC-0')")
    books.idle(0, 1)
    books.charge(0, 2, cost_kind="unmeasured")
    books.charge(0, 3, cause="busy_no_tokens")
    books.overhead(0, 4, "platform")
    books.run()

    assert lines(books, "team, cost_center, cost_kind, cause, effective_cost_nano") == [
        ("__idle__", "CC-0", "idle", "inactive", 1),
        ("__overhead__", "", "overhead", "platform", 4),
        ("__unattributed__", "", "workload", "busy_no_tokens", 3),
        ("__unmeasured__", "", "unmeasured", "", 2),
    ]


def test_an_unpriced_line_stays_unpriced(books):
    """Unplaced tokens are their team's, and their cost stays unknown."""
    books.rule(1, "ads")
    books.charge(0, None, tokens=9, caller=books.caller("a"), pool="", deployment="", cause="unplaced")
    books.charge(0, 1, tokens=8, caller=books.caller("a"))
    books.run()

    assert lines(books) == [("ads", "workload", "", 8, 1), ("ads", "workload", "unplaced", 9, None)]


def test_mid_month_directory_change(books):
    """A caller that changes teams is charged by hour: a change inside an hour counts from the next one."""
    caller = books.caller("k")
    books.rule(1, "old", principal="k", end=books.hour(1) + timedelta(minutes=30))
    books.rule(2, "new", principal="k", start=books.hour(1) + timedelta(minutes=30))
    for hour in range(3):
        books.charge(hour, 10**hour, tokens=1, caller=caller)
    books.run()

    assert books.costs("attribution.charge_hourly") == {"old": 11, "new": 100}


def test_an_owner_pays_for_callers_and_idle(books):
    """A dedicated deployment's owner bears every caller's workload and its idle, but no lost log and no telemetry gap."""
    books.deployment("own", "p", owner="search")
    books.rule(1, "ads", principal="a", project="x")
    books.rule(2, "search", principal="s", team_name="Search", cost_center="CC-S")
    for deployment in ("own", "d"):
        books.charge(0, 5, tokens=50, caller=books.caller("a"), deployment=deployment)
        books.idle(0, 3, deployment=deployment)
        books.charge(0, 2, deployment=deployment, cost_kind="unmeasured")
        books.charge(0, 1, deployment=deployment, cause="busy_no_tokens")
    books.run()

    assert lines(books, "team, team_name, project, cost_center, cost_kind, effective_cost_nano") == [
        ("__idle__", "", "", "", "idle", 3),
        ("__unattributed__", "", "", "", "workload", 1),
        ("__unattributed__", "", "", "", "workload", 1),
        ("__unmeasured__", "", "", "", "unmeasured", 2),
        ("__unmeasured__", "", "", "", "unmeasured", 2),
        ("ads", "", "x", "", "workload", 5),
        ("search", "Search", "", "CC-S", "idle", 3),
        ("search", "Search", "", "CC-S", "workload", 5),
    ]


def test_owners_are_dated(books):
    """An owner pays from the hour its range begins in, under the cost center the directory gives at that hour's start."""
    books.session.do("DELETE FROM book.deployment")
    books.deployment("d", "p", end=books.hour(1))
    books.deployment("d", "p", owner="o1", start=books.hour(1), end=books.hour(3) + timedelta(minutes=10))
    books.deployment("d", "p", owner="o2", start=books.hour(3) + timedelta(minutes=10))
    books.rule(1, "o1", principal="x", cost_center="CC-1", end=books.hour(1) + timedelta(minutes=1))
    books.rule(2, "o1", principal="x", cost_center="CC-2", start=books.hour(1) + timedelta(minutes=1))
    books.session.do("INSERT INTO book.cost_center VALUES ('o2', 'CC-O')")
    for hour in range(5):
        books.charge(hour, 1, tokens=1, caller=books.caller("k"))
    books.run()

    assert lines(books, "charge_period_start, team, cost_center") == [
        (books.hour(0), "__unmapped__", ""),
        (books.hour(1), "o1", "CC-1"),
        (books.hour(2), "o1", "CC-2"),
        (books.hour(3), "o1", "CC-2"),
        (books.hour(4), "o2", "CC-O"),
    ]


def test_only_the_span_is_attributed(books):
    """Attributing one hour of a month that follows the book leaves its other hours' rows alone."""
    caller = books.caller("k")
    books.charge(0, 1, tokens=1, caller=caller)
    books.charge(1, 1, tokens=1, caller=caller)
    books.run()
    books.charge(1, 5, tokens=1, caller=caller, kind="uncached_input")
    books.metered()
    books.attribute(books.span(1))

    assert books.costs("attribution.charge_hourly", "charge_period_start") == {books.hour(0): 1, books.hour(1): 6}
    assert books.costs("attribution.charge_daily", "charge_period_start") == {books.hour(0): 7}
    assert books.session.rows(
        "SELECT period_start, period_end, row_count FROM ledger.step_run WHERE step = 'attribution.charge_hourly' "
        "ORDER BY period_end DESC"
    ) == [(books.hour(0), books.hour(744), 2), (books.hour(1), books.hour(2), 2)]


def test_losing_a_nano_is_refused(books):
    """The hourly audit sees cost, tokens and prices that the teams' lines do not carry."""
    books.charge(0, 5, tokens=50, caller=books.caller("k"))
    books.run()
    audits = [attribute.audits()["attributed_cost_equals_metered_cost"]]
    for tampered in ("effective_cost_nano = 4", "consumed_tokens = 49", "effective_cost_nano = NULL"):
        books.run()
        books.session.do(f"UPDATE attribution.charge_hourly SET {tampered}")

        with pytest.raises(AuditFailed, match="attributed_cost_equals_metered_cost"):
            step.audit(books.session, audits, books.span(0), {})


def test_a_caller_cannot_be_lost(books):
    """A line whose caller the dictionary does not know refuses to be attributed at all."""
    books.charge(0, 5, tokens=50, caller=99)

    with pytest.raises(Exception, match="NOT NULL"):
        books.run()
