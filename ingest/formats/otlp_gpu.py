"""Gauges of GPU telemetry become samples: the readings of one device at one time are one record.

Collectors read one gauge after the other, microseconds apart. Readings of one device in one request that lie within a second
are one record, at the earliest of their times, as long as no metric comes again: apart, each would end the hold of the one
before it, and a reading of power says nothing about activity. Readings at equal times that came in several requests complete
each other when they land.

Names are those of NVIDIA's and AMD's exporters as a collector scrapes them, and of OpenTelemetry's hardware conventions. A device that
several pods share reports each reading once per pod; it is one device all the same, and what the pods differ in is left out. A MIG
instance is told from others of its profile by its number, and gets no power, energy or utilization: those are the whole device's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal

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

_COLLECTION_NS = 1_000_000_000
"""Readings of one collection lie closer together."""

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
    """Samples in the making, in the order in which their devices were met, and of each device in that of time."""

    def __init__(self) -> None:
        self._devices: dict[tuple[str, str], list[Reading]] = {}

    def add(self, reading: Reading) -> bool:
        """Take a reading into its sample. Returns: whether it is one of a GPU."""
        said = reading.attributes
        uuid = _text(said, reading.resource, _UUID)
        value = reading.value
        if uuid is None or value is None or not math.isfinite(value) or not reading.at_ns or not _of_gpu(reading):
            return False
        profile = _text(said, {}, ("GPU_I_PROFILE",)) or ""
        number = said.get("GPU_I_ID")
        if profile and reading.name in _WHOLE_DEVICE:
            return False
        mig = f"{profile}/{number}" if profile and number is not None else profile
        self._devices.setdefault((uuid, mig), []).append(reading)
        return True

    def lines(self) -> Iterator[tuple[bytes, int]]:
        """The samples as canonical JSON, absent fields left out, each with how many readings it is made of."""
        for (uuid, mig), readings in self._devices.items():
            for together in _collections(readings):
                sample = _sample(together) | {"gpu_uuid": uuid, "mig_profile": mig or None}
                members = ",".join(_member(name, value) for name, value in sample.items() if value is not None)
                yield ("{" + members + "}").encode(), len(together)


def _collections(readings: list[Reading]) -> Iterator[list[Reading]]:
    """The readings of a device, told apart by when they were collected: at one time, or one metric after the other in a second."""
    together: list[Reading] = []
    times: dict[str, int] = {}
    for reading in sorted(readings, key=lambda one: one.at_ns):
        came_again = times.get(reading.name, reading.at_ns) != reading.at_ns
        if together and (came_again or reading.at_ns - together[0].at_ns >= _COLLECTION_NS):
            yield together
            together, times = [], {}
        together.append(reading)
        times[reading.name] = reading.at_ns
    yield together


def _sample(together: list[Reading]) -> dict[str, str | Decimal | None]:
    """One collection of a device's readings, as of its earliest."""
    first = together[0]
    places = [{name: _text(one.attributes, {}, names) for name, names in _PLACES.items()} for one in together]
    found: dict[str, str | Decimal | None] = {
        "sampled_at": instant(first.at_ns),
        "node": _text(first.attributes, first.resource, _NODE),
        "cluster": _text({}, first.resource, ("k8s.cluster.name",)),
        **{name: text for name, text in places[0].items() if all(place[name] == text for place in places)},
    }
    for reading in sorted(together, key=lambda one: one.name in _COARSE):
        column, factor = _METRICS[reading.name]
        if column not in found and reading.value is not None:
            found[column] = _amount(reading.value, factor, reading.unit, whole=column == "memory_used_bytes")
    return found


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
