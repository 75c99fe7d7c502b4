"""LiteLLM's price file, `model_prices_and_context_window.json`: broad and current, but it does not date its prices.

So it never prices anything here; it only says where the catalog may be out of date, or wrong. Costs in it are dollars per token,
read exactly from their decimal texts. Keys end in the tier and the prompt length that they are for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Final

from apportion.domain.errors import ConfigError
from apportion.prices.vendors import names, vendor

NAME: Final = "litellm"
PICO: Final = 10**12
BYTES_MAX: Final = 64 * 2**20
"""Some forty times what the file weighs."""
KEYS: Final = {
    "uncached_input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
}
TIERS: Final = {"": "", "batch": "_batches", "flex": "_flex", "priority": "_priority"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFile:
    """The file as it is now.

    Attributes:
        version: the first twelve hexadecimal digits of its SHA-256.
        dated: when it was last written, UTC.
        models: name -> keys.
    """

    version: str
    dated: date
    models: Mapping[str, Mapping[str, object]]

    def pico(self, provider: str, model: str, tier: str, above: int) -> dict[str, int]:
        """Token kind -> 1e-12 dollars per token, of the kinds that it prices."""
        if tier not in TIERS or above % 1000:
            return {}
        end = (f"_above_{above // 1000}k_tokens" if above else "") + TIERS[tier]
        found = self._entry(provider, model)
        costs = {kind: found.get(key + end) for kind, key in KEYS.items()}
        return {
            kind: int((Decimal(cost) * PICO).to_integral_value(ROUND_HALF_EVEN))
            for kind, cost in costs.items()
            if isinstance(cost, Decimal | int) and not isinstance(cost, bool)
        }

    def _entry(self, provider: str, model: str) -> Mapping[str, object]:
        for name in names(provider, model):
            for key in (f"{provider}/{name}", name):
                entry = self.models.get(key, {})
                if vendor(str(entry.get("litellm_provider", ""))) == vendor(provider):
                    return entry
        return {}


def digest(file: Path) -> str:
    """What tells one content of the file from another. Raises: ConfigError when it cannot be read."""
    return hashlib.sha256(_bytes(file)).hexdigest()


def read(file: Path) -> PriceFile:
    """The whole file. Raises: ConfigError when it cannot be read, or is not such a file."""
    content = _bytes(file)
    try:
        found = json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"prices.litellm: {file} is not JSON ({error}); put LiteLLM's price file there"]) from None
    if not isinstance(found, dict):
        raise ConfigError([f"prices.litellm: {file} is no object of models; put LiteLLM's price file there"])
    return PriceFile(
        version=hashlib.sha256(content).hexdigest()[:12],
        dated=datetime.fromtimestamp(file.stat().st_mtime, UTC).date(),
        models={name: entry for name, entry in found.items() if isinstance(entry, dict)},
    )


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > BYTES_MAX:
            raise ConfigError([f"prices.litellm: {file} has more than {BYTES_MAX} bytes; is it LiteLLM's price file?"])
        return file.read_bytes()
    except OSError as error:
        problem = f"prices.litellm: {file} cannot be read ({error.strerror}); put LiteLLM's price file there"
        raise ConfigError([problem]) from None
