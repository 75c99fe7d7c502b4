"""Discounts that take nothing off, or hardly what is meant."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from apportion.config.costs_reading import PlacedCosts
from apportion.config.fleet_reading import Fleet
from apportion.config.tables import Problems
from apportion.config.values import span
from apportion.domain.period import Period


def check(fleet: Fleet, costs: PlacedCosts, problems: Problems) -> None:
    """Warn of a percentage that looks like a fraction, and of a discount on what has no rate."""
    card: defaultdict[tuple[str, str], list[Period]] = defaultdict(list)
    for rate in fleet.rates:
        card[rate.item.pool, rate.item.component].append(rate.item.effective)
    for tariff in fleet.energy_rates:  # whose own check says why nothing is taken off it
        card[tariff.item.pool, "energy"].append(tariff.item.effective)
    for row in costs.discounts:
        if 0 < row.item.percent < 1:
            meant = (row.item.percent * Decimal(100)).normalize()
            problems.warning(
                f"{row.where}.percent",
                f'is {row.item.percent}, less than one percent; did you mean "{meant:f}"? Write it in percent',
            )
        for pool in (pool for pool in row.item.pools if pool in fleet.pool_ids):
            for component in row.item.components:
                if not any(period.overlaps(row.item.effective) for period in card[pool, component]):
                    problems.warning(
                        f"{row.where}.pools",
                        f"pool {pool!r} has no {component} rate {span(row.item.effective)}, so the discount takes nothing "
                        "off there; correct pools, components or dates, or add the [[rates]] row",
                    )
