"""Land what followed files brought: large slices alone, small ones of many files together, since a commit costs the same for all.

Slices wait for the end of a poll at the longest. Until they are committed the ledger does not know of them: a process that
dies meanwhile reads them again, and each part lands only where the ledger still stands at its start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.bench import Bench
from ingest.collectors.cutting import Position
from ingest.collectors.identity import Stream, Streams
from ingest.format import Format
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rules import Rules
from ingest.slices import Part, Slice
from ingest.streams import shown_name
from ingest.supervise import Health

TOGETHER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of slices that share a commit; a larger one fills its own."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A slice that is not committed yet."""

    stream: Stream
    piece: Slice
    evidence: str


class Landing:
    """Lands for one collector.

    Attributes:
        health: hears of what was committed.
    """

    def __init__(
        self,
        ledger: Ledger,
        format_: Format,
        rules: Rules,
        clock: Clock,
        *,
        bench: Bench,
        streams: Streams,
        health: Health,
    ) -> None:
        self._ledger, self._format, self._rules, self._clock = ledger, format_, rules, clock
        self._bench, self._streams, self.health = bench, streams, health
        self._waiting: list[_Waiting] = []
        self._bytes = 0

    def add(self, stream: Stream, piece: Slice, header: bytes, evidence: str) -> None:
        """Land a slice, now or at the next `flush`; the stream stands after it either way.

        Raises: LedgerError when it, or what waited, could not be committed; then the streams must be loaded again.
        """
        waits = self._may_wait(piece)
        if not waits or self._bytes + len(piece.data) > TOGETHER_BYTES_MAX:
            self.flush()
        records = piece.records
        if waits:
            self._waiting.append(_Waiting(stream, piece, evidence))
            self._bytes += len(piece.data)
        else:
            records = self._alone(stream, piece, header, evidence)
        lines = int(json.loads(evidence)["lines"])
        self._streams.move(stream, Position(piece.end, piece.first_record + records, lines, evidence))

    def flush(self) -> None:
        """Commit what waits, as one."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if not waiting:
            return
        lander = self._lander(waiting[0].stream)
        try:
            receipts = lander.land_parts(_together(waiting))
        except InputError:
            self._one_by_one(waiting)
            return
        total = Outcome()
        for receipt in receipts:
            total.add(receipt.outcome)
        self.health.landed(total)

    def _one_by_one(self, waiting: list[_Waiting]) -> None:
        """One of them cannot be read: it is said which, and its file goes on from where it stood once it changes."""
        failed: set[str] = set()
        for one in waiting:
            try:
                if one.stream.name not in failed:
                    self._alone(one.stream, one.piece, b"", one.evidence)
            except InputError as error:
                failed.add(one.stream.name)
                self.health.note(str(error))
        self._streams.load(self._ledger.session())

    def _alone(self, stream: Stream, piece: Slice, header: bytes, evidence: str) -> int:
        outcome = self._lander(stream).land(piece, header, evidence)
        self.health.landed(outcome)
        return outcome.received

    def _may_wait(self, piece: Slice) -> bool:
        """Whether the records say the same beside those of other files, and can be numbered there."""
        return (
            self._format.stands_alone
            and piece.sifted is None
            and piece.fault is None
            and len(piece.data) < TOGETHER_BYTES_MAX
            and piece.data.endswith(b"\n")
            and piece.data.count(b"\n") == piece.records
        )

    def _lander(self, stream: Stream) -> Lander:
        return Lander(
            self._ledger,
            self._format,
            self._rules,
            self._clock,
            stream=stream.name,
            file=shown_name(stream.name),
            bench=self._bench,
        )


def _together(waiting: list[_Waiting]) -> Slice:
    return Slice(
        data=b"".join(one.piece.data for one in waiting),
        start=0,
        end=0,
        first_record=0,
        first_line=0,
        records=sum(one.piece.records for one in waiting),
        parts=tuple(
            Part(
                stream=one.stream.name,
                start=one.piece.start,
                end=one.piece.end,
                records=one.piece.records,
                first_record=one.piece.first_record,
                first_line=one.piece.first_line,
                evidence=one.evidence,
                follows=one.piece.start > 0,
            )
            for one in waiting
        ),
    )
