"""metering.gpu_activity_hourly of GPUs in parts: MIG slices and shared GPUs conserve to the whole device."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.domain.period import Period
from apportion.ledger.connection import Ledger
from apportion.ledger.step import run
from metering.steps import STEPS
from tests.frozen import FrozenClock
from tests.steps.metering.facts import HOUR, Deployment, Facts, Sample, at, load, moment

STEP = "metering.gpu_activity_hourly"
QUERY = """
SELECT deployment_id, observed_us, active_ppm_us::BIGINT
FROM metering.gpu_activity_hourly JOIN book.deployment_key USING (deployment_no) ORDER BY ALL
"""
MINUTE = 60_000_000
ONE, TWO = at("01:00"), at("02:00")
D = (Deployment(),)


def sliced(*profiles: str, ppm: int = 10**6, product: str = "NVIDIA H100 80GB HBM3", **more) -> tuple[Sample, ...]:
    """A minute of each slice of one GPU, in deployment d."""
    where = {"deployment": "d", **more}
    return tuple(Sample(at=ONE, ppm=ppm, mig=profile, product=product, **where) for profile in profiles)


def seen(stepped, samples, **facts):
    """What the hour from one on has by deployment, where samples hold a minute."""
    whole = Facts(**{"deployments": D, "samples": tuple(samples), "hold": MINUTE, **facts})
    return stepped(whole, STEP, ONE, TWO, QUERY)


@pytest.mark.parametrize(
    "profiles",
    [
        ["7g.80gb/0"],
        ["3g.40gb/1", "4g.40gb/2"],
        ["1g.10gb/7", "2g.20gb/3", "4g.40gb/1"],
        [f"1g.10gb/{number}" for number in range(7, 14)],
        ["1g.10gb+me/7", "2g.20gb/3", "2g.20gb/4", "1g.20gb/9", "1g.10gb/10"],
        ["1c.3g.40gb/1", "2c.3g.40gb/1", "4g.40gb/2"],
    ],
    ids=" ".join,
)
def test_mig_slices_add_up_to_the_gpu(stepped, profiles: list[str]) -> None:
    """However a GPU is cut, all its slices together are one GPU, to the microsecond, and as busy as they are."""
    assert seen(stepped, sliced(*profiles, ppm=400_000)) == [("d", MINUTE, MINUTE * 400_000)]


@pytest.mark.parametrize(
    ("product", "profiles"),
    [
        ("NVIDIA A30", ["1g.6gb/3", "1g.6gb/4", "2g.12gb/1"]),
        ("NVIDIA A30", ["4g.24gb/0"]),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", ["1g.24gb/3", "1g.24gb/4", "1g.24gb/5", "1g.24gb/6"]),
    ],
)
def test_slices_of_a_gpu_in_quarters_add_up_too(stepped, product: str, profiles: list[str]) -> None:
    """Some GPUs have four slices of compute instead of seven."""
    assert seen(stepped, sliced(*profiles, product=product)) == [("d", MINUTE, MINUTE * 10**6)]


def test_slices_weigh_by_their_size(stepped) -> None:
    """Three sevenths in one deployment and one seventh in another; what no slice reports stays unknown."""
    deployments = (Deployment(id="a"), Deployment(id="b"))
    samples = (*sliced("3g.40gb/1", deployment="a"), *sliced("1g.10gb/9", ppm=0, deployment="b"))

    assert seen(stepped, samples, deployments=deployments) == [
        ("a", MINUTE * 3 // 7, MINUTE * 3 // 7 * 10**6),
        ("b", MINUTE // 7, 0),
    ]


def test_a_slice_of_unknown_size_counts_as_the_smallest(stepped) -> None:
    """A name without a size never makes more of a GPU than there is."""
    assert seen(stepped, sliced("partition-1")) == [("d", MINUTE // 7, MINUTE // 7 * 10**6)]


def test_a_whole_gpu_says_nothing_beside_its_slices(stepped) -> None:
    """Where slices tell of an hour, the device's own reading of that hour is the same work again."""
    whole = Sample(at=ONE, ppm=10**6, product="NVIDIA H100 80GB HBM3", deployment="d")
    before = Sample(at=ONE - HOUR, ppm=10**6, product="NVIDIA H100 80GB HBM3", deployment="d")
    samples = (before, whole, *sliced("7g.80gb/0", ppm=500_000))

    assert seen(stepped, samples) == [("d", MINUTE, MINUTE * 500_000)]
    facts = Facts(deployments=D, samples=samples, hold=MINUTE)
    assert stepped(facts, STEP, ONE - HOUR, TWO, QUERY) == [
        ("d", MINUTE, MINUTE * 500_000),
        ("d", MINUTE, MINUTE * 10**6),
    ]


def test_time_sliced_gpus_never_count_twice(stepped) -> None:
    """Pods that take turns on one GPU report it one after the other: each reading ends the hold of the one before."""
    samples = [
        Sample(at=ONE + n * MINUTE // 4, ppm=10**6, deployment="d", pod="even" if n % 2 == 0 else "odd")
        for n in range(8)
    ]

    assert seen(stepped, samples) == [("d", 7 * MINUTE // 4 + MINUTE, (7 * MINUTE // 4 + MINUTE) * 10**6)]


def test_a_time_sliced_gpu_of_two_deployments_is_shared_not_doubled(stepped) -> None:
    """Each has the GPU from its own reading to the next of the other: together no more than the time there was."""
    deployments = (Deployment(id="a"), Deployment(id="b"))
    samples = [
        Sample(at=ONE + n * MINUTE // 4, ppm=10**6, deployment="a" if n % 2 == 0 else "b", pod=f"pod-{n % 2}")
        for n in range(8)
    ]
    found = seen(stepped, samples, deployments=deployments)

    assert [row[:2] for row in found] == [("a", MINUTE), ("b", 3 * MINUTE // 4 + MINUTE)]


@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=7).filter(lambda cut: sum(cut) <= 7),
    readings=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3599), st.integers(0, 10**6)), max_size=30),
)
def test_slices_never_make_more_of_a_gpu_than_there_is(
    ledger: Ledger, sizes: list[int], readings: list[tuple[int, int, int]]
) -> None:
    """Whatever slices report and when, in an hour one device has at most an hour, and is busy for at most what was seen."""
    samples = {
        (ONE + second * 1_000_000, number % len(sizes)): Sample(
            at=ONE + second * 1_000_000,
            ppm=ppm,
            deployment="ab"[number % 2],
            mig=f"{sizes[number % len(sizes)]}g.10gb/{number % len(sizes)}",
        )
        for number, second, ppm in readings
    }
    facts = Facts(
        deployments=(Deployment(id="a"), Deployment(id="b")), samples=tuple(samples.values()), hold=MINUTE * 20
    )
    with ledger.transaction() as session:
        load(session, facts)
        parameters = {"sample_hold_us": facts.hold}
        run(
            session,
            [step for step in STEPS if step.name in ("metering.gpu_place", STEP)],
            Period(moment(ONE), moment(TWO)),
            parameters,
            FrozenClock(),
        )
    observed, sound = ledger.session().row(
        "SELECT COALESCE(sum(observed_us), 0)::BIGINT, COALESCE(bool_and(active_ppm_us <= observed_us::HUGEINT * 1000000), true) "
        "FROM metering.gpu_activity_hourly"
    )

    assert observed <= HOUR
    assert sound
