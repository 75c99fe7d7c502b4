"""What a deployment says of its own speed: how its work is split into phases, how fast it is, what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PhaseSplit = Literal["weights", "auto", "measured", "regression", "roofline", "throughput", "blended"]
CapacitySource = Literal["declared", "load_tested", "learned"]

PHASE_SPLITS: Final[tuple[PhaseSplit, ...]] = (
    "weights", "auto", "measured", "regression", "roofline", "throughput", "blended",
)  # fmt: skip
CAPACITY_SOURCES: Final[tuple[CapacitySource, ...]] = ("declared", "load_tested", "learned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Known speed of one GPU of a deployment; each in tokens per 1000 seconds, so that three decimals stay integers.

    Attributes:
        prefill: prompt tokens, those written to a cache too.
        decode: output and reasoning tokens.
        cache_read: prompt tokens from a cache; None where `prefill` counts them as any other.
    """

    prefill: int
    decode: int
    cache_read: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """What requests are promised; an hour met it where the share of its requests that met both limits is large enough.

    Attributes:
        ttft_us: microseconds to the first token, at most.
        tpot_us: microseconds per further token, at most.
        quantile_ppm: share of the requests that must meet both, in parts per million.
    """

    ttft_us: int
    tpot_us: int
    quantile_ppm: int
