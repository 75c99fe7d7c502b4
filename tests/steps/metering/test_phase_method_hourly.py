"""metering.phase_method_hourly: what each rung of the ladder says of an hour, or why it cannot."""

from __future__ import annotations

import json

import pytest

from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Coefficient, Deployment, Event, Facts, at
from tests.steps.metering.weight_facts import Weighed

STEP = "metering.phase_method_hourly"
QUERY = """
SELECT phase_method, rung, prefill_share::BIGINT, decode_share::BIGINT, confidence, inputs, failure
FROM metering.phase_method_hourly ORDER BY rung, phase_method
"""
TOKENS = (("uncached_input", 1000), ("cache_read", 200), ("cache_write", 30), ("output", 4), ("reasoning", 5))
USED = Event(at=at("01:10"), deployment="d", tokens=TOKENS)
PS = (100, 10, 50, 2000, 3000)
"""GPU-picoseconds per token, in the order of the kinds."""


@pytest.fixture
def rungs(stepped):
    """Facts -> method -> (shares, confidence, failure) of the hour from one."""

    def answer(**facts):
        rows = stepped(
            Facts(**{"deployments": (Deployment(),), "events": (USED,), **facts}), STEP, at("01:00"), at("02:00"), QUERY
        )
        assert all(json.loads(row[5]) is not None for row in rows)
        return {row[0]: (row[2], row[3], row[4], row[6]) for row in rows}

    return answer


def engine(
    until: str, *, prefill: int | None = 600_000_000, decode: int | None = 1_200_000_000, name: str = "e"
) -> tuple[Count, Count]:
    """An engine that counted phase seconds from one o'clock until some time."""
    return (
        Count(
            at=at("01:00"),
            engine=name,
            started=at("01:00") - 1,
            prefill_us=prefill and 0,
            decode_us=decode and 0,
            output=0,
        ),
        Count(at=at(until), engine=name, started=at("01:00") - 1, prefill_us=prefill, decode_us=decode, output=9),
    )


def test_every_rung_has_a_row(stepped) -> None:
    """Seven methods in six rungs, for each deployment-hour with usage."""
    rows = stepped(Facts(deployments=(Deployment(),), events=(USED,)), STEP, at("01:00"), at("02:00"), QUERY)

    assert [(row[0], row[1]) for row in rows] == [
        ("measured/1", 1), ("role/1", 1), ("regression/1", 2), ("roofline/1", 3), ("throughput/1", 4), ("weights/1", 5), ("blended/1", 6),
    ]  # fmt: skip


def test_without_data_weights_and_blended_remain(rungs) -> None:
    """What has nothing to go by says what it lacks; weights and counts always say something."""
    found = rungs()

    assert found["role/1"] == (None, None, "", "the deployment runs both phases")
    assert found["measured/1"] == (None, None, "", "no engine told the time of both phases")
    assert found["regression/1"] == (None, None, "", "no calibration is in force")
    assert found["roofline/1"] == (None, None, "", "no roofline of the model on these GPUs is in force")
    assert found["throughput/1"] == (None, None, "", "no throughput is declared")
    assert found["weights/1"] == (10 * 1000 + 200 + 10 * 30, 60 * 9, "assumed", "")
    assert found["blended/1"] == (1230, 9, "assumed", "")


@pytest.mark.parametrize(("role", "shares"), [("prefill", (1, 0)), ("decode", (0, 1))])
def test_a_role_is_a_measurement(rungs, role, shares) -> None:
    """All work of a deployment that runs one phase only is work of that phase."""
    assert rungs(deployments=(Deployment(role=role),))["role/1"] == (*shares, "measured", "")


def test_a_role_without_tokens_of_its_phase_says_so(rungs) -> None:
    """A prefill deployment whose hour has output alone would leave its cost to nobody."""
    found = rungs(
        deployments=(Deployment(role="prefill"),),
        events=(Event(at=at("01:10"), deployment="d", tokens=(("output", 5),)),),
    )

    assert found["role/1"] == (None, None, "", "it gives no time to the tokens that weigh something")


