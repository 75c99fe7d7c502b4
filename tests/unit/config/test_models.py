"""`[[models]]`, tiers, the weight of context and `[[downtime]]`: exact integers, one meaning each."""

from __future__ import annotations

from decimal import Decimal

import pytest

from apportion.config.models import Model
from apportion.config.weights import token_weights
from tests.unit.config.conftest import Loaded, Problems
from tests.unit.config.test_fleet import OCTOBER, UNTIL_NOVEMBER, deployment, pool, rate

FLEET = pool() + rate() + deployment(gpus=4)


def down(more: str = "", gpus: int = 1, dated: str = OCTOBER, name: str = "d", cause: str = "loading") -> str:
    """A `[[downtime]]` table."""
    return f'[[downtime]]\ndeployment = "{name}"\ngpus = {gpus}\ncause = "{cause}"\n{dated}\n{more}\n'


def model(name: str, more: str = "") -> str:
    """A `[[models]]` table."""
    return f'[[models]]\nid = "{name}"\n{more}\n'


def test_a_model_weighs_one_and_has_no_adapters_unless_it_says_so(loaded: Loaded) -> None:
    """Both keys are optional, and weights are exact."""
    config = loaded(model("m") + model("n", 'weight = "0.25"\nadapters = ["sql-lora-*"]'))

    assert config.models == (
        Model(id="m", weight=Decimal(1), adapters=(), architecture=None),
        Model(id="n", weight=Decimal("0.25"), adapters=("sql-lora-*",), architecture=None),
    )
    assert config.warnings == ()


def test_what_weighs_nothing_differently_leaves_the_weights_of_kinds_alone(loaded: Loaded) -> None:
    """Weights of 1 are no factors, and the scale is that of the kinds."""
    config = loaded(model("m", "weight = 1.000") + '[policy]\ntiers = { batch = "1" }')
    found = token_weights(config.policy, config.models)

    assert (found.models, found.tiers, found.context, found.scale) == ({}, {}, 0, 10)
    assert found.kinds == {"uncached_input": 10, "cache_read": 1, "cache_write": 10, "output": 60, "reasoning": 60}


def test_weights_become_integers_of_one_scale(loaded: Loaded) -> None:
    """Common factors are divided out, of whoever is not named too, and context takes the scale of the kinds."""
    config = loaded(
        model("n", 'weight = "0.25"') + model("m", 'weight = "2"')
        + '[policy]\ntiers = { batch = "0.5", priority = 2 }\n[policy.weights]\ncontext = "0.0001"'
    )  # fmt: skip
    found = token_weights(config.policy, config.models)

    assert found.models == {"n": 1, "m": 8, "": 4}
    assert found.tiers == {"batch": 1, "priority": 4, "": 2}
    assert (found.kinds["output"], found.kinds["cache_read"], found.context) == (60_000, 1000, 1)
    assert found.scale == 10_000 * 4 * 2


def test_tiers_of_the_cache_that_weigh_alike_change_nothing(loaded: Loaded) -> None:
    """They weigh what a cache read does unless one of them is said to weigh otherwise."""
    config = loaded('[policy.weights]\ncache_read = "0.2"\ncache_read_host = "0.20"\n')
    found = token_weights(config.policy, config.models)

    assert (found.kinds["cache_read"], found.cache_read_host, found.cache_read_storage, found.scale) == (2, 2, 2, 10)


