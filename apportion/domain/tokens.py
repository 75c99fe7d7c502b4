"""Token kinds: disjoint, so that they add up, each belonging to one phase of serving."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

PREFILL: Final = ("uncached_input", "cache_read", "cache_write")
DECODE: Final = ("output", "reasoning")
TOKEN_KINDS: Final = PREFILL + DECODE

WEIGHT_DECIMALS_MAX: Final = 9
TOKENS_MAX: Final = 10_000_000_000
"""Per event and kind. Above it a count is taken for an error of the sender, not for work done."""


def scaled_weights(weights: Mapping[str, Decimal]) -> tuple[dict[str, int], int]:
    """Weights as integers by the smallest common power of ten, and that power.

    `split` is blind to a common factor, so the scale changes no share.
    Raises: ValueError for a negative weight or one of more than nine decimals.
    """
    decimals = 0
    for kind, weight in weights.items():
        if not weight.is_finite() or weight < 0:
            msg = f"weight of {kind} is {weight}; weights are zero or more"
            raise ValueError(msg)
        decimals = max(decimals, _decimals(weight))
    if decimals > WEIGHT_DECIMALS_MAX:
        msg = f"weights have {decimals} decimals; at most {WEIGHT_DECIMALS_MAX} are kept"
        raise ValueError(msg)
    scale = 10**decimals
    return {kind: int(weight * scale) for kind, weight in weights.items()}, scale


def _decimals(weight: Decimal) -> int:
    """Digits after the point that are needed; exact, whatever precision the decimal context has."""
    _, digits, exponent = weight.as_tuple()
    trailing = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -(int(exponent) + trailing)) if weight else 0
