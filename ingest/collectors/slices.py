"""A slice: consecutive whole records of a stream, small enough to land in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

SLICE_RECORDS = 245_760
"""Two DuckDB row groups, which are written once where smaller inserts pass through the write-ahead log as well."""

SLICE_BYTES_MAX = 160 * 1024 * 1024
RECORD_BYTES_MAX = 8 * 1024 * 1024
"""A longer record is rejected without being held."""


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
        oversized: True where `data` is only the beginning of one record that is too long to hold.
    """

    data: bytes
    start: int
    end: int
    first_record: int
    first_line: int
    records: int
    oversized: bool = False


def nth_line_end(data: bytes, count: int) -> int:
    """Bytes up to and including the count-th line end; the caller knows that there are as many."""
    offset = -1
    for _ in range(count):
        offset = data.index(b"\n", offset + 1)
    return offset + 1
