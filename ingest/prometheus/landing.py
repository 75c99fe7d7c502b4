"""Where the records of a source are landed, and how far each of its two streams has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.bench import Bench
from ingest.format import Format
from ingest.gather import Run, gathered
from ingest.land import Lander
from ingest.outcome import Outcome
from ingest.rules import Rules
from ingest.slices import SLICE_RECORDS, Part

FindFormat = Callable[[str], Format | None]
Kind = Literal["gpu", "engine"]
KINDS: Final[tuple[Kind, ...]] = ("gpu", "engine")


class Span(NamedTuple):
    """From after one time to another, in milliseconds since 1970.

    Attributes:
        start: what lies at it has been read.
        end: what lies at it is read now.
    """

    start: int
    end: int


class Landing:
    """The streams `prometheus:NAME/gpu` and `prometheus:NAME/engine`; their positions are milliseconds since 1970. One thread at a time."""

    def __init__(self, source: str, *, ledger: Ledger, find_format: FindFormat, rules: Rules, clock: Clock) -> None:
        """Positions are read."""
        self._source, self._ledger, self._clock = source, ledger, clock
        self._landers: dict[Kind, Lander] = {}
        self._benches: list[Bench] = []
        self._records = dict.fromkeys(KINDS, 0)
        for kind in KINDS:
            format_ = find_format(kind)
            if format_ is None:
                msg = f"source {source}: there is no format {kind}; install apportion again, its files do not belong together."
                raise InputError(msg)
            bench = Bench(ledger, format_.kind)
            self._benches.append(bench)
            self._landers[kind] = Lander(
                ledger, format_, rules, clock, stream=f"prometheus:{source}", file=source, bench=bench
            )
        self._session = ledger.session()

    def close(self) -> None:
        """Remove the spools and let go of the sessions."""
        self._session.close()
        for bench in self._benches:
            bench.close()
            bench.session.close()

    def stream(self, kind: Kind) -> str:
        """What the ledger calls the records of a kind."""
        return f"prometheus:{self._source}/{kind}"

    def position(self, kind: Kind) -> int | None:
        """Up to when the ledger has read a stream; None where it never has."""
        found = list(self._session.rows(_STAND, {"stream": self.stream(kind)}))
        if not found:
            return None
        self._records[kind] = int(found[0][1])
        return int(found[0][0])

    def land(self, kind: Kind, lines: Sequence[bytes], span: Span, *, follows: bool) -> Outcome:
        """Commit records, and the position with the last of them.

        Args:
            kind: of the records.
            lines: canonical JSON.
            span: what they are of.
            follows: whether the ledger must stand at its start; where there is nothing to land, it moves to its end all the same.

        Raises: StalePositionError, LedgerError; what was landed before them stays, and is known when it comes again.
        """
        total = Outcome()
        if not lines and follows:
            self._pass(kind, span)
        for first in range(0, len(lines), SLICE_RECORDS):
            some = lines[first : first + SLICE_RECORDS]
            is_last = first + len(some) == len(lines)
            part = Part(
                stream=self.stream(kind),
                start=span.start,
                end=span.end if is_last else span.start,
                records=0,
                first_record=self._records[kind],
                follows=follows,
            )
            (receipt,) = self._landers[kind].land_parts(gathered([Run(part=part, values=some)]))
            self._records[kind] += receipt.part.records
            total.add(receipt.outcome)
        return total

    def begin(self, kind: Kind, position: int) -> None:
        """Let a stream that the ledger does not know begin."""
        with self._ledger.transaction(self._session) as session:
            session.do(_BEGIN, {"stream": self.stream(kind), "position": position, "now": self._clock.now()})

    def pass_over(self, kind: Kind, span: Span, reason: str) -> None:
        """Go on at the end of a span that was not read, and write that down."""
        with self._ledger.transaction(self._session) as session:
            said = {"stream": self.stream(kind), "position": span.end, "now": self._clock.now()}
            session.do(_MOVE, said)
            session.do(_GAP, said | {"start": span.start, "reason": reason})

    def _pass(self, kind: Kind, span: Span) -> None:
        with self._ledger.transaction(self._session) as session:
            session.do(_MOVE, {"stream": self.stream(kind), "position": span.end, "now": self._clock.now()})


_STAND: Final = "SELECT position, records FROM raw.stream_position WHERE stream = $stream"

_BEGIN: Final = """
INSERT INTO raw.stream_position (stream, position, records, evidence, updated_at) VALUES ($stream, $position, 0, '{}', $now)
ON CONFLICT (stream) DO NOTHING
"""

_MOVE: Final = "UPDATE raw.stream_position SET position = $position, updated_at = $now WHERE stream = $stream"

_GAP: Final = """
INSERT INTO raw.stream_gap (stream, position_from, position_to, reason, noticed_at) VALUES ($stream, $start, $position, $reason, $now)
"""
