"""Which GPUs a commitment or an asset pays for, and which are left to the rate card.

Between two edges of the ranges everything is constant. There, whatever covers takes GPUs in the order given, from its
pools in the order named: as many as it has left and the pool has uncovered. Savings plans come after all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from apportion.domain.period import Period

UNUSED = ""
"""The pool of what a cover has and no pool takes."""


class Bought(Protocol):
    """GPUs of a pool; the ranges of one pool are disjoint."""

    @property
    def id(self) -> str:
        """The pool."""
        ...

    @property
    def gpus(self) -> int:
        """How many are paid for."""
        ...

    @property
    def effective(self) -> Period:
        """When."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """A reservation or an asset: GPUs that pay no accelerator rate.

    Attributes:
        evidence: who covers.
        gpus: how many it has.
        pools: in the order in which they take from it.
        effective: when.
    """

    evidence: str
    gpus: int
    pools: tuple[str, ...]
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A savings plan; all of it in nano of one currency.

    Attributes:
        id: name of the plan.
        per_hour: spend that is promised.
        pools: in the order in which they use it.
        rates: pool -> discounted price of a GPU-hour, above zero.
        effective: when.
    """

    id: str
    per_hour: int
    pools: tuple[str, ...]
    rates: Mapping[str, int]
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """GPUs of a pool that something pays for.

    Attributes:
        evidence: what pays.
        pool: whose GPUs; `UNUSED` for those that it has in vain.
        gpus: how many, above zero.
        effective: when.
    """

    evidence: str
    pool: str
    gpus: int
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What GPUs of a pool use of a plan, and what is left of their price for the rate card.

    Invariant: used + rest = gpus x rate, but for `UNUSED`.

    Attributes:
        id: name of the plan.
        pool: whose GPUs; `UNUSED` for what is promised in vain.
        gpus: how many nothing else covers; 0 for `UNUSED`.
        rate: discounted price of a GPU-hour; 0 for `UNUSED`.
        used: of the plan, in nano per hour.
        rest: beyond the plan, in nano per hour at the discounted price.
        effective: when.
    """

    id: str
    pool: str
    gpus: int
    rate: int
    used: int
    rest: int
    effective: Period


def cover(
    bought: Iterable[Bought], covers: Sequence[Cover], plans: Sequence[Plan]
) -> tuple[list[Covered], list[Saved]]:
    """What is covered and saved, over the ranges of covers and plans; adjoining ranges of equal rows are one.

    Invariant: at no time more GPUs of a pool are covered and saved than are bought, and each cover's rows add up to its GPUs.
    """
    takers: list[Cover | Plan] = [*covers, *plans]
    named = {pool for row in takers for pool in row.pools}
    pools = sorted((row for row in bought if row.id in named), key=lambda row: row.effective)
    begun, held = 0, dict[str, Bought]()
    covered: dict[tuple[str, str, int], list[Period]] = defaultdict(list)
    saved: dict[tuple[str, str, int, int, int, int], list[Period]] = defaultdict(list)
    for between in _segments([*(row.effective for row in pools), *(row.effective for row in takers)]):
        while begun < len(pools) and pools[begun].effective.start <= between.start:
            held[pools[begun].id] = pools[begun]
            begun += 1
        free = {row.id: row.gpus for row in held.values() if _during(row.effective, between)}
        for row in covers:
            if _during(row.effective, between):
                for pool, taken in _taken(row, free):
                    _extend(covered[row.evidence, pool, taken], between)
        for plan in plans:
            if _during(plan.effective, between):
                for pool, gpus, used, rest in _spent(plan, free):
                    _extend(saved[plan.id, pool, gpus, plan.rates.get(pool, 0), used, rest], between)
    return (
        [
            Covered(evidence=evidence, pool=pool, gpus=gpus, effective=period)
            for (evidence, pool, gpus), ranges in covered.items()
            for period in ranges
        ],
        [
            Saved(id=plan_id, pool=pool, gpus=gpus, rate=rate, used=used, rest=rest, effective=period)
            for (plan_id, pool, gpus, rate, used, rest), ranges in saved.items()
            for period in ranges
        ],
    )


def uncovered(bought: Sequence[Bought], covered: Iterable[Covered], saved: Iterable[Saved]) -> dict[str, list[Period]]:
    """When a pool has GPUs that must be paid by the rate card, by pool; adjoining ranges are one."""
    taken: dict[str, list[tuple[Period, int]]] = defaultdict(list)
    for row in covered:
        taken[row.pool].append((row.effective, row.gpus))
    for plan in saved:
        if not plan.rest:
            taken[plan.pool].append((plan.effective, plan.gpus))
    found: dict[str, list[Period]] = defaultdict(list)
    for pool in bought:
        mine = [(period, gpus) for period, gpus in taken.get(pool.id, ()) if period.overlaps(pool.effective)]
        clipped = [Period(max(p.start, pool.effective.start), min(p.end, pool.effective.end)) for p, _ in mine]
        for between in _segments([pool.effective, *clipped]):
            if pool.gpus > sum(gpus for period, gpus in mine if _during(period, between)):
                _extend(found[pool.id], between)
    return found


def _segments(ranges: Sequence[Period]) -> Iterator[Period]:
    edges = sorted({edge for period in ranges for edge in (period.start, period.end)})
    return (Period(start, end) for start, end in pairwise(edges))


def _during(effective: Period, between: Period) -> bool:
    return effective.start <= between.start < effective.end


def _taken(row: Cover, free: dict[str, int]) -> Iterator[tuple[str, int]]:
    left = row.gpus
    for pool in row.pools:
        taken = min(left, free.get(pool, 0))
        if taken:
            left -= taken
            free[pool] -= taken
            yield pool, taken
    if left:
        yield UNUSED, left


def _spent(plan: Plan, free: Mapping[str, int]) -> Iterator[tuple[str, int, int, int]]:
    left = plan.per_hour
    for pool in plan.pools:
        gpus = free.get(pool, 0)
        eligible = gpus * plan.rates[pool]
        used = min(left, eligible)
        left -= used
        if gpus:
            yield pool, gpus, used, eligible - used
    if left:
        yield UNUSED, 0, left, 0


def _extend(ranges: list[Period], more: Period) -> None:
    """Add a range behind all others, joined to the last where it adjoins."""
    if ranges and ranges[-1].end == more.start:
        more = Period(ranges.pop().start, more.end)
    ranges.append(more)
