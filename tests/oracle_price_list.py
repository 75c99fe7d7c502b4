"""What tokens of others cost, as the oracle sees it: own rows of a price list, in the order written.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. Prices are integer pico-units a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracle_units import DAY_US, HOUR_US, Range, during, scaled

PICO_A_MILLION = 10**6
"""A price per million tokens, in pico-units a token."""
KEYS = {
    "uncached_input": "input",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "output": "output",
    "reasoning": "reasoning",
}


@dataclass(frozen=True, kw_only=True)
class Price:
    """Prices of a provider's models (globs) in a tier, for whole requests of more than `above` prompt tokens, in a part of the day.

    A kind that is not there has no price.
    """

    provider: str
    model: str
    tier: str
    above: int
    daily: Range
    pico: tuple[tuple[str, int], ...]
    currency: str
    during: Range


def price_list(document: Mapping[str, Any]) -> tuple[Price, ...]:
    """The own rows of a valid config document."""
    billing = document.get("ledger", {}).get("billing_currency", "USD")
    return tuple(_price(entry, billing) for entry in document.get("prices", {}).get("overrides", ()))


def _price(entry: Mapping[str, Any], billing: str) -> Price:
    said = {kind: entry[key] for kind, key in KEYS.items() if key in entry}
    taken = {kind: entry[price] if price in KEYS.values() else price for kind, price in said.items()}
    currency = entry.get("currency", billing)
    return Price(
        provider=entry["provider"],
        model=entry["model"],
        tier=entry.get("tier", ""),
        above=entry.get("above_input_tokens", 0),
        daily=_daily(entry.get("daily", "00:00-24:00")),
        pico=tuple((kind, scaled(price, PICO_A_MILLION)) for kind, price in taken.items()),
        currency="" if currency == billing else currency,
        during=during(entry),
    )


def _daily(text: str) -> Range:
    start, end = ([int(part) for part in time.split(":")] for time in text.split("-"))
    return (start[0] * 60 + start[1]) * HOUR_US // 60, (end[0] * 60 + end[1]) * HOUR_US // 60


def in_part_of_day(daily: Range, at: int) -> bool:
    """Whether a time lies in a part of the UTC day, which may go over midnight."""
    start, end = daily
    if start < end:
        return start <= at % DAY_US < end
    return not end <= at % DAY_US < start
