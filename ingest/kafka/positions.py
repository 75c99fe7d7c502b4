"""Where the ledger stands in partitions. It alone says where reading goes on; what Kafka holds committed is never asked for.

A partition is a stream of its topic's id, not of its name: a topic that is deleted and made again is another stream, read
from its beginning. Brokers that know no ids leave names only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger, Session


def stream_name(source: str, topic: str, topic_id: str, partition: int) -> str:
    """What the ledger calls a partition."""
    return f"{_family(source, topic)}{f'[{topic_id}]' if topic_id else ''}/{partition}"


def _family(source: str, topic: str) -> str:
    return f"kafka:{source}/{topic}"


class Positions:
    """Positions of the partitions of one source. One thread at a time."""

    def __init__(self, source: str, ledger: Ledger, clock: Clock) -> None:
        self._source, self._ledger, self._clock = source, ledger, clock
        self._session: Session = ledger.session()

    def close(self) -> None:
        """Let go of the session."""
        self._session.close()

    def of(self, streams: Collection[str]) -> dict[str, int]:
        """The next offset of each stream that the ledger knows."""
        return {str(stream): int(offset) for stream, offset in self._session.rows(_OF, {"streams": sorted(streams)})}

    def has_read(self, topic: str) -> bool:
        """Whether the source has ever read a topic of this name."""
        family = _family(self._source, topic)
        return bool(self._session.value(_KNOWN, {"with_id": f"{family}[", "without": f"{family}/"}))

    def begin(self, offsets: Mapping[str, int]) -> None:
        """Let streams that the ledger does not know begin at these offsets, whoever reads them first; others stay."""
        with self._ledger.transaction(self._session) as session:
            for stream, offset in offsets.items():
                session.do(_BEGIN, {"stream": stream, "offset": offset, "now": self._clock.now()})

    def pass_over(self, stream: str, start: int, end: int, reason: str) -> bool:
        """Go on at `end` though what lies before it was never read, and write that down, in one transaction.

        Args:
            stream: of the partition.
            start: where the ledger has to stand.
            end: the first offset that can be read again; before `start` where the log became shorter, which is no gap.
            reason: why, in a word.

        Returns: False, and nothing changed, where the ledger stands elsewhere.
        """
        with self._ledger.transaction(self._session) as session:
            known = self.of([stream])
            if known.get(stream, start) != start:
                return False
            now = self._clock.now()
            session.do(_BEGIN, {"stream": stream, "offset": start, "now": now})
            session.do(_MOVE, {"stream": stream, "offset": end, "now": now})
            if end > start:
                gap = {"stream": stream, "start": start, "end": end, "reason": reason, "now": now}
                session.do(_GAP, gap)
        return True


_OF = "SELECT stream, position FROM raw.stream_position WHERE stream IN (SELECT unnest($streams::VARCHAR[]))"

_KNOWN = "SELECT count(*) FROM raw.stream_position WHERE starts_with(stream, $with_id) OR starts_with(stream, $without)"

_BEGIN = """
INSERT INTO raw.stream_position (stream, position, records, evidence, updated_at) VALUES ($stream, $offset, $offset, '{}', $now)
ON CONFLICT (stream) DO NOTHING
"""

_MOVE = "UPDATE raw.stream_position SET position = $offset, records = $offset, updated_at = $now WHERE stream = $stream"

_GAP = """
INSERT INTO raw.stream_gap (stream, position_from, position_to, reason, noticed_at) VALUES ($stream, $start, $end, $reason, $now)
"""
