"""Gauges of GPU telemetry in OTLP become readings of GPUs; how those become samples is the same for every way of arriving.

A device's place is what the data point says of it; the resource is who reports, and says of the place only node and cluster.
"""

from __future__ import annotations

import math
from decimal import Decimal

from ingest import gpu_families, gpu_samples
from ingest.formats.otlp_records import Reading
from ingest.gpu_families import FAMILIES
from ingest.gpu_samples import GpuReading, first_text

NAMES = frozenset(FAMILIES)
"""Metrics that are read."""

WANTED = frozenset(
    {
        *gpu_families.UUID,
        *(name for names in gpu_families.PLACES.values() for name in names),
        gpu_families.PROFILE,
        gpu_families.INSTANCE,
        gpu_families.PARTITION,
        gpu_families.SHARE,
        "hw.type",
        "hw.gpu.task",
    }
)
"""Attributes that are read, of data points and resources."""

_REPORTED = ("node", "cluster")
"""Places that a resource may say."""


class Samples(gpu_samples.Samples):
    """Samples in the making."""

    def take(self, reading: Reading) -> bool:
        """Take a data point into its sample. Returns: whether it is one of a GPU."""
        value = reading.value
        if value is None or not math.isfinite(value) or not reading.at_ns or not _of_gpu(reading):
            return False
        named = {name: said for name, said in reading.resource.items() if name in gpu_families.UUID}
        device = gpu_samples.device_of(reading.name, named | reading.attributes)
        if device is None:
            return False
        amount = _amount(value, FAMILIES[reading.name].factor, reading.unit)
        share = first_text(reading.attributes, (gpu_families.SHARE,)) or ""
        self.add(GpuReading(device, _place(reading), reading.name, reading.at_ns, amount, share))
        return True


def _place(reading: Reading) -> dict[str, str]:
    found = {
        name: first_text(reading.attributes, labels)
        for name, labels in gpu_families.places_of(reading.attributes).items()
    }
    for name in _REPORTED:
        found[name] = found[name] or first_text(reading.resource, gpu_families.PLACES[name])
    return {name: text for name, text in found.items() if text}


def _of_gpu(reading: Reading) -> bool:
    """Whether a reading of a name that other hardware shares is of a GPU, and of all its work."""
    if reading.name in {"hw.power", "hw.energy"}:
        return (reading.attributes.get("hw.type") or reading.resource.get("hw.type")) == "gpu"
    return reading.name != "hw.gpu.utilization" or reading.attributes.get("hw.gpu.task", "general") == "general"


def _amount(value: float, factor: Decimal, unit: str) -> Decimal:
    """A reading in its canonical unit, exact in decimal."""
    return Decimal(repr(value)) * (gpu_families.PERCENT if factor == gpu_families.ONE and unit == "%" else factor)
