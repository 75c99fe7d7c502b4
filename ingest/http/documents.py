"""What a body says: NDJSON, one JSON array, or one JSON object become the lines that formats read.

Records keep their own bytes, sound or not; landing judges each by itself. Only a body in which nothing can be read, or
whose records cannot be told apart, is refused as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ingest.elements import elements
from ingest.format import Format
from ingest.formats.ndjson import count_lines, json_fault, split_lines
from ingest.http.answers import Refusal
from ingest.slices import RECORD_BYTES_MAX, SLICE_RECORDS, Record

LOOKED_AT: Final = 1000
"""Lines in which something readable is looked for before a body is taken as lines anyway."""

_SPACE = " \t\r\n"
_ONE_LINE = str.maketrans("\r\n", "  ")


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
    data = _lines(body.removeprefix(b"\xef\xbb\xbf"))
    if data and not data.endswith(b"\n"):
        data += b"\n"
    ends = data.count(b"\n")
    if ends > SLICE_RECORDS:
        raise Refusal(413, f"a body may have {SLICE_RECORDS} lines or elements; send several")
    sifted = _sifted(data, format_) if len(data) > RECORD_BYTES_MAX else None
    return Load(data=data, records=count_lines(data) if data else 0, lines=ends, sifted=sifted)


def _lines(body: bytes) -> bytes:
    begun = body.lstrip()
    if begun.startswith(b"["):
        lines = elements(begun)
        if lines is None:
            raise Refusal(400, "the body is no whole JSON array; nothing of it was kept")
        return lines
    if not begun or _readable(begun):
        return body if begun else b""
    if begun.startswith(b"{"):
        try:
            return _joined(_objects(begun.decode("latin-1")))
        except ValueError:
            pass  # not one document, so lines, of which the first is broken
    if all(json_fault(line) for _, line in islice(split_lines(begun), LOOKED_AT)):
        raise Refusal(400, "the body holds no JSON object that can be read: send NDJSON, one array, or one object")
    return body


def _readable(begun: bytes) -> bool:
    """Whether the first line is a record by itself."""
    return json_fault(begun.partition(b"\n")[0]) is None


def _joined(texts: Iterator[str]) -> bytes:
    return "".join(text.translate(_ONE_LINE) + "\n" for text in texts).encode("latin-1")


def _objects(text: str) -> Iterator[str]:
    """JSON documents one after another, each as it was written. Raises: ValueError where one is broken."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        end = _end(decoder, text, at)
        yield text[at:end]
        at = _past(text, end, _SPACE)


def _end(decoder: json.JSONDecoder, text: str, at: int) -> int:
    """Where a JSON value ends. Raises: ValueError where it is none, or nested deeper than is read."""
    try:
        return decoder.raw_decode(text, at)[1]
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _past(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


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
