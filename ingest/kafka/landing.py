"""Land what readers fetched: one slice per format, the positions of all its partitions in the slice's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from apportion.config.sources import KafkaSource
from apportion.domain.clock import Clock
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.format import Format
from ingest.gather import Run, gathered
from ingest.journal import StalePositionError
from ingest.kafka.pending import Claim, Delivery
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rules import Rules
from ingest.slices import Part, Record, Slice

FindFormat = Callable[[str], Format | None]
NAME_SHOWN_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A partition's messages of one format in a slice.

    Attributes:
        claim: under which they were fetched.
        run: the messages.
        faults: why each is refused without being read; empty where they are read.
    """

    claim: Claim
    run: Run
    faults: tuple[str, ...] = ()


class Landing:
    """Where the deliveries of one source are landed. One thread at a time."""

    def __init__(
        self,
        source: str,
        default: str,
        settings: KafkaSource,
        *,
        ledger: Ledger,
        find_format: FindFormat,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._source, self._default, self._settings = source, default, settings
        self._ledger, self._find_format, self._rules, self._clock = ledger, find_format, rules, clock
        self._landers: dict[str, Lander | None] = {}
        if self._lander(default) is None:
            msg = f"source {source}: format {default!r} is not one that messages can be in, each by itself; choose another."
            raise InputError(msg)

    def close(self) -> None:
        """Remove the spools."""
        for lander in filter(None, self._landers.values()):
            lander.close()

    def land(self, deliveries: Sequence[Delivery]) -> Outcome:
        """Commit what is still ours to commit.

        Each format is a transaction. A partition whose messages are of several formats moves with the last of them; a process
        that dies before reads the earlier ones again, and finds their events known.

        Raises: LedgerError when a slice could not be committed; those before it were.
        """
        claims: dict[Claim, list[Delivery]] = {}
        for delivery in deliveries:
            claims.setdefault(delivery.claim, []).append(delivery)
        groups: dict[str, list[Share]] = {}
        for claim, mine in claims.items():
            for name, share in self._shares(claim, mine):
                groups.setdefault(name, []).append(share)
        total = Outcome()
        for name in sorted(groups):
            self._land(name, groups[name], total)
        return total

    def _shares(self, claim: Claim, deliveries: Sequence[Delivery]) -> list[tuple[str, Share]]:
        """A partition's messages by format, in the order that `land` takes formats in; unknown ones first, under no name."""
        offsets = [offset for one in deliveries for offset in one.offsets]
        values = [value for one in deliveries for value in one.values]
        usual = self._settings.formats.get(claim.place[0], self._default)
        if self._lander(usual) and not any(one.formats for one in deliveries):
            return [(usual, _ending_at(Share(claim=claim, run=_run(claim, offsets, values)), offsets[-1] + 1))]
        said = [name or usual for one in deliveries for name in one.formats or (None,) * len(one.offsets)]
        found = []
        for name in sorted(set(said), key=lambda name: (self._lander(name) is not None, name)):
            chosen = [other == name for other in said]
            run = _run(claim, list(compress(offsets, chosen)), list(compress(values, chosen)))
            faults = () if self._lander(name) else (_unknown(name),) * len(run.values)
            found.append(("" if faults else name, Share(claim=claim, run=run, faults=faults)))
        name, last = found[-1]
        found[-1] = name, _ending_at(last, offsets[-1] + 1)
        return found

    def _lander(self, name: str) -> Lander | None:
        """Of a format that explains each message by itself; None where there is none of the name."""
        if name not in self._landers:
            if len(self._landers) > KNOWN_NAMES_MAX:  # whatever senders write into headers
                self._landers = {known: lander for known, lander in self._landers.items() if lander}
            format_ = self._find_format(name)
            alone = format_ is not None and format_.stands_alone
            self._landers[name] = self._new_lander(format_) if format_ and alone else None
        return self._landers[name]

    def _new_lander(self, format_: Format) -> Lander:
        stream = f"kafka:{self._source}"
        return Lander(self._ledger, format_, self._rules, self._clock, stream=stream, file=self._source)

    def _land(self, name: str, shares: Sequence[Share], total: Outcome) -> None:
        alive = [share for share in shares if share.claim.is_alive]
        lander = self._lander(name or self._default)
        if not alive or lander is None:
            return
        try:
            receipts = lander.land_parts(gathered([share.run for share in alive]) if name else _refused(alive))
        except StalePositionError as error:
            for share in alive:
                if share.claim.stream == error.stream:
                    share.claim.is_alive, share.claim.is_stale = False, True
            self._land(name, alive, total)
        except InputError as error:  # records that cannot be told apart
            for half in _halves(alive, str(error)):
                self._land("" if half[0].faults else name, half, total)
        else:
            for share, receipt in zip(alive, receipts, strict=True):
                share.claim.landed = max(share.claim.landed, share.run.part.end)
                total.add(receipt.outcome)


KNOWN_NAMES_MAX = 1_000


def _run(claim: Claim, offsets: Sequence[int], values: Sequence[bytes | None]) -> Run:
    """Messages of a partition that do not move it yet."""
    start = claim.landed
    part = Part(stream=claim.stream, start=start, end=start, records=0, first_record=offsets[0] - 1, follows=True)
    return Run(part=part, values=values, numbers=offsets)


def _ending_at(share: Share, end: int) -> Share:
    return replace(share, run=replace(share.run, part=replace(share.run.part, end=end)))


def _unknown(name: str) -> str:
    shown = name if len(name) <= NAME_SHOWN_MAX else f"{name[:NAME_SHOWN_MAX]}…"
    return f"unknown_format: the message says that its format is {shown!r}, which is none that messages can be in"


def _refused(shares: Sequence[Share]) -> Slice:
    """A slice of messages that are rejected whole, whatever is in them."""
    records: list[Record] = []
    pieces: list[bytes] = []
    parts, at = [], 0
    for share in shares:
        owners = []
        for value, number, fault in zip(share.run.values, share.run.numbers or (), share.faults, strict=True):
            if value is not None:
                records.append(Record(0, at, at + len(value), b"{}", fault))
                pieces.append(value)
                owners.append(number)
                at += len(value)
        parts.append(replace(share.run.part, records=len(owners), numbers=tuple(owners)))
    return Slice(
        data=b"".join(pieces),
        start=0,
        end=0,
        first_record=0,
        first_line=0,
        records=len(records),
        sifted=tuple(records),
        parts=tuple(parts),
    )


def _halves(shares: Sequence[Share], why: str) -> list[list[Share]]:
    """Two halves to land one after the other, or the one message that is left, refused: nothing blocks what follows it."""
    middle = len(shares) // 2
    if middle:
        return [list(shares[:middle]), list(shares[middle:])]
    [share] = shares
    run, middle = share.run, len(share.run.values) // 2
    if share.faults:
        raise InputError(why)
    if not middle:
        return [[replace(share, faults=(f"malformed: {why}",))]]
    numbers = run.numbers or ()
    seam = numbers[middle] if run.part.end > run.part.start else run.part.end
    first = replace(run, part=replace(run.part, end=seam), values=run.values[:middle], numbers=numbers[:middle])
    rest = replace(run.part, start=seam, first_record=numbers[middle] - 1)
    second = replace(run, part=rest, values=run.values[middle:], numbers=numbers[middle:])
    return [[replace(share, run=first)], [replace(share, run=second)]]
