"""Read the rows of the rate card that price energy per kilowatt-hour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from apportion.catalog import hardware
from apportion.config import values
from apportion.config.energy import EnergyRate
from apportion.config.fleet import Pool
from apportion.config.tables import Placed, Table, listed
from apportion.domain.period import Period

PUE_MAX: Final = 10
WATTS_MAX: Final = 10_000
"""Per GPU; metering takes no reading above it for a meter."""
PER_KWH_MAX: Final = 1_000_000
"""In units of the billing currency: far beyond any, and exact inside 128 bits."""

_UNSAID: Final = 0


def read(rates: Iterable[Table], pools: Sequence[Placed[Pool]], pool_ids: Sequence[str]) -> list[Placed[EnergyRate]]:
    """Every sound row with its place, once for each range of its pool that it reaches into.

    A row that gives no watts takes those of the hardware catalog for the GPU that the pool has then.

    Args:
        rates: rows that have `per_kwh`.
        pools: sound rows of the inventory.
        pool_ids: every pool id written, also of rows with problems.
    """
    written = [(table, _rate(table)) for table in rates]
    sound = [(table, rate) for table, rate in written if table.sound()]
    for table, rate in sound:
        if rate.pool not in pool_ids:
            known = f"known are {listed(pool_ids)}" if pool_ids else "there are none"
            table.wrong("pool", f"unknown pool {rate.pool!r}; {known}: correct it, or add a [[pools]] table")
    return [Placed(table.where, part) for table, rate in sound for part in _parts(table, rate, pools)]


def _rate(table: Table) -> EnergyRate:
    table.choice("component", ("energy",))
    pue = table.read("pue", lambda found: values.exact(found, 6), values.exact(1, 0))
    if not 1 <= pue <= PUE_MAX:
        table.wrong(
            "pue",
            f"is {pue}; write a ratio from 1 to {PUE_MAX}, such as 1.25: energy of the site for each unit of the GPUs",
        )
    per_kwh = table.amount("per_kwh")
    if per_kwh > PER_KWH_MAX * 10**9:
        table.wrong("per_kwh", f"is more than {PER_KWH_MAX} for a kilowatt-hour; write the price of one")
    return EnergyRate(
        pool=table.name("pool"),
        per_kwh_nano=per_kwh,
        pue_ppm=int(pue * 1_000_000),
        watts_per_gpu=table.read("watts_per_gpu", _watts, _UNSAID),
        watts_source="config",
        source=table.text("source", ""),
        effective=table.period(),
    )


def _parts(table: Table, rate: EnergyRate, pools: Sequence[Placed[Pool]]) -> Iterator[EnergyRate]:
    untold = set()
    for pool in (placed.item for placed in pools if placed.item.id == rate.pool):
        start, end = max(rate.effective.start, pool.effective.start), min(rate.effective.end, pool.effective.end)
        if start >= end:
            continue
        known = hardware.find(pool.gpu)
        if rate.watts_per_gpu != _UNSAID:
            yield replace(rate, effective=Period(start, end))
        elif known is not None:
            label = f"catalog: {known.id}, tdp {known.tdp_w} W, confidence {known.confidence}"
            yield replace(rate, effective=Period(start, end), watts_per_gpu=known.tdp_w, watts_source=label)
        elif pool.gpu not in untold:
            untold.add(pool.gpu)
            table.problems.error(
                table.place("watts_per_gpu"),
                f"is missing, and the hardware catalog has no {pool.gpu!r}; write the watts that such a GPU takes",
            )


def _watts(found: object) -> int:
    number = values.exact(found, 0)
    return values.integer(int(number), 1, WATTS_MAX)
