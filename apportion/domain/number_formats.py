"""Formats that numbers of a model are stored in: how many bytes each takes, and what matrix units compute in then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A format of weights or of the KV cache.

    Attributes:
        element_bytes: bytes of one number, with its part of the scales beside it.
        executes: what it is computed in, the best first, as the hardware catalog names formats; hardware without one
            unpacks to the next.
    """

    element_bytes: Fraction
    executes: tuple[str, ...]


WEIGHTS: Final[Mapping[str, NumberFormat]] = {
    "bf16": NumberFormat(Fraction(2), ("bf16",)),
    "fp16": NumberFormat(Fraction(2), ("bf16",)),
    "fp8": NumberFormat(Fraction(1), ("fp8", "bf16")),
    "int8": NumberFormat(Fraction(1), ("int8", "bf16")),
    "int4": NumberFormat(Fraction(33, 64), ("bf16",)),
    "mxfp4": NumberFormat(Fraction(17, 32), ("fp4", "bf16")),
    "nvfp4": NumberFormat(Fraction(9, 16), ("fp4", "bf16")),
}
"""Of weights: int8 with activations of 8 bits; int4 (AWQ, GPTQ) of weights alone with a scale of 16 bits to 128 of them; mxfp4
with one of 8 bits to 32, nvfp4 with one of 8 bits to 16."""

KV_CACHES: Final[Mapping[str, NumberFormat]] = {
    "bf16": NumberFormat(Fraction(2), ("bf16",)),
    "fp16": NumberFormat(Fraction(2), ("bf16",)),
    "fp8": NumberFormat(Fraction(1), ("bf16",)),
    "int8": NumberFormat(Fraction(1), ("bf16",)),
}
"""Of keys and values. Attention is computed in 16 bits whatever they are kept in."""

WIDE_BYTES: Final = 2
"""What quantisers leave alone takes 16 bits: LM head, norms and biases."""
