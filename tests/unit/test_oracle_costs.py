"""The oracle's origin charges agree with the pencil: cards in every unit, discounts, currencies, credits and energy."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.oracle_commitments import Amounts, Charge
from tests.oracle_costs import Energy, credits_granted, origin_rows
from tests.oracle_fleet import fleet
from tests.oracle_units import HOUR_US, micros, months_after

START = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = micros(START)
MONTH = range(HOUR, micros(datetime(2026, 11, 1, tzinfo=UTC)), HOUR_US)


def at(minutes: int) -> datetime:
    """Minutes after the start."""
    return START + timedelta(minutes=minutes)


def pool(gpus: int = 2, name: str = "p", **dates: datetime) -> dict[str, Any]:
    """A pool in force from the start on."""
    return {"id": name, "gpus": gpus, "effective_from": START, **dates}


def rate(component: str = "accelerator", name: str = "p", **entry: Any) -> dict[str, Any]:
    """A row of a rate card in force from the start on."""
    return {"pool": name, "component": component, "effective_from": START, **entry}


def rows(hour: int = HOUR, energy: dict[str, Energy] | None = None, **tables: Any) -> dict[Charge, Amounts]:
    """Origin charges of a fleet of one pool of two GPUs."""
    return origin_rows(fleet({"pools": [pool()], **tables}), hour, energy)


def test_units_of_a_card_are_of_gpus_or_of_the_pool() -> None:
    """2 GPUs: 3.00 an hour each; 0.0005 a second each is 3.60; 744.00 of a month of 744 hours and 8760 of a year, for the pool."""
    found = rows(
        rates=[
            rate(per_gpu_hour="3.00"),
            rate("host", per_gpu_second="0.0005"),
            rate("network", per_month="744.00"),
            rate("licence", per_year="8760"),
        ]
    )

    assert {row.component: amounts.effective for row, amounts in found.items()} == {
        "accelerator": 6_000_000_000,
        "host": 3_600_000_000,
        "network": 1_000_000_000,
        "licence": 1_000_000_000,
    }
    assert {(row.pool, row.evidence, row.currency, row.cause) for row in found} == {("p", "", "", "")}
    assert all(amounts[:4] == (amounts.effective,) * 4 for amounts in found.values())


def test_a_row_is_rounded_once_and_to_even() -> None:
    """Half a nano and half a nano of two prices in one hour are one; half a nano alone is none, one and a half are two."""
    half = at(30)
    cheap = {"gpus": 1, "id": "p", "effective_from": START}
    changed = [
        rate(per_gpu_hour="0.000000001", effective_to=half),
        rate(per_gpu_hour="0.000000001", effective_from=half),
    ]

    assert [r.effective for r in rows(pools=[cheap], rates=changed).values()] == [1]
    assert rows(pools=[{**cheap, "effective_to": half}], rates=changed) == {}
    thrice = [rate(per_gpu_hour="0.000000003")]
    assert [r.effective for r in rows(pools=[{**cheap, "effective_to": half}], rates=thrice).values()] == [2]


def test_discount_leaves_the_list_price() -> None:
    """12.5 % off 4.00 for half an hour of 2 GPUs: list 4.00, contracted, billed and effective 3.75; other components stay."""
    found = rows(
        rates=[rate(per_gpu_hour="2.00", list="2.50"), rate("host", per_gpu_hour="1.00")],
        discounts=[{"pools": ["p"], "percent": "12.5", "effective_from": START, "effective_to": at(30)}],
    )

    assert found[Charge("p", "accelerator", "", "", "")] == (
        3_750_000_000,
        3_750_000_000,
        5_000_000_000,
        3_750_000_000,
        None,
    )
    assert found[Charge("p", "host", "", "", "")] == (2_000_000_000, 2_000_000_000, 2_000_000_000, 2_000_000_000, None)


def test_currency_is_kept_beside_the_billing_currency() -> None:
    """2 GPUs at 1.00 EUR: 1.10 for the first half hour, 1.20 for the second: 2.30 USD and 2.00 EUR; USD is no currency of its own."""
    exchange = {"currency": "EUR", "rate": "1.10", "effective_from": START, "effective_to": at(30)}
    found = rows(
        rates=[rate(per_gpu_hour="1.00", currency="EUR"), rate("host", per_gpu_hour="1.00", currency="USD")],
        fx=[exchange, {**exchange, "rate": "1.20", "effective_from": at(30), "effective_to": at(90)}],
    )

    assert found[Charge("p", "accelerator", "", "EUR", "")] == (*(2_300_000_000,) * 4, 2_000_000_000)
    assert found[Charge("p", "host", "", "", "")].in_currency is None


def test_both_amounts_are_rounded_from_the_exact_product() -> None:
    """0.5 nano EUR at 3: 1.5 nano USD are 2, and 0.5 nano EUR are 0: neither is made from the other."""
    found = rows(
        pools=[pool(1, effective_to=at(30))],
        rates=[rate(per_gpu_hour="0.000000001", currency="EUR")],
        fx=[{"currency": "EUR", "rate": "3"}],
    )

    assert list(found.values()) == [(2, 2, 2, 2, 0)]


@given(
    nano=st.integers(0, 10**12),
    ends=st.tuples(st.integers(0, 743), st.integers(1, HOUR_US - 1)),
    cuts=st.lists(st.integers(1, 744 * 60 - 1), max_size=3, unique=True),
)
def test_a_whole_month_is_the_whole_amount(nano: int, ends: tuple[int, int], cuts: list[int]) -> None:
    """A monthly amount adds up to itself over the month's hours, however often another price or the pool's size changes."""
    edges = [START, *(at(minutes) for minutes in sorted(cuts)), at(744 * 60)]
    pools = [
        pool(number + 1, effective_from=a, effective_to=b) for number, (a, b) in enumerate(itertools.pairwise(edges))
    ]
    changes = START + timedelta(hours=ends[0], microseconds=ends[1])
    ours = fleet(
        {
            "pools": pools,
            "rates": [
                rate("colocation", per_month=Decimal(nano).scaleb(-9)),
                rate("host", per_gpu_hour="1", effective_to=changes),
            ],
        }
    )

    costs = [origin_rows(ours, hour).get(Charge("p", "colocation", "", "", "")) for hour in MONTH]

    assert sum(cost.effective for cost in costs if cost) == nano
    assert all(abs(cost.effective - nano / 744) <= 1 for cost in costs if cost)


def test_a_monthly_amount_is_charged_while_the_pool_is_there() -> None:
    """A pool of a quarter of an hour bears a quarter of an hour's part; years are of their own length."""
    short = [pool(5, effective_from=at(15), effective_to=at(30))]
    leap = micros(datetime(2028, 2, 29, tzinfo=UTC))

    monthly = rows(pools=short, rates=[rate("ops", per_month="744")])
    yearly = rows(leap, rates=[rate("ops", per_year="8784")])

    assert [r.effective for r in monthly.values()] == [250_000_000]
    assert [r.effective for r in yearly.values()] == [1_000_000_000]


