"""Kafka: a consumer group over topics, exactly once into the ledger.

What survives a kill -9 after each step of the commit sequence:

1. A member is assigned a partition: it stays paused until it is sought to the ledger's position. Nothing is remembered; the
   group finds out within its session timeout, and whoever is assigned the partition next seeks for itself.
2. Messages are fetched and wait in memory, within bounds; beyond them fetching pauses while polling goes on. Nothing survives,
   and nothing was promised: they are fetched again from the ledger's position.
3. A slice of them is written to the spool. It is a file that the next start removes.
4. One transaction checks that the ledger still stands where the slice begins in each partition, lands the records, and moves
   the positions (`land` says how). Before its COMMIT, as after 2; after it, records and positions are there together. A member
   that lost a partition meanwhile is stale: its slice is dropped whole and read again by whoever holds the partition now.
5. The landed offsets are committed to Kafka, as advice for tools that watch the group. Nobody here reads them: lost or late,
   they change nothing.

A gap (retention, a corrupt batch) is a transaction of its own between two slices: raw.stream_gap says what was passed over and
the position moves past it together, or neither. Where a partition's messages are of several formats, each format is a
transaction and only the last moves the position: after a kill between them the first ones are read again, and duplicates.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from apportion.config.sources import KafkaSource
from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger
from ingest.kafka import door
from ingest.kafka.landing import FindFormat, Landing
from ingest.kafka.member import Consumer, Holder, Topics
from ingest.kafka.pending import Pending
from ingest.kafka.positions import Positions
from ingest.kafka.reader import Reader
from ingest.rules import Rules
from ingest.supervise import Health

Connect = Callable[[KafkaSource, Holder], Consumer]
Ask = Callable[[KafkaSource], Topics]


class KafkaCollector:
    """One source of collector kafka.

    Attributes:
        name: of the `[[sources]]` table.
        collector: kafka.
    """

    collector: str = "kafka"

    def __init__(
        self,
        name: str,
        format_name: str,
        settings: KafkaSource,
        *,
        ledger: Ledger,
        find_format: FindFormat,
        rules: Rules,
        clock: Clock,
        connect: Connect = door.Member,
        ask: Ask = door.ClusterTopics,
    ) -> None:
        """Nothing is connected before `run`.

        Args:
            name: of the source.
            format_name: of messages whose topic and header name none.
            settings: of the source.
            ledger: to land in.
            find_format: what a format's name means.
            rules: what is believed.
            clock: says when messages arrive.
            connect: makes a member of the group.
            ask: connects to ask about topics.
        """
        self.name = name
        self._format_name, self._settings = format_name, settings
        self._ledger, self._find_format, self._rules, self._clock = ledger, find_format, rules, clock
        self._connect, self._ask = connect, ask

    def run(self, health: Health, stop: threading.Event) -> None:
        """Read and land until `stop` is set, then land what was fetched, advise the cluster and leave the group.

        Raises: BrokerError where the cluster refuses or is silent; LedgerError where the ledger cannot be written. What has
            landed stays, and the next run goes on from there.
        """
        topics = self._ask(self._settings)
        landing = Landing(
            self.name,
            self._format_name,
            self._settings,
            ledger=self._ledger,
            find_format=self._find_format,
            rules=self._rules,
            clock=self._clock,
        )
        try:
            _Round(self, topics, landing, health, stop).run()
        finally:
            landing.close()
            topics.close()

    def reader(self, topics: Topics, pending: Pending, health: Health, looked: Callable[[], None]) -> Reader:
        """A member of the group, not connected yet."""
        return Reader(
            self.name,
            self._settings,
            connect=lambda holder: self._connect(self._settings, holder),
            topics=topics,
            positions=Positions(self.name, self._ledger, self._clock),
            pending=pending,
            note=health.note,
            looked=looked,
        )

    @property
    def settings(self) -> KafkaSource:
        """Of the source."""
        return self._settings


class _Round:
    """One run: N readers, and the lander that is the thread it runs in."""

    def __init__(
        self, collector: KafkaCollector, topics: Topics, landing: Landing, health: Health, stop: threading.Event
    ) -> None:
        self._landing, self._health, self._stop = landing, health, stop
        self._pending = Pending(collector.settings.batch_seconds)
        self._is_over = self._is_abandoned = False
        self._readers = [
            collector.reader(topics, self._pending, health, self._looked) for _ in range(collector.settings.consumers)
        ]
        self._left = len(self._readers)
        self._counting = threading.Lock()

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._read, args=(reader,), name=f"kafka reader {number}", daemon=True)
            for number, reader in enumerate(self._readers)
        ]
        for thread in threads:
            thread.start()
        try:
            while deliveries := self._pending.take():
                self._health.landed(self._landing.land(deliveries))
        except BaseException:
            self._is_abandoned = True
            raise
        finally:
            self._is_over = True
            for thread in threads:
                thread.join()
        for reader in self._readers:
            if reader.error:
                raise reader.error

    def _read(self, reader: Reader) -> None:
        """One reader; if one fails all end, and what they fetched lands."""
        try:
            reader.run(lambda: self._is_over or self._stop.is_set(), lambda: self._is_abandoned)
        finally:
            self._is_over = self._is_over or reader.error is not None
            with self._counting:
                self._left -= 1
                if not self._left:
                    self._pending.close()

    def _looked(self) -> None:
        lags = [reader.lag for reader in self._readers]
        known = [lag for lag in lags if lag is not None]
        self._health.lag(sum(known) if len(known) == len(lags) else None)
        self._health.alive()