def test_phase_seconds_are_what_engines_counted(rungs) -> None:
    """Prefill and decode time of all engines add up."""
    found = rungs(counts=(*engine("02:00"), *engine("02:00", prefill=60_000_000, decode=40_000_000, name="f")))

    assert found["measured/1"] == (660_000_000, 1_240_000_000, "measured", "")


def test_phase_seconds_of_a_part_of_the_hour_are_not_enough(rungs) -> None:
    """Below min_coverage of the engines' time the rung fails, and says by how much."""
    found = rungs(counts=engine("01:30"))

    assert (
        found["measured/1"][3]
        == "engines told the time of both phases for 50 % of theirs, and min_coverage asks for 90 %"
    )


def test_an_engine_that_comes_and_goes_takes_nothing_from_the_others(rungs) -> None:
    """A replica of twenty minutes, known for all of them, leaves the hour as measured as it is without it."""
    short = engine("01:20", prefill=1_000_000, decode=1_000_000, name="f")

    assert rungs(counts=(*engine("02:00"), *short))["measured/1"][2:] == ("measured", "")


def test_engines_of_which_one_is_silent_cover_half(rungs) -> None:
    """An engine that tells no phases is time of which nothing is known."""
    found = rungs(counts=(*engine("02:00"), *engine("02:00", prefill=None, decode=None, name="f")))

    assert (
        found["measured/1"][3]
        == "engines told the time of both phases for 50 % of theirs, and min_coverage asks for 90 %"
    )


def test_one_phase_alone_is_not_told(rungs) -> None:
    """Decode seconds without prefill seconds split nothing."""
    assert rungs(counts=engine("02:00", prefill=None))["measured/1"][3] == "no engine told the time of both phases"


@pytest.mark.parametrize(
    ("method", "confidence"), [("regression/1", "calibrated"), ("roofline/1", "modelled"), ("throughput/1", "modelled")]
)
def test_coefficients_weigh_each_kind(rungs, method, confidence) -> None:
    """Each token takes the time of its kind."""
    found = rungs(coefficients=(Coefficient(method=method, ps=PS, confidence=confidence),))

    assert found[method] == (1000 * 100 + 200 * 10 + 30 * 50, 4 * 2000 + 5 * 3000, confidence, "")


def test_a_model_of_its_own_goes_before_every_model(rungs) -> None:
    """Coefficients of the model are taken, and those of all models for the others."""
    both = (Deployment(models=("m", "n")),)
    events = (Event(at=at("01:10"), tokens=(("output", 4),)), Event(at=at("01:10"), model="n", tokens=(("output", 3),)))
    own = Coefficient(model="m", ps=(1, 1, 1, 10, 1))
    found = rungs(deployments=both, events=events, coefficients=(own, Coefficient(ps=(1, 1, 1, 1000, 1))))

    assert found["regression/1"] == (0, 4 * 10 + 3 * 1000, "calibrated", "")


def test_a_model_without_coefficients_is_named(rungs) -> None:
    """Where nothing is known of one model of several, shares would leave its tokens out."""
    both = (Deployment(models=("m", "n")),)
    events = (USED, Event(at=at("01:10"), model="n", tokens=(("output", 3),)))

    assert rungs(deployments=both, events=events, coefficients=(Coefficient(model="m", ps=PS),))["regression/1"][3] == (
        "nothing is known of model n"
    )


def test_what_the_deployment_does_not_list_is_work_of_its_only_model(rungs) -> None:
    """An adapter's tokens, or those of a name that nobody told, take the time of the model that runs them."""
    events = (Event(at=at("01:10"), model="adapter", deployment="d", tokens=(("output", 3),)),)

    assert rungs(events=events, coefficients=(Coefficient(model="m", ps=PS),))["regression/1"] == (
        0,
        6000,
        "calibrated",
        "",
    )


def test_a_failed_calibration_says_why(rungs) -> None:
    """The reason that was written down when it failed is the reason of the hour."""
    found = rungs(coefficients=(Coefficient(ps=PS, failure="R2 is 0.412, below 0.9"),))

    assert found["regression/1"] == (None, None, "", "R2 is 0.412, below 0.9")


