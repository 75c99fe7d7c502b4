"""Holes in prices: paid time that nothing prices, and prices in a currency without an exchange rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from apportion.domain.coverage import Bought
from apportion.domain.effective import gaps
from apportion.domain.period import Period

ACCELERATOR: Final = "accelerator"
"""The component that every GPU that nothing covers has a rate for; the others may start late and end early, but not pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A row of the rate card.

    Attributes:
        pool: id.
        component: what of the pool it prices.
        currency: of the price; empty for the billing currency.
        effective: when.
    """

    pool: str
    component: str
    currency: str
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Paid time of a pool that cannot be priced.

    Attributes:
        pool: id.
        component: what lacks a rate, or whose rate lacks an exchange rate.
        currency: what has no exchange rate; empty where the rate itself is missing.
        effective: when.
    """

    pool: str
    component: str
    currency: str
    effective: Period


def holes(
    bought: Sequence[Bought],
    due: Mapping[str, Sequence[Period]],
    prices: Iterable[Price],
    exchanged: Mapping[str, Sequence[Period]],
) -> Iterator[Hole]:
    """Every hole, by pool and component.

    Args:
        bought: the pools.
        due: when a pool has GPUs that nothing covers.
        prices: the rate card.
        exchanged: currency -> when it has an exchange rate.
    """
    card: dict[str, dict[str, list[Price]]] = defaultdict(lambda: defaultdict(list))
    for price in prices:
        card[price.pool][price.component].append(price)
    for pool in sorted({row.id for row in bought}):
        paid = [row.effective for row in bought if row.id == pool]
        for component in sorted({ACCELERATOR, *card[pool]}):
            rates = card[pool][component]
            ranges = [rate.effective for rate in rates]
            for period in due.get(pool, ()) if component == ACCELERATOR else _spanned(paid, ranges):
                for gap in gaps(ranges, period):
                    yield Hole(pool=pool, component=component, currency="", effective=gap)
            for rate in rates:
                for period in _spanned(paid, [rate.effective]) if rate.currency else ():
                    for gap in gaps(exchanged.get(rate.currency, ()), period):
                        yield Hole(pool=pool, component=component, currency=rate.currency, effective=gap)


def _spanned(paid: Sequence[Period], ranges: Sequence[Period]) -> Iterator[Period]:
    """Paid time from the first start of the ranges to their last end."""
    start, end = min(period.start for period in ranges), max(period.end for period in ranges)
    for period in paid:
        if period.start < end and start < period.end:
            yield Period(max(period.start, start), min(period.end, end))
