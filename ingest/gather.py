"""Messages and bodies become one slice: their records one per line, and a part for each run of messages of a stream.

A Kafka value or a request body holds one record, pretty-printed or not, or one per line, or a JSON array of them. On the clean
path (one line per message) nothing looks at a message by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.elements import elements
from ingest.formats.ndjson import count_lines, json_fault
from ingest.slices import RECORD_BYTES_MAX, Part, Record, Slice

_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Consecutive messages of one stream, or one request.

    Attributes:
        part: what will be known of them in the ledger; its count of records is filled in here.
        values: what each message holds; None and blank ones hold no record.
        numbers: what the stream calls each message (a Kafka offset); None where records are numbered from
            `part.first_record` on.
    """

    part: Part
    values: Sequence[bytes | None]
    numbers: Sequence[int] | None = None


def gathered(runs: Sequence[Run]) -> Slice:
    """One slice of all the records, in order. The caller bounds how much there is of them."""
    parts, pieces, overlong = [], [], False
    for run in runs:
        data, part, has_overlong = _lines(run)
        parts.append(part)
        overlong |= has_overlong
        if data:
            pieces.append(data)
    joined = b"\n".join(pieces)
    return Slice(
        data=joined,
        start=0,
        end=0,
        first_record=0,
        first_line=0,
        records=sum(part.records for part in parts),
        sifted=tuple(_sifted(joined)) if overlong else None,
        parts=tuple(parts),
    )


def _lines(run: Run) -> tuple[bytes, Part, bool]:
    """The records of a run, one per line; its part; whether one of them is too long."""
    present = [value for value in run.values if value]
    joined = b"\n".join(present)
    if len(present) == len(run.values) and _is_plain(joined, present):
        consecutive = run.numbers is None or run.numbers[-1] - run.part.first_record == len(present)
        numbers = () if consecutive or run.numbers is None else tuple(run.numbers)
        return joined, replace(run.part, records=len(present), numbers=numbers), False
    lines: list[bytes] = []
    owners: list[int] = []
    for value, number in zip(run.values, run.numbers or [0] * len(run.values), strict=True):
        found = records_of(value) if value else []
        lines += found
        owners += [number] * len(found)
    part = replace(run.part, records=len(lines), numbers=() if run.numbers is None else tuple(owners))
    return b"\n".join(lines), part, any(len(line) > RECORD_BYTES_MAX for line in lines)


def _is_plain(joined: bytes, present: Sequence[bytes]) -> bool:
    """Whether every message is one line that may be a record as it stands."""
    return (
        bool(present)
        and joined.count(b"\n") == len(present) - 1
        and not joined.startswith(b"[")
        and b"\n[" not in joined
        and (len(joined) <= RECORD_BYTES_MAX or max(map(len, present)) <= RECORD_BYTES_MAX)
        and count_lines(joined) == len(present)
    )


def records_of(value: bytes) -> list[bytes]:
    """The records that a message or a body holds, each on one line; what is no record stays what it is, to be rejected."""
    if value.lstrip()[:1] == b"[":
        found = elements(value)
        return [value.translate(_ONE_LINE)] if found is None else [line for line in found.split(b"\n") if line.strip()]
    first, end, _ = value.partition(b"\n")
    if end and json_fault(first) is not None and json_fault(value) is None:
        return [value.translate(_ONE_LINE)]  # line ends inside JSON texts are escaped: these are between them
    return [line.removesuffix(b"\r") for line in value.split(b"\n") if line and not line.isspace()]


def _sifted(joined: bytes) -> Iterator[Record]:
    start = 0
    for number, line in enumerate(joined.split(b"\n")):
        fault = None
        if len(line) > RECORD_BYTES_MAX:
            fault = f"oversized: the record has {len(line)} bytes; at most {RECORD_BYTES_MAX} are read"
        yield Record(number, start, start + len(line), b"{}" if fault else line, fault)
        start += len(line) + 1
