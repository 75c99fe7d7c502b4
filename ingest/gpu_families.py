"""What GPU exporters call their readings, and what the contract calls them: one table for every way that they arrive.

Names are those of NVIDIA's and AMD's exporters, and of OpenTelemetry's hardware conventions. An operator of AMD's exporter may have set
a prefix; `amd_` is the one that its documents show.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, NamedTuple

Software = Literal["dcgm", "amd", "otel"]

ONE, PERCENT, MILLI, MICRO, MEBI = (Decimal(text) for text in ("1", "0.01", "0.001", "0.000001", "1048576"))


class Family(NamedTuple):
    """A metric of a GPU.

    Attributes:
        software: the exporter that calls it so.
        field: of the canonical sample.
        factor: from its unit to the field's.
        whole_device: whether it is the whole device's where an exporter repeats it for each MIG instance.
        coarse: whether it gives way to a finer reading of the same field.
    """

    software: Software
    field: str
    factor: Decimal
    whole_device: bool = False
    coarse: bool = False


_AMD: Final = {
    "gpu_gfx_activity": Family("amd", "active_ratio", PERCENT),
    "gpu_package_power": Family("amd", "power_watts", ONE),
    "gpu_power_usage": Family("amd", "power_watts", ONE, coarse=True),
    "gpu_energy_consumed": Family("amd", "energy_joules", MICRO),
    "gpu_used_vram": Family("amd", "memory_used_bytes", MEBI),  # called MB; a device of 192 GiB says 196592
}

FAMILIES: Final[dict[str, Family]] = {
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": Family("dcgm", "active_ratio", ONE),
    "DCGM_FI_PROF_SM_ACTIVE": Family("dcgm", "sm_active_ratio", ONE),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": Family("dcgm", "tensor_active_ratio", ONE),
    "DCGM_FI_PROF_DRAM_ACTIVE": Family("dcgm", "dram_active_ratio", ONE),
    "DCGM_FI_DEV_GPU_UTIL": Family("dcgm", "active_ratio", PERCENT, whole_device=True, coarse=True),
    "DCGM_FI_DEV_FB_USED": Family("dcgm", "memory_used_bytes", MEBI),
    "DCGM_FI_DEV_POWER_USAGE": Family("dcgm", "power_watts", ONE, whole_device=True),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": Family("dcgm", "energy_joules", MILLI, whole_device=True),
    **_AMD,
    **{f"amd_{name}": family for name, family in _AMD.items()},
    "hw.gpu.utilization": Family("otel", "active_ratio", ONE),
    "hw.gpu.memory.usage": Family("otel", "memory_used_bytes", ONE),
    "hw.power": Family("otel", "power_watts", ONE),
    "hw.energy": Family("otel", "energy_joules", ONE),
}

UUID: Final = ("UUID", "uuid", "gpu_uuid", "hw.id", "gpu.uuid")
PROFILE, INSTANCE = "GPU_I_PROFILE", "GPU_I_ID"
"""Of a MIG instance: what it is, and which of its kind."""
PARTITION: Final = "gpu_partition_id"
"""Of an AMD device that is partitioned: power and activity are the whole device's, and partition 0 reports them."""
SHARE: Final = "vgpu"
"""Of a time-sliced device: which of its shares a pod has."""

PLACES: Final[dict[str, tuple[str, ...]]] = {
    "cluster": ("k8s.cluster.name", "cluster", "cluster_name"),
    "node": ("Hostname", "hostname", "k8s.node.name", "host.name", "node", "kubernetes_node"),
    "namespace": ("exported_namespace", "namespace", "pod_namespace"),
    "pod": ("exported_pod", "pod", "pod_name"),
    "container": ("exported_container", "container", "container_name"),
}
"""Which labels say where a device is, and what runs on it; the first there wins. What is exported_* is the workload's, where the
plain one is the exporter's own."""

_EXPORTERS_OWN: Final = {field: PLACES[field] for field in ("cluster", "node")}
_PODS: Final = ("pod", "pod_name")
_WORKLOADS: Final = ("exported_namespace", "exported_pod", "exported_container")


def places_of(labels: Mapping[str, object]) -> Mapping[str, tuple[str, ...]]:
    """Those of `PLACES` that a reading's labels may be asked for.

    A Prometheus sets the pod that it scraped on what names none: of a device that nothing runs on, that is the exporter's. It is known
    by its name (dcgm-exporter, device-metrics-exporter), and it is no workload.
    """
    own = any("exporter" in str(labels.get(name, "")) for name in _PODS)
    return _EXPORTERS_OWN if own and not any(name in labels for name in _WORKLOADS) else PLACES
