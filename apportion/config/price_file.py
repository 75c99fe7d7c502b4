"""Read a price file: CSV with a header, one price row a line, in the words of `[[prices.overrides]]`; empty cells are left out."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from apportion.config.tables import Problems, Table, unknown

COLUMNS: Final = (
    "provider", "model", "tier", "above_input_tokens", "daily", "input", "cache_read", "cache_write", "output", "reasoning",
    "currency", "effective_from", "effective_to",
)  # fmt: skip
REQUIRED: Final = ("provider", "model")
DIGITS_MAX: Final = 12
"""Of an integer; more are told as what they are, a text."""


def tables(file: Path, place: str, problems: Problems) -> list[Table]:
    """Each line that has the header's shape as a table of its own; every problem as `prices.csv:LINE`.

    Args:
        file: the CSV, with a header line.
        place: where the config names it.
        problems: where problems go.
    """
    written = _read(file, place, problems)
    if not written:
        return []
    (number, header), *rest = written
    if _wrong_header(header, f"{file.name}:{number}", problems):
        return []
    return [made for number, row in rest if (made := _table(header, row, f"{file.name}:{number}", problems))]


def _read(file: Path, place: str, problems: Problems) -> list[tuple[int, list[str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            written = _written(stream)
    except FileNotFoundError:
        problems.error(place, f"{file} does not exist; create it with the header {','.join(COLUMNS)}")
    except OSError as error:
        problems.error(place, f"{file} cannot be read ({error.strerror}); give this user access, or correct the path")
    except UnicodeDecodeError as error:
        problems.error(file.name, f"is not UTF-8 text (byte {error.start}); save the file as CSV in UTF-8")
    except csv.Error as error:
        problems.error(file.name, f'is not CSV ({error}); quote cells with " and double those inside')
    else:
        if not written:
            problems.error(f"{file.name}:1", f"has no header; begin with {','.join(COLUMNS)}")
        return written
    return []


def _written(stream: Iterable[str]) -> list[tuple[int, list[str]]]:
    """Rows that are not blank, with the lines they begin on: a quoted cell may hold line ends."""
    found, line = [], 0
    reader = csv.reader(stream, strict=True)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            found.append((line + 1, cells))
        line = reader.line_num
    return found


def _wrong_header(header: list[str], where: str, problems: Problems) -> bool:
    said = [unknown("column", column, COLUMNS) for column in header if column not in COLUMNS]
    said += [f"has the column {column} twice; remove one" for column in sorted(set(header)) if header.count(column) > 1]
    said += [f"has no column {column}; add it" for column in REQUIRED if column not in header]
    for sentence in said:
        problems.error(where, sentence)
    return bool(said)


def _table(header: list[str], row: list[str], where: str, problems: Problems) -> Table | None:
    if len(row) != len(header):
        problems.error(where, f"has {len(row)} cells, and the header {len(header)}; quote cells that hold commas")
        return None
    content: dict[str, object] = {column: cell for column, cell in zip(header, row, strict=True) if cell}
    threshold = content.get("above_input_tokens")
    if isinstance(threshold, str) and threshold.isascii() and threshold.isdigit() and len(threshold) < DIGITS_MAX:
        content["above_input_tokens"] = int(threshold)
    return Table(content, where, problems)
