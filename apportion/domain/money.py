"""Money as integers: nano-units (1e-9) of the billing currency. Floats never touch it.

`split` is the only way a charge is divided: parts always add up to the whole. Decimal appears only where people write
or read an amount.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

NANO = 1_000_000_000
NANO_MAX = 9_000_000_000_000_000_000
"""Just inside a signed 64-bit integer: about nine billion units of currency on one row."""

DIGITS_MAX = 12
"""Digits before or after the point beyond which no amount is kept whatever they are; a guard against 1e999999999."""

Key = TypeVar("Key", bound=Any)


def split(total: int, weights: Mapping[Key, int]) -> dict[Key, int]:
    """Divide a charge in proportion to weights, to the last nano.

    Each part gets `total * w // sum(w)`; what is left goes one each to the largest remainders, ties by ascending key.

    Units: total in any integer unit; weights any non-negative integers.
    Returns: one entry per key; empty when the weights sum to zero, so each use says where the total goes then.
    Invariant: `sum(split(t, w).values()) == t` unless the weights sum to zero; `split(-t, w) == -split(t, w)`.
    Source: FOCUS split cost allocation, by the largest-remainder method.
    """
    if any(weight < 0 for weight in weights.values()):
        msg = "weights must not be negative"
        raise ValueError(msg)
    whole = sum(weights.values())
    if whole == 0:
        return {}
    if total < 0:
        return {key: -part for key, part in split(-total, weights).items()}
    parts = {key: total * weight // whole for key, weight in weights.items()}
    left = total - sum(parts.values())
    for key in sorted(weights, key=lambda k: (-(total * weights[k] % whole), k))[:left]:
        parts[key] += 1
    return parts


def half_even(value: Fraction) -> int:
    """Round to the nearest integer, ties to the even one."""
    return round(value)


def nano(amount: str | int | Decimal) -> int:
    """Nano-units of an amount as people write it.

    Raises: ValueError, in a sentence, for a binary float, more than nine decimals, or an amount that is not finite.
    """
    if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
        msg = f'{amount!r} is a binary fraction; write the amount as a string, such as "2.49"'
        raise ValueError(msg)  # noqa: TRY004 - one kind of error for every amount that cannot be read
    if isinstance(amount, str) and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", amount, re.ASCII):
        msg = f'{amount!r} is not an amount; write digits and a point, such as "2.49"'
        raise ValueError(msg)
    exact = Decimal(amount)
    if not exact.is_finite():
        msg = f"{amount!r} is not a finite amount"
        raise ValueError(msg)
    if exact.adjusted() < -DIGITS_MAX and exact:
        msg = f"{amount!r} has more than nine decimals; the ledger keeps 1e-9 of a unit"
        raise ValueError(msg)
    if exact.adjusted() > DIGITS_MAX or abs(exact) > NANO_MAX // NANO:
        msg = f"{amount!r} is larger than one row can hold ({NANO_MAX // NANO:,})"
        raise ValueError(msg)
    units = Fraction(exact) * NANO
    if units.denominator != 1:
        msg = f"{amount!r} has more than nine decimals; the ledger keeps 1e-9 of a unit"
        raise ValueError(msg)
    return units.numerator


def text(nanos: int) -> str:
    """An amount with exactly nine decimals, such as `-0.000000001`."""
    sign = "-" if nanos < 0 else ""
    units, rest = divmod(abs(nanos), NANO)
    return f"{sign}{units}.{rest:09d}"
