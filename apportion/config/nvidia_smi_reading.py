"""Read a `[[sources]]` table with `format = "nvidia-smi"`: a CSV whose columns are known, and what it does not say.

nvidia-smi writes the local time of its host without a zone, and not on which host it ran. Neither is guessed: the zone must be
written (`TZ=UTC nvidia-smi ...` makes it UTC), and the node is known where `constants` says it.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from typing import Final

from apportion.config import nvml_reading, source_columns
from apportion.config.mapping import NVIDIA_SMI, ColumnSpec, Mapping, TimeSpec
from apportion.config.tables import Table

COLUMNS: Final[Dictionary[str, ColumnSpec]] = {
    field: ColumnSpec(column=column, path=(column,), unit=unit, default=None)
    for field, column, unit in (
        ("gpu_uuid", "uuid", None),
        ("active_ratio", "utilization.gpu", "percent"),
        ("memory_used_bytes", "memory.used", "mib"),
        ("power_watts", "power.draw", "watts"),
    )
}
"""What `--query-gpu` calls the values; their units stand behind the names in the header."""

_TIME: Final = "timestamp"
_TIME_FORMAT: Final = "%Y/%m/%d %H:%M:%S.%f"


def read(table: Table, name: str) -> Mapping:
    """The mapping of a source's table, under the source's name; every problem in it is noted."""
    if not table.has("zone"):
        table.wrong(
            "zone",
            "is missing, and nvidia-smi writes local times without one; write that of the host, such as zone = "
            '"Europe/Berlin", or "UTC"',
        )
    return Mapping(
        name=name,
        kind="gpu",
        format=NVIDIA_SMI,
        delimiter=",",
        columns=COLUMNS,
        time=TimeSpec(
            column=_TIME, path=(_TIME,), format=_TIME_FORMAT, zone=table.read("zone", source_columns.zone_name, "UTC")
        ),
        constants=nvml_reading.places(table.table("constants")),
        event_id=(),
        tags={},
        minus={},
    )
