"""What calls to external providers cost: own price rows, and the catalogs they are looked up in where those say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from apportion.domain.period import Period

CATALOGS: Final = ("genai-prices",)
CATALOG_CURRENCY: Final = "USD"
"""Of all its prices."""
SELF: Final = "self"
"""Provider of what our own deployments serve."""
ANY_TIER: Final = "*"
DAY_US: Final = 86_400_000_000
"""Microseconds of a UTC day."""
ALL_DAY: Final = (0, DAY_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Token prices of a provider's models while they are in force; of the rows that fit a request the first written counts.

    Attributes:
        provider: glob of the provider's name, as events tell it.
        model: glob of the model's name, after aliases.
        tier: service tier; empty is the standard one, `*` any.
        above_input_tokens: prices whole requests with more prompt tokens (cached ones included); 0 prices any.
        daily: microseconds into the UTC day, [from, to); from >= to goes over midnight.
        pico: token kind -> 1e-12 of the currency per token; None has no price, and none is made up.
        derived: token kind -> the kind whose price it was said to take.
        currency: ISO 4217 code.
        source: `override`, or the name of the file it comes from.
        effective: when.
    """

    provider: str
    model: str
    tier: str
    above_input_tokens: int
    daily: tuple[int, int]
    pico: Mapping[str, int | None]
    derived: Mapping[str, str]
    currency: str
    source: str
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Where prices come from.

    Attributes:
        catalog: the catalog asked for models that no own row prices, or None: then these stay unpriced.
        litellm: LiteLLM's price file, only compared with the catalog.
        files: price files of our own.
        rows: own prices, those of the config before those of the files.
    """

    catalog: str | None
    litellm: Path | None
    files: tuple[Path, ...]
    rows: tuple[Price, ...]
