"""metering.pool_energy_hourly: what the GPUs of a pool took, by their own counters, else by their power."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.domain.period import Period
from apportion.ledger.connection import Ledger
from apportion.ledger.step import run
from metering.steps import STEPS
from tests.frozen import FrozenClock
from tests.steps.metering.facts import HOUR, Deployment, EnergyRate, Facts, Sample, at, load, moment

STEP = "metering.pool_energy_hourly"
QUERY = """
SELECT epoch_us(charge_period_start), pool_id, measured_us, energy_mj
FROM metering.pool_energy_hourly JOIN book.pool_key USING (pool_no) ORDER BY ALL
"""
MINUTE = 60_000_000
ZERO, ONE, TWO = at("00:00"), at("01:00"), at("02:00")
D = (Deployment(),)
PRICED = (EnergyRate(),)


def counter(when: int, energy: int | None = None, power: int | None = None, **more) -> Sample:
    """A reading of a device of deployment d."""
    return Sample(**{"at": when, "ppm": None, "energy": energy, "power": power, "deployment": "d", **more})


def measured(stepped, samples, start=ONE, end=TWO, **facts):
    """Rows of a window; readings of power hold for two minutes."""
    whole = Facts(**{"deployments": D, "energy_rates": PRICED, "samples": tuple(samples), **facts})
    return stepped(whole, STEP, start, end, QUERY)


def test_a_counter_is_what_it_grew_by(stepped) -> None:
    """The first reading only begins; between readings nothing is missed, however far apart they are."""
    samples = [counter(ONE + 10 * MINUTE, 500), counter(ONE + 40 * MINUTE, 800), counter(ONE + 50 * MINUTE, 1100)]

    assert measured(stepped, samples) == [(ONE, "p", 40 * MINUTE, 600)]


def test_a_counter_that_fell_began_again(stepped) -> None:
    """A reloaded driver counts from zero: the later reading is what is known."""
    samples = [counter(ONE, 10_000), counter(ONE + MINUTE, 70)]

    assert measured(stepped, samples) == [(ONE, "p", MINUTE, 70)]


def test_energy_is_interpolated_at_the_hour(stepped) -> None:
    """A quarter of the time before the hour, a quarter of the energy; the remainder goes to the later hour."""
    samples = [counter(ONE - 10 * MINUTE, 0), counter(ONE + 30 * MINUTE, 7)]

    assert measured(stepped, samples, start=ZERO) == [(ZERO, "p", 10 * MINUTE, 1), (ONE, "p", 30 * MINUTE, 6)]
    assert measured(stepped, samples) == [(ONE, "p", 30 * MINUTE, 6)]


def test_a_gap_of_a_day_is_bridged_and_no_longer_one(stepped) -> None:
    """Up to a day the growth is spread evenly; beyond it nobody knows."""
    for gap, expected in ((24 * HOUR, [(ONE, "p", HOUR, 100)]), (24 * HOUR + 1, [])):
        samples = [counter(ONE - 12 * HOUR, 0), counter(ONE - 12 * HOUR + gap, 2400)]

        assert measured(stepped, samples) == expected


def test_power_holds_like_activity(stepped) -> None:
    """Without a counter, 700 W from a reading to the next, or for two minutes: nanojoules are added before they are cut."""
    samples = [
        counter(ONE, power=700_000),
        counter(ONE + MINUTE, power=100_001),
        counter(ONE + 30 * MINUTE, power=None),
    ]

    assert measured(stepped, samples) == [(ONE, "p", 3 * MINUTE, 700_000 * 60 + 100_001 * 120)]


def test_an_unknown_reading_of_power_ends_the_one_before(stepped) -> None:
    """NULL is not zero watts."""
    samples = [counter(ONE, power=700_000), counter(ONE + MINUTE)]

    assert measured(stepped, samples) == [(ONE, "p", MINUTE, 42_000_000)]


def test_a_counter_goes_before_power(stepped) -> None:
    """Where a counter covers the time, readings of power within it say nothing; before and behind it they do."""
    samples = [
        counter(ONE, power=600_000),
        counter(ONE + MINUTE, 0, 600_000),
        counter(ONE + 2 * MINUTE, power=600_000),
        counter(ONE + 3 * MINUTE, 1000, 600_000),
        counter(ONE + 4 * MINUTE, power=600_000),
    ]

    assert measured(stepped, samples) == [
        (ONE, "p", (1 + 2 + 1 + 2) * MINUTE, 36_000_000 + 1000 + 36_000_000 + 72_000_000)
    ]


def test_a_reading_of_power_in_the_hour_before_holds_into_this_one(stepped) -> None:
    """As with activity, also where the hour before is not in the window."""
    samples = [counter(ONE - MINUTE, power=600_000)]

    assert measured(stepped, samples) == [(ONE, "p", MINUTE, 36_000_000)]


def test_a_meter_of_more_than_ten_kilowatts_is_none(stepped) -> None:
    """A counter of other units, or one that jumped, is not believed; power in that time is asked instead."""
    jump = [
        counter(ONE, 0, 500_000),
        counter(ONE + MINUTE, 600_000_001, 500_000),
        counter(ONE + 2 * MINUTE, 600_000_101),
    ]

    assert measured(stepped, jump) == [(ONE, "p", 2 * MINUTE, 30_000_000 + 100)]
    assert measured(stepped, [counter(ONE, 0), counter(ONE + MINUTE, 600_000_000)]) == [(ONE, "p", MINUTE, 600_000_000)]
    assert measured(stepped, [counter(ONE, power=10_000_001)]) == []


def test_devices_add_up_in_their_pools(stepped) -> None:
    """Counters are differenced per device; each device counts where its deployment is."""
    deployments = (Deployment(id="a", pool="p"), Deployment(id="b", pool="p"), Deployment(id="c", pool="q"))
    samples = [
        counter(ONE + n * MINUTE, n * growth, gpu=gpu, deployment=where)
        for gpu, where, growth in (("g1", "a", 10), ("g2", "b", 20), ("g3", "c", 40), ("g4", "elsewhere", 80))
        for n in (0, 1)
    ]
    rates = (EnergyRate(pool="p"), EnergyRate(pool="q"))

    assert measured(stepped, samples, deployments=deployments, energy_rates=rates) == [
        (ONE, "p", 2 * MINUTE, 30),
        (ONE, "q", MINUTE, 40),
    ]
    assert measured(stepped, samples, deployments=deployments, energy_rates=rates[1:]) == [(ONE, "q", MINUTE, 40)]


def test_two_deployments_of_a_pool_may_claim_a_gpu(stepped) -> None:
    """Its energy is the pool's once, whichever of them it is; what two pools claim is neither's."""
    over = {"match": (("node", "n%"),)}
    same = (Deployment(id="a", **over), Deployment(id="b", **over))
    others = (Deployment(id="a", **over), Deployment(id="b", pool="q", **over, end=ONE + MINUTE))
    samples = [
        counter(ONE, 0, deployment="", node="n1"),
        counter(ONE + 2 * MINUTE, 200, deployment="", node="n1"),
    ]

    assert measured(stepped, samples, deployments=same) == [(ONE, "p", 2 * MINUTE, 200)]
    assert measured(stepped, samples, deployments=others) == [(ONE, "p", MINUTE, 100)]


def test_energy_of_a_sliced_gpu_goes_where_its_slices_run(stepped) -> None:
    """Only whole devices have meters; a device that nothing places belongs to the pool of its slices, if that is one."""
    deployments = (Deployment(id="a"), Deployment(id="b"), Deployment(id="c", pool="q"))
    whole = [counter(ONE, 0, deployment=""), counter(ONE + MINUTE, 900, deployment="")]
    one = [Sample(at=ONE, ppm=1, mig=f"3g.40gb/{n}", deployment=where) for n, where in enumerate("ab")]
    two = [Sample(at=ONE, ppm=1, mig=f"3g.40gb/{n}", deployment=where) for n, where in enumerate("ac")]

    assert measured(stepped, [*whole, *one], deployments=deployments) == [(ONE, "p", MINUTE, 900)]
    assert measured(stepped, [*whole, *two], deployments=deployments) == []


def test_only_the_time_a_deployment_is_there_counts(stepped) -> None:
    """A counter that spans the start of a deployment gives it the part behind its start."""
    samples = [counter(ONE, 0), counter(ONE + 4 * MINUTE, 400)]

    assert measured(stepped, samples, deployments=(Deployment(start=ONE + 3 * MINUTE),)) == [(ONE, "p", MINUTE, 100)]


def test_a_span_is_the_sum_of_its_hours(stepped) -> None:
    """Metered hour by hour, with only the readings next to each, every hour is what it is within the whole."""
    samples = [
        counter(
            ZERO + n * 37 * MINUTE + n * n, n * n * 100_001 % 700_001 if n % 3 else None, n * 1000 if n % 4 else None
        )
        for n in range(14)
    ]
    hours = [ZERO + n * HOUR for n in range(-1, 11)]
    whole = measured(stepped, samples, start=hours[0], end=hours[-1] + HOUR)
    alone = [row for hour in hours for row in measured(stepped, samples, start=hour, end=hour + HOUR)]

    assert len(whole) > 5
    assert alone == whole


@settings(max_examples=25)
@given(
    steps=st.lists(st.tuples(st.integers(1, 24 * HOUR), st.integers(0, 10)), min_size=1, max_size=6),
    begins=st.integers(0, HOUR),
)
def test_hours_of_a_device_add_up_to_its_counter(ledger: Ledger, steps: list[tuple[int, int]], begins: int) -> None:
    """However readings lie: the sum of all hours is the difference of the first and the last."""
    now, energy = ONE + begins, 1
    samples = [counter(now, energy)]
    for gap, millijoules_a_microsecond in steps:
        now, energy = now + gap, energy + gap * millijoules_a_microsecond
        samples.append(counter(now, energy, power=999))
    with ledger.transaction() as session:
        load(session, Facts(deployments=D, energy_rates=PRICED, samples=tuple(samples)))
        period = Period(moment(ONE), moment(now - now % HOUR + HOUR))
        wanted = [step for step in STEPS if step.name in ("metering.gpu_place", STEP)]
        run(session, wanted, period, {"sample_hold_us": 1}, FrozenClock())
    found = ledger.session().row(
        "SELECT sum(energy_mj)::BIGINT, sum(measured_us)::BIGINT FROM metering.pool_energy_hourly"
    )
    held = 1  # the last reading of power holds for a microsecond

    assert found == (energy - 1, now - ONE - begins + held)


@pytest.mark.parametrize("rates", [(), (EnergyRate(pool="q"),), (EnergyRate(end=ONE),)])
def test_no_pool_is_read_without_an_energy_rate(stepped, rates) -> None:
    """Energy that nothing charges is not read."""
    samples = [counter(ONE, 0), counter(ONE + MINUTE, 100)]

    assert measured(stepped, samples, energy_rates=rates) == []
