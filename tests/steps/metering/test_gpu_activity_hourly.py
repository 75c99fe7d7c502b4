"""metering.gpu_activity_hourly: samples as a step function, by the deployment that holds the GPU."""

from __future__ import annotations

from tests.steps.metering.facts import Deployment, Facts, Sample, at

STEP = "metering.gpu_activity_hourly"
QUERY = """
SELECT epoch_us(charge_period_start), pool_id, deployment_id, observed_us, active_ppm_us::BIGINT
FROM metering.gpu_activity_hourly JOIN book.pool_key USING (pool_no) JOIN book.deployment_key USING (deployment_no) ORDER BY ALL
"""
SECOND = 1_000_000
D = (Deployment(),)


def seen(moment: int, ppm: int | None = 10**6, **where: str) -> Sample:
    """A reading of the deployment `d`, unless it says where else."""
    return Sample(at=moment, ppm=ppm, **(where or {"deployment": "d"}))


def test_a_sample_holds_until_the_next_one(stepped) -> None:
    """Ten seconds busy, ten idle, then the last one for the whole hold."""
    samples = (seen(at("01:10")), seen(at("01:10") + 10 * SECOND, 0), seen(at("01:10") + 20 * SECOND, 500_000))
    found = stepped(Facts(deployments=D, samples=samples), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [(at("01:00"), "p", "d", 140 * SECOND, 10 * SECOND * 10**6 + 120 * SECOND * 500_000)]


def test_silence_is_unknown(stepped) -> None:
    """After the hold nothing is known until the next sample: neither busy nor idle."""
    samples = (seen(at("01:10")), seen(at("01:40")))
    found = stepped(Facts(deployments=D, samples=samples), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [(at("01:00"), "p", "d", 240 * SECOND, 240 * SECOND * 10**6)]


def test_an_unknown_reading_ends_the_one_before_it(stepped) -> None:
    """NULL is no zero: its own time is not observed."""
    samples = (seen(at("01:10")), seen(at("01:10") + 30 * SECOND, None), seen(at("01:10") + 60 * SECOND, 0))
    found = stepped(Facts(deployments=D, samples=samples), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [(at("01:00"), "p", "d", 150 * SECOND, 30 * SECOND * 10**6)]


def test_a_hold_reaches_across_the_start_of_an_hour(stepped) -> None:
    """A sample of the hour before holds into this one, also where the hour before is not in the window."""
    samples = (seen(at("00:59")),)
    found = stepped(Facts(deployments=D, samples=samples), STEP, at("01:00"), at("02:00"), QUERY)

    assert found == [(at("01:00"), "p", "d", 60 * SECOND, 60 * SECOND * 10**6)]


def test_a_hold_that_ends_on_the_hour_stays_in_its_hour(stepped) -> None:
    """Ends are outside: not a microsecond lands in the next hour, and one microsecond later one does."""
    ends_on = stepped(Facts(deployments=D, samples=(seen(at("00:58")),)), STEP, at("00:00"), at("02:00"), QUERY)
    ends_after = stepped(Facts(deployments=D, samples=(seen(at("00:58") + 1),)), STEP, at("00:00"), at("02:00"), QUERY)

    assert [row[0::3] for row in ends_on] == [(at("00:00"), 120 * SECOND)]
    assert [row[0::3] for row in ends_after] == [(at("00:00"), 120 * SECOND - 1), (at("01:00"), 1)]


def test_a_whole_hour_may_hold(stepped) -> None:
    """The longest hold touches two hours."""
    facts = Facts(deployments=D, samples=(seen(at("00:15"), 4),), hold=3600 * SECOND)
    found = stepped(facts, STEP, at("00:00"), at("03:00"), QUERY)

    assert [row[0::3] for row in found] == [(at("00:00"), 2700 * SECOND), (at("01:00"), 900 * SECOND)]


def test_a_deployment_sees_only_its_own_time(stepped) -> None:
    """Holds are clipped to the effective range, on both sides and across a resize."""
    deployments = (
        Deployment(start=at("01:10") + 5 * SECOND, end=at("01:10") + 8 * SECOND),
        Deployment(start=at("01:10") + 8 * SECOND, end=at("01:10") + 15 * SECOND, gpus=2),
    )
    found = stepped(Facts(deployments=deployments, samples=(seen(at("01:10")),)), STEP, at("01:00"), at("02:00"), QUERY)

    assert [row[2:4] for row in found] == [("d", 10 * SECOND)]


def test_a_device_that_moves_ends_its_own_hold(stepped) -> None:
    """The next sample of a device ends the hold even if it was seen elsewhere; two devices do not end each other's."""
    deployments = (Deployment(id="a"), Deployment(id="b"))
    samples = (
        Sample(at=at("01:10"), ppm=1, gpu="g1", deployment="a"), Sample(at=at("01:11"), ppm=1, gpu="g1", deployment="b"),
        Sample(at=at("01:10") + 1, ppm=1, gpu="g2", deployment="a"),
    )  # fmt: skip
    found = stepped(Facts(deployments=deployments, samples=samples), STEP, at("01:00"), at("02:00"), QUERY)

    assert [row[2:4] for row in found] == [("a", 180 * SECOND), ("b", 120 * SECOND)]


def test_patterns_place_what_names_nothing_known(stepped) -> None:
    """All patterns of a deployment must fit, letter for letter; a name that is configured goes before any pattern."""
    deployments = (
        Deployment(id="a", match=(("node", "n\\_1"), ("gpu_uuid", "GPU-%"))),
        Deployment(id="b", match=(("namespace", "blue"), ("pod", "pod-%"))),
        Deployment(id="c"),
    )
    samples = (
        Sample(at=at("01:10"), ppm=1, gpu="GPU-1", node="n_1", deployment="gone"), Sample(at=at("01:10"), ppm=1, gpu="GPU-2", node="nx1"),
        Sample(at=at("01:10"), ppm=1, gpu="MIG-3", node="n_1"), Sample(at=at("01:10"), ppm=1, gpu="GPU-4", namespace="blue", pod="pod-7"),
        Sample(at=at("01:10"), ppm=1, gpu="GPU-5", namespace="Blue", pod="pod-7"), Sample(at=at("01:10"), ppm=1, gpu="GPU-6", node="n_1", deployment="c"),
    )  # fmt: skip
    found = stepped(Facts(deployments=deployments, samples=samples), STEP, at("01:00"), at("02:00"), QUERY)

    assert [row[2:4] for row in found] == [("a", 120 * SECOND), ("b", 120 * SECOND), ("c", 120 * SECOND)]


def test_a_gpu_that_two_deployments_claim_is_unknown_to_both(stepped) -> None:
    """Counting one device twice would be worse; where their ranges do not meet, each has its part of the hour."""
    over = {"match": (("node", "n%"),)}
    both = (Deployment(id="a", **over, end=at("02:30")), Deployment(id="b", **over, start=at("01:30")))
    after = (Deployment(id="a", **over, end=at("01:30")), Deployment(id="b", **over, start=at("01:30")))
    samples = (
        Sample(at=at("00:10"), ppm=1, node="n1"),
        Sample(at=at("01:29"), ppm=1, node="n1"),
        Sample(at=at("03:10"), ppm=1, node="n1"),
    )

    found = stepped(Facts(deployments=both, samples=samples), STEP, at("00:00"), at("04:00"), QUERY)
    assert [row[:1] + row[2:4] for row in found] == [(at("00:00"), "a", 120 * SECOND), (at("03:00"), "b", 120 * SECOND)]

    found = stepped(Facts(deployments=after, samples=samples), STEP, at("01:00"), at("02:00"), QUERY)
    assert [row[2:4] for row in found] == [("a", 60 * SECOND), ("b", 60 * SECOND)]


def test_a_hold_is_ended_across_the_hour_by_any_series(stepped) -> None:
    """The next reading ends it in the hour after too, whichever deployment it is of, and whatever landed first."""
    deployments = (Deployment(id="a"), Deployment(id="b"))
    samples = (
        Sample(at=at("02:00") + 20 * SECOND, ppm=2, deployment="b"), Sample(at=at("01:59") + 30 * SECOND, ppm=3, deployment="a"),
        Sample(at=at("01:59"), ppm=5, deployment="b"), Sample(at=at("01:58"), ppm=None, deployment="a"),
    )  # fmt: skip
    found = stepped(Facts(deployments=deployments, samples=samples), STEP, at("01:00"), at("03:00"), QUERY)

    assert [row[0:1] + row[2:] for row in found] == [
        (at("01:00"), "a", 30 * SECOND, 3 * 30 * SECOND),
        (at("01:00"), "b", 30 * SECOND, 5 * 30 * SECOND),
        (at("02:00"), "a", 20 * SECOND, 3 * 20 * SECOND),
        (at("02:00"), "b", 120 * SECOND, 2 * 120 * SECOND),
    ]
