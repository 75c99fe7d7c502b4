"""What is bought or granted and cannot be used: reserved GPUs that no pool has, and credits larger than what their hours cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from apportion.config.costs import Credit
from apportion.config.costs_reading import PlacedCosts
from apportion.config.fleet import Rate
from apportion.config.fleet_reading import Fleet
from apportion.config.tables import Problems
from apportion.config.values import span
from apportion.domain.coverage import UNUSED, Covered, cover
from apportion.domain.money import text
from apportion.domain.period import HOUR, Period

_HOURS: Final = {"gpu_second": Fraction(1, 3600), "month": Fraction(28 * 24), "year": Fraction(365 * 24)}
"""The fewest hours that a price is for; a price per GPU-hour is for one."""


def check(fleet: Fleet, costs: PlacedCosts, billing_currency: str, problems: Problems) -> None:
    """Warn of the part that is lost, with the dates."""
    _reserved_within_pools(fleet, costs, problems)
    _granted_within_cost(fleet, costs, billing_currency, problems)


def _reserved_within_pools(fleet: Fleet, costs: PlacedCosts, problems: Problems) -> None:
    covered, _ = cover([row.item for row in fleet.pools], costs.items().covers(), [])
    unused: defaultdict[str, list[Covered]] = defaultdict(list)
    for row in covered:
        if row.pool == UNUSED:
            unused[row.evidence].append(row)
    for commitment in costs.commitments:
        begins = [row.item.effective.start for row in fleet.pools if row.item.id in commitment.item.pools]
        found = [  # what is reserved before its first pool has a warning of its own
            row for row in unused[f"commitment/{commitment.item.id}"] if begins and row.effective.end > min(begins)
        ]
        found.sort(key=lambda row: row.effective)
        if found:
            first, more = found[0], f" (and in {len(found) - 1} more ranges)" if len(found) > 1 else ""
            problems.warning(
                f"{commitment.where}.gpus",
                f"{first.gpus} of {commitment.item.gpus} reserved GPUs find none to pay for {span(first.effective)}{more}: the pools "
                "named have fewer that nothing before covers; the part of these is idle cost, cause unused_commitment; correct "
                "gpus, name more pools, or add the [[pools]] row",
            )


def _granted_within_cost(fleet: Fleet, costs: PlacedCosts, billing_currency: str, problems: Problems) -> None:
    """Where a rate card alone says what pools cost; prices of months and years count as if months were short, so that there is no doubt."""
    for row in costs.credits:
        if _has_more_than_a_card(fleet, costs, row.item):
            continue
        length = Fraction((row.item.effective.end - row.item.effective.start) // HOUR or 1)
        granted = row.item.amount_nano / length
        found = [
            (during, cost)
            for during, cost in _costs(fleet, costs, row.item, billing_currency)
            if cost is not None and granted > cost
        ]
        if found:
            (during, cost), more = found[0], f" (and in {len(found) - 1} more ranges)" if len(found) > 1 else ""
            problems.warning(
                f"{row.where}.amount",
                f"is {text(int(granted))} {billing_currency} an hour, and an hour of its pools costs {text(int(cost))} at most "
                f"{span(during)}{more}; what an hour cannot use is lost; spread it over a longer range, or name more pools",
            )


def _has_more_than_a_card(fleet: Fleet, costs: PlacedCosts, credit: Credit) -> bool:
    """Whether its pools have commitments, owned hardware or energy, whose cost is in no rate card."""
    pools = set(credit.pools)
    return (
        any(pools & set(row.item.pools) for row in costs.commitments)
        or any(row.item.pool in pools for row in costs.assets)
        or any(row.item.pool in pools for row in fleet.energy_rates)
    )


def _costs(
    fleet: Fleet, costs: PlacedCosts, credit: Credit, billing_currency: str
) -> Iterator[tuple[Period, Fraction | None]]:
    """What an hour of its pools costs, in nano, between the edges of its range; None where a price is missing, which has a warning."""
    bought = [row.item for row in fleet.pools if row.item.id in credit.pools]
    rates = [row.item for row in fleet.rates if row.item.pool in credit.pools]
    fx = [row.item for row in costs.fx if row.item.currency in {rate.currency for rate in rates}]
    within = credit.effective
    ranges = [*(row.effective for row in bought), *(row.effective for row in rates), *(row.effective for row in fx)]
    edges = {within.start, within.end} | {edge for period in ranges for edge in (period.start, period.end)}
    for start, end in pairwise(sorted(edge for edge in edges if within.start <= edge <= within.end)):
        gpus = {row.id: row.gpus for row in bought if row.effective.start <= start < row.effective.end}
        prices = [row for row in rates if row.pool in gpus and row.effective.start <= start < row.effective.end]
        exchange = {row.currency: row.rate for row in fx if row.effective.start <= start < row.effective.end}
        exchange[billing_currency] = Decimal(1)
        foreign = any((row.currency or billing_currency) not in exchange for row in prices)
        missing = foreign or {row.pool for row in prices if row.component == "accelerator"} != set(gpus)
        whole = None if missing else _sum(prices, gpus, exchange, billing_currency)
        yield Period(start, end), whole


def _sum(prices: Sequence[Rate], gpus: dict[str, int], exchange: dict[str, Decimal], billing_currency: str) -> Fraction:
    total = Fraction(0)
    for row in prices:
        times = gpus[row.pool] if row.unit.startswith("gpu") else 1
        total += (
            row.price_nano
            * times
            / _HOURS.get(row.unit, Fraction(1))
            * Fraction(exchange[row.currency or billing_currency])
        )
    return total
