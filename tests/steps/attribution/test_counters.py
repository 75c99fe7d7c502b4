"""Counters that only rise, through restatements, and with bounded labels."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.domain.errors import AuditFailed
from apportion.domain.period import Period
from apportion.ledger import step
from attribution import attribute


def counters(books, metric="cost", columns="team, model"):
    """(charged, credited) by labels."""
    return {
        key[0] if len(key) == 1 else tuple(key): (charged, credited)
        for *key, charged, credited in books.session.rows(
            f"SELECT {columns}, sum(charged)::HUGEINT, sum(credited)::HUGEINT FROM attribution.counter WHERE metric = $metric GROUP BY ALL",
            {"metric": metric},
        )
    }


def restate(books, cost):
    """Charge one line anew and attribute."""
    books.session.do("DELETE FROM metering.charge_hourly")
    if cost:
        books.charge(0, cost, tokens=cost, caller=books.caller("k"))
    books.metered(1)
    books.attribute()


def test_first_attribution_charges(books):
    """What a month says first is charged, by team, model, pool, cost kind and token kind."""
    books.charge(0, 5, tokens=50, caller=books.caller("k"))
    books.idle(0, 3)
    books.run()

    assert books.session.rows(
        "SELECT metric, team, model, pool, cost_kind, token_kind, state, charged, credited "
        "FROM attribution.counter ORDER BY ALL"
    ) == [
        ("cost", "__idle__", "", "p", "idle", "", "", 3, 0),
        ("cost", "__unmapped__", "m", "p", "workload", "output", "", 5, 0),
        ("gpu_us", "", "", "p", "", "", "idle", 1_350_000_000, 0),
        ("gpu_us", "", "", "p", "", "", "unmeasured", 0, 0),
        ("gpu_us", "", "", "p", "", "", "workload", 2_250_000_000, 0),
        ("tokens", "__unmapped__", "m", "", "", "output", "", 50, 0),
    ]


def test_a_restated_month_moves_by_the_difference(books):
    """More is charged, less is credited, nothing is neither; a line that vanished is credited whole."""
    for cost, expected in ((10, (10, 0)), (25, (25, 0)), (5, (25, 20)), (5, (25, 20)), (0, (25, 25)), (1, (26, 25))):
        restate(books, cost)

        assert counters(books) == {("__unmapped__", "m"): expected}
        assert counters(books, "tokens") == {("__unmapped__", "m"): expected}


def test_a_changed_mapping_credits_one_team_and_charges_another(books):
    """Cost that moves to another team leaves the first one's counter through its twin."""
    restate(books, 10)
    books.rule(1, "a")
    books.attribute()

    assert counters(books) == {("__unmapped__", "m"): (10, 10), ("a", "m"): (10, 0)}


def test_months_add_up(books):
    """A counter spans months: restating one leaves what the other said."""
    books.charge(0, 10, tokens=1, caller=books.caller("k"))
    books.charge(744, 7, tokens=1, caller=books.caller("k"))
    books.run()
    books.session.do("UPDATE metering.charge_hourly SET effective_cost_nano = 4 WHERE effective_cost_nano = 7")
    books.metered()
    books.attribute(Period(books.hour(744), books.hour(745)))

    assert counters(books) == {("__unmapped__", "m"): (17, 3)}


def test_gpu_time_adds_up_to_what_was_paid(books):
    """States of a pool's GPU time add up to the paid time; what no deployment has is unscheduled; idle takes the rounding."""
    books.charge(0, 1, tokens=1, caller=books.caller("k"))
    books.idle(0, 1)
    books.charge(0, 1, cost_kind="unmeasured")
    books.idle(0, 9, deployment="", cause="unscheduled")
    books.charge(1, 0, tokens=1, caller=books.caller("k"), deployment="free")
    books.run()

    assert counters(books, "gpu_us", "state") == {
        "workload": (1_200_000_000, 0),
        "idle": (1_200_000_000 + 3_600_000_000, 0),
        "unmeasured": (1_200_000_000, 0),
        "unscheduled": (3_600_000_000, 0),
    }


def test_gpu_time_of_hours_that_cost_nothing_has_its_states(books):
    """What is known of GPU time itself decides, at no cost as at any; what is neither work nor unseen is idle."""
    books.charge(0, 0, tokens=1, caller=books.caller("k"))
    books.charge(1, 1, tokens=1, caller=books.caller("k"))
    books.metered()
    books.session.do("UPDATE metering.deployment_hourly SET workload_us = 1000000000, unmeasured_us = 600000000")
    books.attribute()

    assert counters(books, "gpu_us", "state") == {
        "workload": (2_000_000_000, 0),
        "idle": (4_000_000_000, 0),
        "unmeasured": (1_200_000_000, 0),
    }


def test_unpriced_cost_is_absent_and_its_tokens_count(books):
    """An unpriced line has no cost series, and its tokens are tokens."""
    books.charge(0, None, tokens=9, caller=books.caller("k"), pool="", deployment="", cause="unplaced")
    books.run()

    assert counters(books) == {}
    assert counters(books, "tokens") == {("__unmapped__", "m"): (9, 0)}


def test_labels_are_bounded_and_other_is_for_ever(books):
    """Pairs beyond the bound are `other` and stay there, though there were room later; system lines keep their own."""
    for number, team in enumerate("abc"):
        books.rule(number, team, principal=team)
    for team in "abc":
        books.charge(0, 1, tokens=1, caller=books.caller(team))
    books.idle(0, 5)
    books.run(max_label_sets=2)
    first = counters(books)
    books.session.do("DELETE FROM metering.charge_hourly WHERE consumed_tokens > 0")
    books.charge(1, 10, tokens=1, caller=books.caller("c"))
    books.run(max_label_sets=100)

    assert first == {("a", "m"): (1, 0), ("b", "m"): (1, 0), ("other", "other"): (1, 0), ("__idle__", ""): (5, 0)}
    assert counters(books) == {
        ("a", "m"): (1, 1),
        ("b", "m"): (1, 1),
        ("other", "other"): (10, 0),
        ("__idle__", ""): (5, 0),
    }


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(costs=st.lists(st.integers(0, 10**12), min_size=1, max_size=4))
def test_counters_are_monotone_and_net_to_the_statement(books, costs):
    """Through any restatements no counter falls, and charged less credited is what the month says."""
    before = {}
    for cost in costs:
        restate(books, cost)
        now = counters(books)
        assert all(now[key][0] >= was[0] and now[key][1] >= was[1] for key, was in before.items())
        before = now
    said = books.session.value("SELECT coalesce(sum(effective_cost_nano), 0) FROM attribution.charge_monthly")

    assert sum(charged - credited for charged, credited in before.values()) == said


@pytest.mark.parametrize(
    ("audit", "tampering"),
    [
        ("counters_never_decrease", "UPDATE attribution.counter SET charged = charged - 1"),
        ("counters_never_decrease", "DELETE FROM attribution.counter"),
        ("counters_equal_published_months", "UPDATE attribution.published SET net = net + 1"),
    ],
)
def test_audits_refuse(books, audit, tampering):
    """A fallen counter, and one that months do not explain, refuse to commit."""
    restate(books, 20)
    restate(books, 10)
    books.session.do(tampering)

    with pytest.raises(AuditFailed, match=audit):
        step.audit(books.session, [attribute.audits()[audit]], books.span(0), {})
