"""The oracle's month agrees with the pencil and with the reference arithmetic, and keeps what the design promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.oracle_fleet import Fleet, fleet
from tests.oracle_month import Line, Lines, Move, Moves, Payer, attributed, settled
from tests.oracle_statement import statement, unit_costs
from tests.oracle_units import HOUR_US, micros
from tests.shared_data import reference_arithmetic

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = micros(START)
NANO = 10**9

teams = st.sampled_from(["ads", "search", "__unmapped__", "__unattributed__", "zoo"])


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The reference arithmetic, which no product code may import."""
    return reference_arithmetic()


def line(team: str, cost_kind: str = "workload", *, pool: str = "p", hour: int = HOUR, cause: str = "") -> Line:
    """A charge of a team."""
    kind = "output" if cost_kind == "workload" else ""
    return Line(hour, Payer(team, "", "", ""), "self", "m", pool, "d", "", cost_kind, cause, kind)


def moved(moves: Moves) -> dict[str, int]:
    """What each team bears or is relieved of, wherever it comes from."""
    found: dict[str, int] = {}
    for move, cost in moves.items():
        found[move.team] = found.get(move.team, 0) + cost
    return found


def policies(idle: str = "separate", over: str = "month", **tables: Any) -> Fleet:
    """A fleet of one pool of two GPUs at 3.00 under these policies."""
    pool = {"id": "p", "gpus": 2, "effective_from": START}
    rate = {"pool": "p", "component": "accelerator", "per_gpu_hour": "3.00", "effective_from": START}
    return fleet({"pools": [pool], "rates": [rate], "policy": {"idle": idle, "over": over}, **tables})


WORKED: Lines = {
    line("search"): oracle.Measure(700_000, 2 * NANO),
    line("ads"): oracle.Measure(500_000, 2_500_000_000),
    line("__idle__", "idle"): oracle.Measure(None, 1_500_000_000),
}


@pytest.mark.parametrize(
    ("idle", "expected"),
    [
        ("separate", {}),
        ("proportional", {"search": 666_666_667, "ads": 833_333_333, "__idle__": -1_500_000_000}),
        ("even", {"search": 750_000_000, "ads": 750_000_000, "__idle__": -1_500_000_000}),
        ("entitlement", {"search": 1_000_000_000, "ads": 500_000_000, "__idle__": -1_500_000_000}),
    ],
)
def test_idle_of_the_worked_example_settles_as_by_pencil(idle: str, expected: dict[str, int]) -> None:
    """Each policy moves what the design's example says; each team has reserved one GPU, 3.00 of the hour."""
    reserved = [{"pool": "p", "team": team, "gpus": 1, "effective_from": START} for team in ("search", "ads")]

    assert moved(settled(policies(idle, entitlements=reserved), WORKED, [HOUR])) == expected


def test_what_nobody_reserved_stays_idle() -> None:
    """A holder bears no more than it left unused, and the rest stays with nobody."""
    reserved = [{"pool": "p", "team": "ads", "gpus": 1, "effective_from": START}]

    assert moved(settled(policies("entitlement", entitlements=reserved), WORKED, [HOUR])) == {
        "ads": 500_000_000,
        "__idle__": -500_000_000,
    }


def test_a_team_that_used_its_reservation_pays_nobodys_idle() -> None:
    """Workload above the reserved cost leaves nothing to bear."""
    reserved = [
        {"pool": "p", "team": "ads", "gpus": 1, "effective_from": START, "effective_to": START + timedelta(minutes=50)}
    ]

    assert settled(policies("entitlement", entitlements=reserved), WORKED, [HOUR]) == {}


def test_a_lone_job_at_night_does_not_carry_the_night() -> None:
    """Over the month idle follows the month's work; over the hour, whoever worked in it bears its idle."""
    night = {
        line("search", hour=HOUR + HOUR_US): oracle.Measure(1, 500_000_000),
        line("__idle__", "idle", hour=HOUR + HOUR_US): oracle.Measure(None, 5_500_000_000),
    }
    hours = [HOUR, HOUR + HOUR_US]

    assert moved(settled(policies("proportional", "month"), WORKED | night, hours))["search"] == 3_500_000_000
    assert (
        moved(settled(policies("proportional", "hour"), WORKED | night, hours))["search"] == 666_666_667 + 5_500_000_000
    )


