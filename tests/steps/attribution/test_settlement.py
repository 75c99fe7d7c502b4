"""What policies move: idle per pool, then shared costs, over the month or over each hour."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apportion.domain.errors import AuditFailed
from apportion.ledger import step
from attribution import attribute

NANO = 10**9


@pytest.fixture
def two_teams(books):
    """The worked example: search and ads on two GPUs at 3.00, three quarters active."""
    for number, team in enumerate(("ads", "search")):
        books.rule(number, team, principal=f"{team}%", team_name=team.title(), cost_center=f"CC-{team}")
    search, ads = books.caller("search-1"), books.caller("ads-1")
    books.charge(0, NANO, tokens=600_000, caller=search, kind="uncached_input")
    books.charge(0, NANO, tokens=100_000, caller=search)
    books.charge(0, NANO // 2, tokens=300_000, caller=ads, kind="uncached_input")
    books.charge(0, 2 * NANO, tokens=200_000, caller=ads)
    books.idle(0, 3 * NANO // 2)
    return books


def moved(books, columns="team"):
    """Settled nano by columns."""
    return books.costs("attribution.settlement", columns)


def rules(books, *teams):
    """One rule per team, for callers that bear its name."""
    for number, team in enumerate(teams):
        books.rule(number, team, principal=team)


def test_separate_moves_nothing(two_teams):
    """Idle that is kept separate stays __idle__."""
    two_teams.run()

    assert moved(two_teams) == {}
    assert two_teams.costs() == {"__idle__": 1_500_000_000, "search": 2_000_000_000, "ads": 2_500_000_000}


def test_worked_example_in_proportion(two_teams):
    """Settled in proportion, search bears 0.666666667 of the idle and ads 0.833333333."""
    two_teams.policy("proportional")
    two_teams.run()

    assert two_teams.session.rows("SELECT * FROM attribution.settlement ORDER BY team") == [
        (
            two_teams.hour(0),
            two_teams.hour(0),
            two_teams.hour(744),
            "__idle__",
            "",
            "",
            "",
            1,
            "idle",
            "settled",
            "",
            -1_500_000_000,
            "idle.proportional/1",
            "assumed",
            2,
        ),
        (
            two_teams.hour(0),
            two_teams.hour(0),
            two_teams.hour(744),
            "ads",
            "Ads",
            "",
            "CC-ads",
            1,
            "idle",
            "settled",
            "",
            833_333_333,
            "idle.proportional/1",
            "assumed",
            2,
        ),
        (
            two_teams.hour(0),
            two_teams.hour(0),
            two_teams.hour(744),
            "search",
            "Search",
            "",
            "CC-search",
            1,
            "idle",
            "settled",
            "",
            666_666_667,
            "idle.proportional/1",
            "assumed",
            2,
        ),
    ]
    assert two_teams.costs() == {"__idle__": 0, "search": 2_666_666_667, "ads": 3_333_333_333}


def test_even_goes_to_teams_with_tokens(two_teams):
    """Even shares fall on teams with tokens in the pool, whatever they cost."""
    two_teams.policy("even")
    rules_no = 7
    two_teams.rule(rules_no, "free", principal="free")
    two_teams.charge(0, 0, tokens=1, caller=two_teams.caller("free"))
    two_teams.charge(0, 0, tokens=1, caller=two_teams.caller("far"), pool="q", deployment="e")
    two_teams.run()

    assert moved(two_teams) == {
        "__idle__": -1_500_000_000,
        "ads": 500_000_000,
        "search": 500_000_000,
        "free": 500_000_000,
    }


def test_ties_go_to_the_first_name(books):
    """What does not divide goes one nano each to the largest remainders, ties by ascending team."""
    books.policy("even")
    rules(books, "b", "a", "c")
    for team in "abc":
        books.charge(0, 1, tokens=1, caller=books.caller(team))
    books.idle(0, 5)
    books.run()

    assert moved(books) == {"__idle__": -5, "a": 2, "b": 2, "c": 1}


def test_each_pool_settles_its_own_idle(books):
    """Idle of one pool never falls on users of another, and stays where nobody used the pool."""
    books.policy("proportional")
    rules(books, "a", "b")
    books.charge(0, 1, tokens=1, caller=books.caller("a"), pool="p")
    books.charge(0, 1, tokens=1, caller=books.caller("b"), pool="q", deployment="e")
    books.idle(0, 10, pool="p")
    books.idle(0, 20, pool="q", deployment="e")
    books.idle(0, 40, pool="empty", deployment="f")
    books.run()

    assert books.costs(by="team") == {"a": 11, "b": 21, "__idle__": 40}


def test_system_teams_take_no_share_but_unmapped_does(books):
    """Lost logs and telemetry gaps gather no idle and no overhead; unmapped callers do."""
    books.policy("proportional")
    books.shared("platform")
    books.charge(0, 10, tokens=1, caller=books.caller("who"))
    books.charge(0, 50, cause="busy_no_tokens")
    books.charge(0, 60, cost_kind="unmeasured")
    books.idle(0, 30)
    books.overhead(0, 7, "platform")
    books.run()

    assert moved(books) == {"__idle__": -30, "__overhead__": -7, "__unmapped__": 37}
    assert books.costs() == {
        "__unmapped__": 47,
        "__unattributed__": 50,
        "__unmeasured__": 60,
        "__idle__": 0,
        "__overhead__": 0,
    }


def test_an_entitled_team_that_used_its_reservation_pays_nobodys_idle(books):
    """Holders bear what they reserved and left unused; what nobody reserved stays __idle__."""
    books.policy("entitlement")
    rules(books, "diligent", "lazy", "guest")
    books.session.do("DELETE FROM book.pool")
    books.pool("p", gpus=10)
    books.entitle("p", "diligent", 4)
    books.entitle("p", "lazy", 3)
    books.charge(0, 400, tokens=1, caller=books.caller("diligent"))
    books.charge(0, 100, tokens=1, caller=books.caller("lazy"))
    books.charge(0, 100, tokens=1, caller=books.caller("guest"))
    books.idle(0, 400)
    books.run()

    assert moved(books) == {"__idle__": -200, "lazy": 200}
    assert books.costs() == {"diligent": 400, "lazy": 300, "guest": 100, "__idle__": 200}


@pytest.mark.parametrize("cause", ["unused_commitment", "unused_asset"])
def test_a_reservation_is_of_the_pool_and_not_of_what_was_bought_beyond_it(books, cause):
    """Commitments and assets for more GPUs than the pool has are idle that no holder left unused: it stays __idle__."""
    books.policy("entitlement")
    rules(books, "search")
    books.session.do("DELETE FROM book.pool")
    books.pool("p", gpus=4)
    books.entitle("p", "search", 4)
    books.charge(0, 400, tokens=1, caller=books.caller("search"))
    books.idle(0, 400, deployment="", cause=cause)
    books.run()

    assert books.costs() == {"search": 400, "__idle__": 400}


def test_entitled_teams_share_what_idle_there_is(books):
    """Where others used what was reserved, holders split the idle by what they left unused."""
    books.policy("entitlement")
    rules(books, "a", "b", "guest")
    books.entitle("p", "a", 1)
    books.entitle("p", "b", 1)
    books.charge(0, 100, tokens=1, caller=books.caller("a"))
    books.charge(0, 799, tokens=1, caller=books.caller("guest"))
    books.idle(0, 101)
    books.run()

    assert moved(books) == {"__idle__": -101, "a": 45, "b": 56}


def test_reservations_count_paid_hours_of_the_pool(books):
    """Reserved cost is the pool's cost times entitled over paid GPU time, both only while the pool is there."""
    books.policy("entitlement")
    books.session.do("DELETE FROM book.pool")
    books.pool("p", gpus=2, start=books.hour(0), end=books.hour(1) + timedelta(minutes=30))
    books.pool("p", gpus=6, start=books.hour(1) + timedelta(minutes=30))
    books.entitle("p", "a", 1, start=books.hour(0) + timedelta(minutes=15))
    books.idle(0, 100)
    books.idle(1, 200)
    books.run()

    assert books.session.rows(
        "SELECT team, entitled_us, paid_us, pool_cost_nano, reserved_nano FROM attribution.reservation"
    ) == [("a", 6_300_000_000, 21_600_000_000, 300, 87)]
    assert moved(books) == {"__idle__": -87, "a": 87}


