"""Read `teams.csv`: one principal and who pays for it per line, dated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from apportion.config import values
from apportion.config.csv_files import Lines, Shape, rows
from apportion.config.directory import DirectoryRule
from apportion.config.tables import Problems
from apportion.domain.period import FOREVER, Period

COLUMNS: Final = ("principal", "team", "team_name", "project", "cost_center", "effective_from", "effective_to")
REQUIRED: Final = ("principal", "team")
SHAPE: Final = Shape(columns=COLUMNS, required=REQUIRED)

Value = TypeVar("Value")


def read(file: Path, place: str, problems: Problems) -> list[DirectoryRule]:
    """The rules of a file, in its order; every problem as `teams.csv:LINE`.

    Args:
        file: the CSV, with a header line.
        place: where the config names it.
        problems: where problems go.
    """
    found = Lines(file.name)
    made = (_rule(row, line, found) for line, row in rows(file, SHAPE, place, found, problems))
    rules = [rule for rule in made if rule]
    found.tell(problems)
    return rules


def _rule(row: Mapping[str, str], line: int, found: Lines) -> DirectoryRule | None:
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