def test_nothing_moves_where_a_policy_finds_nobody() -> None:
    """An idle pool and shared costs without any team stay with the system's teams."""
    lonely = {
        line("__idle__", "idle"): oracle.Measure(None, 5),
        line("__overhead__", "overhead", pool="", cause="s"): oracle.Measure(None, 7),
    }
    shared = [{"id": "s", "per_month": "1", "effective_from": START}]

    assert settled(policies("proportional", shared_costs=shared), lonely, [HOUR]) == {}


def test_shared_costs_follow_charges_after_idle() -> None:
    """The three policies: by all a team is charged with its idle, evenly over those with tokens, by given shares."""
    lines = {
        **WORKED,
        line("__overhead__", "overhead", pool="", cause="a"): oracle.Measure(None, 600),
        line("__overhead__", "overhead", pool="", cause="b"): oracle.Measure(None, 7),
        line("__overhead__", "overhead", pool="", cause="c"): oracle.Measure(None, 1000),
    }
    shared = [
        {"id": "a", "per_month": "1", "effective_from": START},
        {"id": "b", "per_month": "1", "policy": "even", "effective_from": START},
        {
            "id": "c",
            "per_month": "1",
            "policy": "fixed",
            "shares": {"zoo": "0.5", "ads": "1.5"},
            "effective_from": START,
        },
    ]
    moves = settled(policies("even", shared_costs=shared), lines, [HOUR])

    assert {(move.shared_cost, move.team): cost for move, cost in moves.items() if move.shared_cost} == {
        ("a", "search"): 275,
        ("a", "ads"): 325,
        ("a", "__overhead__"): -600,
        ("b", "ads"): 4,
        ("b", "search"): 3,
        ("b", "__overhead__"): -7,
        ("c", "ads"): 750,
        ("c", "zoo"): 250,
        ("c", "__overhead__"): -1000,
    }


@given(
    idle=st.integers(0, 10**15),
    policy=st.sampled_from(["separate", "proportional", "even", "entitlement"]),
    work=st.dictionaries(teams, st.tuples(st.integers(0, 10**13), st.integers(0, 10**6))),
    reserved=st.dictionaries(st.sampled_from(["ads", "search", "idler"]), st.integers(1, 2)),
)
def test_settled_idle_is_the_references(
    reference: ModuleType, idle: int, policy: str, work: dict[str, tuple[int, int]], reserved: dict[str, int]
) -> None:
    """What each team bears agrees under all four policies."""
    lines: Lines = {line(team): oracle.Measure(tokens, cost) for team, (cost, tokens) in work.items()}
    lines[line("__idle__", "idle")] = oracle.Measure(None, idle)
    entitlements = [
        {"pool": "p", "team": team, "gpus": gpus, "effective_from": START} for team, gpus in reserved.items()
    ]
    moves = settled(policies(policy, entitlements=entitlements), lines, [HOUR])

    borne = reference.settle_idle(
        idle,
        {team: cost for team, (cost, _) in work.items()},
        {team: tokens for team, (_, tokens) in work.items()},
        policy,
        idle + sum(cost for cost, _ in work.values()),
        {team: (gpus * HOUR_US, 2 * HOUR_US) for team, gpus in reserved.items()},
    )

    assert {move.team: cost for move, cost in moves.items() if move.team != "__idle__"} == {
        t: c for t, c in borne.items() if c
    }
    assert sum(moves.values()) == 0


