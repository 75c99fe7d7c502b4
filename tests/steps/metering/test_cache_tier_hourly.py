"""metering.cache_tier_hourly: where cached tokens came from, what that makes a cache read weigh, and all that follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import Deployment, Event, Facts, Pool, Rate, at, caller
from tests.steps.metering.reading import charges
from tests.steps.metering.weight_facts import Weighed

STEP = "metering.cache_tier_hourly"
QUERY = "SELECT device_bp, host_bp, storage_bp, excess_tokens, cache_read_weight FROM metering.cache_tier_hourly ORDER BY ALL"
ONE, TWO = at("01:00"), at("02:00")
WEIGHTS = {
    "uncached_input": 100_000, "cache_read": 10_000, "cache_write": 100_000, "output": 600_000, "reasoning": 600_000,
}  # fmt: skip
TIERED = Weighed(host=20_000, storage=50_000)
"""A cache read weighs 0.1 from a GPU, 0.2 from its host, 0.5 from storage."""


def engine(cache_read: int | None, host: int | None = None, storage: int | None = None, name: str = "e") -> Count:
    """What an engine read from its cache from one o'clock to two."""
    return Count(at=TWO, started=ONE, engine=name, cache_read=cache_read, host=host, storage=storage)


def fleet(*counts: Count, weighed: Weighed = TIERED, **of: Any) -> Facts:
    """One GPU whose cost of 500 is work if there are tokens: `a` read from a cache, `b` did not."""
    events = (
        Event(at=ONE, principal="a", deployment="d", tokens=(("cache_read", 100),)),
        Event(at=ONE, principal="b", deployment="d", tokens=(("uncached_input", 21),)),
    )
    given = {"deployments": (Deployment(utilization="allocation"),), "events": events, **of}
    return Facts(
        pools=(Pool(),), rates=(Rate(nano=500),), counts=counts, weights=WEIGHTS, weight_scale=100_000, weighed=weighed,
        **given,
    )  # fmt: skip


@pytest.fixture
def mix(stepped):
    """Facts -> rows of the hour from one: shares, what is too much, and the weight."""
    return lambda facts: stepped(facts, STEP, ONE, TWO, QUERY)


@pytest.fixture
def borne(metered):
    """Facts -> nano of each caller of the hour from one."""
    return lambda facts: {key[5]: nano for key, (_, nano) in charges(metered(facts, ONE, TWO)).items()}


def test_a_cache_read_weighs_the_mix(mix) -> None:
    """Half from the GPU, 3 of 10 from the host, 2 of 10 from storage: 0.5 x 0.1 + 0.3 x 0.2 + 0.2 x 0.5 = 0.21."""
    assert mix(fleet(engine(1000, 300, 200))) == [(5000, 3000, 2000, 0, 21_000)]


def test_charges_follow_the_mix(borne) -> None:
    """100 cached tokens at 0.21 weigh what 21 others do; where engines tell nothing they weigh 10 of 31."""
    assert borne(fleet(engine(1000, 300, 200))) == {caller("a"): 250, caller("b"): 250}
    assert borne(fleet(engine(1000))) == {caller("a"): 161, caller("b"): 339}
    assert borne(fleet()) == {caller("a"): 161, caller("b"): 339}


def test_capacity_follows_the_mix(metered) -> None:
    """100 cached tokens at 0.21 and 21 others are 42 weighted tokens, half of what a GPU does in an hour."""
    served = (Deployment(utilization="capacity", capacity=84),)
    session = metered(fleet(engine(1000, 300, 200), deployments=served), ONE, TWO)

    assert session.rows("SELECT workload_nano, idle_nano FROM metering.deployment_hourly WHERE deployment_no > 0") == [
        (250, 250)
    ]


def test_phases_follow_the_mix(metered) -> None:
    """21 weighted tokens of a prompt and 7 of an answer at 6: a third of the cost is the prompt's; explained by the rung's inputs."""
    tokens = (("cache_read", 100), ("output", 7))
    session = metered(fleet(engine(1000, 300, 200), events=(Event(at=ONE, deployment="d", tokens=tokens),)), ONE, TWO)
    inputs = session.value("SELECT inputs FROM metering.phase_method_hourly WHERE phase_method = 'weights/1'")

    assert session.rows("SELECT prefill_nano, decode_nano FROM metering.deployment_hourly WHERE deployment_no > 0") == [
        (167, 333)
    ]
    assert json.loads(inputs) == {
        "prefill_weight": 2_100_000, "decode_weight": 4_200_000, "cache_read_device_bp": 5000, "cache_read_host_bp": 3000,
        "cache_read_storage_bp": 2000,
    }  # fmt: skip


