"""Read `[prices]`: own rows in the config, then those of its CSV files; of one kind no two may be in force at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from apportion.config import price_file, prices, values
from apportion.config.prices import ALL_DAY, ANY_TIER, DAY_US, Price, Prices
from apportion.config.tables import Placed, Problems, Table, each
from apportion.domain.tokens import TOKENS_MAX

KEYS: Final = {
    "uncached_input": "input",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "output": "output",
    "reasoning": "reasoning",
}
"""Token kind -> the key of its price."""
TAKEN_FROM: Final = {"cache_read": "uncached_input", "cache_write": "uncached_input", "reasoning": "output"}
"""A kind that may take the price of another, where a row says so by that one's key."""
PRICE_MAX: Final = 100_000
"""Per million tokens; beyond any price list, and with it an hour's sum stays inside 128 bits."""
PICO_PER_MILLION: Final = 1_000_000
"""A price per million tokens has so many 1e-12 per token."""
HOUR_US: Final = DAY_US // 24

_DAILY: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)


def read(table: Table, beside: Path, currency: str) -> tuple[Prices, list[Placed[Price]]]:
    """The prices of a config, with the rows of its files behind its own; and these rows with their places.

    Args:
        table: `[prices]`.
        beside: where relative paths begin.
        currency: of rows that name none: the billing currency.
    """
    rows = each(table, "overrides", lambda row: _price(row, "override", currency))
    files = tuple(beside / name for name in table.names("files"))
    for file in files:
        found = price_file.tables(file, table.place("files"), table.problems)
        read_rows = [(row, _price(row, file.name, currency)) for row in found]
        rows += [Placed(row.where, price) for row, price in read_rows if row.sound()]
    _one_at_a_time(rows, table.problems)
    litellm = beside / table.text("litellm") if table.has("litellm") else None
    if litellm and not litellm.is_file():
        table.wrong("litellm", f"{litellm} does not exist; put LiteLLM's model_prices_and_context_window.json there")
    read_prices = Prices(
        catalog=table.choice("catalog", prices.CATALOGS) if table.has("catalog") else None,
        litellm=litellm,
        files=files,
        rows=tuple(row.item for row in rows),
    )
    return read_prices, rows


def _price(table: Table, source: str, currency: str) -> Price:
    pico: dict[str, int | None] = {}
    derived: dict[str, str] = {}
    for kind, key in KEYS.items():
        other = TAKEN_FROM.get(kind)
        if other and table.has(key) and table.raw(key) == KEYS[other]:
            derived[kind] = other
        else:
            pico[kind] = table.read(key, _pico, None)
    for kind, other in derived.items():
        pico[kind] = pico[other]
        if pico[other] is None:
            table.wrong(KEYS[kind], f'is "{KEYS[other]}", which has no price here; add {KEYS[other]} = "PRICE"')
    if not any(table.has(key) for key in KEYS.values()):
        table.wrong("", f"has no price; add at least one of {', '.join(KEYS.values())}, per million tokens")
    return Price(
        provider=table.require("provider", _provider, ""),
        model=table.text("model"),
        tier=_tier(table),
        above_input_tokens=table.integer("above_input_tokens", 0, TOKENS_MAX, 0),
        daily=table.read("daily", _daily, ALL_DAY),
        pico={kind: pico[kind] for kind in KEYS},
        derived=derived,
        currency=table.read("currency", values.currency, currency),
        source=source,
        effective=table.period(start_optional=True),
    )


def _provider(value: object) -> str:
    provider = values.text(value)
    if provider.lower() == prices.SELF:
        msg = (
            f"is {provider!r}, which is what our own deployments serve, and that costs what their GPUs do; remove the row, or name "
            "the provider as its events do"
        )
        raise ValueError(msg)
    return provider


def _tier(table: Table) -> str:
    tier = table.text("tier", "").lower()
    if ANY_TIER in tier and tier != ANY_TIER:
        table.wrong("tier", f'is {tier!r}; name one tier, or write "*" for any')
    return "" if tier in {"standard", "default"} else tier


def _pico(value: object) -> int:
    price = values.exact(value, 6)
    if price > PRICE_MAX:
        msg = f"is {price}; write the price of a million tokens, at most {PRICE_MAX}"
        raise ValueError(msg)
    return int(price * Decimal(PICO_PER_MILLION))


def _daily(value: object) -> tuple[int, int]:
    found = _DAILY.fullmatch(value) if isinstance(value, str) else None
    times = [int(part) for part in found.groups()] if found else [24, 0, 24, 0]
    start, end = (hour * HOUR_US + minute * HOUR_US // 60 for hour, minute in (times[:2], times[2:]))
    if max(times[1], times[3]) > 59 or start >= DAY_US or end > DAY_US or start == end:  # noqa: PLR2004
        msg = f'is {values.shown(value)}; write a part of the UTC day as "16:30-00:30"'
        raise ValueError(msg)
    return start, end


def _one_at_a_time(rows: Sequence[Placed[Price]], problems: Problems) -> None:
    alike: defaultdict[tuple[object, ...], list[Placed[Price]]] = defaultdict(list)
    for row in rows:
        price = row.item
        alike[price.provider, price.model, price.tier, price.above_input_tokens, price.daily == ALL_DAY].append(row)
    for group in alike.values():
        for place, second in enumerate(group):
            first = next((row for row in group[:place] if _at_once(row.item, second.item)), None)
            if first:
                problems.error(
                    second.where,
                    f"prices {second.item.provider} {second.item.model} twice: {first.where} does so "
                    f"{values.span(first.item.effective)}, this {values.span(second.item.effective)}; "
                    "remove one, or set effective_to on the earlier",
                )


def _at_once(left: Price, right: Price) -> bool:
    return left.effective.overlaps(right.effective) and _share_a_time(left.daily, right.daily)


def _share_a_time(left: tuple[int, int], right: tuple[int, int]) -> bool:
    return any(a < d and c < b for a, b in _within_a_day(left) for c, d in _within_a_day(right))


def _within_a_day(daily: tuple[int, int]) -> list[tuple[int, int]]:
    start, end = daily
    return [(start, end)] if start < end else [(start, DAY_US), (0, end)]