def test_a_credit_pays_what_is_owed_and_no_more() -> None:
    """10.00 over two hours gives 5.00 to each: of the 7.00 owed by p and q, q first, 3.00 and 2.00; a second credit pays the rest."""
    tables = {
        "pools": [pool(1), pool(1, "q")],
        "rates": [rate(per_gpu_hour="4.00"), rate(per_gpu_hour="3.00", name="q")],
        "credits": [
            {"id": "a", "amount": "10.00", "pools": ["q", "p"], "effective_from": START, "effective_to": at(120)},
            {"id": "b", "amount": "9.00", "pools": ["p"], "effective_from": START, "effective_to": at(60)},
        ],
    }
    found = rows(**tables)

    assert {row: amounts for row, amounts in found.items() if row.component == "credit"} == {
        Charge("q", "credit", "credit/a", "", ""): (-3_000_000_000, -3_000_000_000, 0, -3_000_000_000, None),
        Charge("p", "credit", "credit/a", "", ""): (-2_000_000_000, -2_000_000_000, 0, -2_000_000_000, None),
        Charge("p", "credit", "credit/b", "", ""): (-2_000_000_000, -2_000_000_000, 0, -2_000_000_000, None),
    }
    assert credits_granted(fleet(tables), HOUR) == {0: 5_000_000_000, 1: 9_000_000_000}
    assert sum(amounts.effective for amounts in found.values()) == 0


def test_energy_is_measured_and_assumed_for_the_rest() -> None:
    """An hour of 2 GPUs: 0.3 kWh measured of one, 700 W assumed for the other: 1 kWh, x 1.2 PUE x 0.10 = 0.12."""
    found = rows(
        rates=[rate("energy", per_kwh="0.10", pue="1.2", watts_per_gpu=700)],
        energy={"p": Energy(HOUR_US, 1_080_000_000)},
    )

    assert found == {Charge("p", "energy", "energy", "", ""): (120_000_000,) * 4 + (None,)}


def test_calendar_months_end_where_their_months_end() -> None:
    """A month after 31 January is 28 February, twelve are the same day, and the time of day stays."""
    january = micros(datetime(2027, 1, 31, 5, 30, tzinfo=UTC))

    assert months_after(january, 1) == micros(datetime(2027, 2, 28, 5, 30, tzinfo=UTC))
    assert months_after(january, 12) == micros(datetime(2028, 1, 31, 5, 30, tzinfo=UTC))
    assert months_after(january, 23) == micros(datetime(2028, 12, 31, 5, 30, tzinfo=UTC))
