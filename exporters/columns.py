"""Aligned columns on a terminal: as wide as they need, never cut, because half an amount is a wrong one.

Where a terminal is too narrow for a row, the row takes several lines, each of whole columns, so that no name or number is broken.
What is not a terminal has no width: a row is one line there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = "  "
INDENT: Final = "    "
"""Before the further lines of a row."""
WRAPPED_MIN: Final = 36
"""Characters that a wrapped text needs beside other columns; with less it goes below them."""


@dataclass(slots=True)
class Column:
    """A column of a printed table.

    Attributes:
        heading: its name.
        cells: text per line.
        total: what stands under it, or nothing.
        is_number: whether it is aligned to the right.
        wraps: whether its cells are sentences, which may go on in a further line; only the last column's.
    """

    heading: str
    cells: Sequence[str]
    total: str = ""
    is_number: bool = False
    wraps: bool = False


def show_columns(title: str, columns: Sequence[Column], console: Console) -> None:
    """Print a titled table, with a total line where any column has one."""
    widths = [_width(column) for column in columns]
    room = console.width if console.is_terminal else sum(widths) + len(GAP) * len(widths)
    bands = _bands(columns, widths, room)
    taken = [sum(widths[at] for at in band) + len(GAP) * (len(band) - 1) for band in bands]
    rule = GAP.join("─" * widths[at] for at in bands[0]) if len(bands) == 1 else "─" * min(room, max(taken))
    page = Text(f"{printable(title)}\n\n", style="bold", end="")
    heading = "\n".join(_lines([column.heading for column in columns], columns, widths, bands))
    page.append(f"{heading}\n{rule}\n", style="not bold dim")
    for row in zip(*(column.cells for column in columns), strict=True):
        page.append("".join(f"{line}\n" for line in _lines(row, columns, widths, bands)), style="not bold")
    if any(column.total for column in columns):
        total = "\n".join(_lines([column.total for column in columns], columns, widths, bands))
        page.append(f"{rule}\n", style="not bold dim")
        page.append(f"{total}\n")
    console.print(page, soft_wrap=True, end="")


def printable(text: str) -> str:
    """A text without the control characters that could move a terminal's cursor or forge a line."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "�" for sign in text)


def _width(column: Column) -> int:
    return max(cell_len(printable(cell)) for cell in (column.heading, column.total, *column.cells))


def _bands(columns: Sequence[Column], widths: list[int], room: int) -> list[list[int]]:
    """Places of the columns that share a line, for each line of a row; what wraps gets the width that is left, or a line."""
    bands: list[list[int]] = [[]]
    used = 0
    for place, column in enumerate(columns):
        indent = len(INDENT) if len(bands) > 1 else 0
        left = room - indent - used
        if column.wraps and widths[place] > left >= WRAPPED_MIN:
            widths[place] = left
        elif bands[-1] and widths[place] > left:
            bands.append([])
            used, left = 0, room - len(INDENT)
            if column.wraps:
                widths[place] = max(min(widths[place], left), 1)
        bands[-1].append(place)
        used += widths[place] + len(GAP)
    return bands


def _lines(
    cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], bands: Sequence[Sequence[int]]
) -> Iterator[str]:
    """A row; of its further lines those that say something."""
    for number, band in enumerate(bands):
        indent = INDENT if number else ""
        wrapped = [_wrapped(cells[at], widths[at]) if columns[at].wraps else [printable(cells[at])] for at in band]
        for line in range(max(len(parts) for parts in wrapped)):
            shown = [parts[line] if line < len(parts) else "" for parts in wrapped]
            joined = GAP.join(_padded(text, columns[at], widths[at]) for text, at in zip(shown, band, strict=True))
            if (not number and not line) or joined.strip():
                yield f"{indent}{joined}".rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), width, break_long_words=False, break_on_hyphens=False) or [""]


def _padded(shown: str, column: Column, width: int) -> str:
    room = " " * (width - cell_len(shown))
    return room + shown if column.is_number else shown + room
