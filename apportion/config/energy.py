"""What the electricity of a pool costs."""

from __future__ import annotations

from dataclasses import dataclass

from apportion.domain.period import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRate:
    """A price of electricity for one pool; rows of one pool never overlap, and lie within the pool's ranges.

    Attributes:
        pool: id.
        per_kwh_nano: price of a kilowatt-hour, in 1e-9 of the billing currency.
        pue_ppm: energy the site buys for each million units that its GPUs take; a million or more.
        watts_per_gpu: what a GPU takes while nobody measures it.
        watts_source: config, or the hardware catalog's row that they are from.
        source: where the price is from, for people; may be empty.
        effective: when.
    """

    pool: str
    per_kwh_nano: int
    pue_ppm: int
    watts_per_gpu: int
    watts_source: str
    source: str
    effective: Period
