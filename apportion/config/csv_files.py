"""Read a CSV that the config names: rows by column, every problem as `file:LINE`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from apportion.config.tables import Problems, unknown

PROBLEMS_MAX: Final = 50
"""A file in the wrong shape has a problem on every line; the first ones say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a file has to look like.

    Attributes:
        columns: those it may have.
        required: those it must have.
    """

    columns: Sequence[str]
    required: Sequence[str]


class Lines:
    """Problems of one file, in the order they were met.

    Attributes:
        name: of the file.
        sentences: `file:LINE: what is wrong`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sentences: list[str] = []

    def add(self, line: int, sentence: str) -> None:
        """Something wrong in a line."""
        self.sentences.append(f"{self.name}:{line}: {sentence}")

    def tell(self, problems: Problems) -> None:
        """Hand the first problems on, and how many more there are."""
        problems.errors.extend(self.sentences[:PROBLEMS_MAX])
        if len(self.sentences) > PROBLEMS_MAX:
            more = len(self.sentences) - PROBLEMS_MAX
            problems.error(self.name, f"has {more} more problems like these; correct these first")


def rows(
    file: Path, shape: Shape, place: str, found: Lines, problems: Problems
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a file with the line each begins on; cells without the space around them.

    Args:
        file: the CSV, with a header line.
        shape: its columns.
        place: where the config names it.
        found: where problems of its lines go.
        problems: where it goes that there is no such file.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield from _rows(stream, shape, found)
    except FileNotFoundError:
        problems.error(place, f"{file} does not exist; create it with the header {','.join(shape.columns)}")
    except OSError as error:
        problems.error(place, f"{file} cannot be read ({error.strerror}); give this user access, or correct the path")
    except UnicodeDecodeError as error:
        found.add(1, f"is not UTF-8 text (byte {error.start}); save the file as CSV in UTF-8")


def _rows(stream: Iterator[str], shape: Shape, found: Lines) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.reader(stream, strict=True)
    header: Sequence[str] = ()
    line = 0
    try:
        for row in reader:
            # A quoted field may hold line ends: the record starts behind the line where the one before it ended.
            first, line = line + 1, reader.line_num
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not header:
                header = cells
                if not _known(header, shape, first, found):
                    return
            elif len(cells) == len(header):
                yield first, dict(zip(header, cells, strict=True))
            else:
                found.add(first, f"has {len(cells)} cells, and the header {len(header)}; quote cells that hold commas")
    except csv.Error as error:
        found.add(reader.line_num, f'is not CSV ({error}); quote cells with " and double those inside')
    if not header:
        found.add(1, f"has no header; begin with {','.join(shape.columns)}")


def _known(header: Sequence[str], shape: Shape, line: int, found: Lines) -> bool:
    before = len(found.sentences)
    for column in header:
        if column not in shape.columns:
            found.add(line, unknown("column", column, shape.columns))
    for column in sorted({column for column in header if header.count(column) > 1}):
        found.add(line, f"has the column {column} twice; remove one")
    for column in shape.required:
        if column not in header:
            found.add(line, f"has no column {column}; add it")
    return len(found.sentences) == before
