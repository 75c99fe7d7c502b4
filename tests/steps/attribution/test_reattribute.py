"""Directory, owners and policies change after the fact: months follow without being metered again."""

from __future__ import annotations

import pytest

from apportion.domain.errors import LedgerError
from apportion.domain.period import Period
from attribution import attribute


@pytest.fixture
def two_months(books):
    """The last hour of October and the first of November, used by one caller."""
    for hour in (743, 744):
        books.charge(hour, 10, tokens=1, caller=books.caller("k"))
        books.idle(hour, 5)
    books.run()
    return books


def metered(books):
    """Everything metering wrote."""
    return [
        books.session.rows(f"SELECT * FROM metering.{table} ORDER BY ALL")
        for table in ("charge_hourly", "origin_charge_hourly", "deployment_hourly", "metered_hour")
    ]


CHANGES = {
    "a rule": lambda books: books.rule(1, "a"),
    "a policy": lambda books: books.policy("proportional"),
    "an owner": lambda books: books.session.do("UPDATE book.deployment SET owner = 'o', charge_to = 'owner'"),
    "a given cost center": lambda books: books.session.do("INSERT INTO book.cost_center VALUES ('__unmapped__', 'CC')"),
    "an entitlement": lambda books: books.entitle("p", "a", 1),
    "a shared cost": lambda books: books.shared("s", "fixed", {"a": 1}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_makes_every_month_due_once(two_months, change):
    """Whatever attribution follows makes all open months due when it changes, and no month twice."""
    october = Period(two_months.hour(0), two_months.hour(744))
    november = Period(two_months.hour(744), two_months.hour(744 + 720))
    before = attribute.due(two_months.session)
    change(two_months)

    assert before == []
    assert attribute.reattribute(two_months.session, two_months.clock) == [october, november]
    assert attribute.reattribute(two_months.session, two_months.clock) == []


def test_a_changed_mapping_reattributes_without_remetering(two_months):
    """A new rule moves the cost of past hours to its team, and metering's rows stay as they were."""
    before = metered(two_months)
    two_months.rule(1, "a")
    attribute.reattribute(two_months.session, two_months.clock)

    assert two_months.costs(by="billing_period, team") == {
        (two_months.hour(0), "a"): 10,
        (two_months.hour(744), "a"): 10,
        (two_months.hour(0), "__idle__"): 5,
        (two_months.hour(744), "__idle__"): 5,
    }
    assert metered(two_months) == before


def test_a_changed_policy_settles_again_under_its_version(two_months):
    """A new policy moves idle in every open month, and lines say which version they follow."""
    two_months.policy("proportional")
    attribute.reattribute(two_months.session, two_months.clock)

    assert two_months.costs() == {"__unmapped__": 30, "__idle__": 0}
    assert two_months.session.rows("SELECT DISTINCT policy_version FROM attribution.charge_monthly") == [(2,)]
    assert two_months.session.rows("SELECT policy_version FROM attribution.attributed_month") == [(2,), (2,)]


def test_back_to_separate_leaves_nothing_settled(two_months):
    """A policy that moves nothing clears what an earlier one moved."""
    before = two_months.costs()
    two_months.policy("entitlement", "hour")
    two_months.entitle("p", "a", 1)
    two_months.shared("s")
    attribute.reattribute(two_months.session, two_months.clock)
    between = two_months.costs()
    two_months.policy("separate")
    two_months.session.do("DELETE FROM book.shared_cost")
    attribute.reattribute(two_months.session, two_months.clock)

    assert between != before
    assert two_months.costs() == before
    for table in attribute.SETTLEMENT:
        assert two_months.session.value(f"SELECT count(*) FROM {table}") == 0


def test_one_dirty_hour_takes_its_month_along_when_the_book_changed(two_months):
    """A month never follows two books: attributing one hour under a new one attributes the whole month."""
    two_months.charge(0, 100, tokens=1, caller=two_months.caller("k"))
    two_months.metered()
    two_months.rule(1, "a")
    two_months.attribute(two_months.span(0))

    assert two_months.costs(by="billing_period, team") == {
        (two_months.hour(0), "a"): 110,
        (two_months.hour(0), "__idle__"): 5,
        (two_months.hour(744), "__unmapped__"): 10,
        (two_months.hour(744), "__idle__"): 5,
    }


def test_running_again_changes_nothing(two_months):
    """Attributing twice leaves every table as it was, but for the records of the run."""
    tables = [
        row[0]
        for row in two_months.session.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'attribution' AND table_name NOT IN ('counter_change', 'revision') "
            "ORDER BY table_name"
        )
    ]
    before = {table: two_months.session.rows(f"SELECT * FROM attribution.{table} ORDER BY ALL") for table in tables}
    two_months.attribute(Period(two_months.hour(743), two_months.hour(745)))

    assert {
        table: two_months.session.rows(f"SELECT * FROM attribution.{table} ORDER BY ALL") for table in tables
    } == before


def test_new_callers_are_mapped_when_they_come(books):
    """A caller that arrives after the mapping was built gets its team, and the mapping is otherwise left alone."""
    books.rule(1, "a", principal="k%")
    books.charge(0, 1, tokens=1, caller=books.caller("k1"))
    books.run()
    books.charge(1, 2, tokens=1, caller=books.caller("k2"))
    books.run()
    books.run()

    assert books.costs() == {"a": 3}
    assert books.session.value("SELECT count(*) FROM ledger.step_run WHERE step = 'attribution.caller_team'") == 2


def test_without_a_policy_nothing_is_attributed(books):
    """A ledger that no config was synced into says so."""
    books.session.do("DELETE FROM book.policy")

    assert attribute.due(books.session) == []
    with pytest.raises(LedgerError, match="no policy yet"):
        books.attribute()
