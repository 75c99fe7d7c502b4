"""Which GPUs commitments, assets and spending commitments stand for, at one time, as the oracle sees it.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from tests.oracle_fleet import Fleet
from tests.oracle_units import Range, hour_range

Covered = Mapping[str, Mapping[str, int]]
"""GPUs by evidence and pool; evidence that covers nothing is there and empty."""


class Savings(NamedTuple):
    """Nano x microseconds of spending commitments in a segment: used by commitment and pool, and left of each.

    Attributes:
        used: by commitment and pool.
        left: of each commitment.
        paid_for: GPU-microseconds by pool.
    """

    used: Mapping[str, Mapping[str, int]]
    left: Mapping[str, int]
    paid_for: Mapping[str, Fraction]

    def gpu_us(self, pool: str) -> Fraction:
        """GPU-microseconds of a pool that pay no card price."""
        return self.paid_for.get(pool, Fraction(0))


def in_force(during: Range, at: int) -> bool:
    """Whether a range holds a time."""
    return during[0] <= at < during[1]


@cache
def pool_gpus(fleet: Fleet, at: int) -> Mapping[str, int]:
    """GPUs of each pool in force."""
    return {pool.id: pool.gpus for pool in fleet.pools if in_force(pool.during, at)}


def coverage(fleet: Fleet, at: int) -> Covered:
    """GPUs that reservations and then assets take, each in the order written, of the pools they name in that order."""
    free = dict(pool_gpus(fleet, at))
    found: dict[str, dict[str, int]] = {}
    for commitment in fleet.bought.commitments:
        if commitment.kind == "reserved" and in_force(commitment.during, at):
            found[f"commitment/{commitment.id}"] = _taken(commitment.gpus, commitment.pools, free)
    for asset in fleet.bought.assets:
        if in_force(asset.during, at):
            found[f"asset/{asset.id}"] = _taken(asset.gpus, (asset.pool,), free)
    return found


def _taken(gpus: int, pools: tuple[str, ...], free: dict[str, int]) -> dict[str, int]:
    """What a row takes of each pool; `free` is lowered by it."""
    found: dict[str, int] = {}
    for pool in pools:
        take = min(gpus, free.get(pool, 0))
        if take:
            found[pool] = take
            free[pool] -= take
            gpus -= take
    return found


def savings(fleet: Fleet, segment: Range, covered: Covered) -> Savings:
    """What spending commitments pay for, in the order written: GPUs that nothing else covers, at the price of the commitment."""
    us = segment[1] - segment[0]
    free = {
        pool: Fraction(us * (gpus - sum(taken.get(pool, 0) for taken in covered.values())))
        for pool, gpus in pool_gpus(fleet, segment[0]).items()
    }
    used: dict[str, dict[str, int]] = {}
    left: dict[str, int] = {}
    paid_for: dict[str, Fraction] = {}
    for commitment in fleet.bought.commitments:
        if commitment.kind != "savings" or not in_force(commitment.during, segment[0]):
            continue
        left[commitment.id], used[commitment.id] = commitment.per_hour * us, {}
        prices = dict(commitment.rates)
        for pool in commitment.pools:
            if not prices.get(pool) or not free.get(pool):
                continue
            exact = min(Fraction(left[commitment.id]), free[pool] * prices[pool])
            spent = int(exact)
            used[commitment.id][pool] = spent
            left[commitment.id] -= spent
            gpu_us = Fraction(spent, prices[pool])
            free[pool] -= gpu_us
            paid_for[pool] = paid_for.get(pool, Fraction(0)) + gpu_us
    return Savings(used, left, paid_for)


@cache
def segments(fleet: Fleet, hour: int) -> tuple[Range, ...]:
    """An hour cut wherever something changes."""
    start, end = hour_range(hour)
    edges = fleet.bought.edges() | {edge for pool in fleet.pools for edge in pool.during}
    cuts = sorted({start, end} | {edge for edge in edges if start < edge < end})
    return tuple(itertools.pairwise(cuts))


@cache
def covered(fleet: Fleet, segment: Range) -> Covered:
    """What covers which GPUs in a segment."""
    return coverage(fleet, segment[0])


@cache
def spent(fleet: Fleet, segment: Range) -> Savings:
    """What spending commitments pay for in a segment."""
    return savings(fleet, segment, covered(fleet, segment))


def exchange(fleet: Fleet, currency: str, at: int) -> Fraction:
    """Billing units per unit of a currency."""
    if not currency:
        return Fraction(1)
    (rate,) = (row.rate for row in fleet.bought.exchanges if row.currency == currency and in_force(row.during, at))
    return rate
