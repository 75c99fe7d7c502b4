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
the position moves past it together, or neither. Where a partition's messages are of several known formats, each format is a
transaction and only the last moves the position, and rejects what names none: after a kill between them the first ones are read
again. Their events are duplicates then, and what was rejected of them is in the quarantine twice.
"""

from __future__ import annotations

import contextlib
import functools
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

SLOW_SECONDS = 60.0
"""A slice that takes longer to land is worth a sentence."""

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

        Raises: InputError where messages cannot be in a format of the source; BrokerError where the cluster refuses or is
            silent; LedgerError where the ledger cannot be written. What has landed stays, and the next run goes on from there.
        """
        with contextlib.ExitStack() as stack:
            landing = Landing(
                self.name,
                self._format_name,
                self._settings,
                ledger=self._ledger,
                find_format=self._find_format,
                rules=self._rules,
                clock=self._clock,
            )
            stack.callback(landing.close)
            topics = self._ask(self._settings)
            stack.callback(topics.close)
            pending = Pending(self._settings.batch_seconds)
            member = functools.partial(self._reader, topics, pending, health)
            _Round(landing, pending, member, self._settings.consumers, health).run(stop)

    def _reader(self, topics: Topics, pending: Pending, health: Health, looked: Callable[[], None]) -> Reader:
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


class _Round:
    """One run: N readers, and the lander that is the thread it runs in."""

    def __init__(
        self,
        landing: Landing,
        pending: Pending,
        member: Callable[[Callable[[], None]], Reader],
        members: int,
        health: Health,
    ) -> None:
        self._landing, self._pending, self._health = landing, pending, health
        self._is_over = self._is_abandoned = self._is_slow = False
        self._readers = [member(self._looked) for _ in range(members)]
        self._left = members
        self._counting = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        threads = [
            threading.Thread(target=self._read, args=(reader, stop), name=f"kafka reader {number}", daemon=True)
            for number, reader in enumerate(self._readers)
        ]
        for thread in threads:
            thread.start()
        try:
            while deliveries := self._pending.take():
                outcome = self._landing.land(deliveries)
                if outcome.received:  # what is stale or revoked shows nothing
                    self._health.landed(outcome)
                self._is_slow = False
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

    def _read(self, reader: Reader, stop: threading.Event) -> None:
        """One reader; if one fails all end, and what they fetched lands."""
        try:
            reader.run(lambda: self._is_over or stop.is_set(), lambda: self._is_abandoned)
        finally:
            self._is_over = self._is_over or reader.error is not None
            with self._counting:
                self._left -= 1
                if not self._left:
                    self._pending.close()

    def _looked(self) -> None:
        """A reader has: it works where nothing waits. While something does, only what lands says so."""
        lags = [reader.lag for reader in self._readers]
        known = [lag for lag in lags if lag is not None]
        self._health.lag(sum(known) if len(known) == len(lags) else None)
        seconds = self._pending.landing_seconds
        if self._pending.is_idle:
            self._health.alive()
        elif seconds > SLOW_SECONDS and not self._is_slow:
            self._is_slow = True
            self._health.note(
                f"landing has taken {seconds:.0f} s for one slice, and goes on; nothing else lands meanwhile. Check the disk, and "
                "whether something else has been writing to the ledger."
            )
