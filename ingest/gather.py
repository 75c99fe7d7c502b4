"""Messages become one slice: their records one per line, and a part for each run of messages of a stream.

A message holds one record, pretty-printed or not, or one per line, or a JSON array of them. On the clean path (one line per
message) nothing looks at a message by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from ingest.elements import lines_of
from ingest.slices import MESSAGE_RECORDS_MAX, RECORD_BYTES_MAX, Part, Record, Slice

_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Consecutive messages of one stream.

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
    joined = b"\n".join(line.data for line in lines)
    sifted = tuple(_sifted(lines)) if any(line.fault for line in lines) else None
    return _slice(joined, [part for _, part in told], sifted)


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


@dataclass(frozen=True, slots=True)
class _Line:
    """A record, or what is rejected whole in its place."""

    data: bytes
    fault: str | None = None


def _told_apart(run: Run) -> tuple[list[_Line], Part]:
    """The records of a run, whatever its messages hold."""
    lines: list[_Line] = []
    owners: list[int] = []
    for value, number in zip(run.values, run.numbers or [0] * len(run.values), strict=True):
        found = _bounded(value) if value else []
        lines += found
        owners += [number] * len(found)
    return lines, replace(run.part, records=len(lines), numbers=() if run.numbers is None else tuple(owners))


def _bounded(value: bytes) -> list[_Line]:
    """The records of a message; one line for all of them where they are too many."""
    found = records_of(value)
    if len(found) > MESSAGE_RECORDS_MAX:
        fault = f"oversized: the message holds {len(found)} records; at most {MESSAGE_RECORDS_MAX} are read of one"
        return [_Line(value.translate(_ONE_LINE), fault)]
    return [_Line(line, _overlong(line)) for line in found]


def _overlong(line: bytes) -> str | None:
    too_long = len(line) > RECORD_BYTES_MAX
    return f"oversized: the record has {len(line)} bytes; at most {RECORD_BYTES_MAX} are read" if too_long else None


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
    """The records that a message holds, each on one line; what is no record stays what it is, to be rejected."""
    lines = lines_of(value)
    if lines is None:
        return [value.translate(_ONE_LINE)]
    return [line.removesuffix(b"\r") for line in lines.split(b"\n") if line and not line.isspace()]


def _sifted(lines: Sequence[_Line]) -> Iterator[Record]:
    start = 0
    for number, line in enumerate(lines):
        end = start + len(line.data)
        yield Record(number, start, end, b"{}" if line.fault else line.data, line.fault)
        start = end + 1
