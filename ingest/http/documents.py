"""What a body says: NDJSON, one JSON array, or one JSON object become the lines that formats read.

Records keep their own bytes, sound or not; landing judges each by itself. Only a body in which nothing can be read, or
whose records cannot be told apart, is refused as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from ingest.elements import is_object, lines_of
from ingest.format import Format
from ingest.formats.ndjson import count_lines, split_lines
from ingest.http.answers import Refusal
from ingest.slices import RECORD_BYTES_MAX, Record

LOOKED_AT: Final = 1000
"""Lines in which something readable is looked for before a body is taken as lines anyway."""


BODY_RECORDS_MAX: Final = 50_000
"""Beyond a few thousand a body lands no faster, and one of nothing but bad records holds up the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The records of one body.

    Attributes:
        data: lines, the last one ended.
        records: how many are not blank.
        lines: how many line ends.
        sifted: the records one by one, where one of them is too long to be read.
    """

    data: bytes
    records: int
    lines: int
    sifted: tuple[Record, ...] | None = None


def load(body: bytes, format_: Format) -> Load:
    """The records of a body. Raises: Refusal when they cannot be told apart (400), or are too many (413)."""
    data = _lines(body)
    if data and not data.endswith(b"\n"):
        data += b"\n"
    ends = data.count(b"\n")
    if ends > BODY_RECORDS_MAX:
        raise Refusal(413, f"a body may have {BODY_RECORDS_MAX} lines or elements; send several")
    sifted = _sifted(data, format_) if len(data) > RECORD_BYTES_MAX else None
    return Load(data=data, records=count_lines(data) if data else 0, lines=ends, sifted=sifted)


def _lines(body: bytes) -> bytes:
    lines = lines_of(body)
    if lines is None:
        raise Refusal(400, "the body is no whole JSON array; nothing of it was kept")
    if lines and all(not is_object(line) for _, line in islice(split_lines(lines), LOOKED_AT)):
        raise Refusal(400, "the body holds no JSON object that can be read: send NDJSON, one array, or one object")
    return lines


def _sifted(data: bytes, format_: Format) -> tuple[Record, ...] | None:
    """The records one by one, if one of them is longer than is read."""
    if all(len(line) <= RECORD_BYTES_MAX for _, line in split_lines(data)):
        return None
    return tuple(_bounded(record) for record in format_.sift(data, b""))


def _bounded(record: Record) -> Record:
    length = record.end - record.start
    if length <= RECORD_BYTES_MAX:
        return record
    fault = f"oversized: the record has {length} bytes; at most {RECORD_BYTES_MAX} are read"
    return Record(record.line_ends, record.start, record.end, b"{}", fault)
