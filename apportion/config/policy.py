"""How hours are metered and months settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from apportion.config.fleet import Utilization
from apportion.config.phases import PhaseSplit

IdlePolicy = Literal["separate", "proportional", "even", "entitlement"]
Over = Literal["month", "hour"]

IDLE_POLICIES: Final[tuple[IdlePolicy, ...]] = ("separate", "proportional", "even", "entitlement")
OVERS: Final[tuple[Over, ...]] = ("month", "hour")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How hours are metered and months settled.

    Attributes:
        utilization: for deployments that say nothing else.
        phase_split: for deployments that say nothing else: weights, auto (the best rung that has data) or one rung.
        weights: token kind -> weight, all five, not all zero.
        context_weight: what a decoded token weighs more for each token of its context.
        cache_read_host_weight: of a cached token that came from the memory of the host, where engines tell.
        cache_read_storage_weight: of one that came from a disk or another node, alike.
        tiers: tier -> weight of its tokens beside those of other tiers.
        idle: who bears idle cost.
        over: what idle and shared costs are weighed over.
        min_coverage_ppm: telemetry of GPUs below it flags the hour, that of engines decides nothing; parts per million of the time
            that could serve.
        sample_hold_us: microseconds a GPU sample holds at most; readings of an engine farther apart are a hole of telemetry. No more
            than an hour.
        unlogged_tolerance_ppm: what engines may be ahead of the logs, in parts per million of their count, at no cost.
        late_limit_days: accepted age of live events.
        observers: globs of sources; of those that tell of one call, the first is metered.
    """

    utilization: Utilization
    phase_split: PhaseSplit
    weights: Mapping[str, Decimal]
    context_weight: Decimal
    cache_read_host_weight: Decimal
    cache_read_storage_weight: Decimal
    tiers: Mapping[str, Decimal]
    idle: IdlePolicy
    over: Over
    min_coverage_ppm: int
    sample_hold_us: int
    unlogged_tolerance_ppm: int
    late_limit_days: int
    observers: tuple[str, ...]
