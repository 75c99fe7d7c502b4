"""metering.gpu_place: the deployments that each series of GPU samples is of."""

from __future__ import annotations

from dataclasses import replace

from tests.steps.metering.facts import FOREVER, HOUR, Deployment, EnergyRate, Facts, Pool, Rate, Sample, at
from tests.steps.metering.reading import charges

STEP = "metering.gpu_place"
QUERY = """
SELECT gpu_uuid, deployment_id, pool_id, epoch_us(effective_from), epoch_us(effective_to)
FROM metering.gpu_place JOIN book.deployment_key USING (deployment_no) JOIN book.pool_key USING (pool_no) ORDER BY ALL
"""
ONE, TWO = at("01:00"), at("02:00")


def seen(gpu: str, when: int = ONE, **more) -> Sample:
    """A reading of a GPU, on node n1 unless it says where else."""
    return Sample(**{"at": when, "ppm": None, "gpu": gpu, "node": "n1", **more})


def placed(stepped, samples, deployments, **facts):
    """Rows of the hour from one on."""
    return stepped(Facts(samples=tuple(samples), deployments=deployments, **facts), STEP, ONE, TWO, QUERY)


def test_a_name_goes_before_patterns_and_patterns_may_disagree(stepped) -> None:
    """Who names a deployment is of it alone, who names none is of all that fit, and what nothing takes has no row."""
    deployments = (
        Deployment(id="a", match=(("node", "n%"),)),
        Deployment(id="b", pool="q", match=(("gpu_uuid", "g_"),)),
        Deployment(id="c"),
    )
    samples = [seen("g1"), seen("g22"), seen("g3", deployment="c"), seen("h", node="x")]

    assert [row[:3] for row in placed(stepped, samples, deployments)] == [
        ("g1", "a", "p"),
        ("g1", "b", "q"),
        ("g22", "a", "p"),
        ("g3", "c", "p"),
    ]


def test_a_name_counts_while_its_deployment_is_in_force(stepped) -> None:
    """Before, between and after the ranges of the deployment that a series names its patterns are asked, to the instant."""
    deployments = (
        Deployment(id="a", start=0, end=ONE - HOUR),
        Deployment(id="a", start=TWO + HOUR),
        Deployment(id="a", start=ONE + 2, end=TWO),
        Deployment(id="a", pool="q", start=TWO, end=TWO + 2),
        Deployment(id="b", match=(("node", "n1"),), start=0, end=TWO + HOUR + 7),
    )

    assert placed(stepped, [seen("g1", deployment="a")], deployments) == [
        ("g1", "a", "p", 0, ONE - HOUR),
        ("g1", "a", "p", ONE + 2, TWO),
        ("g1", "a", "p", TWO + HOUR, FOREVER),
        ("g1", "a", "q", TWO, TWO + 2),
        ("g1", "b", "p", ONE - HOUR, ONE + 2),
        ("g1", "b", "p", TWO + 2, TWO + HOUR),
    ]


def test_only_energy_asks_beyond_the_hold(stepped) -> None:
    """A series of the hour before may hold into the span; a counter of a day around it counts where energy has a price."""
    deployments = (Deployment(id="a", match=(("node", "n1"),)),)
    samples = [seen("g1", ONE - HOUR), seen("g2", ONE - HOUR - 1), seen("g3", TWO), seen("g4", TWO + 24 * HOUR)]

    assert [row[0] for row in placed(stepped, samples, deployments)] == ["g1"]
    assert [row[0] for row in placed(stepped, samples, deployments, energy_rates=(EnergyRate(),))] == ["g1", "g2", "g3"]


def test_a_deployment_that_begins_later_leaves_past_hours_alone(metered) -> None:
    """GPUs that already name it stay where patterns put them until it is there: the hour is what it was, and is not marked."""
    old = Deployment(id="old", gpus=2, match=(("node", "n1"),))
    new = Deployment(id="new", start=TWO + HOUR // 2)
    samples = (seen("g", ONE, ppm=500_000, deployment="new"), seen("g", TWO, ppm=500_000, deployment="new"))
    facts = Facts(pools=(Pool(gpus=3),), rates=(Rate(nano=300),), samples=samples, hold=HOUR)
    before = charges(metered(replace(facts, deployments=(old,)), ONE, TWO))
    session = metered(replace(facts, deployments=(old, new)), ONE, TWO + HOUR)

    assert {key: line for key, line in charges(session).items() if key[0] == ONE} == before
    assert session.rows(
        "SELECT deployment_id, observed_us FROM metering.gpu_activity_hourly JOIN book.deployment_key USING (deployment_no)"
        " ORDER BY charge_period_start, deployment_id"
    ) == [("old", HOUR), ("new", HOUR // 2), ("old", HOUR // 2)]
