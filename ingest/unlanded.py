"""What did not land, with its bytes and the reason: only ever asked where counts disagree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apportion.ledger.connection import Session
from ingest.collectors.slices import RECORD_BYTES_MAX, Slice
from ingest.formats.format import Format
from ingest.formats.parquet import Parquet
from ingest.rejections import Rejection


class UncountedError(Exception):
    """The rows that came out are not the records that went in: sift the slice."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a slice.

    Attributes:
        line: its line in the stream, from 1.
        data: its bytes.
        fault: why it is no record at all, where sifting found so.
    """

    line: int
    data: bytes
    fault: str | None = None


def sift(format_: Format, piece: Slice, header: bytes) -> list[Record]:
    """Tell records from bytes that are none, one by one. Slow and sure."""
    return [
        Record(piece.first_line + before + 1, data, _too_large(data) or format_.fault(data, header))
        for before, data in format_.split(piece.data)
    ]


def spooled(format_: Format, records: list[Record], header: bytes) -> bytes:
    """Header and records that DuckDB counts as we do: one kind of line end, and a placeholder for each that is none."""
    placeholder = format_.placeholder(header)
    whole = [placeholder if record.fault else record.data.removesuffix(b"\r") for record in records]
    return b"".join(record + b"\n" for record in [*([header.rstrip(b"\r\n")] if header else []), *whole])


def unlanded(
    session: Session, format_: Format, spool: Path, piece: Slice, header: bytes, sifted: list[Record] | None, expected: int,
) -> list[Rejection]:
    """Rejected and conflicting records of the slice that is being landed.

    Raises: UncountedError when rows and records do not line up, so that no reason is ever pinned on the wrong record.
    """
    found = session.rows(format_.kind.sql("rejects"))
    if len(found) != expected:
        raise UncountedError
    conflicts = session.rows(_CONFLICTS) if session.value("SELECT getvariable('careful')") else []
    numbers = [row[0] for row in found] + [row[0] for row in conflicts]
    records = _located(session, format_, spool, piece, sifted, numbers)
    rejections = []
    for number, fault, source, identity in found:
        record = records[number]
        reason = record.fault or _too_large(record.data) or format_.fault(record.data, header)
        if reason is None:
            reason = _refined(format_, record.data) if fault.startswith("malformed") else fault
        if reason is None or not (record.fault or _names(record.data, identity)):
            raise UncountedError
        rejections.append(Rejection(piece.first_record + number, record.line, reason, source, record.data))
    for number, fault in conflicts:
        record = records[number]
        rejections.append(Rejection(piece.first_record + number, record.line, fault, "", record.data))
    return rejections


_CONFLICTS = """
SELECT record, 'conflict: same id and revision as a record that landed first, with other content; the first stays'
FROM verdict WHERE outcome = 'conflict' ORDER BY record
"""


def _located(
    session: Session, format_: Format, spool: Path, piece: Slice, sifted: list[Record] | None, numbers: list[int],
) -> dict[int, Record]:
    if not numbers:
        return {}
    if isinstance(format_, Parquet):
        rows = format_.row_bytes(session, spool, [piece.start + number - 1 for number in numbers])
        return {number: Record(piece.start + number, rows[piece.start + number - 1]) for number in numbers}
    seen = sifted or [Record(piece.first_line + before + 1, data) for before, data in format_.split(piece.data)]
    if max(numbers) > len(seen):
        raise UncountedError
    return {number: seen[number - 1] for number in numbers}


def _refined(format_: Format, data: bytes) -> str | None:
    """What is wrong with a record of which nothing could be read, though it is one; None where that cannot be."""
    kind = format_.kind
    if any(f'"{name}"'.encode() in data for name in (kind.identity, kind.time)):
        return None
    return f"missing_field: no {kind.identity} and no {kind.time}; is this a {kind.name} file?"


def _too_large(data: bytes) -> str | None:
    if len(data) > RECORD_BYTES_MAX:
        return f"too_large: the record has {len(data)} bytes; at most {RECORD_BYTES_MAX} are read"
    return None


def _names(data: bytes, identity: str | None) -> bool:
    """Whether the bytes can be the record that SQL saw; escapes and mappings make it impossible to tell."""
    return identity is None or b"\\" in data or identity.encode() in data or not data.startswith(b"{")
