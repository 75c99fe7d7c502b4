"""A slice: consecutive whole records of a stream, small enough to land in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

ROW_GROUP_RECORDS = 122_880
"""What DuckDB writes once where smaller inserts pass through the write-ahead log as well."""

SLICE_RECORDS = 2 * ROW_GROUP_RECORDS

SLICE_BYTES_MAX = 160 * 1024 * 1024
MESSAGE_RECORDS_MAX = 10_000
"""A message that holds more records than this is rejected whole: batches are the business of requests and files."""

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
class Part:
    """A run of a slice's records that one stream, or one request of it, delivered.

    Attributes:
        stream: its name in the ledger.
        start: the stream's position before it: a Kafka offset, or bytes of everything that was ever sent.
        end: the position after it.
        records: how many of the slice's records; blank ones do not count.
        first_record: records of the stream before it; its own are numbered from there on.
        first_line: line ends of the stream before it.
        evidence: JSON that is remembered with the position.
        follows: whether the ledger must still stand at `start` (a stream that it does not know stands anywhere).
        request: idempotency key that the sender gave, or empty.
        digest: SHA-256 of the request's body, hexadecimal, where there is a key.
        numbers: the records' own numbers in the stream, where they do not follow one another from `first_record` on.
    """

    stream: str
    start: int
    end: int
    records: int
    first_record: int = 0
    first_line: int = 0
    evidence: str = "{}"
    follows: bool = False
    request: str = ""
    digest: str = ""
    numbers: tuple[int, ...] = ()

    def number(self, nth: int) -> int:
        """What the stream calls the nth record of this part, counted from 1."""
        return self.numbers[nth - 1] if self.numbers else self.first_record + nth


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Whole records, of one stream as a rule.

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
        parts: whose records they are, where several streams or requests share the slice; in the records' order, and of all
            of them.
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
    parts: tuple[Part, ...] = ()


def nth_line_end(data: bytes, count: int) -> int:
    """Bytes up to and including the count-th line end; the caller knows that there are as many."""
    offset = -1
    for _ in range(count):
        offset = data.index(b"\n", offset + 1)
    return offset + 1
