"""Readings of GPUs become samples: what one device says at one time is one record, however it arrived.

Exporters and collectors read one gauge after the other, microseconds apart. Readings of one device within a second are one record, at
the earliest of their times, as long as no metric comes again: apart, each would end the hold of the one before it, and a reading of
power says nothing about activity.

A device that several pods share reports each reading once per pod; it is one device all the same, and what the pods differ in is left
out. Such readings repeat the device's, and count once; where an exporter tells its shares apart, and they differ, each is of the work
of one pod, and together they are the device's. A MIG instance is told from others of its profile by its number, and gets no power,
energy or utilization: those are the whole device's. Of an AMD device in partitions, partition 0 speaks for the whole; what the others
say of it is no reading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

from ingest import gpu_families
from ingest.gpu_families import FAMILIES
from ingest.instants import instant

_COLLECTION_NS: Final = 1_000_000_000
"""Readings of one collection lie closer together."""
_OF_THE_DEVICE: Final = ("node", "cluster", "gpu")
"""Of the places, those that whichever reading says them says; the others are of what runs on it, and all have to agree."""
_OF_SHARES: Final = ("active_ratio", "memory_used_bytes")
"""What is known of the processes of one pod; power, energy and hardware counters are the device's."""

Place = Mapping[str, str]
"""Canonical field -> where a device is, and what runs on it; absent is unknown."""


class Device(NamedTuple):
    """What reports.

    Attributes:
        uuid: of the GPU.
        mig_profile: profile and number of a MIG instance; empty for a whole device.
    """

    uuid: str
    mig_profile: str


class GpuReading(NamedTuple):
    """One metric of a device at a time.

    Attributes:
        device: what it is of.
        place: where that is.
        metric: a name in the table of families.
        at_ns: since 1970.
        amount: in the canonical unit of the metric's field.
        share: of a device that several pods share, which of them it is told of; empty where nothing says.
    """

    device: Device
    place: Place
    metric: str
    at_ns: int
    amount: Decimal
    share: str = ""


class Samples:
    """Samples in the making, in the order in which their devices were met, and of each device in that of time."""

    def __init__(self) -> None:
        self._devices: dict[Device, list[GpuReading]] = {}

    def add(self, reading: GpuReading) -> None:
        """Take a reading into its sample."""
        self._devices.setdefault(reading.device, []).append(reading)

    def lines(self) -> Iterator[tuple[bytes, int]]:
        """The samples as canonical JSON, absent fields left out, each with how many readings it is made of."""
        for device, readings in self._devices.items():
            for together in _collections(readings):
                said = _sample(together) | {"gpu_uuid": device.uuid, "mig_profile": device.mig_profile}
                yield line(said), len(together)


def device_of(metric: str, labels: Mapping[str, object]) -> Device | None:
    """The device that a metric's labels name; None where they name none, or one that the metric says nothing of."""
    uuid = first_text(labels, gpu_families.UUID)
    if uuid is None or str(labels.get(gpu_families.PARTITION, "")) not in {"", "0"}:
        return None
    profile = first_text(labels, (gpu_families.PROFILE,))
    if profile is None:
        return Device(uuid, "")
    if FAMILIES[metric].whole_device:
        return None
    number = labels.get(gpu_families.INSTANCE)
    return Device(uuid, profile if number is None else f"{profile}/{number}")


def first_text(labels: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    """The first of these labels that says something."""
    return next((found for name in names if isinstance(found := labels.get(name), str) and found), None)


def line(record: Mapping[str, str | Decimal | None]) -> bytes:
    """A record as canonical JSON without what is absent or empty; numbers digit by digit, never with an exponent."""
    members = ",".join(_member(name, value) for name, value in record.items() if value is not None and value != "")
    return ("{" + members + "}").encode()


def _member(name: str, value: str | Decimal | None) -> str:
    return f'"{name}":{json.dumps(value)}' if isinstance(value, str) else f'"{name}":{value:f}'


def _collections(readings: list[GpuReading]) -> Iterator[list[GpuReading]]:
    """The readings of a device, told apart by when they were collected: at one time, or one metric after the other in a second."""
    together: list[GpuReading] = []
    times: dict[str, int] = {}
    for reading in sorted(readings, key=lambda one: one.at_ns):
        came_again = times.get(reading.metric, reading.at_ns) != reading.at_ns
        if together and (came_again or reading.at_ns - together[0].at_ns >= _COLLECTION_NS):
            yield together
            together, times = [], {}
        together.append(reading)
        times[reading.metric] = reading.at_ns
    yield together


def _sample(together: list[GpuReading]) -> dict[str, str | Decimal | None]:
    """One collection of a device's readings, as of its earliest."""
    first = together[0]
    found: dict[str, str | Decimal | None] = {
        "sampled_at": instant(first.at_ns),
        **{name: text for one in reversed(together) for name, text in one.place.items() if name in _OF_THE_DEVICE},
        **{name: text for name, text in first.place.items() if name not in _OF_THE_DEVICE and _agreed(together, name)},
    }
    for metric in sorted(dict.fromkeys(one.metric for one in together), key=lambda name: FAMILIES[name].coarse):
        column = FAMILIES[metric].field
        if column not in found:
            amount = _whole([one for one in together if one.metric == metric])
            found[column] = amount.to_integral_value(ROUND_FLOOR) if column == "memory_used_bytes" else amount
    return found


def _whole(told: list[GpuReading]) -> Decimal:
    """What the readings of one metric say of the device."""
    column, amounts = FAMILIES[told[0].metric].field, {one.share: one.amount for one in told if one.share}
    if column not in _OF_SHARES or len(set(amounts.values())) <= 1:
        return told[0].amount
    whole = sum(amounts.values(), Decimal(0))
    return min(whole, Decimal(1)) if column == "active_ratio" else whole


def _agreed(together: list[GpuReading], name: str) -> bool:
    """Whether all readings say the same of a place."""
    return len({one.place.get(name) for one in together}) == 1