def test_a_holder_without_usage_is_found_in_the_directory(books):
    """A team that used nothing bears its reservation under the name and cost center that the directory knows."""
    books.policy("entitlement")
    books.rule(1, "asleep", principal="z", team_name="Asleep", cost_center="CC-Z")
    books.entitle("p", "asleep", 2)
    books.idle(0, 100)
    books.run()

    assert moved(books, "team, team_name, cost_center") == {
        ("__idle__", "", ""): -100,
        ("asleep", "Asleep", "CC-Z"): 100,
    }


def test_settled_lines_have_a_cost_center_only_where_there_is_one(books):
    """A team charged under two cost centers bears its idle under none, and a name that all lines agree on."""
    books.policy("proportional")
    books.rule(1, "a", principal="1", team_name="A", cost_center="CC-1")
    books.rule(2, "a", principal="2", team_name="A", cost_center="CC-2")
    books.charge(0, 1, tokens=1, caller=books.caller("1"))
    books.charge(0, 1, tokens=1, caller=books.caller("2"))
    books.idle(0, 10)
    books.run()

    assert moved(books, "team, team_name, project, cost_center") == {
        ("__idle__", "", "", ""): -10,
        ("a", "A", "", ""): 10,
    }


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("month", {"day": 1000 + 990, "night": 10 + 10}),
        ("hour", {"day": 1000, "night": 10 + 1000}),
    ],
)
def test_a_lone_job_at_night_does_not_carry_the_night(books, over, expected):
    """Over the month a small job at night bears by its part of the month; over the hour it bears its hour."""
    books.policy("proportional", over)
    rules(books, "day", "night")
    books.charge(0, 1000, tokens=1, caller=books.caller("day"))
    books.charge(1, 10, tokens=1, caller=books.caller("night"))
    books.idle(1, 1000)
    books.run()

    assert books.costs() == expected | {"__idle__": 0}


