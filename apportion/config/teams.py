"""Read `teams.csv`: one principal and who pays for it per line, dated."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from apportion.config import values
from apportion.config.directory import DirectoryRule
from apportion.config.tables import Problems, unknown
from apportion.domain.period import FOREVER, Period

COLUMNS: Final = ("principal", "team", "team_name", "project", "cost_center", "effective_from", "effective_to")
REQUIRED: Final = ("principal", "team")
PROBLEMS_MAX: Final = 50
"""A file in the wrong shape has a problem on every line; the first ones say it."""

Value = TypeVar("Value")


def read(file: Path, place: str, problems: Problems) -> list[DirectoryRule]:
    """The rules of a file, in its order; every problem as `teams.csv:LINE`.

    Args:
        file: the CSV, with a header line.
        place: where the config names it.
        problems: where problems go.
    """
    found = _Lines(file.name)
    rules: list[DirectoryRule] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in _rows(stream, found):
                rule = _rule(row, line, found)
                if rule:
                    rules.append(rule)
    except FileNotFoundError:
        problems.error(place, f"{file} does not exist; create it with the header {','.join(COLUMNS)}")
    except OSError as error:
        problems.error(place, f"{file} cannot be read ({error.strerror}); give this user access, or correct the path")
    except UnicodeDecodeError as error:
        found.add(1, f"is not UTF-8 text (byte {error.start}); save the file as CSV in UTF-8")
    problems.errors.extend(found.sentences[:PROBLEMS_MAX])
    if len(found.sentences) > PROBLEMS_MAX:
        more = len(found.sentences) - PROBLEMS_MAX
        problems.error(file.name, f"has {more} more problems like these; correct these first")
    return rules


class _Lines:
    def __init__(self, name: str) -> None:
        self.name = name
        self.sentences: list[str] = []

    def add(self, line: int, sentence: str) -> None:
        self.sentences.append(f"{self.name}:{line}: {sentence}")


def _rows(stream: Iterator[str], found: _Lines) -> Iterator[tuple[int, Mapping[str, str]]]:
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
                if not _known(header, first, found):
                    return
            elif len(cells) == len(header):
                yield first, dict(zip(header, cells, strict=True))
            else:
                found.add(first, f"has {len(cells)} cells, and the header {len(header)}; quote cells that hold commas")
    except csv.Error as error:
        found.add(reader.line_num, f'is not CSV ({error}); quote cells with " and double those inside')
    if not header:
        found.add(1, f"has no header; begin with {','.join(COLUMNS)}")


def _known(header: Sequence[str], line: int, found: _Lines) -> bool:
    before = len(found.sentences)
    for column in header:
        if column not in COLUMNS:
            found.add(line, unknown("column", column, COLUMNS))
    for column in sorted({column for column in header if header.count(column) > 1}):
        found.add(line, f"has the column {column} twice; remove one")
    for column in REQUIRED:
        if column not in header:
            found.add(line, f"has no column {column}; add it")
    return len(found.sentences) == before


def _rule(row: Mapping[str, str], line: int, found: _Lines) -> DirectoryRule | None:
    before = len(found.sentences)

    def cell(column: str, convert: Callable[[str], Value], default: Value) -> Value:
        written = row.get(column, "")
        if not written and column not in REQUIRED:
            return default
        try:
            return convert(written)
        except ValueError as error:
            found.add(line, f"{column} {error}")
            return default

    start = cell("effective_from", values.instant, values.BEGINNING)
    end = cell("effective_to", values.instant, FOREVER)
    if end <= start:
        later = f"effective_to is {values.stamp(end)}, not after effective_from {values.stamp(start)}"
        found.add(line, f"{later}; write a later end, or leave it empty")
        return None
    rule = DirectoryRule(
        principal=cell("principal", values.text, ""),
        namespace=None,
        source=None,
        tags=(),
        team=cell("team", values.name, ""),
        team_tag="",
        team_name=cell("team_name", values.text, ""),
        project=cell("project", values.text, ""),
        cost_center=cell("cost_center", values.text, ""),
        effective=Period(start, end),
        where=f"{found.name}:{line}",
    )
    return rule if len(found.sentences) == before else None
