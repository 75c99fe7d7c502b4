"""CSV records in bytes: where each begins and ends, whatever quotes hold, and how to go on after one that is broken.

A quote opens a field only at the field's beginning. A record that spans lines and is none (its quote was never meant, or
never closed) costs its first line only: reading goes on at the next.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

from ingest.format import Ending
from ingest.slices import RECORD_BYTES_MAX

csv.field_size_limit(2 * RECORD_BYTES_MAX)


Reader = Callable[[bytes], list[str] | str]
"""Gives the values of a record, or `malformed: detail`."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where one record stands.

    Attributes:
        line_ends: line ends before it.
        start: offset of its first byte.
        end: offset after its last, its line end not included.
        fields: its values, or the fault of bytes that are no record.
    """

    line_ends: int
    start: int
    end: int
    fields: list[str] | str


def fields(record: bytes, delimiter: str) -> list[str] | str:
    """The values of one record, or `malformed: detail`."""
    try:
        rows = list(
            csv.reader(io.StringIO(record.removesuffix(b"\r").decode(), newline=""), delimiter=delimiter, strict=True)
        )
    except UnicodeDecodeError:
        return "malformed: not UTF-8"
    except csv.Error as error:
        return f"malformed: not CSV: {error}"
    return rows[0] if len(rows) == 1 else "malformed: not one CSV record"


def plain(data: bytes) -> bool:
    """Whether every line is one record, and every reader agrees where lines end."""
    if b'"' in data:
        return False
    returns = data.count(b"\r")
    return not returns or returns == data.count(b"\r\n") == data.count(b"\n")


def scan(data: bytes, read: Reader, delimiter: bytes, ending: Ending) -> tuple[list[Span], int]:
    """Records at the start of data, and how many bytes they take.

    Args:
        data: from the start of a record on.
        read: gives a record's values, or its fault.
        delimiter: one byte.
        ending: what comes after data.
    """
    found: list[Span] = []
    start = line_ends = 0
    while start < len(data):
        end = data.find(b"\n", start)
        if end < 0 and not _taken(data[start:], read, ending):
            break
        end = end if end >= 0 else len(data)
        values = read(data[start:end])
        if data.find(b'"', start, end) >= 0 and opens(data[start:end], delimiter):
            closing = _closing(data, start, end, delimiter, ending)
            if closing is None and _waits(data[start:], read, ending):
                break
            whole = read(data[start:closing]) if closing is not None else values
            if closing is not None and not isinstance(whole, str):
                end, values = closing, whole
        if data[start:end].strip():
            found.append(Span(line_ends, start, end, values))
        line_ends += data.count(b"\n", start, end + 1)
        start = end + 1
    return found, min(start, len(data))


def opens(text: bytes, delimiter: bytes) -> bool:
    """Whether a quoted field is still open at the end of text, which begins with a record."""
    at = 0
    while True:
        if text[at : at + 1] == b'"':
            closing = text.find(b'"', at + 1)
            while closing >= 0 and text[closing + 1 : closing + 2] == b'"':
                closing = text.find(b'"', closing + 2)
            if closing < 0:
                return True
            at = closing + 1
        following = text.find(delimiter, at)
        if following < 0:
            return False
        at = following + 1


def _closing(data: bytes, start: int, end: int, delimiter: bytes, ending: Ending) -> int | None:
    """The line end at which the quotes of a record are closed; None where they are not, or too late to be meant."""
    while end < len(data) and end - start <= RECORD_BYTES_MAX:
        begin, end = end + 1, data.find(b"\n", end + 1)
        if end < 0:
            if ending == "more":
                return None
            end = len(data)
        if data.find(b'"', begin, end) >= 0 and not opens(data[start:end], delimiter):
            return end
    return None


def _taken(tail: bytes, read: Reader, ending: Ending) -> bool:
    """Whether a last line without its end is taken."""
    return ending == "all" or (ending == "last" and (not tail.strip() or not isinstance(read(tail), str)))


def _waits(rest: bytes, read: Reader, ending: Ending) -> bool:
    """Whether an open quote may still be closed by what comes.

    At the end of a file it may not where every later line is a record by itself: then the quote was a mistake.
    """
    if ending == "all" or len(rest) > RECORD_BYTES_MAX:
        return False
    later = [line for line in rest.split(b"\n")[1:] if line.strip()]
    return ending == "more" or not later or any(isinstance(read(line), str) for line in later)
