"""What a GPU-hour costs whoever owns, reserves or borrows it: the examples that people check such models by."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.efficiency import ownership, unit_price

CAPEX, GPUS = 833_806, 8
"""Lenovo's list price of a server with eight H100 NVL, without discount; a node of 10.2 kW at 70 %."""
KILOWATTS = Fraction("10.2") * Fraction(7, 10)
POWER = ownership.electricity(KILOWATTS, GPUS, Fraction("1.2"), Fraction("0.08"))
MAINTENANCE = ownership.maintenance(CAPEX, Fraction("0.03"), GPUS)


def usd(amount: int | Fraction) -> str:
    """As a price list prints it."""
    return f"{float(amount):.2f}"


def test_an_owned_hour_is_depreciation_power_and_maintenance() -> None:
    """2.97 + 0.09 + 0.36 = 3.42 USD over four years; power is 2.5 % of it."""
    depreciation = ownership.straight_line(CAPEX, 0, GPUS, 4)

    assert depreciation * GPUS * 4 * 8760 == CAPEX
    assert (usd(depreciation), usd(POWER), usd(MAINTENANCE)) == ("2.97", "0.09", "0.36")
    assert usd(depreciation + POWER + MAINTENANCE) == "3.42"
    assert f"{float(POWER / (depreciation + POWER + MAINTENANCE)):.3f}" == "0.025"


@pytest.mark.parametrize(("years", "price"), [(4, "3.42"), (5, "2.82"), (6, "2.43")])
def test_a_longer_life_makes_the_hour_cheaper(years: int, price: str) -> None:
    """Depreciation shrinks with the life, power and maintenance do not: they are per year."""
    assert usd(ownership.straight_line(CAPEX, 0, GPUS, years) + POWER + MAINTENANCE) == price


def test_capital_costs_what_it_would_earn() -> None:
    """Four equal yearly payments at 8 % are 3.59 USD an hour, where straight line says 2.97; their present value is the price."""
    hourly = ownership.annuity(CAPEX, 0, GPUS, 4, Fraction("0.08"))

    assert usd(hourly) == "3.59"
    payment = hourly * GPUS * 8760
    assert sum(payment / Fraction("1.08") ** year for year in range(1, 5)) == CAPEX


def test_what_is_left_at_the_end_is_not_used_up() -> None:
    """A residual comes off the price, discounted where capital has a price."""
    assert ownership.straight_line(CAPEX, CAPEX, GPUS, 4) == 0
    payment = ownership.annuity(CAPEX, 100_000, GPUS, 4, Fraction("0.08")) * GPUS * 8760
    assert sum(payment / Fraction("1.08") ** year for year in range(1, 5)) == CAPEX - 100_000 / Fraction("1.08") ** 4
    assert ownership.annuity(CAPEX, 100_000, GPUS, 4, 0) == ownership.straight_line(CAPEX, 100_000, GPUS, 4)


def test_an_idle_owner_pays_for_the_idle_hours_too() -> None:
    """3.42 USD at 60 % utilization are 5.70 USD per productive hour."""
    assert ownership.productive(Fraction("3.42"), Fraction("0.6")) == Fraction("5.70")


def test_colocation_is_paid_by_power_and_month() -> None:
    """130 USD a kW and month, 10.2 kW, eight GPUs: 0.227 USD an hour."""
    assert ownership.colocation(130, Fraction("10.2"), 8) == Fraction(130 * 102, 10 * 8 * 730)


def test_a_reservation_pays_above_its_break_even() -> None:
    """One year of Azure's ND96isr at 62.92 instead of 98.32 USD an hour: from 64 % use on."""
    reserved, on_demand = Fraction("62.92"), Fraction("98.32")
    even = ownership.reservation_break_even(reserved, on_demand)

    assert f"{float(even):.2f}" == "0.64"
    assert ownership.reserved_effective(reserved, even) == on_demand
    assert ownership.reserved_effective(reserved, 1) == reserved


def test_the_unused_part_of_a_commitment_is_its_own_figure() -> None:
    """Used and unused hours together cost the reservation; used hours alone look cheap."""
    price, used = Fraction("62.92"), Fraction(3, 5)

    assert ownership.unused_commitment(price, used) == Fraction("25.168")
    assert price * used + ownership.unused_commitment(price, used) == price


def test_spot_costs_its_interruptions() -> None:
    """Half an hour lost every eight hours makes 3.6875 USD 3.917…, and a restart adds its own price."""
    effective = ownership.spot_effective(Fraction("3.6875"), Fraction(1, 2), 8)

    assert effective == Fraction("3.6875") * 17 / 16
    assert ownership.spot_effective(Fraction("3.6875"), 0, 8, Fraction("0.05")) == Fraction("3.7375")


def test_a_blend_is_weighed_by_hours() -> None:
    """Reserved, on demand and spot: 700, 200 and 100 hours."""
    parts = {"reserved": (700, Fraction("2")), "on_demand": (200, Fraction("4")), "spot": (100, Fraction("1"))}

    assert ownership.blended(parts) == Fraction("2.3")


def test_an_hour_and_a_throughput_make_a_price_of_tokens() -> None:
    """Eight GPUs at 1.49 USD for a month are 8,702 USD; at full load a million tokens cost what is left of it."""
    assert usd(Fraction("1.49") * 8 * 730) == "8701.60"
    assert unit_price.per_million_at(Fraction("1.49"), 2000, 8) == Fraction("11.92") * 10**6 / (2000 * 3600)


def test_a_kind_without_a_price_is_not_free() -> None:
    """Tokens that no price covers are refused by name; no tokens need none."""
    assert unit_price.of_usage({"output": 0}, {}) == 0
    with pytest.raises(ValueError, match=r"^cache_read, output tokens have no price; add one$"):
        unit_price.of_usage({"output": 1, "cache_read": 2, "uncached_input": 3}, {"uncached_input": 1})


@pytest.mark.parametrize("nothing", [lambda: ownership.productive(3, 0), lambda: unit_price.per_million(1, 0)])
def test_nothing_is_no_denominator(nothing) -> None:
    """What was not used, or not made, has no unit price: a sentence, not an infinity."""
    with pytest.raises(ValueError, match="by zero says nothing"):
        nothing()


MONEY = st.fractions(min_value=0, max_value=10**6)


@given(MONEY, st.fractions(min_value=Fraction(1, 100), max_value=1))
def test_used_and_unused_are_the_whole_reservation(price: Fraction, used: Fraction) -> None:
    """Whatever part is used: nothing is lost, nothing is negative, and less use never makes an hour cheaper."""
    unused = ownership.unused_commitment(price, used)

    assert unused >= 0
    assert ownership.reserved_effective(price, used) * used == price
    assert ownership.reserved_effective(price, used) >= price


@given(
    st.integers(min_value=1, max_value=10**7),
    st.integers(min_value=1, max_value=10),
    st.fractions(min_value=0, max_value=1, max_denominator=1000),
)
def test_interest_never_makes_an_hour_cheaper(capex: int, years: int, rate: Fraction) -> None:
    """An annuity is at least the straight line, and equal to it where capital is free."""
    assert ownership.annuity(capex, 0, 8, years, rate) >= ownership.straight_line(capex, 0, 8, years)
