"""What the catalog and the energy rates show about a fleet: unknown GPUs, energy priced twice or beyond what a row holds."""

from __future__ import annotations

from itertools import pairwise

from apportion.catalog import hardware
from apportion.config.energy_reading import WATTS_MAX
from apportion.config.fleet_checks import SEVERAL
from apportion.config.fleet_reading import Fleet
from apportion.config.tables import Problems, listed
from apportion.config.values import span
from apportion.domain.money import NANO_MAX


def check(fleet: Fleet, problems: Problems) -> None:
    """Note everything that single rows cannot show."""
    _known_gpus(fleet, problems)
    _priced_once(fleet, problems)
    _within_a_row(fleet, problems)


def _known_gpus(fleet: Fleet, problems: Problems) -> None:
    told = set()
    for row in fleet.pools:
        gpu = row.item.gpu
        if hardware.find(gpu) is not None or gpu in told:
            continue
        told.add(gpu)
        near = hardware.nearest(gpu)
        remedy = (
            f"did you mean {' or '.join(near)}?" if near else f"known are {listed(sorted(hardware.hardware()), 40)}"
        )
        problems.warning(
            f"{row.where}.gpu",
            f"{gpu!r} is not in the hardware catalog, so nothing is known of its power, memory and peaks; {remedy}",
        )


def _priced_once(fleet: Fleet, problems: Problems) -> None:
    rows = [
        *((row.where, row.item.pool, row.item.effective) for row in fleet.rates if row.item.component == "energy"),
        *((row.where, row.item.pool, row.item.effective) for row in fleet.energy_rates),
    ]
    ordered = sorted(enumerate(rows), key=lambda row: (row[1][1], row[1][2], row[0]))
    for (place, (earlier, pool, one)), (after, (where, other_pool, other)) in pairwise(ordered):
        if pool == other_pool and one.overlaps(other):
            first, last = ((earlier, one), (where, other)) if place < after else ((where, other), (earlier, one))
            problems.error(
                last[0],
                f"energy rate of pool {pool!r} is in force {span(last[1])}, and overlaps {first[0]}, in force {span(first[1])}; "
                f"{SEVERAL}",
            )


def _within_a_row(fleet: Fleet, problems: Problems) -> None:
    for row in fleet.energy_rates:
        gpus = max(pool.item.gpus for pool in fleet.pools if pool.item.id == row.item.pool)
        kilowatts = gpus * WATTS_MAX // 1000
        if kilowatts * row.item.per_kwh_nano * row.item.pue_ppm // 1_000_000 > NANO_MAX:
            problems.error(
                row.where,
                f"an hour of energy of pool {row.item.pool!r} may cost more than one row can hold; check per_kwh and gpus",
            )
