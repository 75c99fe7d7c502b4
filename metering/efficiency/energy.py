"""Energy per token and per request. Every figure is of a scope: GPU, IT, wall, facility or provisioned; unlike scopes do not add."""

from __future__ import annotations

from fractions import Fraction

from metering.efficiency.exact import Exact, ratio

JOULES_PER_KWH = 3_600_000
SECONDS_PER_HOUR = 3600


def joules_per_token(watts: Exact, tokens_per_second: Exact) -> Fraction:
    """In the scope that the watts are of; input, output or all tokens are alternatives, never addends."""
    return ratio(watts, tokens_per_second)


def kwh_per_million(joules: Exact) -> Fraction:
    """Of a million tokens at so many joules each."""
    return ratio(joules * 1_000_000, JOULES_PER_KWH)


def joules(watts: Exact, seconds: Exact) -> Exact:
    """Of a mean power held for a time."""
    return watts * seconds


def facility(it: Exact, pue: Exact) -> Exact:
    """Energy of the building: what IT takes, idle hardware included, times PUE."""
    return it * pue


def compute_watt_hours(flops: Exact, peak_flops: Exact, utilization: Exact, watts: Exact) -> Fraction:
    """Watt-hours of FLOPs on GPUs that reach a part of their peak, each taking so many watts."""
    return ratio(ratio(flops, peak_flops * utilization) * watts, SECONDS_PER_HOUR)


def tokens_per_second_per_megawatt(tokens_per_second: Exact, kilowatts: Exact) -> Fraction:
    """Throughput by power, of the same GPUs and the same scope."""
    return ratio(tokens_per_second * 1000, kilowatts)
