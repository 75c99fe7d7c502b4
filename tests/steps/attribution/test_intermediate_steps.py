"""The steps between callers' charges and teams' statements, each by itself: rows in, rows out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apportion.domain.period import FOREVER
from apportion.ledger import step
from attribution.attribute import steps
from tests.steps.attribution.metered import OCTOBER

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def filled(books, name, *, columns="*", period=OCTOBER, **parameters):
    """Run one step; answers its rows in order."""
    step.run(books.session, [steps()[name]], period, {"over": "month", "policy_version": 1, **parameters}, books.clock)
    return books.session.rows(f"SELECT {columns} FROM {name} ORDER BY ALL")


def weigh(books, *rows):
    """Rows of settlement_weight: pool, team, workload, idle, tokens; the month's charges are workload and idle."""
    for pool, team, workload, idle, tokens in rows:
        books.session.do(
            "INSERT INTO attribution.settlement_weight VALUES ($start, $end, $pool, $team, $workload, $idle, $charges, $tokens)",
            {"start": OCTOBER.start, "end": OCTOBER.end, "pool": pool, "team": team, "workload": workload, "idle": idle,
             "charges": workload + idle, "tokens": tokens},
        )  # fmt: skip


def test_caller_rule_keeps_every_rule_that_fits(books):
    """Rules that an earlier one hides are kept too, with their ranges and the team that each gives this caller."""
    caller = books.caller("k", team="ads")
    books.rule(1, "first", principal="k")
    books.rule(2, team_tag="team", start=books.hour(1))
    books.rule(3, "other", principal="x")

    assert filled(books, "attribution.caller_rule") == [
        (caller, 1, "first", BEGINNING, FOREVER),
        (caller, 2, "ads", books.hour(1), FOREVER),
    ]


def test_deployment_owner_counts_whole_hours(books):
    """Of rows that meet inside an hour the earlier has it; names are those at the start of each hour."""
    books.session.do("DELETE FROM book.deployment")
    half = timedelta(minutes=30)
    books.deployment("d", "p", owner="a", start=books.hour(0) + half, end=books.hour(2) + half)
    books.deployment("d", "p", owner="b", start=books.hour(2) + half, end=books.hour(4))
    books.deployment("e", "p")
    books.rule(1, "a", cost_center="CC-1", team_name="A", end=books.hour(1))
    books.rule(2, "a", cost_center="CC-2", team_name="A", start=books.hour(1) - half)

    number = books.no("book.deployment_key", "d")
    assert filled(books, "attribution.deployment_owner") == [
        (number, books.hour(0), books.hour(1), "a", "A", "CC-1"),
        (number, books.hour(1), books.hour(3), "a", "A", "CC-2"),
        (number, books.hour(3), books.hour(4), "b", "", ""),
    ]


def test_system_team_gives_given_cost_centers(books):
    """Every cost kind has a team for lines that are nobody's."""
    books.session.do("INSERT INTO book.cost_center VALUES ('__overhead__', 'CC-9')")

    assert filled(books, "attribution.system_team") == [
        ("adjustment", "__unattributed__", ""), ("external", "__unattributed__", ""), ("idle", "__idle__", ""),
        ("overhead", "__overhead__", "CC-9"), ("unmeasured", "__unmeasured__", ""), ("workload", "__unattributed__", ""),
    ]  # fmt: skip


def test_charge_daily_adds_up_hours(books):
    """A day is the sum of its hours; tokens and cost that are unknown stay unknown."""
    for hour, nano in ((0, 1), (23, 2), (24, 4)):
        books.charge(hour, nano, tokens=1, caller=books.caller("k"))
        books.charge(hour, None, tokens=1, caller=books.caller("k"), cause="unplaced")
    books.run()

    assert filled(books, "attribution.charge_daily", columns="charge_period_start, cause, consumed_tokens, effective_cost_nano") == [
        (books.hour(0), "", 2, 3), (books.hour(0), "unplaced", 2, None), (books.hour(24), "", 1, 4), (books.hour(24), "unplaced", 1, None),
    ]  # fmt: skip


def test_team_monthly_knows_what_is_single(books):
    """One name or cost center among a month's charges is the team's; two are none; unused holders come from the directory."""
    for number, (principal, name, center) in enumerate((("a1", "A", "CC-1"), ("a2", "A", "CC-2"))):
        books.rule(number, "a", principal=principal, team_name=name, cost_center=center)
        books.charge(0, 1, tokens=1, caller=books.caller(principal))
    books.rule(5, "z", principal="z", team_name="Z", cost_center="")
    books.session.do("INSERT INTO book.cost_center VALUES ('z', 'CC-Z')")
    books.entitle("p", "z", 1)
    books.shared("s", "fixed", {"unknown": 1})
    books.run()

    assert filled(books, "attribution.team_monthly", columns="team, team_name, cost_center") == [
        ("a", "A", ""),
        ("unknown", "", ""),
        ("z", "Z", "CC-Z"),
    ]


