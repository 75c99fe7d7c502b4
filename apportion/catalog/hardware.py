"""The hardware catalog: what a GPU can do and draws, by the id that `[[pools]] gpu` names.

Peaks are dense. Datasheets print 2:4-sparse figures beside or instead of them, so a row says `dense` in so many words, its
number format and where it is from, or the catalog does not load. Facts are collected from the sources that each row names.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Final

from apportion.catalog.packaged import (
    CONFIDENCES,
    Row,
    choice_cell,
    count_cell,
    items,
    known_count_cell,
    text_cell,
    text_of,
)
from apportion.domain.errors import InputError

DTYPES: Final = ("bf16", "fp8", "int8", "fp4")
"""Number formats of matrix units; bf16 stands for fp16 too."""

HARDWARE_COLUMNS: Final = (
    "id", "vendor", "architecture", "form_factor", "memory_bytes", "memory_basis", "bandwidth_bytes_s", "tdp_w",
    "provisioned_w", "embodied_g_co2e", "confidence", "source", "trap",
)  # fmt: skip
PEAK_COLUMNS: Final = ("gpu", "dtype", "tera_ops", "dense", "source")

_TERA: Final = 10**12
_ROUNDING: Final = 50
"""A fiftieth: datasheets round each format by itself (L40S: 362.05 and 733)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What a GPU's matrix units can do in one number format.

    Attributes:
        gpu: id of the GPU.
        dtype: one of `DTYPES`.
        ops: dense operations per second; a multiply-add is two.
        source: where the figure is from.
    """

    gpu: str
    dtype: str
    ops: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One GPU, per device as its driver counts them: not per board, superchip or rack.

    Attributes:
        id: what `[[pools]] gpu` names.
        vendor: who makes it.
        architecture: generation.
        form_factor: how it is built in.
        memory_bytes: high-bandwidth memory.
        memory_basis: reported, by a driver; marketed, the advertised GB taken as GiB, at most a few percent too much.
        bandwidth_bytes_s: of that memory.
        bf16_flops: dense peak in bf16 or fp16, or None where nobody says, as with all peaks.
        fp8_flops: in fp8; None too where there is no fp8.
        int8_ops: in int8.
        fp4_flops: in fp4.
        tdp_w: design power of the device, watts.
        provisioned_w: what a data center provides for each, host and cooling included, or None.
        embodied_g_co2e: of making it, grams of CO2 equivalent, or None.
        confidence: high, medium or low.
        source: where the row is from.
        trap: what is often quoted wrongly about it.
    """

    id: str
    vendor: str
    architecture: str
    form_factor: str
    memory_bytes: int
    memory_basis: str
    bandwidth_bytes_s: int
    bf16_flops: int | None
    fp8_flops: int | None
    int8_ops: int | None
    fp4_flops: int | None
    tdp_w: int
    provisioned_w: int | None
    embodied_g_co2e: int | None
    confidence: str
    source: str
    trap: str


@cache
def hardware() -> Mapping[str, Hardware]:
    """Every GPU of the packaged catalog by its id; read once, when first asked for."""
    return read(text_of("hardware.csv"), text_of("peaks.csv"))


def find(gpu: str) -> Hardware | None:
    """The GPU of an id, or None."""
    return hardware().get(gpu)


def nearest(gpu: str) -> tuple[str, ...]:
    """Ids that look like a name, the likest first; at most three."""
    known = {id_.lower(): id_ for id_ in hardware()}
    written = gpu.lower().replace("-", "_").replace(" ", "_")
    begun = sorted(name for name in known if name.startswith(f"{written}_"))
    close = difflib.get_close_matches(written, known, n=3, cutoff=0.5)
    return tuple(known[name] for name in dict.fromkeys((*begun, *close)))[:3]


def read(hardware_csv: str, peaks_csv: str) -> Mapping[str, Hardware]:
    """A catalog from the texts of its two files.

    Raises: InputError for a peak that is not marked dense or lacks format or source, for an id or peak that stands twice,
    for a peak of no GPU, and for any cell that cannot be read.
    """
    peaks: dict[tuple[str, str], Peak] = {}
    for peak in items("peaks.csv", peaks_csv, PEAK_COLUMNS, _peak):
        if (peak.gpu, peak.dtype) in peaks:
            raise InputError(f"peaks.csv: {peak.gpu} has two peaks in {peak.dtype}")
        peaks[peak.gpu, peak.dtype] = peak

    def parse(row: Row) -> Hardware:
        return _hardware(row, {dtype: peaks[row["id"], dtype].ops for dtype in DTYPES if (row["id"], dtype) in peaks})

    found: dict[str, Hardware] = {}
    for gpu in items("hardware.csv", hardware_csv, HARDWARE_COLUMNS, parse):
        if gpu.id in found:
            raise InputError(f"hardware.csv: {gpu.id} stands twice")
        found[gpu.id] = gpu
    strays = sorted({gpu for gpu, _ in peaks} - set(found))
    if strays:
        raise InputError(f"peaks.csv: {', '.join(strays)} is in no row of hardware.csv")
    return found


def doubts(gpu: Hardware) -> tuple[str, ...]:
    """Sentences on peaks that look like sparse figures: fp8 is twice bf16 on every dense matrix unit so far."""
    if gpu.bf16_flops is None or gpu.fp8_flops is None:
        return ()
    if abs(gpu.fp8_flops - 2 * gpu.bf16_flops) * _ROUNDING <= gpu.fp8_flops:
        return ()
    return (
        f"{gpu.id}: fp8 of {gpu.fp8_flops} is not twice bf16 of {gpu.bf16_flops}; one of them may be a sparse figure",
    )


def _peak(row: Row) -> Peak:
    dtype = choice_cell(row, "dtype", DTYPES)
    if row["dense"] != "true":
        raise ValueError(
            f"dense is {row['dense']!r}; only dense peaks are kept, so halve a 2:4-sparse figure and write true"
        )
    try:
        ops = Decimal(row["tera_ops"]) * _TERA
    except InvalidOperation:
        raise ValueError(f"tera_ops is {row['tera_ops']!r}, not a number") from None
    if not ops.is_finite() or ops <= 0 or ops != int(ops):
        raise ValueError(f"tera_ops is {row['tera_ops']!r}, not a number above zero of at most twelve decimals")
    return Peak(gpu=text_cell(row, "gpu"), dtype=dtype, ops=int(ops), source=text_cell(row, "source"))


def _hardware(row: Row, peaks: Mapping[str, int]) -> Hardware:
    return Hardware(
        id=text_cell(row, "id"),
        vendor=text_cell(row, "vendor"),
        architecture=text_cell(row, "architecture"),
        form_factor=text_cell(row, "form_factor"),
        memory_bytes=count_cell(row, "memory_bytes"),
        memory_basis=choice_cell(row, "memory_basis", ("reported", "marketed")),
        bandwidth_bytes_s=count_cell(row, "bandwidth_bytes_s"),
        bf16_flops=peaks.get("bf16"),
        fp8_flops=peaks.get("fp8"),
        int8_ops=peaks.get("int8"),
        fp4_flops=peaks.get("fp4"),
        tdp_w=count_cell(row, "tdp_w"),
        provisioned_w=known_count_cell(row, "provisioned_w"),
        embodied_g_co2e=known_count_cell(row, "embodied_g_co2e"),
        confidence=choice_cell(row, "confidence", CONFIDENCES),
        source=text_cell(row, "source"),
        trap=row["trap"],
    )
