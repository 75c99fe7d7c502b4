"""Read the keys of a `[[sources]]` table with `collector = "nvml"`."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from typing import Final

from apportion.config import mapping
from apportion.config.sources import NvmlSource
from apportion.config.tables import Table, unknown

KEYS: Final = ("interval_seconds",)
FORMAT: Final = "gpu"
"""What it says; it need not be written."""

_PLACES: Final = tuple(
    field for field, kind in mapping.GPU_FIELDS.items() if kind == "text" and field not in {"gpu_uuid", "mig_profile"}
)


def read(table: Table) -> NvmlSource:
    """How often devices are looked at, and what is said of their place."""
    return NvmlSource(
        interval_seconds=table.integer("interval_seconds", 1, 3_600, 15), constants=places(table.table("constants"))
    )


def written_format(table: Table) -> str:
    """The format of the source: it is always the same."""

    def convert(found: object) -> str:
        if found != FORMAT:
            msg = f'is {found!r}, and collector = "nvml" gives samples of GPUs; remove it, or write format = "{FORMAT}"'
            raise ValueError(msg)
        return FORMAT

    return table.read("format", convert, FORMAT)


def places(table: Table) -> Dictionary[str, str]:
    """`constants` of samples: where the devices are."""
    found: dict[str, str] = {}
    for field in table.written():
        if field in _PLACES:
            found[field] = table.text(field)
        elif field in mapping.GPU_FIELDS:
            table.raw(field)
            table.wrong(field, "is what each device says of itself; remove it")
        else:
            table.raw(field)
            table.wrong(field, unknown("constant", field, _PLACES))
    return found
