"""Tables on terminals of any width: a row that is too long takes several lines of whole columns."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from exporters.columns import Column, show_columns

NOTE = "a price that somebody wrote down, and that nobody has checked against a bill of any kind so far"
COLUMNS = [
    Column("pool", ["h100-production-of-a-long-name", "l4"]),
    Column("evidence", ["commitment/three-years-2026", "rate card"]),
    Column("cost", ["1,234,567.123456789", "0.000000001"], total="1,234,567.123456790", is_number=True),
    Column("note", [NOTE, ""], wraps=True),
]


def printed(width: int, *, terminal: bool = True) -> list[str]:
    """The lines of a table without the colours."""
    written = StringIO()
    console = Console(file=written, width=width, force_terminal=terminal, color_system=None)
    show_columns("Costs", COLUMNS, console)
    return written.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Where every single cell fits, so does every line; names, amounts and words stay whole."""
    lines = printed(width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {
        "h100-production-of-a-long-name",
        "commitment/three-years-2026",
        "1,234,567.123456789",
        *NOTE.split(),
    } <= set(words)


def test_columns_of_one_place_stay_aligned() -> None:
    """A row's second line begins further in, and amounts end below one another."""
    lines = printed(66)
    amounts = [line for line in lines if line.strip().startswith(("1,234", "0.000"))]
    assert len(amounts) == 3
    assert len({line.index(".") for line in amounts}) == 1
    assert all(line.startswith("    ") for line in amounts)


def test_a_note_goes_beside_where_there_is_room() -> None:
    """And below its row where there is not; a line without a word is left out."""
    beside, below = printed(130), printed(90)
    assert any(line.startswith("h100") and "a price that somebody" in line for line in beside)
    assert not any(line.startswith("h100") and "a price" in line for line in below)
    assert below[-4].startswith("    ")
    assert below[-3].startswith("l4")


def test_what_is_no_terminal_gets_a_line_for_each_row() -> None:
    """Programs read lines, whatever the width of the window that they run in."""
    lines = printed(40, terminal=False)
    assert any(line.startswith("h100") and line.endswith(NOTE) for line in lines)
    assert len(lines) == 8