def test_shared_costs_in_proportion_follow_idle(books):
    """Proportional shared costs weigh what teams are charged with the idle they bear, in every pool."""
    books.policy("proportional")
    books.shared("platform")
    rules(books, "a", "b")
    books.charge(0, 100, tokens=1, caller=books.caller("a"), pool="p")
    books.charge(0, 100, tokens=1, caller=books.caller("b"), pool="q", deployment="e")
    books.idle(0, 200, pool="p")
    books.overhead(0, 1000, "platform")
    books.run()

    assert moved(books, "team, cost_kind") == {
        ("__idle__", "idle"): -200,
        ("a", "idle"): 200,
        ("__overhead__", "overhead"): -1000,
        ("a", "overhead"): 750,
        ("b", "overhead"): 250,
    }


def test_shared_costs_each_follow_their_own_policy(books):
    """Even counts heads with tokens, placed or not; fixed takes given shares; each weighs charges without the other."""
    books.shared("even", "even")
    books.shared("fixed", "fixed", {"a": 60, "absent": 40})
    books.shared("prop", "proportional")
    rules(books, "a", "b")
    books.charge(0, 100, tokens=1, caller=books.caller("a"))
    books.charge(0, None, tokens=1, caller=books.caller("b"), pool="", deployment="", cause="unplaced")
    for name in ("even", "fixed", "prop"):
        books.overhead(0, 1000, name)
    books.run()

    assert moved(books, "shared_cost_id, team, allocation_method") == {
        ("even", "__overhead__", "shared.even/1"): -1000,
        ("even", "a", "shared.even/1"): 500,
        ("even", "b", "shared.even/1"): 500,
        ("fixed", "__overhead__", "shared.fixed/1"): -1000,
        ("fixed", "a", "shared.fixed/1"): 600,
        ("fixed", "absent", "shared.fixed/1"): 400,
        ("prop", "__overhead__", "shared.proportional/1"): -1000,
        ("prop", "a", "shared.proportional/1"): 1000,
    }


