"""Read the CSV files that come with the program: cells by column, every problem as `file:line`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from io import StringIO
from typing import Final, TypeVar

from apportion.domain.errors import InputError

CONFIDENCES: Final = ("high", "medium", "low")
"""high: the maker, the seller or several who agree; medium: one who cites them; low: hearsay or a contradiction."""

Row = Mapping[str, str]
Item = TypeVar("Item")


def text_of(file: str) -> str:
    """The text of a packaged file. Invariant: read when asked for, never on import."""
    return (resources.files("apportion.catalog") / file).read_text(encoding="utf-8")


def items(file: str, text: str, columns: Sequence[str], parse: Callable[[Row], Item]) -> tuple[Item, ...]:
    """One item for each line behind the header, in the order of the file.

    Args:
        file: its name, for problems.
        text: its content.
        columns: the header, exactly.
        parse: makes the item of a row, and raises ValueError in a sentence.

    Raises: InputError with every line that is wrong, as `file:line: what is wrong`.
    """
    reader = csv.reader(StringIO(text), strict=True)
    if next(reader, []) != list(columns):
        raise InputError(f"{file}:1: the header is not {','.join(columns)}")
    problems: list[str] = []
    found: list[Item] = []
    for cells in reader:
        try:
            if len(cells) != len(columns):
                raise ValueError(f"has {len(cells)} cells, and the header {len(columns)}")  # noqa: TRY301 - one kind of problem
            found.append(parse(dict(zip(columns, cells, strict=True))))
        except ValueError as error:
            problems.append(f"{file}:{reader.line_num}: {error}")
    if problems:
        raise InputError("\n".join(problems))
    return tuple(found)


def text_cell(row: Row, column: str) -> str:
    """A text that must be there. Raises: ValueError, as all that follow."""
    if not row[column].strip():
        raise ValueError(f"{column} is empty")
    return row[column]


def choice_cell(row: Row, column: str, options: Sequence[str]) -> str:
    """One of a closed set of words."""
    if row[column] not in options:
        raise ValueError(f"{column} is {row[column]!r}, not one of {', '.join(options)}")
    return row[column]


def count_cell(row: Row, column: str) -> int:
    """A whole number above zero."""
    if not row[column].isascii() or not row[column].isdigit() or not int(row[column]):
        raise ValueError(f"{column} is {row[column]!r}, not a whole number above zero")
    return int(row[column])


def known_count_cell(row: Row, column: str) -> int | None:
    """A whole number above zero, or None where nobody says."""
    return count_cell(row, column) if row[column] else None
