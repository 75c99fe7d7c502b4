"""The door to genai-prices, a catalog of token prices that comes as a library: dated, offline, never asked for a single request.

What it says of a model becomes rows that do not overlap. Where it has no price for a kind there is none here either: its own
sums would take the input's. Reasoning is output to it, unless it prices reasoning apart. A tier has rows from when on the
catalog knows its prices; before, it would silently take the standard ones. Pictures and sound count as text, as in the events.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import metadata
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from apportion.config.prices import CATALOG_CURRENCY, DAY_US
from apportion.config.values import BEGINNING
from apportion.domain.errors import ConfigError
from apportion.domain.period import FOREVER, MICROSECOND, Period
from apportion.prices.vendors import names, vendor

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, TieredPrices

NAME: Final = "genai-prices"
CURRENCY: Final = CATALOG_CURRENCY
PICO_PER_MILLION: Final = 1_000_000
KEYS: Final = {
    "uncached_input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
}
"""Token kind -> the catalog's price of it, in dollars per million tokens."""

Pico = dict[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPrice:
    """Prices of one model, tier, prompt length and part of the day while they are in force; as in `book.price`.

    Attributes:
        tier: empty is the standard one.
        above_input_tokens: whole requests with more prompt tokens; 0 is any.
        daily: microseconds into the UTC day, [from, to).
        pico: token kind -> 1e-12 dollars per token; None where the catalog has no price.
        derived: token kind -> the kind, or `standard` for the tier, whose price the catalog takes for it.
        effective: when.
    """

    tier: str
    above_input_tokens: int
    daily: tuple[int, int]
    pico: Mapping[str, int | None]
    derived: Mapping[str, str]
    effective: Period


def version() -> str:
    """The catalog's version. Raises: ConfigError where it is not installed."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        problem = (
            f'prices.catalog: is "{NAME}", which is not installed; install apportion[prices], or remove the key: '
            "external models without own prices are then lines without a cost"
        )
        raise ConfigError([problem]) from None


def prices(provider: str, model: str) -> list[CatalogPrice]:
    """What the catalog says of a model at a provider, both as events tell them; nothing where it knows neither."""
    found = _found(provider, model)
    if found is None:
        return []
    info, own = found
    tiers = {"", *(tier for variant in info.price_variants or () if own and (tier := _tier(variant)))}
    return [price for tier in sorted(tiers) for price in _dated(info, tier)]


def _found(provider: str, model: str) -> tuple[ModelInfo, bool] | None:
    """A model, and whether it is the provider's own entry: of another's no tiers are known."""
    from genai_prices.data import providers  # noqa: PLC0415 - three megabytes that most ledgers never need

    seller = next((one for one in providers if one.id == vendor(provider)), None)
    for name in names(provider, model) if seller else ():
        info = seller.find_model(name, all_providers=providers) if seller else None
        if info is not None and seller is not None:
            return info, any(info is one for one in seller.models)
    return None


def _dated(info: ModelInfo, tier: str) -> Iterator[CatalogPrice]:
    """Rows of a tier: the catalog is asked once for every stretch between two of its dates and times of day."""
    constraints = [part.constraint for part in (info.prices if isinstance(info.prices, list) else [])]
    constraints += [variant.constraint for variant in info.price_variants or ()]
    dates, times = {BEGINNING}, {0, DAY_US}
    for constraint in constraints:
        if (start_date := getattr(constraint, "start_date", None)) is not None:
            dates.add(datetime.combine(start_date, time(), UTC))
        if (start_time := getattr(constraint, "start_time", None)) is not None:
            times |= {_day_us(start_time), _day_us(getattr(constraint, "end_time", start_time))}
    rows: list[CatalogPrice] = []
    for start, end in pairwise([*sorted(dates), FOREVER]):
        stretches: list[CatalogPrice] = []
        for since, until in pairwise(sorted(times)):
            said = _said(info, tier, start + timedelta(microseconds=since))
            for above, (pico, derived) in said.items():
                row = CatalogPrice(
                    tier=tier, above_input_tokens=above, daily=(since, until), pico=pico, derived=derived,
                    effective=Period(start, end),
                )  # fmt: skip
                stretches = _joined(stretches, row, by_day=True)
        for row in stretches:
            rows = _joined(rows, row, by_day=False)
    yield from rows


def _said(info: ModelInfo, tier: str, moment: datetime) -> dict[int, tuple[Pico, dict[str, str]]]:
    """Prices at one instant by prompt length; nothing where the tier has none then."""
    context: dict[str, str] = {}
    named = set(KEYS.values())
    if tier:
        found = [
            variant
            for variant in info.price_variants or ()
            if _tier(variant) == tier and (variant.constraint is None or variant.constraint.active(moment))
        ]
        if not found:
            return {}
        context = {key: value for variant in found for key, value in variant.when.items()}
        named = {key for variant in found for key, value in variant.prices.__dict__.items() if value is not None}
    price = info.get_prices(moment, context or None)
    starts = {0} | {
        part.start for key in KEYS.values() for part in getattr(getattr(price, key), "tiers", ()) if part.start > 0
    }
    return {above: _kinds(price, above, named) for above in sorted(starts)}


def _kinds(price: ModelPrice, above: int, named: Container[str]) -> tuple[Pico, dict[str, str]]:
    """Prices by kind, and where they are not the kind's or the tier's own; `named` holds the keys that the tier prices."""
    pico = {kind: _pico(getattr(price, key), above) for kind, key in KEYS.items()}
    derived = {kind: "standard" for kind, key in KEYS.items() if pico[kind] is not None and key not in named}
    if pico["reasoning"] is None and pico["output"] is not None:
        pico["reasoning"], derived["reasoning"] = pico["output"], "output"
    return pico, derived


def _pico(price: Decimal | TieredPrices | None, above: int) -> int | None:
    """A price of the catalog for prompts above a length; rounded to 1e-12 per token where it came from a binary fraction."""
    if not isinstance(price, Decimal | None):
        fitting = [part.price for part in price.tiers if part.start <= above and above]
        price = fitting[-1] if fitting else price.base
    if price is None:
        return None
    return int((price * PICO_PER_MILLION).to_integral_value(ROUND_HALF_EVEN))


def _tier(variant: PriceVariant) -> str:
    """The service tier that prices are for, or nothing where they depend on what events do not tell."""
    named = {"processing": "batch", "service_tier": "default", "speed": "fast"}
    (key, value), *others = variant.when.items()
    if others or key not in named or (key != "service_tier" and value != named[key]):
        return ""
    return "" if (key, value) == ("service_tier", "default") else value


def _joined(rows: list[CatalogPrice], row: CatalogPrice, *, by_day: bool) -> list[CatalogPrice]:
    """Rows and one more, which becomes part of the one that it only carries on."""
    for place, before in enumerate(rows):
        alike = (before.tier, before.above_input_tokens, before.pico) == (row.tier, row.above_input_tokens, row.pico)
        if not alike:
            continue
        if by_day and before.daily[1] == row.daily[0]:
            grown = (before.daily[0], row.daily[1]), row.effective
        elif not by_day and before.daily == row.daily and before.effective.end == row.effective.start:
            grown = row.daily, Period(before.effective.start, row.effective.end)
        else:
            continue
        merged = CatalogPrice(
            tier=row.tier, above_input_tokens=row.above_input_tokens, pico=row.pico, derived=row.derived,
            daily=grown[0], effective=grown[1],
        )  # fmt: skip
        return [*rows[:place], merged, *rows[place + 1 :]]
    return [*rows, row]


def _day_us(moment: time) -> int:
    """Microseconds into the UTC day; a time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    instant = datetime.combine(datetime(1970, 1, 2, tzinfo=UTC).date(), aware).astimezone(UTC)
    return (instant - instant.replace(hour=0, minute=0, second=0, microsecond=0)) // MICROSECOND
