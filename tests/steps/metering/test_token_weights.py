"""What tokens weigh beside their kind: metering.token_factor, metering.served_model, and the context of what was decoded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.steps.metering import pencil
from tests.steps.metering.facts import HOUR, Alias, Deployment, Event, Facts, Pool, Rate, at, caller
from tests.steps.metering.reading import charges
from tests.steps.metering.weight_facts import Weighed

NOON = at("12:00")
FACTORS = (
    "SELECT model_id, tier, factor FROM metering.token_factor JOIN book.model USING (model_no) "
    "WHERE model_no > 0 ORDER BY ALL"
)
SERVED = (
    "SELECT deployment_id, model_id FROM metering.served_model JOIN book.deployment_key USING (deployment_no) "
    "JOIN book.model USING (model_no) ORDER BY ALL"
)


def used(principal: str, *, model: str = "m", tier: str = "", deployment: str = "", **tokens: int) -> Event:
    """Usage of a key at noon."""
    return Event(
        at=NOON, principal=principal, model=model, tier=tier, deployment=deployment, tokens=tuple(tokens.items())
    )


def dedicated(nano: int, *events: Event, models: tuple[str, ...] = ("m", "n"), **of: object) -> Facts:
    """One GPU that serves two models, all of whose cost is work if there are tokens."""
    return Facts(
        pools=(Pool(),), rates=(Rate(nano=nano),), deployments=(Deployment(utilization="allocation", models=models),),
        events=events, **of,
    )  # fmt: skip


def borne(session) -> dict[str, int | None]:
    """Nano of each caller of the hour."""
    return {key[5]: nano for key, (_, nano) in charges(session).items()}


def test_models_of_one_deployment_share_by_their_weights(metered) -> None:
    """A token of a model of a quarter of the weight costs a quarter: 4 x 100 against 1 x 100 of 500."""
    facts = dedicated(500, used("big", output=100), used("small", model="n", output=100))
    plain = borne(metered(facts, NOON, NOON + HOUR))
    weighed = borne(
        metered(replace(facts, weighed=Weighed(models={"": 4, "n": 1}), weight_scale=40), NOON, NOON + HOUR)
    )

    assert plain == {caller("big"): 250, caller("small"): 250}
    assert weighed == {caller("big"): 400, caller("small"): 100}


def test_models_of_one_pool_do_not_weigh_on_each_other(metered) -> None:
    """Two deployments of one pool: each bears its own GPUs' cost, whatever its model weighs beside the other's."""
    facts = Facts(
        pools=(Pool(gpus=4),), rates=(Rate(nano=100),), weighed=Weighed(models={"": 1, "m": 8}),
        deployments=(Deployment(id="a", gpus=3, utilization="allocation"), Deployment(id="b", models=("n",), utilization="allocation")),
        events=(used("big", output=1), used("small", model="n", output=999)))  # fmt: skip

    assert borne(metered(facts, NOON, NOON + HOUR)) == {caller("big"): 300, caller("small"): 100}


def test_tiers_weigh(metered) -> None:
    """A batch token costs half of an ordinary one, a priority token twice as much: 1 + 2 + 4 of 700."""
    events = (used("a", tier="batch", output=10), used("a", output=10), used("a", tier="priority", output=10))
    tiers = Weighed(tiers={"": 2, "batch": 1, "priority": 4})
    found = charges(metered(dedicated(700, *events, weighed=tiers), NOON, NOON + HOUR))

    assert {key[6]: nano for key, (_, nano) in found.items()} == {"batch": 100, "": 200, "priority": 400}


def test_factors_shift_phases_too(stepped) -> None:
    """Prompts of a heavy model against output of a light one: the phases are split by what tokens weigh."""
    facts = dedicated(
        1, used("a", uncached_input=60), used("b", model="n", output=10), weighed=Weighed(models={"": 1, "m": 3})
    )
    found = stepped(
        facts, "metering.phase_share_hourly", NOON, NOON + HOUR,
        "SELECT prefill_weight::BIGINT, decode_weight::BIGINT, weight_max::BIGINT FROM metering.phase_share_hourly",
    )  # fmt: skip

    assert found == [(60 * 10 * 3, 10 * 60, 60 * 10 * 3)]


def test_capacity_counts_what_tokens_weigh(metered) -> None:
    """A model of twice the weight fills the capacity with half of the tokens: 25 x 6 x 2 of 600 is half of the hour."""
    facts = dedicated(1000, used("a", output=25), weighed=Weighed(models={"": 1, "m": 2}))
    facts = replace(facts, deployments=(Deployment(utilization="capacity", capacity=600),))
    found = charges(metered(facts, NOON, NOON + HOUR))

    assert {key[7:9]: nano for key, (_, nano) in found.items()} == {
        ("workload", ""): 500, ("idle", "below_capacity"): 500}  # fmt: skip


def test_a_long_context_costs_more_per_token(metered) -> None:
    """An output token behind 100,000 tokens of prompt against one behind 1,000: (60 + 100,000) to (60 + 1,000) at weight 1."""
    kinds = {"uncached_input": 0, "cache_read": 0, "cache_write": 0, "output": 60, "reasoning": 60}
    events = (used("long", cache_read=100_000, output=1), used("short", cache_read=1000, output=1))
    weighed = dedicated(101_120, *events, weights=kinds, weighed=Weighed(context=1))
    found = {key[5]: nano for key, (_, nano) in charges(metered(weighed, NOON, NOON + HOUR)).items() if nano}
    blind = charges(metered(replace(weighed, weighed=Weighed()), NOON, NOON + HOUR))

    assert found == {caller("long"): 100_060, caller("short"): 1060}
    assert {nano for key, (_, nano) in blind.items() if key[9] == "output"} == {50_560}


def test_context_is_the_prompt_and_half_of_what_was_decoded(stepped) -> None:
    """Of every kind of prompt, and the mean length of an answer as it grows; absurd counts are bounded and still add up."""
    prompt = {"uncached_input": 5, "cache_read": 60, "cache_write": 700}
    events = (
        used("a", **prompt, output=10, reasoning=3),
        used("a", output=2),
        used("b", cache_read=10**10, output=10**10),
    )
    found = stepped(
        dedicated(1, *events), "metering.placed_usage_hourly", NOON, NOON + HOUR,
        "SELECT output_context_tokens, reasoning_context_tokens FROM metering.placed_usage_hourly ORDER BY 1",
    )  # fmt: skip

    assert found == [(10 * (765 + 6) + 2 * 1, 3 * (765 + 6)), ((2**31 - 1) ** 2, 0)]


def test_context_is_added_whoever_weighs_it(metered) -> None:
    """An hour is what its inputs make it, whatever the policy weighs today: a calibration of tomorrow reads it."""
    session = metered(dedicated(1, used("a", cache_read=9, output=9)), NOON, NOON + HOUR)

    assert session.rows("SELECT output_context_tokens, output_tokens FROM metering.placed_usage_hourly") == [(117, 9)]


def test_an_adapter_runs_where_its_model_does_under_its_own_name(metered) -> None:
    """Placed with the base model and weighing what that does, unless it has a weight of its own; the line says its name."""
    facts = Facts(
        pools=(Pool(gpus=2),), rates=(Rate(nano=400),), weighed=Weighed(models={"": 1, "m": 2, "lora-x": 4}, adapters=(("m", "lora-%"),)),
        deployments=(Deployment(id="base", utilization="allocation"), Deployment(id="else", models=("n",), utilization="allocation")),
        events=(used("a", output=1), used("a", model="lora-sql", output=1), used("a", model="lora-x", output=1), used("a", model="lor", output=1)))  # fmt: skip
    session = metered(facts, NOON, NOON + HOUR)
    found = charges(session)

    assert {(key[2], key[4]): nano for key, (tokens, nano) in found.items() if tokens} == {
        ("base", "m"): 100, ("base", "lora-sql"): 100, ("base", "lora-x"): 200, ("", "lor"): None}  # fmt: skip
    assert session.rows(SERVED) == [("base", "lora-sql"), ("base", "lora-x"), ("base", "m"), ("else", "n")]
    assert session.rows(FACTORS) == [("lor", "", 1), ("lora-sql", "", 2), ("lora-x", "", 4), ("m", "", 2), ("n", "", 1)]


def test_an_alias_may_stand_for_an_adapter(metered) -> None:
    """What a reported name stands for is asked before what serves it."""
    facts = dedicated(9, used("a", model="nick", output=1), weighed=Weighed(adapters=(("m", "lora-%"),)),
                      aliases=(Alias(alias="nick", model="lora-1"),))  # fmt: skip

    assert {(key[2], key[4]) for key in charges(metered(facts, NOON, NOON + HOUR))} == {("d", "lora-1")}


def test_nothing_is_joined_where_nothing_weighs_differently(metered) -> None:
    """Without weights of models or tiers there is no factor at all."""
    assert metered(dedicated(1, used("a", output=1)), NOON, NOON + HOUR).rows(FACTORS) == []


@pytest.mark.parametrize("context", [0, 1000])
def test_shares_are_exact_beyond_128_bits(metered, context: int) -> None:
    """Nine decimals in the kinds, six in a model: cost x weight has more than 128 bits, with contexts even 150."""
    kinds = {"uncached_input": 7, "cache_read": 1, "cache_write": 1, "output": 5_999_999_999, "reasoning": 3}
    weighed = Weighed(models={"": 1_000_000, "n": 999_999}, context=context)
    events = (
        used("a", output=9_999_999_999, cache_read=10**10), used("b", model="n", output=8_888_888_887, reasoning=10**9), used("c", output=3),
        used("d", uncached_input=10**10),
    )  # fmt: skip
    facts = dedicated(9_123_456_789_123_456, *events, weights=kinds, weight_scale=10**9, weighed=weighed)
    largest = max(pencil.weight(facts, e, e.model, "output") for e in events[:3])

    assert 9_123_456_789_123_456 * largest > 2**127
    assert charges(metered(facts, NOON, NOON + HOUR)) == pencil.charges(facts, [NOON])


def test_capacity_is_exact_with_long_scales(metered) -> None:
    """A large fleet, twelve decimals in the weights together, and a deployment that ends within the hour to the second."""
    facts = dedicated(10**10 + 1, used("a", output=10**10), used("a", model="n", cache_write=7), weight_scale=10**12,
                      weighed=Weighed(models={"": 1000, "n": 333}), weights={"uncached_input": 1, "cache_read": 1, "cache_write": 1, "output": 6 * 10**9, "reasoning": 1})  # fmt: skip
    part = replace(
        facts.deployments[0], gpus=9999, utilization="capacity", capacity=99_999_999, end=NOON + 1_234_000_000
    )
    facts = replace(facts, deployments=(part,), pools=(Pool(gpus=9999),))

    assert charges(metered(facts, NOON, NOON + HOUR)) == pencil.charges(facts, [NOON])


@pytest.mark.parametrize("weighed", [Weighed(models={"": 1, "m": 0}), Weighed(tiers={"": 1, "free": 0})])
def test_work_whose_tokens_all_weigh_nothing_is_no_lost_log(metered, weighed: Weighed) -> None:
    """A model or tier of weight 0 alone in its hour: tokens cost nothing, and the work is nobody's, with a cause of its own."""
    facts = dedicated(500, used("a", tier="free", output=9), weighed=weighed)
    found = charges(metered(facts, NOON, NOON + HOUR))

    assert {(key[5], *key[7:10]): measure for key, measure in found.items()} == {
        (caller("a"), "workload", "", "output"): (9, 0), ("", "workload", "zero_weight", ""): (None, 500)}  # fmt: skip


def test_what_weighs_nothing_beside_what_weighs_costs_nothing(metered) -> None:
    """Where any token weighs something, it bears the work, and no cause is needed."""
    facts = dedicated(
        500, used("a", tier="free", output=9), used("b", output=1), weighed=Weighed(tiers={"": 1, "free": 0})
    )

    assert borne(metered(facts, NOON, NOON + HOUR)) == {caller("a"): 0, caller("b"): 500}
