"""Aligned columns on a terminal: as wide as they need, never cut, because half an amount is a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = "  "


@dataclass(slots=True)
class Column:
    """A column of a printed table.

    Attributes:
        heading: its name.
        cells: text per line.
        total: what stands under it, or nothing.
        is_number: whether it is aligned to the right.
    """

    heading: str
    cells: Sequence[str]
    total: str = ""
    is_number: bool = False


def show_columns(title: str, columns: Sequence[Column], console: Console) -> None:
    """Print a titled table, with a total line where any column has one."""
    widths = [
        max(cell_len(printable(cell)) for cell in (column.heading, column.total, *column.cells)) for column in columns
    ]
    rule = GAP.join("─" * width for width in widths)
    body = "".join(
        f"{_line(row, columns, widths)}\n" for row in zip(*(column.cells for column in columns), strict=True)
    )
    page = Text(f"{printable(title)}\n\n", style="bold", end="")
    page.append(f"{_line([column.heading for column in columns], columns, widths)}\n{rule}\n", style="not bold dim")
    page.append(body, style="not bold")
    if any(column.total for column in columns):
        page.append(f"{rule}\n", style="not bold dim")
        page.append(f"{_line([column.total for column in columns], columns, widths)}\n")
    console.print(page, soft_wrap=True, end="")


def printable(text: str) -> str:
    """A text without the control characters that could move a terminal's cursor or forge a line."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "�" for sign in text)


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    padded = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        shown = printable(cell)
        room = " " * (width - cell_len(shown))
        padded.append(room + shown if column.is_number else shown + room)
    return GAP.join(padded).rstrip()
