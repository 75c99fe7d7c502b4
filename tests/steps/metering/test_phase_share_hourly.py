"""metering.phase_share_hourly: what a workload is split into prefill and decode by."""

from __future__ import annotations

import pytest

from tests.steps.metering.facts import Coefficient, Deployment, Event, Facts, at

STEP = "metering.phase_share_hourly"
QUERY = """
SELECT deployment_id, consumed_tokens, prefill_weight::BIGINT, decode_weight::BIGINT, weight_max::BIGINT, prefill_share::BIGINT,
    decode_share::BIGINT, phase_method, confidence
FROM metering.phase_share_hourly JOIN book.deployment_key USING (deployment_no) ORDER BY ALL
"""


def test_tokens_weigh_by_kind_and_phase(stepped) -> None:
    """Uncached input, cache reads and cache writes are prefill, output and reasoning decode."""
    tokens = (("uncached_input", 1000), ("cache_read", 200), ("cache_write", 30), ("output", 4), ("reasoning", 5))
    events = (Event(at=at("01:10"), tokens=tokens), Event(at=at("01:20"), principal="other", tokens=(("output", 100),)))
    found = stepped(Facts(deployments=(Deployment(),), events=events), STEP, at("01:00"), at("02:00"), QUERY)

    prefill, decode = 10 * 1000 + 1 * 200 + 10 * 30, 60 * 4 + 60 * 5 + 60 * 100
    assert found == [("d", 1339, prefill, decode, 10 * 1000, prefill, decode, "weights/1", "assumed")]


def test_what_ran_nowhere_splits_nothing(stepped) -> None:
    """Unplaced and external usage has no row."""
    events = (
        Event(at=at("01:10"), model="x", tokens=(("output", 1),)),
        Event(at=at("01:10"), provider="openai", tokens=(("output", 1),)),
    )

    assert stepped(Facts(deployments=(Deployment(),), events=events), STEP, at("01:00"), at("02:00"), QUERY) == []


ALL = (
    Coefficient(method="regression/1", ps=(2, 2, 2, 20, 20)),
    Coefficient(method="roofline/1", ps=(3, 3, 3, 30, 30), confidence="modelled"),
    Coefficient(method="throughput/1", ps=(4, 4, 4, 40, 40), confidence="modelled"),
)
USED = Event(at=at("01:10"), tokens=(("uncached_input", 100), ("output", 10)))


@pytest.fixture
def chosen(stepped):
    """How a deployment's work is to be split, and the coefficients there are -> shares, method and confidence."""

    def answer(wanted: str, coefficients: tuple[Coefficient, ...] = ALL, role: str = "both"):
        deployments = (Deployment(phase_split=wanted, role=role),)
        facts = Facts(deployments=deployments, events=(USED,), coefficients=coefficients)
        return stepped(facts, STEP, at("01:00"), at("02:00"), QUERY)[0][-4:]

    return answer


def test_auto_takes_the_best_rung_that_can_say(chosen) -> None:
    """A role goes before a regression, that before a roofline, a throughput and weights."""
    assert chosen("auto", role="decode") == (0, 1, "role/1", "measured")
    assert chosen("auto") == (200, 200, "regression/1", "calibrated")
    assert chosen("auto", ALL[1:]) == (300, 300, "roofline/1", "modelled")
    assert chosen("auto", ALL[2:]) == (400, 400, "throughput/1", "modelled")
    assert chosen("auto", ()) == (1000, 600, "weights/1", "assumed")
    failed = Coefficient(method="regression/1", ps=(2, 2, 2, 20, 20), failure="R2 is 0.4")
    assert chosen("auto", (failed, *ALL[1:])) == (300, 300, "roofline/1", "modelled")


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("regression", (200, 200, "regression/1", "calibrated")),
        ("roofline", (300, 300, "roofline/1", "modelled")),
        ("throughput", (400, 400, "throughput/1", "modelled")),
        ("weights", (1000, 600, "weights/1", "assumed")),
        ("blended", (100, 10, "blended/1", "assumed")),
    ],
)
def test_a_method_that_is_asked_for_is_taken(chosen, wanted, taken) -> None:
    """Whatever better rung there is."""
    assert chosen(wanted) == taken


def test_measured_is_a_role_too(chosen) -> None:
    """A deployment of one phase is measured by being it."""
    assert chosen("measured", role="prefill") == (1, 0, "role/1", "measured")


@pytest.mark.parametrize("wanted", ["measured", "regression", "roofline", "throughput"])
def test_a_method_that_is_asked_for_and_cannot_leaves_the_hour_to_weights(chosen, ledger, wanted) -> None:
    """No other rung steps in, and the row of the one asked for says why."""
    assert chosen(wanted, ()) == (1000, 600, "weights/1", "assumed")
    failure = ledger.session().value(
        f"SELECT failure FROM metering.phase_method_hourly WHERE phase_method = '{wanted}/1'"
    )
    assert failure


def test_the_first_dated_row_of_an_hour_says_how(stepped) -> None:
    """A change within an hour counts from the next."""
    rows = (Deployment(phase_split="blended", end=at("01:30")), Deployment(phase_split="weights", start=at("01:30")))
    events = (USED, Event(at=at("02:10"), tokens=USED.tokens))
    found = stepped(Facts(deployments=rows, events=events), STEP, at("01:00"), at("03:00"), QUERY)

    assert sorted(row[-2] for row in found) == ["blended/1", "weights/1"]
