"""What was bought before its pool is there is metered from its own beginning: said with the dates, since it may be years."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from apportion.config.costs import Asset, Commitment
from apportion.config.costs_reading import PlacedCosts
from apportion.config.fleet_reading import Fleet
from apportion.config.tables import Placed, Problems
from apportion.config.values import BEGINNING, stamp
from apportion.domain.period import HOUR, hour_of


def check(fleet: Fleet, costs: PlacedCosts, metered_from: datetime | None, problems: Problems) -> None:
    """Warn of hours of a commitment or an asset before its first pool is in force, those before `metered_from` left out."""
    for bought in costs.commitments:
        said = f"commitment {bought.item.id!r} begins"
        _early(fleet, bought, bought.item.pools, said, metered_from, problems)
    for owned in costs.assets:
        _early(fleet, owned, [owned.item.pool], f"asset {owned.item.id!r} is in service since", metered_from, problems)


def _early(
    fleet: Fleet,
    row: Placed[Commitment] | Placed[Asset],
    pools: Sequence[str],
    said: str,
    metered_from: datetime | None,
    problems: Problems,
) -> None:
    there = [pool.item.effective.start for pool in fleet.pools if pool.item.id in pools]
    if not there:
        return
    first, start = min(there), row.item.effective.start
    begins = max(hour_of(start), metered_from or BEGINNING)
    hours = (hour_of(min(first, row.item.effective.end)) - begins) // HOUR
    if hours < 1:
        return
    whose = "its pool exists from" if len(pools) == 1 else "the first of its pools exists from"
    other = min(pool.item.effective.start for pool in fleet.pools) < first
    remedy = (
        "correct the dates"
        if other
        else f"correct the dates, or set ledger.metered_from = {stamp(hour_of(first))} to leave them out"
    )
    problems.warning(
        f"{row.where}.effective_from",
        f"{said} {stamp(start)}, and {whose} {stamp(first)}; until then it is metered as unused, "
        f"{hours} {'hour' if hours == 1 else 'hours'} of it; if that is not meant, {remedy}",
    )