@pytest.mark.parametrize(("over", "expected"), [
    ("month", [(0, 744, "__idle__", 0, 8, 8, 0), (0, 744, "__unmapped__", 3, 0, 3, 30)]),
    ("hour", [(0, 1, "__unmapped__", 1, 0, 1, 10), (30, 31, "__idle__", 0, 8, 8, 0), (30, 31, "__unmapped__", 2, 0, 2, 20)]),
])  # fmt: skip
def test_settlement_weight_is_of_the_month_or_the_hour(books, over, expected):
    """Teams are weighed over what the policy says, with workload and idle kept apart."""
    books.charge(0, 1, tokens=10, caller=books.caller("k"))
    books.charge(30, 2, tokens=20, caller=books.caller("k"))
    books.idle(30, 8)
    books.run()

    found = filled(books, "attribution.settlement_weight", over=over)
    assert [(start, end, team, *rest) for start, end, _, team, *rest in found] == [
        (books.hour(start), books.hour(end), team, *rest) for start, end, team, *rest in expected]  # fmt: skip


def test_reservation_multiplies_before_it_divides(books):
    """Reserved cost is whole nano, rounded down once, from amounts beyond 64 bits."""
    books.entitle("p", "a", 1)
    books.session.do("UPDATE book.pool SET gpus = 3")
    books.session.do("INSERT INTO metering.metered_hour VALUES ($hour, $hour, 1)", {"hour": books.hour(0)})
    books.session.do("INSERT INTO metering.origin_charge_hourly VALUES ($hour, $pool, 'accelerator', 0, 8999999999999999999, '', '', '', 0, 0, 0, NULL)",
                     {"hour": books.hour(0), "pool": books.no("book.pool_key", "p")})  # fmt: skip

    assert filled(books, "attribution.reservation", columns="team, entitled_us, paid_us, reserved_nano") == [
        ("a", 3_600_000_000, 10_800_000_000, 2_999_999_999_999_999_999)]  # fmt: skip


@pytest.mark.parametrize(("idle", "expected"), [
    ("separate", []),
    ("proportional", [("a", 7), ("b", 3)]),
    ("even", [("b", 5), ("c", 5)]),
    ("entitlement", [("a", 2)]),
])  # fmt: skip
def test_settlement_idle_follows_the_policy(books, idle, expected):
    """Each policy weighs its own thing; system teams weigh nothing."""
    weigh(
        books,
        (1, "__idle__", 0, 10, 0),
        (1, "__unmeasured__", 50, 0, 9),
        (1, "a", 2, 0, 0),
        (1, "b", 1, 0, 5),
        (1, "c", 0, 0, 5),
        (2, "a", 9, 0, 9),
    )
    for team, reserved in (("a", 4), ("b", 1)):
        books.session.do("INSERT INTO attribution.reservation VALUES ($start, 1, $team, 1, 1, 1, $reserved)",
                         {"start": OCTOBER.start, "team": team, "reserved": reserved})  # fmt: skip

    assert filled(books, "attribution.settlement_idle", columns="team, effective_cost_nano", idle=idle) == expected


def test_settlement_shared_follows_each_cost(books):
    """Amounts are those of metered hours, under the policy in force at each hour; weights include the idle that teams bear."""
    weigh(books, (1, "a", 30, 0, 0), (1, "b", 10, 0, 5), (1, "__unmeasured__", 99, 0, 0))
    books.session.do(
        "INSERT INTO attribution.settlement_idle VALUES ($start, $end, 1, 'b', 20)",
        {"start": OCTOBER.start, "end": OCTOBER.end},
    )
    books.shared("s", "proportional", end=books.hour(1))
    books.shared("s", "even", start=books.hour(1))
    books.overhead(0, 7, "s")
    books.overhead(1, 5, "s")
    books.metered()

    assert filled(books, "attribution.settlement_shared", columns="policy, team, effective_cost_nano") == [
        ("even", "b", 5), ("proportional", "a", 4), ("proportional", "b", 3)]  # fmt: skip


def test_net_monthly_and_counter_change(books):
    """A month's net by label set becomes a change against what was published, with where the counter stood before."""
    books.charge(0, 5, tokens=50, caller=books.caller("k"))
    books.run()
    books.session.do("UPDATE attribution.charge_monthly SET effective_cost_nano = 3")
    nets = filled(books, "attribution.net_monthly", columns="metric, team, model, net")
    changes = filled(
        books, "attribution.counter_change", columns="metric, team, charged, credited, charged_before, credited_before"
    )

    assert [net for net in nets if net[0] != "gpu_us"] == [
        ("cost", "__unmapped__", "m", 3),
        ("tokens", "__unmapped__", "m", 50),
    ]
    assert changes == [("cost", "__unmapped__", 0, 2, 5, 0)]
