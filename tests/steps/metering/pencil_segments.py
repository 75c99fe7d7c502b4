"""What each piece of an hour costs, between times at which nothing changes, in exact fractions: for the pencil."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from apportion.config.costs import Asset, Commitment
from apportion.config.fleet import Rate
from apportion.config.model import Config
from apportion.domain.effective import Dated, in_force
from tests.steps.metering.facts import HOUR, moment

US = timedelta(microseconds=1)
Part = tuple[str, str, str, str, str]
"""Pool, component, evidence, currency, cause."""


class Segments:
    """Sums over the pieces of one hour, by what they are for; money is exact nano."""

    def __init__(self, config: Config, start: int) -> None:
        self.config = config
        self.start, self.end = moment(start), moment(start + HOUR)
        self.billed: dict[Part, Fraction] = defaultdict(Fraction)
        self.listed: dict[Part, Fraction] = defaultdict(Fraction)
        self.foreign: dict[Part, Fraction] = defaultdict(Fraction)
        self.paid: dict[Part, Fraction] = defaultdict(Fraction)
        self.covered: dict[tuple[str, str], int] = defaultdict(int)
        self.worth: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self.negotiated: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self.priced: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self.spent: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.recurring: dict[str, Fraction] = defaultdict(Fraction)
        self.upkeep: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for begin, end in pairwise(self._edges()):
            self._segment(begin, end)

    def _edges(self) -> list[datetime]:
        c = self.config
        dated = [*c.pools, *c.rates, *c.costs.fx, *c.costs.discounts, *c.costs.commitments, *c.costs.assets]
        edges = {edge for row in dated for edge in (row.effective.start, row.effective.end)}
        return sorted({self.start, self.end} | {edge for edge in edges if self.start < edge < self.end})

    def _segment(self, begin: datetime, end: datetime) -> None:
        us, now = (end - begin) // US, begin
        free = {pool.id: pool.gpus for pool in self.config.pools if _on(pool, now)}
        here = dict(free)
        for evidence, gpus, pools in self._covers(now):
            left = gpus
            for pool in pools:
                taken = min(left, free.get(pool, 0))
                left -= taken
                if taken:
                    free[pool] -= taken
                    self._cover(evidence, pool, taken * us, Fraction(taken * us), now)
            self.covered[evidence, ""] += left * us
        due = {pool: Fraction(gpus * us) for pool, gpus in free.items()}
        for row in self.config.costs.commitments:
            if _on(row, now):
                hourly = row.gpus * row.per_gpu_hour_nano + row.recurring_per_hour_nano
                self.recurring[row.id] += self.fx(row.currency, now) * Fraction(hourly * us, HOUR)
                self._save(row, us, due, now)
        for rate in self.config.rates:
            if _on(rate, now) and rate.pool in here:
                self._price(rate, here[rate.pool] * us, due[rate.pool], now, end)
        for asset in self.config.costs.assets:
            if _on(asset, now):
                self._keep(asset, now, end)

    def _save(self, plan: Commitment, us: int, due: dict[str, Fraction], now: datetime) -> None:
        """Let pools use a savings plan for what nothing covers; of a reservation there are no rates, and nothing happens."""
        left = plan.per_hour_nano * us
        for pool in plan.pools if plan.kind == "savings" else ():
            price = plan.rates_nano[pool]
            eligible = int(due.get(pool, 0)) * price
            used = min(left, eligible)
            left -= used
            self.spent[plan.id][pool] += used
            if pool in due:
                rest = Fraction(eligible - used, price)
                self._cover(f"commitment/{plan.id}", pool, 0, due[pool] - rest, now)
                due[pool] = rest
        self.spent[plan.id][""] += left

    def _keep(self, asset: Asset, now: datetime, end: datetime) -> None:
        amounts = {"year": asset.maintenance_per_year_nano, "month": asset.colocation_per_month_nano}
        for part, unit in (("maintenance", "year"), ("colocation", "month")):
            nano = _calendar(amounts[unit], unit, now, end)
            self.upkeep[asset.id, part] += nano * self.fx(asset.currency, now)
            self.upkeep[asset.id, f"{part} in currency"] += nano

    def _covers(self, now: datetime) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        for row in self.config.costs.commitments:
            if row.kind == "reserved" and row.effective.start <= now < row.effective.end:
                yield f"commitment/{row.id}", row.gpus, row.pools
        for asset in self.config.costs.assets:
            if asset.effective.start <= now < asset.effective.end:
                yield f"asset/{asset.id}", asset.gpus, (asset.pool,)

    def _cover(self, evidence: str, pool: str, gpu_us: int, exact_us: Fraction, now: datetime) -> None:
        """Count GPU time that something covers, and what it is worth at the list price and at the negotiated one."""
        self.covered[evidence, pool] += gpu_us
        self.priced[evidence, f"{pool} all"] += exact_us
        for rate in self.config.rates:
            each = {"gpu_hour": 1, "gpu_second": 3600}.get(rate.unit, 0)
            if (
                rate.pool == pool
                and rate.component == "accelerator"
                and each
                and rate.effective.start <= now < rate.effective.end
            ):
                self.priced[evidence, pool] += exact_us
                hours = exact_us * each * self.fx(rate.currency, now) / HOUR
                self.worth[evidence, pool] += hours * rate.list_nano
                self.negotiated[evidence, pool] += hours * rate.price_nano * self._left(rate, now)

    def _price(self, rate: Rate, gpu_us: int, due_us: Fraction, now: datetime, end: datetime) -> None:
        part: Part = (rate.pool, rate.component, "", code(rate.currency), "")
        units = due_us if rate.component == "accelerator" else Fraction(gpu_us)
        if rate.unit in {"month", "year"}:
            price, listed = (
                Fraction(_calendar(amount, rate.unit, now, end)) for amount in (rate.price_nano, rate.list_nano)
            )
        else:
            each = 3600 if rate.unit == "gpu_second" else 1
            price, listed = (units * amount * each / HOUR for amount in (rate.price_nano, rate.list_nano))
        price *= self._left(rate, now)
        fx = self.fx(rate.currency, now)
        self.billed[part] += price * fx
        self.listed[part] += listed * fx
        self.foreign[part] += price
        self.paid[part] += units

    def _left(self, rate: Rate, now: datetime) -> Fraction:
        found = [
            row.percent
            for row in self.config.costs.discounts
            if rate.pool in row.pools and rate.component in row.components and _on(row, now)
        ]
        return 1 - Fraction(found[0]) / 100 if found else Fraction(1)

    def fx(self, currency: str | None, now: datetime) -> Fraction:
        """Billing units for one unit of a currency; 1 for the billing currency."""
        rates = [fx for fx in self.config.costs.fx if fx.currency == currency]
        found = in_force(rates, now) if code(currency) else None
        return Fraction(found.rate) if found else Fraction(1)


def _on(row: Dated, now: datetime) -> bool:
    return row.effective.start <= now < row.effective.end


def code(currency: str | None) -> str:
    """A currency as rows keep it."""
    return "" if currency in {None, "USD"} else str(currency)


def _calendar(amount: int, unit: str, begin: datetime, end: datetime) -> int:
    """The part of a month's or year's amount that lies between two times of one hour."""
    start = begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = start.replace(month=1) if unit == "year" else start
    days = (
        (366 if calendar.isleap(start.year) else 365)
        if unit == "year"
        else calendar.monthrange(start.year, start.month)[1]
    )
    ages = [(edge - start) // US for edge in (begin, end)]
    return amount * ages[1] // (days * 24 * HOUR) - amount * ages[0] // (days * 24 * HOUR)
