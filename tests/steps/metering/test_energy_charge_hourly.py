"""metering.energy_charge_hourly: millijoules and watts at a tariff, rounded once."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.domain.money import half_even
from apportion.domain.period import Period
from apportion.ledger.connection import Ledger
from apportion.ledger.step import run
from metering.steps import STEPS
from tests.frozen import FrozenClock
from tests.steps.metering.facts import HOUR, EnergyRate, Facts, Pool, at, load, moment

STEP = "metering.energy_charge_hourly"
ONE, TWO = at("01:00"), at("02:00")
MINUTE = 60_000_000
KWH_UJ = 3_600_000_000_000


def charged(
    ledger: Ledger, facts: Facts, measured: dict[str, tuple[int, int]], columns: str = "pool_id, effective_cost_nano"
):
    """Rows of the hour from one on, where `measured` says microseconds and millijoules of each pool."""
    with ledger.transaction() as session:
        load(session, facts)
        for pool, (us, mj) in measured.items():
            hour: datetime = moment(ONE)
            session.do(
                "INSERT INTO metering.pool_energy_hourly SELECT $hour::TIMESTAMP, pool_no, $us::BIGINT, $mj::BIGINT FROM book.pool_key "
                "WHERE pool_id = $pool",
                {"hour": hour, "us": us, "mj": mj, "pool": pool},
            )
        run(session, [step for step in STEPS if step.name == STEP], Period(moment(ONE), moment(TWO)), {}, FrozenClock())
    return ledger.session().rows(
        f"SELECT {columns} FROM metering.energy_charge_hourly JOIN book.pool_key USING (pool_no) ORDER BY 1"
    )


def test_what_nobody_measured_takes_the_watts_of_the_rate(ledger: Ledger) -> None:
    """Eight GPUs at 700 W for an hour are 5.6 kWh: at 0.10 and a PUE of 1.25 that is 0.70."""
    facts = Facts(pools=(Pool(gpus=8),), energy_rates=(EnergyRate(nano=100_000_000, pue=1_250_000, watts=700),))

    assert charged(ledger, facts, {}) == [("p", 700_000_000)]


def test_what_was_measured_is_charged_as_measured(ledger: Ledger) -> None:
    """Six of eight GPU-hours were measured at 2 kWh together; the other two take 0.7 kWh each."""
    facts = Facts(pools=(Pool(gpus=8),), energy_rates=(EnergyRate(nano=100_000_000, watts=700),))

    assert charged(ledger, facts, {"p": (6 * HOUR, 2 * 3_600_000_000)}) == [("p", 340_000_000)]


def test_more_measured_than_paid_adds_no_negative_watts(ledger: Ledger) -> None:
    """Where telemetry sees more GPUs than were bought, all they took is charged, and nothing besides."""
    facts = Facts(pools=(Pool(gpus=1),), energy_rates=(EnergyRate(nano=100_000_000),))

    assert charged(ledger, facts, {"p": (3 * HOUR, 3_600_000_000)}) == [("p", 100_000_000)]


def test_an_energy_charge_has_the_columns_of_an_origin_charge(ledger: Ledger) -> None:
    """In the billing currency, with all four cost columns alike and the GPU time that it is for."""
    facts = Facts(pools=(Pool(gpus=2, end=ONE + HOUR // 2),), energy_rates=(EnergyRate(nano=10**9, watts=1000),))
    columns = (
        "component, evidence, currency, cause, paid_us::BIGINT, effective_cost_nano, billed_cost_nano, list_cost_nano, "
        "contracted_cost_nano, cost_in_currency_nano"
    )

    assert charged(ledger, facts, {}, columns) == [("energy", "energy", "", "", HOUR, *[10**9] * 4, None)]


def test_a_rate_that_changes_prices_each_part_of_the_hour(ledger: Ledger) -> None:
    """Measured energy and time go by GPU time: half the hour at each price, and at each rate's own watts."""
    rates = (
        EnergyRate(nano=100_000_000, watts=500, end=ONE + HOUR // 2),
        EnergyRate(nano=300_000_000, watts=1000, start=ONE + HOUR // 2),
    )
    facts = Facts(pools=(Pool(gpus=2),), energy_rates=rates)

    assert charged(ledger, facts, {}) == [("p", 50_000_000 + 300_000_000)]
    assert charged(ledger, facts, {"p": (HOUR, 3_600_000_000)}) == [("p", (50 + 25 + 150 + 150) * 1_000_000)]


def test_time_without_a_rate_is_not_charged(ledger: Ledger) -> None:
    """A rate that begins within the hour charges its part of what was measured."""
    facts = Facts(pools=(Pool(gpus=1),), energy_rates=(EnergyRate(nano=100_000_000, start=ONE + 3 * HOUR // 4),))

    assert charged(ledger, facts, {"p": (HOUR, 3_600_000_000)}) == [("p", 25_000_000)]


def test_a_tie_goes_to_the_even_nano(ledger: Ledger) -> None:
    """Half a nano more than one rounds up to two, half a nano more than two rounds down to two."""
    for watts, cost in ((1, 0), (3, 2), (5, 2), (7, 4)):
        facts = Facts(pools=(Pool(gpus=1),), energy_rates=(EnergyRate(nano=500, watts=watts),))

        assert charged(ledger, facts, {}) == [("p", cost)]


def test_the_largest_figures_stay_exact(ledger: Ledger) -> None:
    """A million GPUs at 10 kW, all measured, at a price in a small currency and the worst PUE: no digit is lost."""
    facts = Facts(
        pools=(Pool(gpus=1_000_000),), energy_rates=(EnergyRate(nano=9_999_999_999, pue=9_999_999, watts=10_000),)
    )
    energy_mj = 36_000_000_000 * 1_000_000 - 1

    assert charged(ledger, facts, {"p": (HOUR * 1_000_000, energy_mj)}) == [
        ("p", half_even(Fraction(energy_mj * 1000 * 9_999_999_999 * 9_999_999, KWH_UJ * 10**6)))
    ]


@settings(max_examples=40)
@given(
    gpus=st.integers(1, 10_000),
    measured_ppm=st.integers(0, 1_200_000),
    energy_mj=st.integers(0, 10**14),
    nano=st.integers(0, 10**11),
    pue=st.integers(1_000_000, 5_000_000),
    watts=st.integers(1, 3000),
)
def test_one_rate_is_one_exact_product(
    ledger: Ledger, gpus: int, measured_ppm: int, energy_mj: int, nano: int, pue: int, watts: int
) -> None:
    """Measured millijoules and the watts of the rest, times price and PUE, rounded once, half to even."""
    paid = gpus * HOUR
    seen = paid * measured_ppm // 10**6
    facts = Facts(pools=(Pool(gpus=gpus),), energy_rates=(EnergyRate(nano=nano, pue=pue, watts=watts),))
    energy_uj = energy_mj * 1000 + max(0, paid - seen) * watts

    assert charged(ledger, facts, {"p": (seen, energy_mj)}) == [
        ("p", half_even(Fraction(energy_uj * nano * pue, KWH_UJ * 10**6)))
    ]


@pytest.mark.parametrize("start", [TWO, at("05:00")])
def test_an_hour_before_any_rate_has_no_row(ledger: Ledger, start: int) -> None:
    """Nothing is charged before a tariff begins."""
    facts = Facts(pools=(Pool(),), energy_rates=(EnergyRate(start=start),))

    assert charged(ledger, facts, {}) == []