def test_where_nobody_is_found_nothing_moves(books):
    """Idle and overhead of a month that nobody used stay where they are, under every policy."""
    books.shared("even", "even")
    books.shared("prop", "proportional")
    for name in ("even", "prop"):
        books.overhead(0, 1000, name)
    books.idle(0, 10)
    for idle in ("proportional", "even", "entitlement"):
        books.policy(idle)
        books.run()

        assert moved(books) == {}
        assert books.costs() == {"__overhead__": 2000, "__idle__": 10}


def test_only_metered_hours_are_settled(books):
    """A shared cost's hours that are not metered, or not yet, move nothing."""
    books.shared("platform", "even")
    rules(books, "a")
    books.charge(0, 1, tokens=1, caller=books.caller("a"))
    books.overhead(0, 10, "platform")
    books.metered()
    books.session.do(
        "INSERT INTO metering.origin_charge_hourly VALUES ($hour, 0, 'platform', 0, 10, '', '', '', 10, 10, 10, NULL)",
        {"hour": books.hour(1)},
    )
    books.attribute()

    assert moved(books) == {"__overhead__": -10, "a": 10}


def test_owners_idle_is_not_settled(books):
    """Idle that an owner bears is the owner's, and leaves nothing for others to share."""
    books.policy("proportional")
    books.deployment("own", "p", owner="search")
    rules(books, "ads")
    books.charge(0, 10, tokens=1, caller=books.caller("ads"))
    books.idle(0, 99, deployment="own")
    books.run()

    assert moved(books) == {}
    assert books.costs() == {"ads": 10, "search": 99}


def test_one_hour_anew_leaves_the_month_right(books):
    """Settled by the hour, a changed hour is settled alone, and the names of all others follow the month."""
    books.policy("proportional", "hour")
    books.rule(1, "a", principal="1", cost_center="CC-1")
    books.rule(2, "a", principal="2", cost_center="CC-2")
    for hour in (0, 1):
        books.charge(hour, 1, tokens=1, caller=books.caller("1"))
        books.idle(hour, 10)
    books.run()
    before = moved(books, "charge_period_start, team, cost_center")
    books.charge(1, 1, tokens=1, caller=books.caller("2"))
    books.metered()
    books.attribute(books.span(1))
    after = moved(books, "charge_period_start, team, cost_center")

    assert before == {
        (books.hour(hour), *line): nano
        for hour in (0, 1)
        for line, nano in ((("a", "CC-1"), 10), (("__idle__", ""), -10))
    }
    assert after == {
        (books.hour(hour), *line): nano for hour in (0, 1) for line, nano in ((("a", ""), 10), (("__idle__", ""), -10))
    }


@pytest.mark.parametrize(
    ("audit", "tampering"),
    [
        (
            "settlement_sums_to_zero",
            "UPDATE attribution.settlement SET effective_cost_nano = effective_cost_nano + 1 WHERE team = 'ads'",
        ),
        (
            "monthly_cost_equals_origin_cost",
            "UPDATE attribution.charge_monthly SET effective_cost_nano = effective_cost_nano + 1 WHERE team = 'ads'",
        ),
        ("no_negative_idle", "UPDATE attribution.charge_monthly SET effective_cost_nano = -1 WHERE cause = 'inactive'"),
        ("system_teams_take_no_share", "UPDATE attribution.settlement SET team = '__unmeasured__' WHERE team = 'ads'"),
        (
            "system_teams_take_no_share",
            "UPDATE attribution.settlement SET effective_cost_nano = 1 WHERE team = '__idle__'",
        ),
    ],
)
def test_audits_refuse(two_teams, audit, tampering):
    """Each audit of a month sees the one thing it is named after."""
    two_teams.policy("proportional")
    two_teams.run()
    two_teams.session.do(tampering)

    with pytest.raises(AuditFailed, match=audit):
        step.audit(two_teams.session, [attribute.audits()[audit]], attribute._months(two_teams.span(0))[0], {})
