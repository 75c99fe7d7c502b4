"""Canonical newline-delimited JSON: one object per line, fields as in the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.format import Cut, Ending
from ingest.formats import redaction
from ingest.kinds import Kind
from ingest.slices import Record

OBJECT_BYTES_MAX = 16 * 1024 * 1024


class JsonLines:
    """What every format of one JSON object per line has in common."""

    __slots__ = ()

    def cut(self, data: bytes, header: bytes, ending: Ending) -> Cut:  # noqa: ARG002 - no header
        """Lines; the last one may lack its end if it is an object."""
        return cut_lines(data, ending)

    def split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank."""
        return split_lines(data)

    def sift(self, data: bytes, header: bytes) -> tuple[Record, ...]:  # noqa: ARG002 - no header
        """Lines that are not blank, one by one."""
        return sift_lines(data)

    def fault(self, record: bytes, header: bytes) -> str | None:  # noqa: ARG002 - no header
        """What the JSON parser says."""
        return json_fault(record)

    def header(self, data: bytes) -> bytes:  # noqa: ARG002 - none
        """JSON lines have none."""
        return b""


@dataclass(frozen=True, slots=True)
class Ndjson(JsonLines):
    """One canonical record per line.

    Attributes:
        name: what `--format` calls it.
        kind: what its records are.
        reads_arrays: a file may also be one array.
        stands_alone: records name themselves.
        time_form: RFC 3339.
    """

    name: str
    kind: Kind
    reads_arrays: bool = True
    stands_alone: bool = True
    time_form: str = ""

    def view(self, spool: Path, file: str, header: bytes, *, sifted: bool) -> str:  # noqa: ARG002 - lines are lines
        """The canonical fields, each as a JSON value; a line that is no object is a row of NULLs."""
        fields = ", ".join(f"{column}::VARCHAR AS {column}" for column in self.kind.columns)
        return f"SELECT {fields} FROM {read_objects(spool, self.kind.columns)}"

    def kept(self, record: bytes, header: bytes, tags: frozenset[str]) -> bytes | None:  # noqa: ARG002 - no header
        """Fields of the contract and allowed tags."""
        return redaction.canonical(record, self.kind.columns, tags)


def read_objects(spool: Path, columns: tuple[str, ...], type_: str = "JSON") -> str:
    """SQL of a table of one column per field; a line that is no object is a row of NULLs."""
    fields = ", ".join(f"{column}: '{type_}'" for column in columns)
    path = str(spool).replace("'", "''")
    return (
        f"read_ndjson('{path}', columns = {{{fields}}}, records = 'true', ignore_errors = true, "
        f"maximum_object_size = {OBJECT_BYTES_MAX}, compression = 'none')"
    )


def cut_lines(data: bytes, ending: Ending) -> Cut:
    """Where the whole lines end; a last line without its end is whole if it is an object."""
    end = len(data) if ending == "all" else data.rfind(b"\n") + 1
    if ending == "last" and data[end:].strip() and json_fault(data[end:]) is None:
        end = len(data)
    return Cut(end=end, records=count_lines(data[:end]))


def split_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, without their ends, each with the number of line ends before it."""
    return ((number, line) for number, line in enumerate(data.split(b"\n")) if line and not line.isspace())


def sift_lines(data: bytes) -> tuple[Record, ...]:
    """Lines that are not blank, one by one."""
    found, start = [], 0
    for number, line in enumerate(data.split(b"\n")):
        if line and not line.isspace():
            found.append(Record(number, start, start + len(line), line.removesuffix(b"\r")))
        start += len(line) + 1
    return tuple(found)


_BLANK = re.compile(rb"\n[\n\r \t\x0b\x0c]")


def count_lines(data: bytes) -> int:
    """How many lines are not blank."""
    ends = data.count(b"\n") + (not data.endswith(b"\n"))
    if _BLANK.search(data) or data[:1].isspace() or not data:
        return sum(1 for _ in split_lines(data))
    return ends


def json_fault(record: bytes) -> str | None:
    """Why these bytes are not one JSON object, or None."""
    try:
        found = json.loads(record.decode())
    except UnicodeDecodeError:
        return "malformed: not UTF-8"
    except json.JSONDecodeError as error:
        return f"malformed: not JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError):
        return None  # nested very deep, or a number of thousands of digits: JSON all the same
    return None if isinstance(found, dict) else f"malformed: a JSON {_KINDS.get(type(found), 'value')}, not an object"


_KINDS = {list: "array", str: "text", int: "number", float: "number", bool: "word", type(None): "word"}
