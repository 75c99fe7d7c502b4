"""Messages and bodies become one slice: their records one per line, and a part for each run of messages of a stream.

A Kafka value or a request body holds one record, pretty-printed or not, or one per line, or a JSON array of them. On the clean
path (one line per message) nothing looks at a message by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from ingest.elements import elements
from ingest.formats.ndjson import json_fault
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
    present = [[value for value in run.values if value] for run in runs]
    joined = b"\n".join(chain.from_iterable(present))
    if _is_plain(joined, present):
        return _slice(joined, [_counted(run, len(mine)) for run, mine in zip(runs, present, strict=True)])
    told = [_told_apart(run) for run in runs]
    lines = [line for mine, _ in told for line in mine]
    joined = b"\n".join(lines)
    overlong = any(len(line) > RECORD_BYTES_MAX for line in lines)
    return _slice(joined, [part for _, part in told], tuple(_sifted(joined)) if overlong else None)


def _is_plain(joined: bytes, present: Sequence[Sequence[bytes]]) -> bool:
    """Whether every message is one line that may be a record as it stands: an object, as far as its first byte tells."""
    messages = sum(map(len, present))
    return (
        joined.count(b"\n") == messages - 1
        and all({value[:1] for value in mine} <= {b"{"} for mine in present)
        and (len(joined) <= RECORD_BYTES_MAX or max(map(len, chain.from_iterable(present))) <= RECORD_BYTES_MAX)
    )


def _counted(run: Run, records: int) -> Part:
    """The part of a run whose messages are a record each, or none."""
    if run.numbers is None or not records:
        return replace(run.part, records=records)
    numbers = tuple(number for number, value in zip(run.numbers, run.values, strict=True) if value)
    consecutive = numbers[-1] - run.part.first_record == records
    return replace(run.part, records=records, numbers=() if consecutive else numbers)


def _told_apart(run: Run) -> tuple[list[bytes], Part]:
    """The records of a run, whatever its messages hold."""
    lines: list[bytes] = []
    owners: list[int] = []
    for value, number in zip(run.values, run.numbers or [0] * len(run.values), strict=True):
        found = records_of(value) if value else []
        lines += found
        owners += [number] * len(found)
    return lines, replace(run.part, records=len(lines), numbers=() if run.numbers is None else tuple(owners))


def _slice(joined: bytes, parts: Sequence[Part], sifted: tuple[Record, ...] | None = None) -> Slice:
    return Slice(
        data=joined,
        start=0,
        end=0,
        first_record=0,
        first_line=0,
        records=sum(part.records for part in parts),
        sifted=sifted,
        parts=tuple(parts),
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
