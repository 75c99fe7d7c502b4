"""Where reading a partition begins, and goes on after what cannot be read: the ledger says, and every gap is written down."""

from __future__ import annotations

from collections.abc import Callable, Collection

from apportion.config.sources import KafkaSource
from ingest.kafka.member import Consumer, Place, Topics
from ingest.kafka.pending import Claim
from ingest.kafka.positions import Positions, stream_name

RETENTION, TRUNCATED, CORRUPT = "retention", "truncated", "corrupt"
"""Why offsets were passed over."""


class Beginnings:
    """Begins the partitions of one member. One thread at a time."""

    def __init__(
        self,
        source: str,
        settings: KafkaSource,
        *,
        consumer: Consumer,
        topics: Topics,
        positions: Positions,
        note: Callable[[str], None],
    ) -> None:
        self._source, self._settings = source, settings
        self._consumer, self._topics, self._positions, self._note = consumer, topics, positions, note

    def begin(self, places: Collection[Place]) -> list[Claim]:
        """Claims from where the ledger stands; partitions of topics that do not exist, or whose offsets nobody says, get none.

        A partition that the ledger does not know begins at its first offset. Only where `start` is latest and no topic of the
        name was ever read does it begin at its end, and with it every other of the topic, once all of them say where that is:
        what is added later is read whole.

        Raises: BrokerError when the cluster does not say which topics there are.
        """
        known = self._topics.known({topic for topic, _ in places})
        if self._settings.start == "latest":
            known = {topic: found for topic, found in known.items() if self._has_skipped_the_past(topic, *found)}
        streams = {place: self._stream(place, known[place[0]][0]) for place in places if place[0] in known}
        stands = self._positions.of(streams.values())
        unknown = [place for place, stream in streams.items() if stream not in stands]
        first = {streams[place]: bounds[0] for place, bounds in self._consumer.ranges(unknown).items()}
        at = first | stands
        return [Claim(place, stream, at[stream]) for place, stream in streams.items() if stream in at]

    def replaced(self, claims: Collection[Claim]) -> list[Claim]:
        """Those whose topic is not the one any more that they were read from."""
        known = self._topics.known({claim.place[0] for claim in claims})
        return [
            claim
            for claim in claims
            if claim.place[0] in known and self._stream(claim.place, known[claim.place[0]][0]) != claim.stream
        ]

    def out_of_range(self, claim: Claim) -> None:
        """Bring the ledger to the first offset that can be read, where the next one is gone; everything before it has landed."""
        known = self._topics.known([claim.place[0]])
        if claim.place[0] not in known or self.replaced([claim]):
            return  # begun again, it is another stream
        bounds = self._consumer.ranges([claim.place]).get(claim.place)
        if bounds is None:
            return  # nobody says; it is out of range again when it is read again
        first, after = bounds
        stands = self._positions.of([claim.stream]).get(claim.stream, claim.landed)
        if stands < first and self._positions.pass_over(claim.stream, stands, first, RETENTION):
            self._note(
                f"{claim.stream}: offsets {stands} to {first - 1} were deleted before they were read, by retention as a rule; "
                "reading goes on after them. Keep records for longer than this source may be down."
            )
        elif stands > after and self._positions.pass_over(claim.stream, stands, after, TRUNCATED):
            self._note(
                f"{claim.stream}: the log ends at {after}, and {stands} had been read: the cluster lost its end, as after an "
                "unclean election. Reading goes on there."
            )

    def corrupt(self, claim: Claim, offset: int) -> None:
        """Bring the ledger past the batch that holds no sound records, if it is fetched so twice; everything before has landed.

        Raises: BrokerError when it cannot be fetched again. The ledger stays where it is then, as where the second is sound.
        """
        stands = self._positions.of([claim.stream]).get(claim.stream, claim.landed)
        if self._consumer.corrupt_at(claim.place, max(stands, offset)) != offset:
            return  # it was the way here that spoiled it
        end = self._end_of_batch(claim.place, max(stands, offset), offset)
        if self._positions.pass_over(claim.stream, stands, end, CORRUPT):
            self._note(
                f"{claim.stream}: offsets {stands} to {end - 1} fail their checksum and cannot be read; reading goes on after "
                "them. Check the broker's disk."
            )

    def _has_skipped_the_past(self, topic: str, topic_id: str, partitions: int) -> bool:
        if self._positions.has_read(topic):
            return True
        ranges = self._consumer.ranges([(topic, number) for number in range(partitions)])
        if len(ranges) < partitions:
            return False  # once some have begun, the others would be read whole
        self._positions.begin({self._stream(place, topic_id): after for place, (_, after) in ranges.items()})
        return True

    def _end_of_batch(self, place: Place, inside: int, first: int) -> int:
        """The offset after a corrupt batch: the first that the broker does not answer with it. Steps double, then halve."""
        _, after = self._consumer.ranges([place]).get(place, (0, inside + 1))
        step, end = 1, inside + 1
        while end < after and self._consumer.corrupt_at(place, end) == first:
            inside, step = end, 2 * step
            end = min(after, inside + step)
        while end - inside > 1:
            middle = (inside + end) // 2
            if self._consumer.corrupt_at(place, middle) == first:
                inside = middle
            else:
                end = middle
        return end

    def _stream(self, place: Place, topic_id: str) -> str:
        return stream_name(self._source, place[0], topic_id, place[1])