def test_shares_add_up(mix) -> None:
    """A third each: the basis point that is left goes to the first by name; two of three: by the largest remainder."""
    assert mix(fleet(engine(3, 1, 1)))[0][:3] == (3334, 3333, 3333)
    assert mix(fleet(engine(3, 0, 2)))[0][:3] == (3333, 0, 6667)


def test_what_is_neither_told_nor_of_the_host_came_from_a_gpu(mix) -> None:
    """An engine that tells one tier alone tells of all its cache reads."""
    assert mix(fleet(engine(1000, 250)))[0][:3] == (7500, 2500, 0)
    assert mix(fleet(engine(1000, None, 250)))[0][:3] == (7500, 0, 2500)


def test_engines_that_tell_no_tier_are_nobodys_gpu(mix) -> None:
    """Absent is unknown, never 0: the mix is that of the engines that tell, and so with a tier of unknown cache reads."""
    assert mix(fleet(engine(1000, 500), engine(9000, name="f"), engine(None, 7, 7, name="g")))[0][:3] == (5000, 5000, 0)


def test_no_cache_reads_are_no_mix(mix) -> None:
    """Where engines tell tiers of nothing, or none at all, a cache read weighs what the policy says."""
    assert mix(fleet(engine(0, 0, 0))) == []
    assert mix(fleet(engine(1000))) == []


def test_parts_beyond_the_whole_leave_none_for_the_gpu(mix, metered) -> None:
    """900 and 300 of 1000: three to one, and by how much they contradict is told."""
    facts = fleet(engine(1000, 900, 300))

    assert mix(facts) == [(0, 7500, 2500, 200, 27_500)]
    inputs = metered(facts, ONE, TWO).value(
        "SELECT inputs FROM metering.phase_method_hourly WHERE phase_method = 'weights/1'"
    )
    assert json.loads(inputs)["cache_read_excess_tokens"] == 200


def test_what_a_decoding_engine_was_handed_came_from_no_cache(mix) -> None:
    """Its role says so; of several dated rows in the hour the first."""
    decodes = Deployment(utilization="allocation", role="decode")

    assert mix(fleet(engine(1000, 300, 200), deployments=(decodes,))) == []
    turned = (replace(decodes, role="both", end=at("01:30")), replace(decodes, start=at("01:30")))
    assert mix(fleet(engine(1000, 300, 200), deployments=turned))[0][:3] == (5000, 3000, 2000)


@pytest.mark.parametrize("weighed", [Weighed(), Weighed(host=10_000, storage=10_000)])
def test_tiers_that_weigh_alike_are_not_looked_at(borne, metered, weighed: Weighed) -> None:
    """No row, and the lines of a policy that knows no tiers; also one older than the columns."""
    facts = fleet(engine(1000, 300, 200), weighed=weighed)

    assert borne(facts) == {caller("a"): 161, caller("b"): 339}
    assert metered(facts, ONE, TWO).rows("FROM metering.cache_tier_hourly") == []


def test_a_far_tier_of_weights_at_their_most_stays_exact(borne) -> None:
    """The heaviest weights that a config may have (10^15), of more tokens than an hour of engines holds: half and half."""
    heavy = dict.fromkeys(WEIGHTS, 10**15)
    tokens = 10**10
    events = tuple(Event(at=ONE, principal=who, deployment="d", tokens=(("cache_read", tokens),)) for who in ("a", "b"))
    facts = fleet(engine(10**15, 10**15 // 3, 10**15 // 3), weighed=Weighed(host=0, storage=10**15), events=events)

    assert borne(replace(facts, weights=heavy, rates=(Rate(nano=9 * 10**15),))) == {
        caller("a"): 45 * 10**14,
        caller("b"): 45 * 10**14,
    }
