"""What each hour of each pool cost before anything is divided: origin charges, row by row, with what they would cost otherwise.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. An hour is cut wherever a price or
an inventory changes; in such a segment everything is constant, amounts are exact fractions of a nano, and each row is
rounded once, half to even.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from tests.oracle_commitments import (
    Amounts,
    Charge,
    Rows,
    calendar_part,
    left_of_price,
    owned,
    promised_spending,
    reserved,
)
from tests.oracle_coverage import covered, exchange, in_force, pool_gpus, segments, spent
from tests.oracle_fleet import Fleet
from tests.oracle_purchases import Rate
from tests.oracle_units import HOUR_US, PPM, Range, hour_range, shared_us, spread

MJ_PER_KWH = 3_600_000_000


class Energy(NamedTuple):
    """What telemetry says of a pool's hour: GPU-microseconds it saw, and millijoules."""

    measured_us: int
    millijoules: int


Exact = tuple[Fraction, Fraction, Fraction]
"""Contracted and list price in the billing currency, and contracted in the row's own."""


def origin_rows(fleet: Fleet, hour: int, energy: Mapping[str, Energy] | None = None) -> Rows:
    """Every origin charge of an hour; `energy` is what was measured, by pool. Rows of nothing at all are left out."""
    rows = {
        **_card(fleet, hour),
        **_energy(fleet, hour, energy or {}),
        **reserved(fleet, hour),
        **promised_spending(fleet, hour),
        **owned(fleet, hour),
    }
    applied = credits_applied(fleet, hour, rows)
    for (number, pool), nano in applied.items():
        credit = fleet.bought.credits[number]
        rows[Charge(pool, "credit", f"credit/{credit.id}", "", "")] = Amounts(-nano, -nano, 0, -nano, None)
    return {row: amounts for row, amounts in rows.items() if any(amounts)}


def paid_gpu_us(fleet: Fleet, rate: Rate, segment: Range) -> Fraction:
    """GPU-microseconds that pay a price per GPU: of accelerators, only those that no commitment or asset stands for."""
    gpus = pool_gpus(fleet, segment[0]).get(rate.pool, 0)
    us = segment[1] - segment[0]
    if rate.component != "accelerator":
        return Fraction(gpus * us)
    free = gpus - sum(taken.get(rate.pool, 0) for taken in covered(fleet, segment).values())
    return free * us - spent(fleet, segment).gpu_us(rate.pool)


def _card(fleet: Fleet, hour: int) -> Rows:
    exact: dict[Charge, Exact] = defaultdict(lambda: (Fraction(0), Fraction(0), Fraction(0)))
    for segment in segments(fleet, hour):
        for rate in fleet.bought.rates:
            if rate.per == "per_kwh" or not in_force(rate.during, segment[0]):
                continue
            if not pool_gpus(fleet, segment[0]).get(rate.pool):
                continue
            left, fx = left_of_price(fleet, rate, segment[0]), exchange(fleet, rate.currency, segment[0])
            if rate.per == "per_gpu_hour":
                paid = paid_gpu_us(fleet, rate, segment)
                price, listed = rate.price * paid / HOUR_US, rate.listed * paid / HOUR_US
            else:
                price = Fraction(calendar_part(rate.price, rate.per, segment))
                listed = Fraction(calendar_part(rate.listed, rate.per, segment))
            row = Charge(rate.pool, rate.component, "", rate.currency, "")
            before = exact[row]
            exact[row] = before[0] + price * left * fx, before[1] + listed * fx, before[2] + price * left
    return {row: _rounded(row, *amounts) for row, amounts in exact.items()}


def _rounded(row: Charge, price: Fraction, listed: Fraction, in_currency: Fraction) -> Amounts:
    cost = round(price)
    return Amounts(cost, cost, round(listed), cost, round(in_currency) if row.currency else None)


def _energy(fleet: Fleet, hour: int, measured: Mapping[str, Energy]) -> Rows:
    rows: Rows = {}
    for rate in fleet.bought.rates:
        paid = sum(
            pool.gpus * shared_us(hour_range(hour), pool.during, rate.during)
            for pool in fleet.pools
            if pool.id == rate.pool
        )
        if rate.per == "per_kwh" and paid:
            seen = measured.get(rate.pool, Energy(0, 0))
            millijoules = seen.millijoules + Fraction(max(0, paid - seen.measured_us) * (rate.watts or 0), 1000)
            at = max(hour, rate.during[0])
            kwh = millijoules * rate.pue_ppm / (MJ_PER_KWH * PPM)
            exact, listed = kwh * rate.price * left_of_price(fleet, rate, at), kwh * rate.listed
            fx = exchange(fleet, rate.currency, at)
            row = Charge(rate.pool, "energy", "energy", rate.currency, "")
            rows[row] = _rounded(row, exact * fx, listed * fx, exact)
    return rows


def credits_granted(fleet: Fleet, hour: int) -> dict[int, int]:
    """What each credit gives to an hour, by its place in the config."""
    return {
        number: spread(credit.amount, *credit.during, hour_range(hour))
        for number, credit in enumerate(fleet.bought.credits)
        if shared_us(hour_range(hour), credit.during)
    }


def credits_applied(fleet: Fleet, hour: int, rows: Rows) -> dict[tuple[int, str], int]:
    """What each credit pays of each pool: no more than is still owed, by the pools in the order named."""
    owed: dict[str, int] = defaultdict(int)
    for row, amounts in rows.items():
        if not row.cause:
            owed[row.pool] += amounts.effective
    applied: dict[tuple[int, str], int] = {}
    for number, granted in credits_granted(fleet, hour).items():
        left = granted
        for pool in fleet.bought.credits[number].pools:
            paid = min(left, owed[pool])
            left -= paid
            owed[pool] -= paid
            if paid:
                applied[number, pool] = paid
    return applied
