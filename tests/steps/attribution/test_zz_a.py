"""Settlement against plain integers: every idle policy and span of weighing, with a shared cost of each policy."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SYSTEM = ("__idle__", "__unmeasured__", "__unattributed__", "__overhead__")
TEAMS = ("ads", "search", "__unmapped__", "ä")
POOLS = {"p": 2, "q": 3}
SHARED = ("proportional", "even", "fixed")
HOURS = 4
nanos = st.integers(0, 12) | st.integers(0, 10**14)
usage = st.tuples(
    st.integers(0, HOURS - 1), st.sampled_from(sorted(POOLS)), st.sampled_from(TEAMS), nanos, st.integers(0, 3)
)
gaps = st.tuples(
    st.integers(0, HOURS - 1),
    st.sampled_from(sorted(POOLS)),
    st.sampled_from(["idle", "unmeasured", "workload"]),
    nanos,
)
months = st.fixed_dictionaries(
    {
        "usage": st.lists(usage, max_size=16, unique_by=lambda line: line[:3]),
        "unplaced": st.lists(st.tuples(st.integers(0, HOURS - 1), st.sampled_from(TEAMS)), max_size=2, unique=True),
        "gaps": st.lists(gaps, max_size=12, unique_by=lambda line: line[:3]),
        "overhead": st.lists(
            st.tuples(st.integers(0, HOURS - 1), st.sampled_from(SHARED), nanos),
            max_size=6,
            unique_by=lambda line: line[:2],
        ),
        "entitled": st.lists(
            st.tuples(st.sampled_from(sorted(POOLS)), st.sampled_from(["ads", "search", "asleep"]), st.integers(1, 2)),
            max_size=3,
        ),
        "shares": st.dictionaries(st.sampled_from(["ads", "asleep", "ä"]), st.integers(0, 5), max_size=3),
    }
)


def shared_out(amount, weights):
    """Whole parts of an amount in proportion, the nanos left over to the largest remainders, ties by name."""
    whole = sum(weights.values())
    exact = {team: Fraction(amount * weight, whole) for team, weight in weights.items() if weight}
    parts = {team: int(part) for team, part in exact.items()}
    for team in sorted(exact, key=lambda team: (parts[team] - exact[team], team))[: amount - sum(parts.values())]:
        parts[team] += 1
    return {team: part for team, part in parts.items() if part}


def idle_borne(month, pool, hours, idle_policy):
    """What each team used of a pool, who had tokens there, and what each bears of its idle."""
    workload, heads, idle, cost = defaultdict(int), set(), 0, 0
    for hour, where, team, nano, tokens in month["usage"]:
        if where == pool and hour in hours:
            workload[team] += nano
            cost += nano
            heads |= {team} if tokens else set()
    for hour, where, kind, nano in month["gaps"]:
        if where == pool and hour in hours:
            cost += nano
            idle += nano if kind == "idle" else 0
    held = defaultdict(int)
    for where, team, entitled in month["entitled"]:
        held[team] += entitled if where == pool else 0
    unused = {team: max(0, cost * entitled // POOLS[pool] - workload[team]) for team, entitled in held.items()}
    borne = {
        "separate": {},
        "proportional": shared_out(idle, workload),
        "even": shared_out(idle, dict.fromkeys(heads, 1)),
        "entitlement": shared_out(min(idle, sum(unused.values())), unused),
    }
    return workload, heads, borne[idle_policy]


def expected(month, idle_policy, over):
    """Nano that each team bears, by (first hour of what is weighed, pool or shared cost, team)."""
    found = {}
    for hours in [range(HOURS)] if over == "month" else [range(h, h + 1) for h in range(HOURS)]:
        charged = defaultdict(int)
        users = {team for hour, team in month["unplaced"] if hour in hours}
        for pool in POOLS:
            workload, heads, borne = idle_borne(month, pool, hours, idle_policy)
            found |= {(hours[0], pool, team): part for team, part in borne.items()}
            for team, part in [*workload.items(), *borne.items()]:
                charged[team] += part
            users |= heads
        weights = {"proportional": charged, "even": dict.fromkeys(users, 1), "fixed": month["shares"]}
        for policy in SHARED:
            overhead = sum(nano for hour, name, nano in month["overhead"] if name == policy and hour in hours)
            parts = shared_out(overhead, weights[policy])
            found |= {(hours[0], policy, team): part for team, part in parts.items()}
    return found


def write(books, month, idle_policy, over):
    """The month as metering leaves it; each shared cost is named after its policy."""
    books.emptied()
    books.policy(idle_policy, over)
    for policy in SHARED:
        books.shared(policy, policy, month["shares"] if policy == "fixed" else None)
    for number, team in enumerate(TEAMS):
        if team != "__unmapped__":
            books.rule(number, team, principal=team)
    for pool, gpus in POOLS.items():
        books.pool(pool, gpus)
    for entry in month["entitled"]:
        books.entitle(*entry)
    for hour, pool, team, nano, tokens in month["usage"]:
        books.charge(hour, nano, tokens=tokens, caller=books.caller(team), pool=pool)
    for hour, team in month["unplaced"]:
        books.charge(hour, None, tokens=1, caller=books.caller(team), pool="", deployment="", cause="unplaced")
    for hour, pool, kind, nano in month["gaps"]:
        books.charge(hour, nano, pool=pool, cost_kind=kind)
    for hour, name, nano in month["overhead"]:
        books.overhead(hour, nano, name)
    books.metered(HOURS)


@pytest.mark.parametrize("over", ["month", "hour"])
@pytest.mark.parametrize("idle_policy", ["separate", "proportional", "even", "entitlement"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(month=months)
def test_settlement_equals_plain_integers(books, idle_policy, over, month):
    """Teams bear what plain integers say; every move sums to zero; no idle is negative; the month costs what it cost."""
    write(books, month, idle_policy, over)
    books.attribute()

    rows = books.session.rows(
        "SELECT charge_period_start, pool_id || shared_cost_id, team, sum(effective_cost_nano)::HUGEINT FROM attribution.settlement "
        "JOIN book.pool_key USING (pool_no) GROUP BY ALL"
    )
    moved = {((start - books.hour(0)).total_seconds() // 3600, pool, team): nano for start, pool, team, nano in rows}
    assert {key: nano for key, nano in moved.items() if key[2] not in SYSTEM} == expected(month, idle_policy, over)
    sums = defaultdict(int)
    for (start, pool, _), nano in moved.items():
        sums[start, pool] += nano
    assert set(sums.values()) <= {0}
    left = books.costs(by="team, pool_no")
    assert all(nano >= 0 for (team, _), nano in left.items() if team in SYSTEM)
    metered = books.session.value("SELECT coalesce(sum(effective_cost_nano), 0) FROM metering.origin_charge_hourly")
    assert sum(left.values()) == metered
