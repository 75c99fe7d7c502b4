"""metering.pool_energy_hourly of sliced GPUs: an hour is its own, whatever slices tell before and after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.domain.period import Period
from apportion.ledger.connection import Ledger
from apportion.ledger.step import run
from metering.steps import STEPS
from tests.frozen import FrozenClock
from tests.oracle_energy import pool_energy
from tests.oracle_fleet import fleet
from tests.steps.metering.facts import FOREVER, HOUR, Deployment, EnergyRate, Facts, Sample, at, load, moment

STEP = "metering.pool_energy_hourly"
WANTED = [step for step in STEPS if step.name in ("metering.gpu_place", STEP)]
QUERY = """
SELECT epoch_us(charge_period_start), pool_id, measured_us, energy_mj
FROM metering.pool_energy_hourly JOIN book.pool_key USING (pool_no) ORDER BY ALL
"""
MINUTE = 60_000_000
ONE, TWO = at("01:00"), at("02:00")
RATES = (EnergyRate(pool="p"), EnergyRate(pool="q"))
TWO_POOLS = (Deployment(id="a"), Deployment(id="b", pool="q"))


def counted(start: int, end: int) -> tuple[Sample, ...]:
    """A meter of a GPU that nothing places: a watt, told every ten minutes."""
    return tuple(Sample(at=now, ppm=None, energy=(now - start) // 1000) for now in range(start, end + 1, 10 * MINUTE))


def cut(when: int, where: str, number: int = 0, **more: Any) -> Sample:
    """A reading of a slice of that GPU."""
    return Sample(**{"at": when, "ppm": None, "mig": f"3g.40gb/{number}", "deployment": where, **more})


def measured(stepped, samples, start: int = ONE, end: int = TWO, **facts: Any):
    """Rows of a window of a fleet in two pools; readings hold for two minutes."""
    whole = Facts(**{"deployments": TWO_POOLS, "energy_rates": RATES, "samples": tuple(samples), **facts})
    return stepped(whole, STEP, start, end, QUERY)


@pytest.mark.parametrize("away", [-20 * HOUR, -HOUR, HOUR, 20 * HOUR])
def test_slices_of_another_hour_say_nothing_of_this_one(stepped, away: int) -> None:
    """Metered alone or with the hour in which slices told, it is of nobody; and no far slice contradicts a near one."""
    samples, near = (*counted(ONE, TWO), cut(ONE + away, "a")), cut(ONE, "b", 1)
    first, last = min(ONE, ONE + away), max(TWO, TWO + away)
    for start, end in ((ONE, TWO), (first, last)):
        rows = measured(stepped, samples, start, end)
        both = measured(stepped, (*samples, near), start, end)

        assert [row for row in rows if row[0] == ONE] == []
        assert [row for row in both if row[0] == ONE] == [(ONE, "q", HOUR, HOUR // 1000)]


@pytest.mark.parametrize(
    ("last", "next_at", "told"),
    [
        (ONE - 2 * MINUTE, None, False),
        (ONE - 2 * MINUTE + 1, None, True),
        (ONE - MINUTE, ONE - 1, False),
        (ONE - MINUTE, ONE, False),
        (ONE - MINUTE, ONE + 1, True),
    ],
)
def test_a_hold_tells_of_the_hour_it_reaches_into(stepped, last: int, next_at: int | None, told: bool) -> None:
    """As long as it holds, and no reading of the slice, here in no deployment, ends it before."""
    ends = () if next_at is None else (cut(next_at, "nowhere"),)

    assert measured(stepped, (*counted(ONE, TWO), cut(last, "a"), *ends)) == (
        [(ONE, "p", HOUR, HOUR // 1000)] if told else []
    )


def test_slices_are_asked_while_nothing_places_the_whole(stepped) -> None:
    """The GPU itself is in a deployment from half past on, whose pool has the energy from then."""
    deployments = (TWO_POOLS[0], Deployment(id="b", pool="q", match=(("gpu_uuid", "g%"),), start=ONE + HOUR // 2))
    half = HOUR // 2
    samples = (*counted(ONE, TWO), cut(ONE, "a", pod="pod"))

    assert measured(stepped, samples, deployments=deployments) == [
        (ONE, "p", half, half // 1000),
        (ONE, "q", half, half // 1000),
    ]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_hour_by_hour_is_the_span_at_once_and_the_oracles(ledger: Ledger, seed: int) -> None:
    """Wholes and slices in and out of dated deployments, near and a day away: every hour alone is what it is within the whole."""
    random = Random(seed)
    facts = _facts(random)
    with ledger.transaction() as session:
        load(session, facts)
    starts = (*range(ONE - 26 * HOUR, ONE + 27 * HOUR, HOUR),)
    whole = _run(ledger, facts, starts[0], starts[-1] + HOUR)
    near = {*random.sample(starts, 3), ONE, ONE + HOUR}

    assert [row for row in whole if row[0] in near] == sorted(
        row for hour in near for row in _run(ledger, facts, hour, hour + HOUR)
    )
    expected = pool_energy(fleet(_document(facts)), [_record(sample) for sample in facts.samples])
    assert whole == sorted((*where, *energy) for where, energy in expected.items() if where[0] in starts)


def _run(ledger: Ledger, facts: Facts, start: int, end: int) -> list[tuple[Any, ...]]:
    with ledger.transaction() as session:
        session.do("DELETE FROM metering.pool_energy_hourly")
        run(session, WANTED, Period(moment(start), moment(end)), {"sample_hold_us": facts.hold}, FrozenClock())
    return ledger.session().rows(QUERY)


def _facts(random: Random) -> Facts:
    deployments = []
    for name in "abc":
        cuts = sorted(ONE + random.randrange(-9, 10) * random.choice([HOUR, HOUR // 7]) for _ in range(4))
        match = random.choice([(), (("node", "n1"),), (("gpu_uuid", "g%"), ("node", "n%"))])
        deployments += [
            Deployment(id=name, pool=random.choice("pq"), match=match, start=start, end=end)
            for start, end in ((0, cuts[0]), (cuts[1], cuts[2]), (cuts[3], FOREVER))
            if start < end and random.random() < 0.8
        ]
    samples = {}
    for _ in range(random.randint(2, 60)):
        mig = random.choice(["", "", "1g.10gb/1", "3g.40gb/2"])
        now = (
            ONE + random.choice([-24, -1, 0, 0, 0, 1, 2, 24]) * HOUR + random.choice([0, 1, -1, random.randrange(HOUR)])
        )
        samples[now, mig] = Sample(
            at=now, ppm=None, mig=mig, node=random.choice(["", "n1", "n2"]),
            deployment=random.choice(["", "", "a", "b", "c", "gone"]),
            energy=None if mig else random.choice([None, now % (100 * HOUR) // 1000]),
            power=None if mig else random.choice([None, random.randrange(10**6)]),
        )  # fmt: skip
    hold = random.choice([1, 2 * MINUTE, HOUR])
    return Facts(deployments=tuple(deployments), energy_rates=RATES, samples=tuple(samples.values()), hold=hold)


def _document(facts: Facts) -> dict[str, Any]:
    """The config that says what the facts do."""
    return {
        "policy": {"sample_hold_seconds": Decimal(facts.hold).scaleb(-6)},
        "deployments": [
            {
                "id": d.id, "pool": d.pool, "gpus": d.gpus, "effective_from": _time(d.start), "effective_to": _time(d.end),
                "match": {name: pattern.replace("%", "*") for name, pattern in d.match},
            }
            for d in facts.deployments
        ],
    }  # fmt: skip


def _record(sample: Sample) -> dict[str, Any]:
    return {
        "sampled_at": _time(sample.at).isoformat(), "gpu_uuid": sample.gpu, "mig_profile": sample.mig, "node": sample.node,
        "deployment": sample.deployment,
        "energy_joules": None if sample.energy is None else Decimal(sample.energy).scaleb(-3),
        "power_watts": None if sample.power is None else Decimal(sample.power).scaleb(-3),
    }  # fmt: skip


def _time(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