def test_callers_pay_through_the_first_rule_in_force() -> None:
    """Order decides, ranges are read at the hour's start, tags can name the team, and nobody's callers stay visible."""
    change = START + timedelta(hours=1)
    rules = [
        {"principal": "key-?", "team": "keys", "project": "p1", "cost_center": "C", "effective_to": change},
        {"tag": {"env": "prod*"}, "namespace": "ns", "team": "prod"},
        {"tag": "team", "team_name": "By tag"},
        {"principal": "key-*", "team": "late"},
    ]
    ours = fleet({"directory": {"rules": rules, "cost_centers": {"__unmapped__": "U", "late": "L"}}})

    def pays(hour: int, principal: str, **tags: str) -> Payer:
        event = {
            "event_id": "e",
            "source": "s",
            "principal": principal,
            "namespace": "ns",
            "tags": tags,
            "model": "m",
            "occurred_at": (START + timedelta(hours=hour, minutes=59)).isoformat(),
            "output_tokens": 1,
        }
        rows = oracle.charges(ours, [event], [], [HOUR + hour * HOUR_US])
        return next(iter(attributed(ours, rows))).payer

    assert pays(0, "key-1") == ("keys", "", "p1", "C")
    assert pays(1, "key-1") == ("late", "", "", "L")
    assert pays(0, "key-12", env="production") == ("prod", "", "", "")
    assert pays(0, "x", team="blue", project="p2") == ("blue", "By tag", "p2", "")
    assert pays(0, "x", team="__idle__") == ("__unmapped__", "", "", "U")
    assert pays(0, "x", project="p2") == ("__unmapped__", "", "p2", "U")


def test_an_owner_pays_for_every_caller_and_for_idle() -> None:
    """Where the owner is charged, callers are not, nor is anybody for its idle; what nobody saw is not the owner's."""
    served = {
        "id": "d",
        "pool": "p",
        "gpus": 2,
        "models": ["m"],
        "owner": "search",
        "charge_to": "owner",
        "utilization": "active",
        "effective_from": START,
    }
    event = {"event_id": "e", "source": "s", "model": "m", "occurred_at": START.isoformat(), "output_tokens": 10}
    sample = {"gpu_uuid": "g", "sampled_at": START.isoformat(), "deployment": "d", "active_ratio": Decimal("0.5")}
    ours = policies("proportional", deployments=[served])
    lines = attributed(ours, oracle.charges(ours, [event], [sample], [HOUR]))

    assert {(key.payer.team, key.cost_kind): row.nano for key, row in lines.items()} == {
        ("search", "workload"): 50_000_000,
        ("search", "idle"): 50_000_000,
        ("__unmeasured__", "unmeasured"): 5_900_000_000,
    }
    assert settled(ours, lines, [HOUR]) == {}


def test_months_add_up_hours() -> None:
    """Lines of two hours that differ in nothing else are one line of the month."""
    later = {key._replace(period=HOUR + HOUR_US): row for key, row in WORKED.items()}

    assert statement(policies(), WORKED | later, {})[line("search")] == (1_400_000, 4 * NANO)


def test_settled_costs_are_lines_of_their_own() -> None:
    """What a team bears and what the system is relieved of stand beside what the hours charged."""
    moves = {Move(HOUR, "ads", "p", "idle", ""): 5, Move(HOUR, "__idle__", "p", "idle", ""): -5}
    charged = Line(HOUR, Payer("ads", "Ads", "x", "C"), "self", "m", "p", "d", "", "workload", "", "output")
    lines = statement(policies(), {charged: oracle.Measure(1, 1)}, moves)

    assert {(key.payer, key.cost_kind, key.cause): row for key, row in lines.items()} == {
        (("ads", "Ads", "x", "C"), "workload", ""): (1, 1),
        (("ads", "Ads", "", "C"), "idle", "settled"): (None, 5),
        (("__idle__", "", "", ""), "idle", "settled"): (None, -5),
    }


def test_unit_costs_spread_what_a_team_bears_over_its_tokens() -> None:
    """Usage is the workload's cost; allocation adds the settled idle in proportion to it; all of it over output last."""
    read = line("ads")._replace(token_kind="cache_read")
    lines = {
        line("ads"): oracle.Measure(10, 300),
        read: oracle.Measure(20, 100),
        line("ads", "idle"): oracle.Measure(None, 41),
    }

    assert {key[3:]: parts for key, parts in unit_costs(lines).items()} == {
        ("output", "usage"): (300, 10),
        ("cache_read", "usage"): (100, 20),
        ("output", "allocation"): (331, 10),
        ("cache_read", "allocation"): (110, 20),
        ("output", "fully_loaded_output"): (441, 10),
    }
