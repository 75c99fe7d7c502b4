"""Canonical newline-delimited JSON: one object per line, fields as in the contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ingest.kinds import Kind

OBJECT_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ndjson:
    """One canonical record per line."""

    name: str
    kind: Kind
    reads_arrays: bool = True

    def view(self, spool: Path, file: str) -> str:  # noqa: ARG002 - canonical records name themselves
        """The canonical fields, each as a JSON value; a line that is no object is a row of NULLs."""
        fields = ", ".join(f"{column}::VARCHAR AS {column}" for column in self.kind.columns)
        return f"SELECT {fields} FROM {read_objects(spool, self.kind.columns)}"

    def count(self, data: bytes) -> int:
        """Lines that are not blank."""
        return count_lines(data)

    def split(self, data: bytes) -> list[tuple[int, bytes]]:
        """Lines that are not blank."""
        return split_lines(data)

    def boundary(self, data: bytes) -> int:
        """The last line end."""
        return data.rfind(b"\n") + 1

    def fault(self, record: bytes, header: bytes) -> str | None:  # noqa: ARG002 - no header
        """What the JSON parser says."""
        return json_fault(record)

    def header(self, data: bytes) -> bytes:  # noqa: ARG002 - none
        """NDJSON has none."""
        return b""

    def placeholder(self, header: bytes) -> bytes:  # noqa: ARG002 - always the same
        """An empty object."""
        return b"{}"


def read_objects(spool: Path, columns: tuple[str, ...]) -> str:
    """SQL of a table of one JSON column per field; a line that is no object is a row of NULLs."""
    fields = ", ".join(f"{column}: 'JSON'" for column in columns)
    path = str(spool).replace("'", "''")
    return (
        f"read_ndjson('{path}', columns = {{{fields}}}, ignore_errors = true, maximum_object_size = {OBJECT_BYTES_MAX}, "
        "compression = 'none')"
    )


def split_lines(data: bytes) -> list[tuple[int, bytes]]:
    """Lines that are not blank, without their ends, each with the number of line ends before it."""
    return [(number, line) for number, line in enumerate(data.split(b"\n")) if line and not line.isspace()]


def count_lines(data: bytes) -> int:
    """How many lines are not blank."""
    ends = data.count(b"\n") + (not data.endswith(b"\n"))
    if b"\n\n" in data or b"\n\r" in data or b"\n " in data or b"\n\t" in data or data[:1].isspace():
        return len(split_lines(data))
    return ends


def json_fault(record: bytes) -> str | None:
    """Why these bytes are not one JSON object, or None."""
    try:
        found = json.loads(record)
    except ValueError as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8"
        where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        return f"malformed: not JSON: {said}{where}"
    except RecursionError:
        return "malformed: JSON is nested too deep"
    return None if isinstance(found, dict) else f"malformed: a JSON {type(found).__name__}, not an object"
