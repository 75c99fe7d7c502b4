"""Tables of an explained figure: columns of rows by name, amounts with all nine decimals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from exporters.amounts import grouped, rounded
from exporters.columns import Column, show_columns

DECIMALS: Final = 9
GPU_HOUR_US: Final = 3_600_000_000
WEIGHT_DECIMALS: Final = 24

Rows = Sequence[Mapping[str, Any]]


def table(title: str, columns: Sequence[Column], console: Console) -> None:
    """A table under another."""
    console.print()
    show_columns(title, columns, console)


def columns_of(rows: Rows, names: Sequence[str], *, total: Sequence[str] = ()) -> list[Column]:
    """Columns of rows by name, some with their sum below; those without a word are left out, but for the last."""
    found = []
    for name in names:
        cells = [_cell(name, row[name]) for row in rows]
        if any(cells) or name == names[-1]:
            below = amount(sum(row[name] or 0 for row in rows)) if name in total else ""
            is_number = name.endswith(("_nano", "tokens", "hours"))
            found.append(Column(_heading(name), cells, below, is_number=is_number))
    if total:
        found[0].total = "total"
    return found


def amount(nano: int) -> str:
    """Nano with all of its decimals."""
    return grouped(int(nano), DECIMALS, DECIMALS)


def gpu_hours(paid_us: int) -> str:
    """GPU-microseconds as hours, with three decimals."""
    return grouped(rounded(int(paid_us) * 1000, GPU_HOUR_US), 3, 3)


def trimmed(scaled: int, decimals: int, least: int = 0) -> str:
    """A scaled integer with the decimals that it needs, and at least some."""
    whole = grouped(int(scaled), decimals, decimals)
    needed = len(whole.partition(".")[2].rstrip("0"))
    return grouped(int(scaled), decimals, max(needed, least))


def decimal(scaled: int, scale: int) -> str:
    """A quotient with the decimals that it needs, as scales of weights divide a power of ten; else rounded."""
    return trimmed(rounded(int(scaled) * 10**WEIGHT_DECIMALS, int(scale)), WEIGHT_DECIMALS)


def _heading(name: str) -> str:
    return name.removesuffix("_id").removesuffix("_nano").replace("consumed_tokens", "tokens").replace("_", " ")


def _cell(name: str, value: Any) -> str:
    if name.endswith("_nano"):
        return "unpriced" if value is None else amount(value)
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)
