"""One member of the group: a thread that fetches what it holds, from where the ledger says, and hands it over to be landed.

What the group decides is only noted when it is told; partitions begin, and begin again, between two polls. A partition whose
next offset cannot be read is paused until everything fetched from it has landed: then the ledger stands where reading
stopped, and the gap can be written down exactly. A partition that does not answer waits for the next look, and no other does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apportion.config.sources import KafkaSource
from ingest.kafka.beginning import Beginnings
from ingest.kafka.fetched import delivery
from ingest.kafka.holding import Holding
from ingest.kafka.member import BrokerError, Consumer, CorruptError, OutOfRangeError, Place, Topics
from ingest.kafka.pending import Claim, Pending
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
        lag: messages of its partitions that have not landed, when it last looked; None where not all partitions answered.
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
        self._later: set[Place] = set()
        self._said: set[str] = set()
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
        if not (fresh := [place for place in self._holding.take_fresh() if place not in self._later]):
            return
        claims = {claim.place: claim for claim in beginnings.begin(fresh)}
        self._later |= set(fresh) - set(claims)
        for place, claim in claims.items():
            if consumer.seek(place, claim.landed):
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
                self._pending.put(delivery(claim, messages, self._settings.format_header))

    def _doubt(self, consumer: Consumer, place: Place, corrupt: int | None) -> None:
        consumer.pause([place])
        if claim := self._holding.claim(place):
            self._doubts[place] = _Doubt(claim, corrupt)

    def _resolve(self, consumer: Consumer, beginnings: Beginnings) -> None:
        """Go on where the next offset could not be read, once all that could be has landed."""
        for place, doubt in list(self._doubts.items()):
            if self._holding.claim(place) is not doubt.claim:
                del self._doubts[place]  # no longer ours, or begun again
            elif place not in self._later and not self._pending.messages_of(doubt.claim):
                try:
                    if doubt.corrupt is None:
                        beginnings.out_of_range(doubt.claim)
                    else:
                        beginnings.corrupt(doubt.claim, doubt.corrupt)
                except BrokerError:
                    self._later.add(place)
                else:
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
        claims, said = self._holding.claims(), set()
        try:
            known = self._topics.known(self._settings.topics)
            if absent := set(self._settings.topics) - set(known):
                said = {_absence(topic, error) for topic, error in self._topics.refused(absent).items()}
            for claim in beginnings.replaced(claims):
                self._note(
                    f"topic {claim.place[0]} was deleted and made again; the new one is read from its beginning."
                )
                self._holding.again(claim.place)
        except BrokerError:
            self.lag = None
            if self._monotonic() - self._answered > PATIENCE_SECONDS:
                raise
            return
        self._answered = self._monotonic()
        said |= {
            f"{topic}/{number} does not say where it begins or goes on; it is read once it does, the others meanwhile."
            for topic, number in self._take_up_later()
            if topic in known
        }
        for sentence in sorted(said - self._said):
            self._note(sentence)
        self._said = said
        self.lag = self._waiting(consumer, [claim for claim in claims if claim.place[0] not in absent])
        self._advise(consumer, wait=False)
        self._looked()

    def _take_up_later(self) -> set[Place]:
        """Try the partitions again that did not answer. Returns: which they are."""
        later, self._later = self._later, set()
        for place in later - set(self._doubts):
            self._holding.again(place)
        return later

    def _waiting(self, consumer: Consumer, claims: Sequence[Claim]) -> int | None:
        """Messages after the next one to fetch, and those on their way; markers and deleted records before it are none."""
        waiting = 0
        try:
            ends = consumer.ranges([claim.place for claim in claims])
            for claim in claims:
                position = consumer.position(claim.place)
                if position is not None:
                    waiting += max(0, ends[claim.place][1] - position) + self._pending.messages_of(claim)
        except (BrokerError, KeyError):
            return None
        return waiting

    def _advise(self, consumer: Consumer, *, wait: bool) -> None:
        landed = {claim.place: claim.landed for claim in self._holding.claims()}
        if landed != self._advised:
            consumer.advise(landed, wait=wait)
            self._advised = landed


def _absence(topic: str, error: str) -> str:
    if not error:
        return f"topic {topic} does not exist; it is read once it does."
    return f"topic {topic} cannot be read: the cluster answers {error}; it is read once that is mended."
