"""What deployments say of their phases must hold together with what they ask for."""

from __future__ import annotations

from apportion.config.fleet_reading import Fleet
from apportion.config.policy import Policy
from apportion.config.tables import Problems


def check(fleet: Fleet, policy: Policy, problems: Problems) -> None:
    """Warn of a method that has nothing to go by, and of a source without its capacity."""
    for row in fleet.deployments:
        asked = row.item.phase_split or policy.phase_split
        if asked == "throughput" and row.item.throughput is None and row.item.role == "both":
            problems.warning(
                f"{row.where}.throughput",
                f'is missing, and phase_split is "throughput", so hours of {row.item.id!r} are split by weights; '
                "add throughput = { prefill = 9212.5, decode = 1850 }, in tokens per second and GPU",
            )
        if row.item.capacity_source != "declared" and row.item.capacity_per_gpu_hour is None:
            problems.warning(
                f"{row.where}.capacity_source",
                f'is "{row.item.capacity_source}", and there is no capacity_per_gpu_hour that it could be the source of; '
                "add it, or remove this key",
            )
