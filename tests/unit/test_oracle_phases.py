"""The oracle's phase ladder agrees with the pencil: what each rung says, when it fails, and which is taken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.oracle_engines import COUNTERS, Growth
from tests.oracle_fleet import Fleet, fleet
from tests.oracle_phases import CONFIDENCE, Coefficient, Phases, Shares, chosen, rungs
from tests.oracle_tokens import weighted
from tests.oracle_units import HOUR_US, Range, micros
from tests.oracle_usage import Consumer

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = micros(START)
DAY: Range = (HOUR, HOUR + 24 * HOUR_US)
WHO = Consumer("self", "m", "[]", "")
USED = {WHO: {"uncached_input": 1000, "cache_read": 500, "output": 100, "reasoning": 20, "output_context": 10**6}}


def known(
    used: Mapping[Consumer, Mapping[str, int]] = USED,
    engines: tuple[Growth, ...] = (),
    coefficients: tuple[Coefficient, ...] = (),
    *,
    models: tuple[dict[str, Any], ...] = (),
    **entry: Any,
) -> tuple[Fleet, Phases]:
    """What is known of an hour of a deployment with these keys."""
    served = {"id": "d", "pool": "p", "gpus": 1, "models": ["m"], "effective_from": START, **entry}
    ours = fleet({"deployments": [served], "policy": {"phase_split": "auto"}, "models": models})
    return ours, Phases(
        ours.deployments[0],
        HOUR,
        used,
        weighted(ours, used),
        engines,
        sum(e.observed_us for e in engines),
        coefficients,
    )


def engine(prefill: int | None, decode: int | None, observed_us: int = HOUR_US, engines: int = 1) -> Growth:
    """Engines that told these phase times."""
    told = {"prefill_seconds": prefill, "decode_seconds": decode}
    return Growth(
        engines, observed_us, tuple(told.get(counter) for counter in COUNTERS), cache_split_known=True, resets=0
    )


def row(method: str, model: str = "", failure: str = "", during: Range = DAY, context_as: int = 0) -> Coefficient:
    """Coefficients that grow with the kind: 1000 ps for uncached input to 5000 for reasoning."""
    kinds = ("uncached_input", "cache_read", "cache_write", "output", "reasoning")
    return Coefficient(
        deployment="d",
        model=model,
        method=method,
        during=during,
        kinds=tuple((kind, 1000 * number) for number, kind in enumerate(kinds, 1)),
        context_as=context_as,
        failure=failure,
    )


def test_every_rung_says_what_the_pencil_does() -> None:
    """Weights 1, 0.1 and 6; every token alike; 1000 and 200 tokens a second; picoseconds and attoseconds of context."""
    said = rungs(
        *known(
            engines=(engine(7, 21), engine(None, None)),
            coefficients=(row("regression/1", context_as=3_000_000), row("roofline/1", "m"), row("roofline/1")),
            throughput={"prefill": 1000, "decode": 200},
        )
    )

    assert list(said) == list(CONFIDENCE)
    assert said == {
        "role/1": None,
        "measured/1": Shares(7, 21),
        "regression/1": Shares(2_000_000, 500_000 + 3_000_000),
        "roofline/1": Shares(2_000_000, 500_000),
        "throughput/1": Shares(1500 * 10**9, 120 * 5 * 10**9),
        "weights/1": Shares(1050 * 10**25, 720 * 10**25),
        "blended/1": Shares(1500, 120),
    }


def test_cached_prompts_can_have_a_throughput_of_their_own() -> None:
    """1000 uncached at a thousand a second and 500 cached at ten thousand."""
    said = rungs(*known(throughput={"prefill": 1000, "decode": 200, "cache_read": 10_000}))

    assert said["throughput/1"] == Shares(1000 * 10**9 + 500 * 10**8, 120 * 5 * 10**9)


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        ((engine(7, 21),), Shares(7, 21)),
        ((engine(7, 21), engine(1, None)), Shares(8, 21)),
        ((engine(7, 21, HOUR_US * 9 // 10),), Shares(7, 21)),
        ((engine(7, 21, HOUR_US * 9 // 10 - 1),), None),
        ((engine(7, 21, 2 * HOUR_US, engines=3),), Shares(7, 21)),
        ((engine(7, None),), None),
        ((engine(0, 0),), None),
        ((), None),
    ],
)
def test_measured_phases_need_both_and_enough_of_the_hour(engines: tuple[Growth, ...], expected: Shares | None) -> None:
    """Seconds of all engines together, some of which come and go; unknown, none at all, or less than nine tenths of the
    hour seen is a failure."""
    assert rungs(*known(engines=engines))["measured/1"] == expected


def test_an_engine_seen_without_its_phases_is_time_of_which_nothing_is_known() -> None:
    """Two engines seen for the hour, one of which tells its phases, are half."""
    ours, seen = known(engines=(engine(7, 21, 2 * HOUR_US, engines=2),))

    assert rungs(ours, seen._replace(phase_us=HOUR_US))["measured/1"] is None


def test_enough_is_of_the_time_that_the_deployment_was_there() -> None:
    """Half an hour of phases is all of it where the deployment ends at half past."""
    half = START + timedelta(minutes=30)

    assert rungs(*known(engines=(engine(7, 21, HOUR_US // 2),), effective_to=half))["measured/1"] == Shares(7, 21)


@pytest.mark.parametrize(("role", "expected"), [("prefill", Shares(1, 0)), ("decode", Shares(0, 1)), ("both", None)])
def test_a_role_is_a_phase(role: str, expected: Shares | None) -> None:
    """A deployment of one role does one phase, which is known and not assumed."""
    ours, hour = known(role=role)

    assert rungs(ours, hour)["role/1"] == expected
    assert chosen(ours, hour)[0] == ("role/1" if expected else "weights/1")


def test_a_phase_without_weighted_tokens_has_no_share() -> None:
    """Output alone is all decode whatever engines say; where that leaves nothing, the rung fails."""
    output = {WHO: {"output": 5}}

    assert rungs(*known(output, (engine(7, 21),)))["measured/1"] == Shares(0, 21)
    assert rungs(*known(output, (engine(7, 0),)))["measured/1"] is None
    assert rungs(*known(output, role="prefill"))["role/1"] is None


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (row("regression/1", failure="r2"),),
        (row("regression/1", "other"),),
        (row("regression/1", during=(HOUR + 1, HOUR + 2)),),
        (row("regression/1"), row("regression/1", "m", failure="collinear")),
    ],
)
def test_coefficients_fail_without_a_sound_row_in_force(rows: tuple[Coefficient, ...]) -> None:
    """A model that is used needs a row at the start of the hour; its own comes before every model's, sound or not."""
    assert rungs(*known(coefficients=rows))["regression/1"] is None


def test_an_adapter_takes_as_long_as_its_model() -> None:
    """Its base model's row counts for it, before every model's."""
    used = {Consumer("self", "lora-x", "[]", ""): {"output": 10}}
    rows = (row("roofline/1", "m"), row("roofline/1", failure="no architecture"))
    models = ({"id": "m", "adapters": ["lora-*"]},)

    assert rungs(*known(used, coefficients=rows, models=models))["roofline/1"] == Shares(0, 40_000)


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("auto", "measured/1"),
        ("weights", "weights/1"),
        ("blended", "blended/1"),
        ("measured", "measured/1"),
        ("throughput", "throughput/1"),
        ("regression", "weights/1"),
    ],
)
def test_the_first_sound_rung_or_the_one_asked_for(asked: str, taken: str) -> None:
    """Automatic is the best that does not fail; what is asked for and fails falls to weights."""
    ours, hour = known(engines=(engine(7, 21),), throughput={"prefill": 10, "decode": 10}, phase_split=asked)

    assert chosen(ours, hour)[0] == taken
