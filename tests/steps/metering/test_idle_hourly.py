"""metering.idle_hourly: why GPU time stood idle, from metering.downtime_hourly and metering.engine_state_hourly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, Pool, Rate, Sample, at
from tests.steps.metering.reading import charges
from tests.steps.metering.weight_facts import Down

NOON = at("12:00")
FLEET = Facts(
    pools=(Pool(gpus=4),), rates=(Rate(nano=250),), deployments=(Deployment(gpus=4),), hold=HOUR,
    samples=tuple(Sample(at=NOON, ppm=400_000, gpu=f"g{n}", deployment="d") for n in range(4)),
    events=(Event(at=NOON, tokens=(("output", 1),)),))  # fmt: skip
"""An hour of 1000, of which four tenths are work."""


def gauges(*states: tuple[int, int | None], engine: str = "e") -> tuple[Count, ...]:
    """How many requests an engine ran, from microseconds after noon on."""
    return tuple(Count(at=NOON + after, engine=engine, deployment="d", running=running) for after, running in states)


def by_cause(session) -> dict[tuple[str, str], int | None]:
    """Nano by cost kind and cause."""
    return {key[7:9]: nano for key, (_, nano) in charges(session).items()}


def test_without_a_word_it_is_inactive(metered) -> None:
    """No engine tells, nothing was down: what GPUs did not do is inactive, as utilization has it."""
    assert by_cause(metered(FLEET, NOON, NOON + HOUR)) == {("workload", ""): 400, ("idle", "inactive"): 600}


def test_engines_tell_empty_hours_from_slack_ones(metered) -> None:
    """Two thirds of the engines' time ran requests: that much of the idle is headroom, the rest is want of demand."""
    facts = replace(FLEET, counts=gauges((0, 3), (HOUR * 2 // 3, 0)))

    assert by_cause(metered(facts, NOON, NOON + HOUR)) == {
        ("workload", ""): 400, ("idle", "below_saturation"): 400, ("idle", "no_requests"): 200}  # fmt: skip


def test_a_gauge_holds_as_a_gpu_sample_does(stepped) -> None:
    """Until its engine's next reading, at most the hold, also from the hour before; an unknown one ends it and says nothing."""
    facts = replace(
        FLEET, hold=HOUR // 4,
        counts=gauges((-HOUR // 8, 1), (HOUR // 4, 2), (HOUR // 4 + 10, None), (HOUR - 7, 0)) + gauges((0, 0), engine="f"))  # fmt: skip
    found = stepped(
        facts, "metering.engine_state_hourly", NOON, NOON + HOUR,
        "SELECT epoch_us(charge_period_start), empty_us, running_us FROM metering.engine_state_hourly",
    )  # fmt: skip

    assert found == [(NOON, 7 + HOUR // 4, HOUR // 8 + 10)]


@pytest.mark.parametrize(
    ("after", "told"), [(HOUR // 10 - 1, True), (HOUR // 10, True), (HOUR // 10 + 1, False), (HOUR * 11 // 12, False)]
)
def test_a_few_minutes_do_not_decide_an_hour(metered, after: int, told: bool) -> None:
    """Engines must tell min_coverage of the time that their deployment is in force, nine tenths here; else it is inactive."""
    facts = replace(FLEET, counts=gauges((after, 0)))

    assert by_cause(metered(facts, NOON, NOON + HOUR)) == {
        ("workload", ""): 400, ("idle", "no_requests" if told else "inactive"): 600}  # fmt: skip


@pytest.mark.parametrize(("second", "covered", "cause"), [(HOUR // 2, HOUR, "no_requests"), (0, HOUR // 2, "inactive")])
def test_time_that_two_engines_tell_counts_once(metered, second: int, covered: int, cause: str) -> None:
    """One after the other they tell the whole hour, at the same time only half of it; their own times add up alike."""
    facts = replace(
        FLEET, min_coverage_ppm=500_001,
        counts=gauges((0, 0), (HOUR // 2, None)) + gauges((second, 0), (second + HOUR // 2, None), engine="f"))  # fmt: skip
    session = metered(facts, NOON, NOON + HOUR)

    assert by_cause(session) == {("workload", ""): 400, ("idle", cause): 600}
    assert session.rows("SELECT empty_us, running_us, covered_us FROM metering.engine_state_hourly") == [
        (HOUR, 0, covered)
    ]


def test_only_time_that_could_serve_is_to_be_told(metered) -> None:
    """All GPUs load for the first half and engines tell of the second; a deployment of half an hour is told by half an hour."""
    half = NOON + HOUR // 2
    loading = replace(FLEET, downs=(Down(start=NOON, end=half, gpus=4),), counts=gauges((HOUR // 2, 0)))
    short = replace(FLEET, deployments=(Deployment(gpus=4, start=half),), counts=gauges((HOUR // 2, 0)))
    later = replace(loading, counts=gauges((HOUR * 3 // 5, 0)))

    assert ("idle", "no_requests") in by_cause(metered(loading, NOON, NOON + HOUR))
    assert ("idle", "no_requests") in by_cause(metered(short, NOON, NOON + HOUR))
    assert ("idle", "inactive") in by_cause(metered(later, NOON, NOON + HOUR))


def test_engines_of_no_deployment_tell_nothing(stepped) -> None:
    """One that names none, where several serve its model, is placed nowhere: metering.engine_place_hourly says 0."""
    deployments = (Deployment(id="d", gpus=2), Deployment(id="e", gpus=2))
    facts = replace(FLEET, deployments=deployments, counts=(Count(at=NOON, running=1), Count(at=NOON, engine="f", model="m", deployment="e", running=1)))  # fmt: skip
    placed = "SELECT deployment_id FROM metering.engine_place_hourly JOIN book.deployment_key USING (deployment_no) ORDER BY 1"
    assert stepped(facts, "metering.engine_place_hourly", NOON, NOON + HOUR, placed) == [("",), ("e",)]

    states = "SELECT deployment_id FROM metering.engine_state_hourly JOIN book.deployment_key USING (deployment_no)"
    assert stepped(facts, "metering.engine_state_hourly", NOON, NOON + HOUR, states) == [("e",)]


def test_a_tie_of_the_states_goes_to_the_first_name(metered) -> None:
    """An odd nano between equal times, as in every split."""
    idle = replace(FLEET, rates=(Rate(nano=1),), pools=(Pool(),), deployments=(Deployment(),), events=(),
                   samples=(Sample(at=NOON, ppm=0, deployment="d"),), counts=gauges((0, 0), (HOUR // 2, 1)))  # fmt: skip

    assert by_cause(metered(idle, NOON, NOON + HOUR)) == {("idle", "below_saturation"): 1}


@pytest.mark.parametrize("cause", ["loading", "draining", "lost"])
def test_gpu_time_that_could_not_serve_is_idle_first(metered, cause: str) -> None:
    """One of four GPUs for half the hour: an eighth of the cost, and the rest is read as if that time had not been bought."""
    facts = replace(FLEET, downs=(Down(start=NOON - HOUR, end=NOON + HOUR // 2, cause=cause),))
    session = metered(facts, NOON, NOON + HOUR)

    assert by_cause(session) == {("idle", cause): 125, ("workload", ""): 350, ("idle", "inactive"): 525}
    assert session.rows("SELECT allocation_method, confidence FROM metering.charge_hourly WHERE cause = $cause", {"cause": cause}) == [("inventory/1", "assumed")]  # fmt: skip


def test_downtime_is_not_a_gap_in_telemetry(metered) -> None:
    """A lost GPU that nobody observes is lost, not unmeasured, and the coverage of the others is full."""
    facts = replace(FLEET, samples=FLEET.samples[:3], downs=(Down(start=NOON, end=NOON + HOUR, cause="lost"),))
    session = metered(facts, NOON, NOON + HOUR)

    assert by_cause(session) == {("idle", "lost"): 250, ("workload", ""): 300, ("idle", "inactive"): 450}
    assert session.rows("SELECT DISTINCT low_coverage FROM metering.deployment_hourly") == [(False,)]
    unseen = by_cause(metered(replace(facts, downs=()), NOON, NOON + HOUR))
    assert unseen[("unmeasured", "")] == 250


def test_causes_of_one_hour_add_up(metered) -> None:
    """All GPUs down for three causes that meet: together the whole cost to the nano, and nothing is left to read."""
    third = HOUR // 3
    downs = tuple(
        Down(start=NOON + n * third, end=NOON + (n + 1) * third, gpus=4, cause=cause)
        for n, cause in enumerate(("lost", "draining", "loading"))
    )
    assert by_cause(metered(replace(FLEET, downs=downs), NOON, NOON + HOUR)) == {
        ("idle", "draining"): 333, ("idle", "loading"): 333, ("idle", "lost"): 334, ("workload", ""): 0}  # fmt: skip


def test_capacity_that_could_not_serve_is_no_capacity(metered) -> None:
    """Half the GPUs load: half the cost is that, and of the other half's capacity of 120 half was used."""
    deployments = (Deployment(gpus=4, utilization="capacity", capacity=60),)
    facts = replace(FLEET, deployments=deployments, events=(Event(at=NOON, tokens=(("output", 10),)),),
                    downs=(Down(start=NOON, end=NOON + HOUR, gpus=2),), counts=gauges((0, 1)))  # fmt: skip
    session = metered(facts, NOON, NOON + HOUR)

    assert by_cause(session) == {("idle", "loading"): 500, ("workload", ""): 250, ("idle", "below_capacity"): 250}
    assert session.rows("SELECT cause, down_us, capacity_token_us FROM metering.downtime_hourly") == [
        ("loading", 2 * HOUR, 2 * 60 * HOUR)
    ]


def test_downtime_counts_only_while_its_deployment_is_there(metered) -> None:
    """Of a deployment that is resized within the hour, each part by its own capacity; outside it, nothing."""
    half = NOON + HOUR // 2
    parts = {"utilization": "capacity", "gpus": 4}
    deployments = (
        Deployment(**parts, capacity=60, start=NOON, end=half),
        Deployment(**parts, capacity=30, start=half, end=half + 60),
    )
    facts = replace(FLEET, deployments=deployments, downs=(Down(start=NOON - 5, end=NOON + 2 * HOUR),))
    found = metered(facts, NOON, NOON + HOUR).rows("SELECT down_us, capacity_token_us FROM metering.downtime_hourly")

    assert found == [(HOUR // 2 + 60, 60 * HOUR // 2 + 30 * 60)]


def test_gpus_of_a_draft_model_belong_to_the_deployment(metered) -> None:
    """Speculative decoding: the draft's GPU is one of the deployment's, its tokens are in no log, and answers bear both."""
    facts = Facts(
        pools=(Pool(gpus=3),), rates=(Rate(nano=300),), deployments=(Deployment(gpus=3),), hold=HOUR,
        samples=tuple(Sample(at=NOON, ppm=ppm, gpu=gpu, deployment="d") for gpu, ppm in (("target-0", 900_000), ("target-1", 900_000), ("draft", 300_000))),
        events=(Event(at=NOON, tokens=(("output", 5),)),))  # fmt: skip

    assert by_cause(metered(facts, NOON, NOON + HOUR)) == {("workload", ""): 630, ("idle", "inactive"): 270}


def test_engines_tell_of_the_pool_their_deployment_is_in(metered) -> None:
    """Moved from one pool to another at half past twelve, each half is told where it was."""
    half = NOON + HOUR // 2
    facts = replace(
        FLEET, pools=(Pool(gpus=4), Pool(id="q", gpus=4)), rates=(Rate(nano=250), Rate(pool="q", nano=250)), events=(),
        deployments=(Deployment(gpus=4, end=half), Deployment(pool="q", gpus=4, start=half)), counts=gauges((0, 0)),
    )  # fmt: skip
    session = metered(facts, NOON, NOON + HOUR)

    assert session.rows(
        "SELECT pool_id, cause, idle_nano FROM metering.idle_hourly JOIN book.pool_key USING (pool_no)"
        " WHERE deployment_no > 0 ORDER BY ALL"
    ) == [("p", "no_requests", 300), ("q", "no_requests", 300)]
