"""What deployments say of their phases must hold together with what they ask for."""

from __future__ import annotations

from collections.abc import Sequence

from apportion.catalog import hardware
from apportion.config.fleet import Deployment
from apportion.config.fleet_reading import Fleet
from apportion.config.models import Model
from apportion.config.policy import Policy
from apportion.config.sources import FAMILIES, Source
from apportion.config.tables import Placed, Problems, listed

_OF_GPUS = frozenset({"dcgm", "amd"})


def check(
    fleet: Fleet, policy: Policy, models: Sequence[Placed[Model]], sources: Sequence[Placed[Source]], problems: Problems
) -> None:
    """Warn of a method that has nothing to go by, and of a source without its capacity."""
    described = {row.item.id for row in models if row.item.architecture}
    telling = any(_of_engines(row.item) for row in sources)
    for row in fleet.deployments:
        asked = row.item.phase_split or policy.phase_split
        key, lacks = "phase_split", ""
        if row.item.role == "both":
            if asked == "throughput" and row.item.throughput is None:
                key, lacks = "throughput", "is missing"
            elif asked == "roofline":
                lacks = _no_roofline(row.item, fleet, described)
            elif asked == "measured" and not telling:
                lacks = "none of the [[sources]] collects from engines"
        if lacks:
            problems.warning(
                f"{row.where}.{key}",
                f'{lacks}, and phase_split is "{asked}", so hours of {row.item.id!r} are split by weights; {_REMEDIES[asked]}',
            )
        if row.item.capacity_source != "declared" and row.item.capacity_per_gpu_hour is None:
            problems.warning(
                f"{row.where}.capacity_source",
                f'is "{row.item.capacity_source}", and there is no capacity_per_gpu_hour that it could be the source of; '
                "add it, or remove this key",
            )


_REMEDIES = {
    "throughput": "add throughput = { prefill = 9212.5, decode = 1850 }, in tokens per second and GPU",
    "roofline": 'add config = "config.json" to the [[models]] row of each, and name GPUs as the hardware catalog does',
    "measured": 'add one with collector = "prometheus" for engines that tell the time of their phases, or send such samples to '
    '/v1/engine; phase_split = "auto" takes the best that there is',
}
"""Method -> what it needs."""


def _no_roofline(deployment: Deployment, fleet: Fleet, described: set[str]) -> str:
    """What a roofline of a deployment lacks, as a part of a sentence; empty where there is all."""
    if not deployment.models:
        return "no model is named that a roofline could be of"
    undescribed = [repr(model) for model in deployment.models if model not in described]
    if undescribed:
        return f"no [[models]] row has the config of {listed(undescribed, 3)}"
    pools = [row.item for row in fleet.pools if row.item.id == deployment.pool]
    gpus = dict.fromkeys(pool.gpu for pool in pools if pool.effective.overlaps(deployment.effective))
    unknown = [repr(gpu) for gpu in gpus if hardware.find(gpu) is None]
    return f"the hardware catalog has no {listed(unknown, 3)}" if unknown else ""


def _of_engines(source: Source) -> bool:
    """Whether samples of engines may come from a source."""
    if source.prometheus:
        return bool(set(source.prometheus.families) & (set(FAMILIES) - _OF_GPUS))
    formats = {source.format, *(source.kafka.formats.values() if source.kafka else ())}
    return "engine" in formats or (source.mapping is not None and source.mapping.kind == "engine")
