"""Carbon of computation: operational and embodied. Source: Software Carbon Intensity, ISO/IEC 21031:2024."""

from __future__ import annotations

from fractions import Fraction

from metering.efficiency.exact import Exact, ratio

HOURS_PER_YEAR = 8760


def operational(kwh: Exact, grams_per_kwh: Exact) -> Exact:
    """Grams: energy of all provisioned hardware with PUE, by the grid's location-based intensity; no certificates."""
    return kwh * grams_per_kwh


def embodied(total_grams: Exact, reserved_hours: Exact, life_hours: Exact, share: Exact = 1) -> Exact:
    """Grams: TE · TiR/EL · RR/ToR, what a reservation bears of making the hardware."""
    return total_grams * ratio(reserved_hours, life_hours) * share


def embodied_per_gpu_hour(server_grams: Exact, gpu_grams: Exact, gpus: int, life_hours: Exact) -> Fraction:
    """Grams: a GPU and its part of the server over the life of both."""
    return ratio(ratio(server_grams, gpus) + gpu_grams, life_hours)


def intensity(operational_grams: Exact, embodied_grams: Exact, units: Exact) -> Fraction:
    """SCI: (O + M) / R, for R units such as a million output tokens."""
    return ratio(operational_grams + embodied_grams, units)
