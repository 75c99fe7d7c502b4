"""What did not land, with the reason and what may be kept of it: only ever asked where counts disagree."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from apportion.ledger.connection import Session
from ingest.format import Format
from ingest.formats import redaction
from ingest.formats.ndjson import Ndjson
from ingest.formats.parquet import Parquet
from ingest.rejections import Rejection
from ingest.slices import Slice


class UncountedError(Exception):
    """The rows that came out are not the records that went in: sift the slice."""


@dataclass(frozen=True, slots=True)
class _Located:
    """A record in its stream: its line, its bytes, and why it is none, where sifting found so."""

    line: int
    data: bytes
    fault: str | None = None


def unlanded(
    session: Session,
    format_: Format,
    spool: Path,
    piece: Slice,
    header: bytes,
    expected: int,
    tags: frozenset[str],
) -> list[tuple[int, Rejection]]:
    """Rejected and conflicting records of the slice that is being landed, with their numbers in it, from 1.

    Args:
        session: of the landing.
        format_: of the slice.
        spool: where the slice lies.
        piece: the slice.
        header: of its stream.
        expected: how many records have to be among the rejected.
        tags: that may be kept.

    Raises: UncountedError when rows and records do not line up, so that no reason is ever pinned on the wrong record.
    """
    found = session.rows(format_.kind.sql("rejects"))
    if len(found) != expected:
        raise UncountedError
    conflicts = session.rows(format_.kind.sql("conflicts")) if session.value("SELECT getvariable('careful')") else []
    records = _located(session, format_, spool, piece, [row[0] for row in [*found, *conflicts]])
    rejections = []
    for number, fault, source, identity in found:
        record = records[number]
        if piece.sifted is None and isinstance(format_, Ndjson) and not _names(record.data, identity):
            raise UncountedError
        reason = record.fault or format_.fault(record.data, header) or _refined(format_, fault, record.data)
        rejected = _rejection(format_, piece, number, record, fault=reason, source=source, header=header, tags=tags)
        rejections.append((number, rejected))
    for number, source in conflicts:
        conflict = _rejection(
            format_, piece, number, records[number], fault=_CONFLICT, source=source, header=header, tags=tags
        )
        rejections.append((number, conflict))
    return rejections


_CONFLICT = "conflict: same id and revision as a record that landed first, with other content; the first stays"


def _rejection(
    format_: Format,
    piece: Slice,
    number: int,
    record: _Located,
    *,
    fault: str,
    source: str,
    header: bytes,
    tags: frozenset[str],
) -> Rejection:
    return Rejection(
        record=piece.first_record + number,
        line=record.line,
        fault=fault,
        source=source,
        digest=hashlib.sha256(record.data).hexdigest(),
        kept=kept(format_, record.data, header, tags),
    )


def kept(format_: Format, record: bytes, header: bytes, tags: frozenset[str]) -> bytes | None:
    """What the quarantine may keep of a record; None where nothing."""
    found = format_.kept(record, header, tags)
    return None if found is None else redaction.sealed(found)


def _located(
    session: Session, format_: Format, spool: Path, piece: Slice, numbers: Collection[int]
) -> dict[int, _Located]:
    """Records of the slice by their number in it, from 1."""
    wanted = set(numbers)
    if not wanted:
        return {}
    if isinstance(format_, Parquet):
        rows = format_.row_bytes(session, spool, [piece.start + number - 1 for number in sorted(wanted)])
        return {number: _Located(piece.start + number, rows[piece.start + number - 1]) for number in wanted}
    if piece.sifted is not None:
        found = {
            number: _Located(
                piece.first_line + record.line_ends + 1, piece.data[record.start : record.end], record.fault
            )
            for number, record in enumerate(piece.sifted, 1)
            if number in wanted
        }
    else:
        found = {
            number: _Located(piece.first_line + line_ends + 1, data)
            for number, (line_ends, data) in enumerate(format_.split(piece.data), 1)
            if number in wanted
        }
    if len(found) != len(wanted):
        raise UncountedError
    return found


def _refined(format_: Format, fault: str, data: bytes) -> str:
    """The fault in words; where nothing could be read at all, whether the record is of another kind or not even JSON."""
    if not fault.startswith("malformed"):
        return fault
    kind, found = format_.kind, redaction.parsed(data)
    if found is not None and any(found.get(name) is not None for name in (kind.identity, kind.time)):
        return "malformed: not JSON that the ledger can keep; half a surrogate pair in a text, or nested too deep"
    article = "an" if kind.name[0] in "aeio" else "a"
    return f"missing_field: no {kind.identity} and no {kind.time}; is this {article} {kind.name} file?"


def _names(data: bytes, identity: str | None) -> bool:
    """Whether the bytes can be the record that SQL saw; escapes make it impossible to tell."""
    return identity is None or b"\\" in data or identity.encode() in data
