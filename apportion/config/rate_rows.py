"""Every row of the rate card: the `[[rates]]` tables, then the lines of each of the `[[rate_files]]`; list prices filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from apportion.config import list_prices
from apportion.config.csv_files import Lines, Shape, rows
from apportion.config.tables import Placed, Problems, Table, unknown

COLUMNS: Final = (
    "pool", "component", "per_gpu_hour", "per_gpu_second", "per_month", "per_year", "per_kwh", "pue", "watts_per_gpu", "catalog",
    "list", "purchase", "currency", "source", "effective_from", "effective_to",
)  # fmt: skip
"""Keys of [[rates]], as a file names them; an empty cell is a key that is not written."""

SHAPE: Final = Shape(columns=COLUMNS, required=("pool", "component", "effective_from"))

Item = TypeVar("Item")


def tables(root: Table, beside: Path) -> list[Table]:
    """Every row, yet to be read; those of files stand at `file:LINE`."""
    written = [*root.tables("rates"), *(row for file in root.tables("rate_files") for row in _file(file, beside))]
    return [list_prices.resolved(root, row) for row in written]


def each(rates: Sequence[Table], parse: Callable[[Table], Item]) -> list[Placed[Item]]:
    """Every sound row, with its place; what is wrong with the others is noted."""
    read = [(table, parse(table)) for table in rates]
    return [Placed(table.where, item) for table, item in read if table.sound()]


def _file(table: Table, beside: Path) -> Iterator[Table]:
    path = table.text("path")
    for key in table.written():
        if key != "path":
            table.wrong(key, unknown("key", key, ("path",)))
    if not path:
        return
    found = Lines(Path(path).name)
    yield from _rows(beside / path, table.place("path"), found, table.problems)
    found.tell(table.problems)


def _rows(file: Path, place: str, found: Lines, problems: Problems) -> Iterator[Table]:
    for line, row in rows(file, SHAPE, place, found, problems):
        yield Table({column: cell for column, cell in row.items() if cell}, f"{file.name}:{line}", problems)