def test_weights_leave_room_for_a_mix_of_tiers(loaded: Loaded) -> None:
    """All are multiples of ten thousand where a tier weighs otherwise, so that basis points of them are integers."""
    config = loaded('[policy.weights]\ncache_read_storage = "0.25"\ncontext = "0.01"\n')
    found = token_weights(config.policy, config.models)

    assert config.policy.cache_read_host_weight == Decimal("0.1")
    assert (found.kinds["cache_read"], found.cache_read_host, found.cache_read_storage) == (100_000, 100_000, 250_000)
    assert (found.kinds["output"], found.context, found.scale) == (6_000_000, 10_000, 1_000_000)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (model("m", 'weight = "0.1234567"'), "models[0].weight", "has 7 decimals; at most 6 are kept"),
        (model("m", "weight = -1"), "models[0].weight", "zero or more"),
        (model("m", "weight = 1000001"), "models[0].weight", "at most 1000000"),
        (model("m", 'weight = "heavy"'), "models[0].weight", "write digits and a point"),
        (model("m", "adapters = []"), "models[0].adapters", 'is empty; write a list, such as ["sql-lora-*"]'),
        (model("m", 'adapters = ["a", "a"]'), "models[0].adapters", "names a twice"),
        (model("m") + model("m"), "models[1]", "model 'm' stands at apportion.toml:models[0] too; write one row"),
        (model("m", 'adapters = ["x-*"]') + model("n", 'adapters = ["*-y"]'), "models[1].adapters", "an adapter may fit '*-y', and 'x-*' of 'm' at apportion.toml:models[0]; make the patterns tell"),
        ('[policy]\ntiers = { batch = "cheap" }', "policy.tiers.batch", "write digits and a point"),
        ('[policy]\ntiers = { batch = "0.1234567" }', "policy.tiers.batch", "has 7 decimals"),
        ('[policy]\ntiers = { "" = 2 }', "policy.tiers", "names a tier that is empty"),
        ("[policy]\ntiers = 2", "policy.tiers", "is an integer; write a table"),
        ("[policy.weights]\ncontext = -1", "policy.weights.context", "zero or more"),
        ("[policy.weights]\ncache_read_host = -1", "policy.weights.cache_read_host", "zero or more"),
        ("[policy.weights]\ncache_read_storage = 0.0000000001", "policy.weights.cache_read_storage", "has 10 decimals; at most 9"),
        ("[policy.weights]\ncache_read_disk = 1", "policy.weights.cache_read_disk", "unknown key 'cache_read_disk'; did you mean cache_read_host?"),
        ('[policy.weights]\ncache_read_host = "0.123456789"', "policy.weights", "need 13 decimals together with the weights of tiers and of [[models]] (4 of them for tiers of the cache), and 12 can be kept; round"),
        ('[policy]\ntiers = { a = "0.000001" }\nweights = { context = "0.000000001" }', "policy.weights", "need 15 decimals together with the weights of tiers and of [[models]], and 12 can be kept; round"),
        ("[policy]\ntiers = { a = 1000000 }\nweights = { context = 10000 }", "policy.weights", "are too far apart together with the weights of tiers"),
        ('[policy]\ntiers = { a = 1000000 }\nweights = { output = "1000000.001" }', "policy.weights.output", "at most 1000000"),
        ('[policy]\ntiers = { a = 1000000 }\nweights = { output = "99999.001" }\n' + model("m", "weight = 1000"), "policy.weights", "are too far apart"),
    ],
)  # fmt: skip
def test_a_weight_that_cannot_be_is_one_problem(text: str, place: str, said: str, problems: Problems) -> None:
    """Out of bounds by itself, doubled, ambiguous, or more digits together than the arithmetic holds."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:{place}: ")
    assert said in found[0]


def test_an_adapter_pattern_that_fits_a_served_model_is_warned_about(loaded: Loaded) -> None:
    """The model would be served where the base is too; a pattern may fit its own model's name."""
    config = loaded(FLEET + model("base", 'adapters = ["m*", "base*"]'))
    (warning,) = config.warnings

    assert warning.startswith("apportion.toml:models[0].adapters: fit 'm', which apportion.toml:deployments[0] serves")


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (model("m", 'weight = "0"') + model("n", 'weight = "0.000001"'), ["apportion.toml:models[0].weight: is 0, so tokens of 'm' carry no cost: other tokens of their deployment's hour bear it, and where there are none __unattributed__ does, with cause zero_weight; give a weight above 0"]),
        ("[policy]\ntiers = { batch = 0, priority = 2 }", ["apportion.toml:policy.tiers.batch: is 0, so tokens of tier 'batch' carry no cost"]),
        ("[policy]\nweights = { cache_read = 0 }", []),
    ],
)  # fmt: skip
def test_a_model_or_tier_that_weighs_nothing_is_warned_about(text: str, warnings: list[str], loaded: Loaded) -> None:
    """Its tokens carry no cost, which is allowed; a kind of token may be free without a word."""
    found = loaded(text).warnings

    assert len(found) == len(warnings)
    assert all(said.startswith(warning) for said, warning in zip(found, warnings, strict=True))


