"""A slice: consecutive whole records of a stream, small enough to land in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

SLICE_RECORDS = 245_760
"""Two DuckDB row groups, which are written once where smaller inserts pass through the write-ahead log as well."""

SLICE_BYTES_MAX = 160 * 1024 * 1024
RECORD_BYTES_MAX = 8 * 1024 * 1024
"""A longer record is rejected without being held."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a slice whose records were told apart one by one.

    Attributes:
        line_ends: line ends of the slice before it.
        start: offset of its first byte in the slice.
        end: offset after its last, its line end not included.
        row: the line to spool for it, which DuckDB cannot miscount.
        fault: why it is no record at all, as `malformed: detail`, or None.
    """

    line_ends: int
    start: int
    end: int
    row: bytes
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Whole records of one stream.

    Attributes:
        data: the records' bytes, without the stream's header.
        start: position in the stream of the first byte (rows for Parquet).
        end: position after the last.
        first_record: how many records of the stream come before.
        first_line: how many line ends of the stream come before.
        records: how many are in it; blank lines do not count.
        sifted: the records one by one, where DuckDB would not count them as we do.
        numbers: the records' numbers in their stream, where they do not follow one another.
        fault: why the whole slice is one rejected record, of which `data` is only the beginning.
        digest: SHA-256 of all bytes of such a record, hexadecimal.
    """

    data: bytes
    start: int
    end: int
    first_record: int
    first_line: int
    records: int
    sifted: tuple[Record, ...] | None = None
    numbers: tuple[int, ...] = ()
    fault: str | None = None
    digest: str = ""


def nth_line_end(data: bytes, count: int) -> int:
    """Bytes up to and including the count-th line end; the caller knows that there are as many."""
    offset = -1
    for _ in range(count):
        offset = data.index(b"\n", offset + 1)
    return offset + 1
