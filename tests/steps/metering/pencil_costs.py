"""What an hour costs, worked out one instant at a time in exact fractions: the metering steps must agree to the nano."""

from __future__ import annotations

import calendar
from collections import defaultdict
from datetime import datetime
from decimal import localcontext
from fractions import Fraction

from apportion.config.costs import Asset, Commitment
from apportion.config.model import Config
from apportion.domain.money import split
from tests.steps.metering.facts import HOUR
from tests.steps.metering.pencil_segments import US, Part, Segments, code
from tests.steps.metering.spending import Cost, Key


class Hour(Segments):
    """One hour of a config; `costs` are its origin charges, `granted` and `applied` what credits did, by id."""

    def __init__(self, config: Config, start: int) -> None:
        super().__init__(config, start)
        self.start_us = start
        self.costs: dict[Key, Cost] = {}
        self.granted: dict[str, int] = {}
        self.applied: dict[str, int] = {}
        self._card()
        for commitment in config.costs.commitments:
            self._commitment(commitment)
        for asset in config.costs.assets:
            self._asset(asset)
        self._credits()

    def _put(
        self, part: Part, *, nano: int, billed: int, listed: int, foreign: int, paid: int, contracted: int | None = None
    ) -> None:
        contracted = nano if contracted is None else contracted
        self.costs[self.start_us, *part] = Cost(nano, billed, listed, contracted, foreign if part[3] else None, paid)

    def _card(self) -> None:
        for part, exact in self.billed.items():
            paid, nano = int(self.paid[part]), round(exact)
            if paid or nano:
                listed, foreign = round(self.listed[part]), round(self.foreign[part])
                self._put(part, nano=nano, billed=nano, listed=listed, foreign=foreign, paid=paid)

    def _commitment(self, row: Commitment) -> None:
        begin, end = max(row.effective.start, self.start), min(row.effective.end, self.end)
        if begin >= end:
            return
        evidence, currency = f"commitment/{row.id}", code(row.currency)
        at_start = round(row.upfront_nano * self.fx(row.currency, row.effective.start))
        length = (row.effective.end - row.effective.start) // US
        ages = [(edge - row.effective.start) // US for edge in (begin, end)]
        upfront, upfront_foreign = (
            amount * ages[1] // length - amount * ages[0] // length for amount in (at_start, row.upfront_nano)
        )
        recurring = round(self.recurring[row.id])
        hourly = Fraction(
            (row.gpus * row.per_gpu_hour_nano + row.recurring_per_hour_nano) * ((end - begin) // US), HOUR
        )
        used = (
            self.spent[row.id]
            if row.kind == "savings"
            else {pool: self.covered[evidence, pool] for pool in ("", *row.pools)}
        )
        shares, billed, foreign = (
            split(total, used) for total in (upfront + recurring, recurring, upfront_foreign + round(hourly))
        )
        first = row.pools[0] if used.get(row.pools[0]) else ""
        for pool in ("", *row.pools):
            bill = billed.get(pool, 0) + (at_start if pool == first and begin == row.effective.start else 0)
            if not used.get(pool) and not bill:
                continue
            paid = int(self.priced[evidence, f"{pool} all"]) if row.kind == "savings" else self.covered[evidence, pool]
            known = 0 < self.priced[evidence, pool] == self.priced[evidence, f"{pool} all"]
            listed, contracted = self._by_the_card(evidence, pool) if pool and known else (shares[pool], shares[pool])
            part = (pool or row.pools[0], "accelerator", evidence, currency, "" if pool else "unused_commitment")
            self._put(
                part,
                nano=shares[pool],
                billed=bill,
                listed=listed,
                foreign=foreign[pool],
                paid=paid,
                contracted=contracted,
            )

    def _by_the_card(self, evidence: str, pool: str) -> tuple[int, int]:
        return round(self.worth[evidence, pool]), round(self.negotiated[evidence, pool])

    def _asset(self, row: Asset) -> None:
        begin, end = max(row.effective.start, self.start), min(row.effective.end, self.end)
        if begin >= end:
            return
        evidence, currency = f"asset/{row.id}", code(row.currency)
        length = (_months_after(row.effective.start, row.life_months) - row.effective.start) // US
        ages = [min(length, (edge - row.effective.start) // US) for edge in (begin, end)]
        fx, worn = self.fx(row.currency, row.effective.start), row.capex_nano - row.residual_nano
        amounts: dict[str, tuple[int, int]] = {}
        for part, total in (("accelerator", worn), ("financing", _interest(row))):
            spread = [amount * ages[1] // length - amount * ages[0] // length for amount in (round(total * fx), total)]
            amounts[part] = spread[0], spread[1]
        for part in ("maintenance", "colocation"):
            amounts[part] = round(self.upkeep[row.id, part]), round(self.upkeep[row.id, f"{part} in currency"])
        time = {of: self.covered[evidence, of] for of in ("", row.pool)}
        for part, totals in amounts.items():
            nanos, foreigns = (split(total, time) for total in totals)
            for of, nano in nanos.items():
                paid = time[of] if part == "accelerator" else 0
                known = of and paid and self.priced[evidence, of] == self.priced[evidence, f"{of} all"]
                if nano or paid:
                    key = (row.pool, part, evidence, currency, "" if of else "unused_asset")
                    listed, contracted = self._by_the_card(evidence, of) if known else (nano, nano)
                    self._put(
                        key,
                        nano=nano,
                        billed=nano,
                        listed=listed,
                        foreign=foreigns[of],
                        paid=paid,
                        contracted=contracted,
                    )

    def _credits(self) -> None:
        owed: dict[str, int] = defaultdict(int)
        for (_, pool, *_, cause), cost in self.costs.items():
            owed[pool] += 0 if cause else cost.effective
        for row in self.config.costs.credits:
            begin, end = max(row.effective.start, self.start), min(row.effective.end, self.end)
            if begin >= end:
                continue
            length = (row.effective.end - row.effective.start) // US
            ages = [(edge - row.effective.start) // US for edge in (begin, end)]
            left = self.granted[row.id] = row.amount_nano * ages[1] // length - row.amount_nano * ages[0] // length
            for pool in row.pools:
                taken = min(left, owed[pool])
                left, owed[pool] = left - taken, owed[pool] - taken
                if taken:
                    self._put(
                        (pool, "credit", f"credit/{row.id}", "", ""),
                        nano=-taken,
                        billed=-taken,
                        listed=0,
                        foreign=0,
                        paid=0,
                    )
            self.applied[row.id] = self.granted[row.id] - left


def _months_after(start: datetime, months: int) -> datetime:
    year, month = start.year + (start.month - 1 + months) // 12, (start.month - 1 + months) % 12 + 1
    return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))


def _interest(row: Asset) -> int:
    """By the loan's own book, month for month, to within a rounding of fifty digits."""
    if row.method == "straight_line" or not row.annual_rate:
        return 0
    with localcontext() as context:
        context.prec = 50
        i = row.annual_rate / 12
        payment = (
            (row.capex_nano - row.residual_nano / (1 + i) ** row.life_months) * i / (1 - (1 + i) ** -row.life_months)
        )
        return int((payment * row.life_months).to_integral_value()) - (row.capex_nano - row.residual_nano)