def test_coefficients_count_while_they_are_in_force(rungs) -> None:
    """Of several dated rows the first in the hour counts; an empty range is history."""
    first = Coefficient(ps=(1, 1, 1, 7, 7), end=at("01:30"))
    emptied = Coefficient(ps=(9, 9, 9, 9, 9), start=at("00:00"), end=at("00:00"))
    found = rungs(coefficients=(emptied, first, Coefficient(ps=PS, start=at("01:30"))))

    assert found["regression/1"][:2] == (1230, 63)
    assert (
        rungs(coefficients=(Coefficient(ps=PS, start=at("02:00")),))["regression/1"][3] == "no calibration is in force"
    )


def test_declared_throughput_is_time_per_token(rungs) -> None:
    """10^12 picoseconds // tokens per second; cache reads as other prompt tokens unless they have a rate of their own."""
    plain = rungs(deployments=(Deployment(throughput=(73_700_000, 14_800_000, None)),))
    cached = rungs(deployments=(Deployment(throughput=(73_700_000, 14_800_000, 737_000_000)),))

    assert plain["throughput/1"] == (1230 * (10**12 // 73_700), 9 * (10**12 // 14_800), "modelled", "")
    assert cached["throughput/1"][0] == 1030 * (10**12 // 73_700) + 200 * (10**12 // 737_000)


def test_the_least_sure_of_several_rows_says_how_sure_it_is(rungs) -> None:
    """One model by assumption makes the hour an assumption."""
    both = (Deployment(models=("m", "n")),)
    events = (USED, Event(at=at("01:10"), model="n", tokens=(("output", 3),)))
    rows = (
        Coefficient(model="m", method="roofline/1", ps=PS, confidence="modelled"),
        Coefficient(model="n", method="roofline/1", ps=PS, confidence="assumed"),
    )

    assert rungs(deployments=both, events=events, coefficients=rows)["roofline/1"][2] == "assumed"


def test_a_phase_without_weighted_tokens_has_no_share(rungs) -> None:
    """Where output weighs nothing, nobody would bear the cost of decoding."""
    weights = dict.fromkeys(("uncached_input", "cache_read", "cache_write"), 10) | dict.fromkeys(
        ("output", "reasoning"), 0
    )
    found = rungs(weights=weights, coefficients=(Coefficient(ps=PS),))

    assert (found["regression/1"][1], found["blended/1"]) == (0, (1230, 0, "assumed", ""))


def test_an_hour_that_weighs_nothing_splits_nothing(rungs) -> None:
    """Weights say so with two zeros; the others have nothing to say."""
    found = rungs(weights=dict.fromkeys(("uncached_input", "cache_read", "cache_write", "output", "reasoning"), 0))

    assert found["weights/1"] == (0, 0, "assumed", "")
    assert found["blended/1"] == (None, None, "", "no token of the hour weighs anything")


def test_the_hour_after_keeps_nothing(stepped) -> None:
    """An hour without usage has no row."""
    facts = Facts(deployments=(Deployment(),), events=(USED,))

    assert stepped(facts, STEP, at("01:00") + HOUR, at("02:00") + HOUR, QUERY) == []


def test_context_takes_time_of_its_own(rungs) -> None:
    """Each token that is decoded reads the prompt and half of what was decoded: attoseconds, of which a million are a picosecond."""
    found = rungs(coefficients=(Coefficient(ps=PS, context_as=10_000_000),))

    assert found["regression/1"][:2] == (
        1000 * 100 + 200 * 10 + 30 * 50,
        4 * 2000 + 5 * 3000 + 9 * (1230 + 9 // 2) * 10,
    )


def test_an_adapter_of_one_model_of_several_is_work_of_that_model(rungs) -> None:
    """It runs on the weights of its model, and takes the time that these take."""
    both = (Deployment(models=("m", "n")),)
    events = (Event(at=at("01:10"), model="sql-lora", tokens=(("output", 3),)),)
    rows = (Coefficient(model="m", ps=(1, 1, 1, 10, 1)), Coefficient(model="n", ps=(1, 1, 1, 1000, 1)))
    found = rungs(deployments=both, events=events, coefficients=rows, weighed=Weighed(adapters=(("m", "sql-%"),)))

    assert found["regression/1"] == (0, 3 * 10, "calibrated", "")
