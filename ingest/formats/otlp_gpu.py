"""Gauges of GPU telemetry become samples: the readings of one device at one time are one record.

Names are those of NVIDIA's and AMD's exporters as a collector scrapes them, and of OpenTelemetry's hardware conventions. A device that
several pods share reports each reading once per pod; it is one device all the same, and what the pods differ in is left out. A MIG
instance is told from others of its profile by its number, and gets no power, energy or utilization: those are the whole device's.
"""

from __future__ import annotations

import json
import math
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from ingest.formats.otlp_records import Attributes, Reading
from ingest.formats.otlp_usage import instant

_ONE, _PERCENT, _MILLI, _MICRO, _MEBI = (Decimal(text) for text in ("1", "0.01", "0.001", "0.000001", "1048576"))

_METRICS: dict[str, tuple[str, Decimal]] = {
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": ("active_ratio", _ONE),
    "DCGM_FI_PROF_SM_ACTIVE": ("sm_active_ratio", _ONE),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("tensor_active_ratio", _ONE),
    "DCGM_FI_PROF_DRAM_ACTIVE": ("dram_active_ratio", _ONE),
    "DCGM_FI_DEV_GPU_UTIL": ("active_ratio", _PERCENT),
    "DCGM_FI_DEV_FB_USED": ("memory_used_bytes", _MEBI),
    "DCGM_FI_DEV_POWER_USAGE": ("power_watts", _ONE),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("energy_joules", _MILLI),
    "gpu_gfx_activity": ("active_ratio", _PERCENT),
    "gpu_package_power": ("power_watts", _ONE),
    "gpu_energy_consumed": ("energy_joules", _MICRO),
    "hw.gpu.utilization": ("active_ratio", _ONE),
    "hw.gpu.memory.usage": ("memory_used_bytes", _ONE),
    "hw.power": ("power_watts", _ONE),
    "hw.energy": ("energy_joules", _ONE),
}
_COARSE = frozenset({"DCGM_FI_DEV_GPU_UTIL"})
"""Give way to a finer reading of the same field."""

_WHOLE_DEVICE = frozenset({"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"})
_UUID = ("UUID", "uuid", "gpu_uuid", "hw.id", "gpu.uuid")
_NODE = ("Hostname", "hostname", "k8s.node.name", "host.name")
_PLACES = {
    "namespace": ("exported_namespace", "namespace", "pod_namespace"),
    "pod": ("exported_pod", "pod", "pod_name"),
    "container": ("exported_container", "container", "container_name"),
}

NAMES = frozenset(_METRICS)
"""Metrics that are read."""

WANTED = frozenset(
    {
        *_UUID,
        *_NODE,
        *(name for names in _PLACES.values() for name in names),
        "GPU_I_PROFILE",
        "GPU_I_ID",
        "hw.type",
        "hw.gpu.task",
        "k8s.cluster.name",
    }
)
"""Attributes that are read, of data points and resources."""


class Samples:
    """Samples in the making, in the order in which their devices were met."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str, int], dict[str, Any]] = {}
        self._coarse: set[tuple[tuple[str, str, int], str]] = set()

    def add(self, reading: Reading) -> bool:
        """Take a reading into its sample. Returns: whether it is one of a GPU."""
        said, resource = reading.attributes, reading.resource
        uuid = _text(said, resource, _UUID)
        value = reading.value
        if uuid is None or value is None or not math.isfinite(value) or not reading.at_ns or not _of_gpu(reading):
            return False
        profile = _text(said, {}, ("GPU_I_PROFILE",)) or ""
        number = said.get("GPU_I_ID")
        if profile and reading.name in _WHOLE_DEVICE:
            return False
        mig = f"{profile}/{number}" if profile and number is not None else profile
        key = (uuid, mig, reading.at_ns // 1000)
        sample = self._samples.get(key)
        place = {name: _text(said, {}, names) for name, names in _PLACES.items()}
        if sample is None:
            sample = self._samples[key] = {
                "sampled_at": instant(reading.at_ns),
                "gpu_uuid": uuid,
                "mig_profile": mig or None,
                "node": _text(said, resource, _NODE),
                "cluster": _text({}, resource, ("k8s.cluster.name",)),
                **place,
            }
        for name, text in place.items():
            if sample[name] != text:
                sample[name] = None
        column, factor = _METRICS[reading.name]
        if column not in sample or ((key, column) in self._coarse and reading.name not in _COARSE):
            sample[column] = _amount(value, factor, reading.unit, whole=column == "memory_used_bytes")
            (self._coarse.add if reading.name in _COARSE else self._coarse.discard)((key, column))
        return True

    def lines(self) -> list[bytes]:
        """The samples as canonical JSON, absent fields left out."""
        return [
            ("{" + ",".join(_member(name, value) for name, value in sample.items() if value is not None) + "}").encode()
            for sample in self._samples.values()
        ]


def _of_gpu(reading: Reading) -> bool:
    """Whether a reading of a name that other hardware shares is of a GPU, and of all its work."""
    if reading.name in {"hw.power", "hw.energy"}:
        return (reading.attributes.get("hw.type") or reading.resource.get("hw.type")) == "gpu"
    return reading.name != "hw.gpu.utilization" or reading.attributes.get("hw.gpu.task", "general") == "general"


def _text(said: Attributes, resource: Attributes, names: tuple[str, ...]) -> str | None:
    for holder in (said, resource):
        for name in names:
            value = holder.get(name)
            if isinstance(value, str) and value:
                return value
    return None


def _amount(value: float, factor: Decimal, unit: str, *, whole: bool) -> Decimal:
    """A reading in its canonical unit, exact in decimal."""
    amount = Decimal(repr(value)) * (_PERCENT if factor == _ONE and unit == "%" else factor)
    return amount.to_integral_value(ROUND_FLOOR) if whole else amount


def _member(name: str, value: str | Decimal) -> str:
    """A JSON member; numbers digit by digit, never with an exponent."""
    return f'"{name}":{value:f}' if isinstance(value, Decimal) else f'"{name}":{json.dumps(value)}'
