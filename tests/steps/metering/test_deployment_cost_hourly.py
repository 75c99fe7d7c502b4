"""metering.deployment_cost_hourly: a pool's hour divided by GPU time."""

from __future__ import annotations

from tests.steps.metering.facts import HOUR, Deployment, Facts, Pool, Rate, at

STEP = "metering.deployment_cost_hourly"
QUERY = """
SELECT pool_id, deployment_id, paid_us, effective_cost_nano, utilization, capacity_token_us::BIGINT
FROM metering.deployment_cost_hourly JOIN book.pool_key USING (pool_no) JOIN book.deployment_key USING (deployment_no) ORDER BY ALL
"""


def test_what_no_deployment_holds_is_a_row_of_its_own(stepped) -> None:
    """Four GPUs bought, three deployed: the fourth's cost is deployment ""."""
    facts = Facts(
        pools=(Pool(gpus=4),), rates=(Rate(nano=1000),), deployments=(Deployment(id="a", gpus=1), Deployment(id="b", gpus=2, utilization="allocation")))  # fmt: skip
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [
        ("p", "", HOUR, 1000, "", 0),
        ("p", "a", HOUR, 1000, "active", 0),
        ("p", "b", 2 * HOUR, 2000, "allocation", 0),
    ]


def test_a_pool_that_is_all_deployed_has_no_unscheduled_row(stepped) -> None:
    """And one with nothing deployed has nothing else."""
    facts = Facts(pools=(Pool(), Pool(id="q")), rates=(Rate(), Rate(pool="q")), deployments=(Deployment(),))
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert [row[:2] for row in found] == [("p", "d"), ("q", "")]


def test_what_is_left_over_goes_to_the_first_names(stepped) -> None:
    """Equal remainders: "" before "B" before "a" before "é", whatever their numbers are."""
    names = ("a", "é", "B")
    facts = Facts(
        pools=(Pool(gpus=4, end=at("01:30")),),
        rates=(Rate(nano=3),),
        deployments=tuple(Deployment(id=n, end=at("01:30")) for n in names),
    )
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert {row[1]: row[3] for row in found} == {"": 2, "B": 2, "a": 1, "é": 1}  # 6 over four


def test_the_largest_remainder_goes_first(stepped) -> None:
    """One nano over deployments of one, two and one GPUs: the two get it."""
    facts = Facts(
        pools=(Pool(gpus=4, end=at("01:15")),), rates=(Rate(nano=1),),
        deployments=(Deployment(id="a", end=at("01:15")), Deployment(id="b", gpus=2, end=at("01:15")), Deployment(id="c", end=at("01:15"))))  # fmt: skip
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert {row[1]: row[3] for row in found} == {"a": 0, "b": 1, "c": 0}


def test_a_resize_adds_time_and_capacity_and_keeps_the_first_reading(stepped) -> None:
    """Dated rows of one deployment add up in the hour they share; the earlier one says how utilization is read."""
    deployments = (
        Deployment(gpus=1, utilization="capacity", capacity=100, end=at("01:30")),
        Deployment(gpus=4, utilization="active", capacity=50, start=at("01:30")),
    )
    facts = Facts(pools=(Pool(gpus=4),), rates=(Rate(nano=1000),), deployments=deployments)
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [
        ("p", "", 3 * HOUR // 2, 1500, "", 0),
        ("p", "d", HOUR // 2 + 2 * HOUR, 2500, "capacity", 100 * HOUR // 2 + 50 * 2 * HOUR),
    ]


def test_two_pools_share_nothing(stepped) -> None:
    """Different GPUs at different prices on the same node: each pool's cost is on its own deployments, whole."""
    facts = Facts(
        pools=(Pool(id="a100", gpus=2), Pool(id="h100", gpus=3)), rates=(Rate(pool="a100", nano=7), Rate(pool="h100", nano=11)),
        deployments=(Deployment(id="x", pool="a100"), Deployment(id="y", pool="h100", gpus=2)))  # fmt: skip
    found = stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)

    assert {row[:2]: row[3] for row in found} == {
        ("a100", ""): 7,
        ("a100", "x"): 7,
        ("h100", ""): 11,
        ("h100", "y"): 22,
    }
