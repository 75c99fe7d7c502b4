"""A partition's messages by format, and what of them is refused without being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from apportion.domain.errors import InputError
from ingest.format import Format
from ingest.gather import Run, gathered
from ingest.kafka.pending import Claim, Delivery
from ingest.slices import Part, Record, Slice

NAME_SHOWN_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that is rejected whole, whatever is in it.

    Attributes:
        offset: of the message.
        value: what it holds.
        fault: why, as `reason: detail`.
    """

    offset: int
    value: bytes
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A partition's messages of one format in a slice. Refused ones are in the share that moves the partition.

    Attributes:
        claim: under which they were fetched.
        run: the messages that are read.
        refused: those that are not, by their offsets.
    """

    claim: Claim
    run: Run
    refused: tuple[Refused, ...] = ()


@dataclass(slots=True)
class _Messages:
    offsets: list[int] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)


def shares(
    claim: Claim, deliveries: Sequence[Delivery], usual: str, is_known: Callable[[str], bool]
) -> Mapping[str, Share]:
    """A partition's messages by format, in the order of the formats' names; the last share moves the partition.

    What is refused goes with the last one, so that it is written down exactly when nobody reads it again.

    Args:
        claim: under which they were fetched.
        deliveries: of the partition, in order.
        usual: the format of messages that name none.
        is_known: whether a format can be that of a message.
    """
    found: dict[str, _Messages] = {}
    refused: list[Refused] = []
    faults: dict[str, str] = {}
    for one in deliveries:
        if not one.formats:
            mine = found.setdefault(usual, _Messages())
            mine.offsets += one.offsets
            mine.values += one.values
            continue
        for offset, value, said in zip(one.offsets, one.values, one.formats, strict=True):
            name = said or usual
            if name not in found and name not in faults:
                if is_known(name):
                    found[name] = _Messages()
                else:
                    faults[name] = _unknown(name)
            if name in faults:
                refused += [Refused(offset=offset, value=value, fault=faults[name])] if value else []
            else:
                found[name].offsets.append(offset)
                found[name].values.append(value)
    found = found or {usual: _Messages()}
    made = {name: Share(claim=claim, run=_run(claim, found[name])) for name in sorted(found)}
    last, share = made.popitem()
    part = replace(share.run.part, end=deliveries[-1].offsets[-1] + 1)
    return {**made, last: Share(claim=claim, run=replace(share.run, part=part), refused=tuple(refused))}


def _run(claim: Claim, messages: _Messages) -> Run:
    """Messages of a partition that do not move it yet."""
    before = messages.offsets[0] - 1 if messages.offsets else claim.landed - 1
    part = Part(stream=claim.stream, start=claim.landed, end=claim.landed, records=0, first_record=before, follows=True)
    return Run(part=part, values=messages.values, numbers=messages.offsets)


def _unknown(name: str) -> str:
    shown = name if len(name) <= NAME_SHOWN_MAX else f"{name[:NAME_SHOWN_MAX]}…"
    return f"unknown_format: the message says that its format is {shown!r}, which is none that messages can be in"


def slice_of(together: Sequence[Share], format_: Format) -> Slice:
    """One slice of shares of a format, with a part for each."""
    piece = gathered([share.run for share in together])
    if not any(share.refused for share in together):
        return piece
    read = iter(format_.sift(piece.data, b"") if piece.sifted is None else piece.sifted)
    records: list[Record] = []
    parts, pieces, at = [], [piece.data], len(piece.data)
    for share, part in zip(together, piece.parts, strict=True):
        mine = [(part.number(nth), next(read)) for nth in range(1, part.records + 1)]
        for one in share.refused:
            mine.append((one.offset, Record(0, at, at + len(one.value), b"{}", one.fault)))
            pieces.append(one.value)
            at += len(one.value)
        mine.sort(key=itemgetter(0))
        records += [record for _, record in mine]
        parts.append(replace(part, records=len(mine), numbers=tuple(number for number, _ in mine)))
    return replace(piece, data=b"".join(pieces), records=len(records), sifted=tuple(records), parts=tuple(parts))


def halves(together: Sequence[Share], why: str) -> Iterator[list[Share]]:
    """Two halves to land one after the other, or the one message that is left, refused: nothing blocks what follows it."""
    if middle := len(together) // 2:
        yield list(together[:middle])
        yield list(together[middle:])
        return
    [share] = together
    run, numbers = share.run, share.run.numbers or ()
    middle = len(numbers) // 2
    if middle:
        seam = numbers[middle]
        end = seam if run.part.end > run.part.start else run.part.end
        first = replace(run, part=replace(run.part, end=end), values=run.values[:middle], numbers=numbers[:middle])
        rest = replace(run.part, start=end, first_record=seam - 1)
        second = replace(run, part=rest, values=run.values[middle:], numbers=numbers[middle:])
        yield [replace(share, run=first, refused=tuple(one for one in share.refused if one.offset < seam))]
        yield [replace(share, run=second, refused=tuple(one for one in share.refused if one.offset >= seam))]
        return
    if not run.values:
        raise InputError(why)
    lone = Refused(offset=numbers[0], value=run.values[0] or b"", fault=f"malformed: {why}")
    yield [replace(share, run=replace(run, values=(), numbers=()), refused=(*share.refused, lone))]
