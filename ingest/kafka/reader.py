"""One member of the group: a thread that fetches what it holds, from where the ledger says, and hands it over to be landed.

What the group decides is only noted when it is told; partitions begin, and begin again, between two polls. A partition whose
next offset cannot be read is paused until everything fetched from it has landed: then the ledger stands where reading
stopped, and the gap can be written down exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apportion.config.sources import KafkaSource
from ingest.kafka.beginning import Beginnings
from ingest.kafka.holding import Holding
from ingest.kafka.member import BrokerError, Consumer, CorruptError, Message, OutOfRangeError, Place, Topics
from ingest.kafka.pending import Claim, Delivery, Pending
from ingest.kafka.positions import Positions

POLL_SECONDS = 0.2
LOOK_SECONDS = 5.0
"""Between two looks at topics and lag, and between two pieces of advice to the cluster."""

PATIENCE_SECONDS = 30.0
"""How long a cluster may not answer before the source counts as failing."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A partition whose next offset cannot be read: under which claim, and the corrupt batch, or None where out of range."""

    claim: Claim
    corrupt: int | None


class Reader:
    """One member. `run` it in a thread of its own.

    Attributes:
        error: what it ended of; None while it runs, and where it was told to stop.
        lag: records of its partitions that have not landed, when it last looked; None where nobody answered.
    """

    def __init__(
        self,
        source: str,
        settings: KafkaSource,
        *,
        connect: Callable[[Holding], Consumer],
        topics: Topics,
        positions: Positions,
        pending: Pending,
        note: Callable[[str], None],
        looked: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.error: BaseException | None = None
        self.lag: int | None = None
        self._source, self._settings = source, settings
        self._connect, self._topics, self._positions, self._pending = connect, topics, positions, pending
        self._note, self._looked, self._monotonic = note, looked, monotonic
        self._holding = Holding()
        self._doubts: dict[Place, _Doubt] = {}
        self._is_paused = False
        self._next_look = self._answered = monotonic()
        self._advised: dict[Place, int] = {}

    def run(self, is_stopping: Callable[[], bool], is_abandoned: Callable[[], bool]) -> None:
        """Read until told to stop, wait for what was fetched to land, and leave the group.

        Args:
            is_stopping: whether to end.
            is_abandoned: whether nobody lands any more.
        """
        try:
            consumer = self._connect(self._holding)
            try:
                self._read(consumer, is_stopping)
                self._pending.flush(until=is_abandoned)
                self._advise(consumer, wait=True)
            finally:
                consumer.close()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the source is supervised
            self.error = error
        finally:
            self._positions.close()

    def _read(self, consumer: Consumer, is_stopping: Callable[[], bool]) -> None:
        beginnings = Beginnings(
            self._source,
            self._settings,
            consumer=consumer,
            topics=self._topics,
            positions=self._positions,
            note=self._note,
        )
        while not is_stopping():
            self._resolve(consumer, beginnings)
            self._begin(consumer, beginnings)
            self._throttle(consumer)
            self._fetch(consumer)
            if self._monotonic() >= self._next_look:
                self._look(consumer, beginnings)

    def _begin(self, consumer: Consumer, beginnings: Beginnings) -> None:
        """Read what was assigned, and what the ledger has moved on in, from where it stands."""
        if not (fresh := self._holding.take_fresh()):
            return
        claims = {claim.place: claim for claim in beginnings.begin(fresh)}
        for place in fresh:
            claim = claims.get(place)
            if claim is None:
                self._holding.again(place)
            elif consumer.seek(place, claim.landed):
                self._holding.hold(claim)
                self._doubts.pop(place, None)
                if not self._is_paused:
                    consumer.resume([place])

    def _fetch(self, consumer: Consumer) -> None:
        try:
            found = consumer.poll(POLL_SECONDS)
        except OutOfRangeError as error:
            for place in error.places:
                self._doubt(consumer, place, None)
            return
        except CorruptError as error:
            self._doubt(consumer, error.place, error.offset)
            return
        for place, messages in found.items():
            claim = self._holding.claim(place)
            if claim and messages and place not in self._doubts:
                self._pending.put(_delivery(claim, messages, self._settings.format_header))

    def _doubt(self, consumer: Consumer, place: Place, corrupt: int | None) -> None:
        consumer.pause([place])
        if claim := self._holding.claim(place):
            self._doubts[place] = _Doubt(claim, corrupt)

    def _resolve(self, consumer: Consumer, beginnings: Beginnings) -> None:
        """Go on where the next offset could not be read, once all that could be has landed."""
        for place, doubt in list(self._doubts.items()):
            if self._holding.claim(place) is not doubt.claim:
                del self._doubts[place]  # no longer ours, or begun again
            elif not self._pending.messages_of(doubt.claim):
                if doubt.corrupt is None:
                    beginnings.out_of_range(doubt.claim)
                else:
                    beginnings.corrupt(doubt.claim, doubt.corrupt)
                self._holding.again(place)
        if self._doubts and not self._is_paused:
            consumer.pause(list(self._doubts))

    def _throttle(self, consumer: Consumer) -> None:
        """Fetch nothing more while too much waits; polling goes on, as the group asks of its members."""
        if self._pending.is_full != self._is_paused:
            self._is_paused = not self._is_paused
            places = [claim.place for claim in self._holding.claims() if claim.place not in self._doubts]
            (consumer.pause if self._is_paused else consumer.resume)(places)

    def _look(self, consumer: Consumer, beginnings: Beginnings) -> None:
        """See whether topics were made again and how much waits, and advise the cluster of what has landed.

        Raises: BrokerError when the cluster has not answered for too long.
        """
        self._next_look = self._monotonic() + LOOK_SECONDS
        claims = self._holding.claims()
        try:
            absent = set(self._settings.topics) - set(self._topics.known(self._settings.topics))
            for topic in sorted(absent):
                self._note(f"topic {topic} does not exist; it is read once it does.")
            for claim in beginnings.replaced(claims):
                self._note(
                    f"topic {claim.place[0]} was deleted and made again; the new one is read from its beginning."
                )
                self._holding.again(claim.place)
            self.lag = self._waiting(consumer, [claim for claim in claims if claim.place[0] not in absent])
            self._answered = self._monotonic()
        except BrokerError:
            self.lag = None
            if self._monotonic() - self._answered > PATIENCE_SECONDS:
                raise
        else:
            self._advise(consumer, wait=False)
            self._looked()

    def _waiting(self, consumer: Consumer, claims: Sequence[Claim]) -> int:
        """Records after the next one to fetch, and those on their way; markers and deleted records before it are none."""
        ends = consumer.ranges([claim.place for claim in claims])
        waiting = 0
        for claim in claims:
            position = consumer.position(claim.place)
            if position is not None:
                waiting += max(0, ends[claim.place][1] - position) + self._pending.messages_of(claim)
        return waiting

    def _advise(self, consumer: Consumer, *, wait: bool) -> None:
        landed = {claim.place: claim.landed for claim in self._holding.claims()}
        if landed != self._advised:
            consumer.advise(landed, wait=wait)
            self._advised = landed


def _delivery(claim: Claim, messages: Sequence[Message], header: str) -> Delivery:
    values = [message.value for message in messages]
    formats: list[str | None] = []
    if any(message.headers for message in messages):
        formats = [_said(message, header) for message in messages]
    return Delivery(
        claim=claim,
        offsets=[message.offset for message in messages],
        values=values,
        formats=formats if any(said is not None for said in formats) else [],
        bytes_held=sum(map(len, filter(None, values))),
    )


def _said(message: Message, header: str) -> str | None:
    """What a message says its format is; the last header of the name counts, as in Kafka itself."""
    found = [value for name, value in message.headers if name == header and value is not None]
    return found[-1].decode("utf-8", "replace") if found else None
