"""Aligned columns on a terminal: as wide as they need, never cut, because half an amount is a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = "  "
JOINT = " · "
TEXT_MIN = 24
"""Narrower than this no text is wrapped: the terminal does it as well."""


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
    widths = [_width(column) for column in columns]
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


def folded(columns: Sequence[Column], width: int) -> list[Column]:
    """The same table for a terminal too narrow for it: numbers stay columns, texts are joined and wrapped beside them; no word is cut.

    A table that fits comes back as it is.
    """
    widths = [_width(column) for column in columns]
    if sum(widths) + len(GAP) * (len(columns) - 1) <= width:
        return list(columns)
    numbers = [column for column in columns if column.is_number]
    texts = [column for column in columns if not column.is_number]
    room = width - sum(_width(column) + len(GAP) for column in numbers)
    if not texts:
        return list(columns)
    joined = [_joined(cells) for cells in zip(*(column.cells for column in texts), strict=True)]
    wrapped = [_wrapped(text, max(room, TEXT_MIN)) for text in joined]
    first = Column(_joined([column.heading for column in texts]), [], _joined([column.total for column in texts]))
    first.cells = [line for lines in wrapped for line in lines]
    if cell_len(first.heading) > max(room, TEXT_MIN):
        first.heading = ""
    rest = [
        Column(
            column.heading,
            [
                cell
                for one, lines in zip(column.cells, wrapped, strict=True)
                for cell in (one, *[""] * (len(lines) - 1))
            ],
            column.total,
            is_number=True,
        )
        for column in numbers
    ]
    return [first, *rest]


def _joined(texts: Sequence[str]) -> str:
    return JOINT.join(text for text in texts if text)


def _wrapped(text: str, room: int) -> list[str]:
    """Lines of a text, of which none begins with the dot of a joint."""
    bound = printable(text).replace(JOINT, "\N{NO-BREAK SPACE}· ")
    lines = wrap(bound, room, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ") or [""]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _width(column: Column) -> int:
    return max(cell_len(printable(cell)) for cell in (column.heading, column.total, *column.cells))


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
