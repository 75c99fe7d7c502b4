"""The roofline: work is bound by arithmetic or by memory, whichever takes longer. Source: Williams et al. 2009."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from metering.efficiency.exact import Exact, ratio

Bound = Literal["compute", "memory"]


def intensity(flops: Exact, moved_bytes: Exact) -> Fraction:
    """FLOPs per byte moved."""
    return ratio(flops, moved_bytes)


def ridge(peak_flops: Exact, bandwidth: Exact) -> Fraction:
    """The intensity above which arithmetic is the bound. Units: FLOP/s and bytes/s, so FLOPs per byte."""
    return ratio(peak_flops, bandwidth)


def attainable(flops_per_byte: Exact, peak_flops: Exact, bandwidth: Exact) -> Exact:
    """FLOP/s that an intensity allows."""
    return min(peak_flops, flops_per_byte * bandwidth)


def bound(flops_per_byte: Exact, peak_flops: Exact, bandwidth: Exact) -> Bound:
    """What limits work of an intensity; at the ridge itself both do, and it is called compute."""
    return "compute" if flops_per_byte >= ridge(peak_flops, bandwidth) else "memory"


def seconds(flops: Exact, moved_bytes: Exact, peak_flops: Exact, bandwidth: Exact) -> Fraction:
    """The least time that a step can take."""
    return max(ratio(flops, peak_flops), ratio(moved_bytes, bandwidth))