def test_downtime_is_read(loaded: Loaded) -> None:
    """GPUs of a deployment, for a cause, for a while; several causes share out what it holds."""
    config = loaded(FLEET + down(gpus=3, dated=UNTIL_NOVEMBER) + down(gpus=1, cause="lost"))

    assert [(row.deployment, row.gpus, row.cause) for row in config.downtime] == [("d", 3, "loading"), ("d", 1, "lost")]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (FLEET + down(name="x"), "downtime[0].deployment", "unknown deployment 'x'; known are d: correct it, or add"),
        (down(), "downtime[0].deployment", "unknown deployment 'd'; there are none: correct it"),
        (FLEET + down(gpus=0), "downtime[0].gpus", "write an integer from 1 to"),
        (FLEET + down(cause="asleep"), "downtime[0].cause", "write one of loading, draining, lost"),
        (FLEET + down(dated=""), "downtime[0].effective_from", "is missing"),
        (FLEET + down(gpus=3) + down(gpus=2, dated=UNTIL_NOVEMBER), "downtime[1].gpus", "5 GPUs of deployment 'd' are down from 2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z, and it holds 4; a GPU is down for one cause"),
        (pool() + rate() + deployment(dated=UNTIL_NOVEMBER) + down(), "downtime[0]", "deployment 'd' is down from 2026-11-01T00:00:00Z on, when it is not in force; date it"),
    ],
)  # fmt: skip
def test_downtime_that_cannot_be_is_one_problem(text: str, place: str, said: str, problems: Problems) -> None:
    """Of deployments that are there, while they are, and of no more GPUs than they hold."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"apportion.toml:{place}: ")
    assert said in found[0]


FINE = '[policy]\nweights = { output = "6.000000001" }\ntiers = { batch = "0.001" }\n'


def large(begins: str, down_from: str) -> str:
    """A thousand GPUs of 10^9 tokens an hour, weights of twelve decimals, and downtime."""
    held = deployment(gpus=1000, more='utilization = "capacity"\ncapacity_per_gpu_hour = 999999999')
    dated = f"effective_from = {down_from}\neffective_to = 2026-10-03T00:00:00Z"
    return pool(gpus=1000) + rate() + held.replace("2026-10-01T00:00:00Z", begins) + FINE + down(dated=dated)


@pytest.mark.parametrize(
    ("begins", "down_from"),
    [("2026-10-01T00:00:00.5Z", "2026-10-02T00:00:00Z"), ("2026-10-01T00:00:00Z", "2026-10-02T00:00:00.000001Z")],
)
def test_a_capacity_must_fit_the_arithmetic_with_the_decimals_of_weights(
    begins: str, down_from: str, problems: Problems
) -> None:
    """Where an hour counts by the microsecond, large capacities and many decimals together are more than a cost can be divided by."""
    (problem,) = problems(large(begins, down_from))

    assert problem.startswith(
        "apportion.toml:deployments[0].capacity_per_gpu_hour: is too large for 1000 GPUs and weights of 12 decimals; "
    )
    assert problem.endswith(
        "round the weights in [policy] and [[models]], or date all its rows and its downtime to whole hours"
    )


@pytest.mark.parametrize(("resized_at", "problems_found"), [("01:30:00.000001", 1), ("01:30:01", 0)])
def test_rows_of_a_deployment_that_meet_in_an_hour_count_in_one_unit(
    resized_at: str, problems_found: int, problems: Problems, loaded: Loaded
) -> None:
    """A row of whole seconds is counted by the microsecond where another row of its deployment ends within one."""
    resized = "2026-10-02T" + resized_at + "Z"
    small = deployment(gpus=1, more='utilization = "capacity"\ncapacity_per_gpu_hour = 1000\n')
    small = small.rstrip() + f"\neffective_to = {resized}\n"
    held = deployment(gpus=1000, more='utilization = "capacity"\ncapacity_per_gpu_hour = 999999999')
    text = pool(gpus=1000) + rate() + small + held.replace("2026-10-01T00:00:00Z", "2026-10-02T01:30:01Z") + FINE

    if problems_found:
        (problem,) = problems(text)
        assert problem.startswith("apportion.toml:deployments[1].capacity_per_gpu_hour: is too large for 1000 GPUs")
    else:
        assert len(loaded(text).deployments) == 2


@pytest.mark.parametrize(
    ("begins", "down_from"),
    [("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"), ("2026-10-01T00:00:01Z", "2026-10-02T00:00:01Z")],
)
def test_whole_hours_and_seconds_leave_room_for_any_fleet(begins: str, down_from: str, loaded: Loaded) -> None:
    """The same capacity and weights are fine where times are."""
    assert loaded(large(begins, down_from)).deployments[0].capacity_per_gpu_hour == 999_999_999
