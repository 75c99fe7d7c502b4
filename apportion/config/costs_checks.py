"""What prices and what pays for GPUs must hold together: known pools, disjoint ranges, no hole in what is paid for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from apportion.config.costs import Asset, Commitment
from apportion.config.costs_reading import PlacedCosts
from apportion.config.fleet_checks import apart, excesses, known_pool
from apportion.config.fleet_reading import Fleet
from apportion.config.tables import Placed, Problems
from apportion.config.values import span, stamp
from apportion.domain.coverage import cover, uncovered
from apportion.domain.effective import gaps, in_force
from apportion.domain.money import NANO_MAX, text
from apportion.domain.ownership import financing
from apportion.domain.period import HOUR_US, MICROSECOND, Period
from apportion.domain.prices import ACCELERATOR, Price, holes

PREPAID_TOLERANCE: Final = Fraction(1, 100)
_PER_HOUR = {"gpu_hour": 1, "gpu_second": 3600, "month": 0, "year": 0}
"""What an hour of one GPU costs of a price; months and years do not grow with GPUs."""


@dataclass(frozen=True, slots=True)
class _Priced:
    """A discount's or a plan's row for one pool, for the check that no two are in force at once."""

    what: str
    pool: str
    effective: Period


def check(fleet: Fleet, costs: PlacedCosts, billing_currency: str, problems: Problems) -> None:
    """Note everything that single rows cannot show."""
    _known(fleet, costs, problems)
    _disjoint(fleet, costs, problems)
    _exchanged(costs, billing_currency, problems)
    _priced(fleet, costs, billing_currency, problems)
    _owned_within_pools(fleet, costs, problems)
    _bounded(fleet, costs, problems)
    _prepaid(costs, problems)


def _known(fleet: Fleet, costs: PlacedCosts, problems: Problems) -> None:
    named = [(row.where, row.item.pools) for row in costs.discounts]
    named += [(row.where, row.item.pools) for row in costs.commitments]
    named += [(row.where, row.item.pools) for row in costs.credits]
    for where, pools in named:
        for pool in pools:
            known_pool(fleet, pool, f"{where}.pools", problems)
    for asset in costs.assets:
        known_pool(fleet, asset.item.pool, f"{asset.where}.pool", problems)


def _disjoint(fleet: Fleet, costs: PlacedCosts, problems: Problems) -> None:
    end_it = "set effective_to on the earlier"
    apart(costs.fx, lambda row: ("exchange rate of", row.currency), end_it, problems)
    discounts = [
        Placed(row.where, _Priced(f"discount on {component} of pool", pool, row.item.effective))
        for row in costs.discounts
        for pool in row.item.pools
        for component in row.item.components
    ]
    apart(discounts, lambda row: (row.what, row.pool), f"{end_it}, or write one row with both together", problems)
    plans = [
        Placed(row.where, _Priced("savings plan of pool", pool, row.item.effective))
        for row in costs.commitments
        if row.item.kind == "savings"
        for pool in row.item.pools
    ]
    _by_the_hour(fleet, costs, problems)
    for row in fleet.rates:
        for plan in plans if row.item.component == ACCELERATOR and not _PER_HOUR[row.item.unit] else ():
            if plan.item.pool == row.item.pool and plan.item.effective.overlaps(row.item.effective):
                problems.error(
                    plan.where,
                    f"what the plan leaves of pool {row.item.pool!r} is paid by the GPU-hour, and {row.where} has a price per "
                    f"{row.item.unit}; write that as per_gpu_hour, or take the pool out of the plan",
                )
    apart(plans, lambda row: (row.what, row.pool), "name each pool in one of them, or write one with the sum", problems)
    ids = [("commitment", row.item.id, row.where) for row in costs.commitments]
    ids += [("asset", row.item.id, row.where) for row in costs.assets]
    ids += [("credit", row.item.id, row.where) for row in costs.credits]
    written: set[tuple[str, str]] = set()
    for what, name, where in ids:
        if (what, name) in written:
            problems.error(f"{where}.id", f"{what} {name!r} is written twice; give each an id of its own")
        written.add((what, name))


def _by_the_hour(fleet: Fleet, costs: PlacedCosts, problems: Problems) -> None:
    """What covers GPUs takes them off a price per GPU, which one of the whole pool does not know; nor do tariffs know discounts."""
    covering = [
        (row.where, pool, row.item.effective) for row in costs.commitments if row.item.gpus for pool in row.item.pools
    ]
    covering += [(row.where, row.item.pool, row.item.effective) for row in costs.assets]
    whole = [row for row in fleet.rates if row.item.component == ACCELERATOR and not _PER_HOUR[row.item.unit]]
    for where, pool, effective in covering:
        for row in whole:
            if row.item.pool == pool and row.item.effective.overlaps(effective):
                problems.error(
                    row.where,
                    f"pays for all GPUs of pool {pool!r} by the {row.item.unit}, and {where} pays for some of them too; write "
                    "what the others cost as per_gpu_hour",
                )
    for discount in costs.discounts:
        for tariff in fleet.energy_rates if "energy" in discount.item.components else ():
            if tariff.item.pool in discount.item.pools and tariff.item.effective.overlaps(discount.item.effective):
                problems.error(
                    discount.where, f"is not taken off per_kwh at {tariff.where}; write the tariff that you pay there"
                )


def _exchanged(costs: PlacedCosts, billing: str, problems: Problems) -> None:
    for fx in costs.fx:
        if fx.item.currency == billing:
            problems.error(
                f"{fx.where}.currency", f"is {billing}, which is the billing currency; remove the row, its rate is 1"
            )
    rates = [row.item for row in costs.fx]
    bound: list[Placed[Commitment] | Placed[Asset]] = [*costs.commitments, *costs.assets]
    for row in bound:
        if row.item.currency in {None, billing}:
            continue
        mine = [fx for fx in rates if fx.currency == row.item.currency]
        if in_force(mine, row.item.effective.start) is None:
            problems.error(
                f"{row.where}.currency",
                f"is {row.item.currency}, and there is no exchange rate at {stamp(row.item.effective.start)}, when it "
                "begins; add a [[fx]] row for that time",
            )
        for gap in gaps([fx.effective for fx in mine], row.item.effective) if _goes_on(row.item) else ():
            problems.warning(
                f"{row.where}.currency",
                f"there is no exchange rate of {row.item.currency} {span(gap)}, and hours without one are not metered; "
                "add a [[fx]] row for that time",
            )


def _goes_on(row: Commitment | Asset) -> bool:
    """Whether it costs by the hour, and not only at the start."""
    if isinstance(row, Asset):
        return bool(row.maintenance_per_year_nano or row.colocation_per_month_nano)
    return bool(row.per_gpu_hour_nano or row.recurring_per_hour_nano)


def _priced(fleet: Fleet, costs: PlacedCosts, billing: str, problems: Problems) -> None:
    """Hours of a hole are not metered; what is there may be on purpose, so it is only a warning."""
    pools, made = [row.item for row in fleet.pools], costs.items()
    due = uncovered(pools, *cover(pools, made.covers(), made.plans()))
    prices = [
        Price(
            pool=row.item.pool, component=row.item.component, effective=row.item.effective,
            currency="" if row.item.currency in {None, billing} else str(row.item.currency),
        )
        for row in fleet.rates
    ]  # fmt: skip
    exchanged: defaultdict[str, list[Period]] = defaultdict(list)
    for fx in made.fx:
        exchanged[fx.currency].append(fx.effective)
    for hole in holes(pools, due, prices, exchanged):
        at = next(
            row for row in fleet.pools if row.item.id == hole.pool and row.item.effective.overlaps(hole.effective)
        )
        if hole.currency:
            said = f"is priced in {hole.currency}, which has no exchange rate {span(hole.effective)}"
            remedy = "add a [[fx]] row for that time"
        else:
            said = f"has no {hole.component} rate {span(hole.effective)}"
            remedy = "add a [[rates]] row for that time"
        problems.warning(at.where, f"pool {hole.pool!r} {said}, and hours without one are not metered; {remedy}")


def _owned_within_pools(fleet: Fleet, costs: PlacedCosts, problems: Problems) -> None:
    for pool_id in fleet.pool_ids:
        bought = [row.item for row in fleet.pools if row.item.id == pool_id]
        owned = [row for row in costs.assets if row.item.pool == pool_id]
        for period, gpus, there in excesses([row.item for row in owned], bought):
            last = [row for row in owned if row.item.effective.overlaps(period)][-1]
            problems.warning(
                f"{last.where}.gpus",
                f"{gpus} GPUs of pool {pool_id!r} are owned {span(period)}, and {there} are there; the part of the others "
                "is idle cost, cause unused_asset; correct gpus, or end the asset",
            )


def _bounded(fleet: Fleet, costs: PlacedCosts, problems: Problems) -> None:
    """No hour of anything exceeds what one row can hold, in its own currency or in that of the ledger."""
    dearest: defaultdict[str | None, Decimal] = defaultdict(lambda: Decimal(1))
    for fx in costs.fx:
        dearest[fx.item.currency] = max(dearest[fx.item.currency], fx.item.rate)
    hourly: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)
    for rate in (row.item for row in fleet.rates):
        gpus = max((pool.item.gpus for pool in fleet.pools if pool.item.id == rate.pool), default=0)
        units = _PER_HOUR[rate.unit] * gpus or 1
        cost = max(rate.price_nano, rate.list_nano) * units * dearest[rate.currency]
        hourly[rate.pool][rate.component] = max(cost, hourly[rate.pool].get(rate.component, Decimal(0)))
    for row in fleet.pools:
        if sum(hourly[row.item.id].values()) > NANO_MAX:
            problems.error(
                row.where,
                f"an hour of pool {row.item.id!r} costs more than one row can hold; check per_gpu_hour and gpus",
            )
    largest = max((pool.item.gpus for pool in fleet.pools), default=0)
    for commitment in costs.commitments:
        item = commitment.item
        first_hour = item.upfront_nano + item.recurring_per_hour_nano + item.gpus * item.per_gpu_hour_nano
        parts = [first_hour, item.per_hour_nano]
        parts += [price * largest for price in item.rates_nano.values()]
        if max(parts) * dearest[item.currency] > NANO_MAX:
            problems.error(
                commitment.where, f"commitment {item.id!r} costs more than one row can hold; check its amounts"
            )
    for asset in costs.assets:
        owned = asset.item
        parts = [owned.capex_nano, _capital(owned), owned.maintenance_per_year_nano, owned.colocation_per_month_nano]
        if max(parts) * dearest[owned.currency] > NANO_MAX:
            problems.error(asset.where, f"asset {owned.id!r} costs more than one row can hold; check its amounts")


def _capital(row: Asset) -> int:
    return financing(row.capex_nano, row.residual_nano, row.life_months, row.annual_rate)


def _prepaid(costs: PlacedCosts, problems: Problems) -> None:
    """What is paid for a savings plan over its term is what it promises to spend, but for the cents of an invoice."""
    for row in costs.commitments:
        plan = row.item
        hours = Fraction((plan.effective.end - plan.effective.start) // MICROSECOND, HOUR_US)
        promised = plan.per_hour_nano * hours
        paid = plan.upfront_nano + plan.recurring_per_hour_nano * hours
        if plan.kind == "savings" and abs(paid - promised) > promised * PREPAID_TOLERANCE:
            problems.warning(
                row.where,
                f"savings plan {plan.id!r} promises to spend {text(int(promised))} in its term, and {text(int(paid))} are paid for it; "
                "correct upfront, recurring_per_hour or per_hour, unless the rest was given",
            )
