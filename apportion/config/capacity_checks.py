"""What a capacity must hold together with the decimals of weights: an hour of it fits the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apportion.config.downtime import Downtime
from apportion.config.fleet_reading import Fleet
from apportion.config.models import Model
from apportion.config.policy import Policy
from apportion.config.tables import Placed, Problems
from apportion.config.values import BEGINNING
from apportion.config.weights import token_weights
from apportion.domain.period import HOUR_US, MICROSECOND

HOUR_MAX: Final = 2 * 10**21
"""Capacity of all GPUs in units of weight, for each microsecond that times are multiples of: an hour stays below 2^103, which a cost can
still be divided by."""
UNITS_US: Final = (HOUR_US, 1_000_000)
"""Of these, metering counts in the longest that all times are multiples of; else in microseconds."""


def check(
    fleet: Fleet,
    models: Sequence[Placed[Model]],
    downtime: Sequence[Placed[Downtime]],
    policy: Policy,
    problems: Problems,
) -> None:
    """Note capacities that weights of so many decimals make too large."""
    scale = token_weights(policy, [row.item for row in models]).scale
    for row in fleet.deployments:
        capacity = row.item.capacity_per_gpu_hour
        if capacity is None:
            continue
        # Rows that meet in an hour are added there before it is divided, so that the edges of one are those of all.
        dated = [other.item.effective for other in fleet.deployments if other.item.id == row.item.id]
        dated += [other.item.effective for other in downtime if other.item.deployment == row.item.id]
        edges = [edge - BEGINNING for period in dated for edge in (period.start, period.end)]
        unit_us = next((unit for unit in UNITS_US if not any(edge % (unit * MICROSECOND) for edge in edges)), 1)
        if capacity * row.item.gpus * scale > HOUR_MAX * unit_us:
            problems.error(
                f"{row.where}.capacity_per_gpu_hour",
                f"is too large for {row.item.gpus} GPUs and weights of {len(str(scale)) - 1} decimals; "
                "round the weights in [policy] and [[models]], or date all its rows and its downtime to whole hours",
            )
