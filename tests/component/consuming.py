"""A Kafka source at work in this process, and what the ledger made of what was sent to it."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from apportion.config.sources import KafkaSource
from apportion.ledger.connection import Ledger
from ingest.format import Format
from ingest.kafka.collector import KafkaCollector
from ingest.kafka.door import ClusterTopics, Member
from ingest.supervise import Health
from tests.component.conftest import until
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import CANONICAL, NOON, RULES, event


def values(numbers: Iterable[int], **fields: object) -> list[bytes]:
    """Usage events with ids of their numbers, which are their output tokens too, as messages."""
    return [json.dumps(event(f"e{number}", output_tokens=number, **fields)).encode() for number in numbers]


class Consuming:
    """A source that runs until the end of the block, or `stop`.

    Attributes:
        health: what it says.
        collector: it.
        error: what its run ended of.
    """

    def __init__(
        self,
        broker: Any,
        ledger: Ledger,
        topics: Iterable[str],
        *,
        name: str = "k",
        find: Callable[[str], Format | None] = CANONICAL.get,
        **settings: Any,
    ) -> None:
        options: Mapping[str, Any] = {"brokers": (broker.address(),), "batch_seconds": 0.1, **settings}
        source = KafkaSource(topics=tuple(topics), **options)
        clock = FrozenClock(NOON)
        self.ledger, self.health, self.error = ledger, Health(name, "kafka", clock), None
        self.collector = KafkaCollector(
            name,
            "usage",
            source,
            ledger=ledger,
            find_format=find,
            rules=RULES,
            clock=clock,
            connect=functools.partial(Member, api_version=broker.api_version),
            ask=functools.partial(ClusterTopics, api_version=broker.api_version),
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.collector.run(self.health, self._stop)
        except Exception as error:  # noqa: BLE001 - raised again where the test waits
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Let it drain and end."""
        self._stop.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition; the error it died of, if it did, says why it never came."""
        return until(lambda: condition() or (self.error and self._raise()), what)

    def _raise(self) -> None:
        assert self.error
        raise self.error

    def until_landed(self, count: int) -> None:
        """Wait until that many events are in the ledger."""
        self.until(lambda: len(landed(self.ledger)) >= count, f"{count} events")

    @property
    def notes(self) -> tuple[str, ...]:
        """What it said to people."""
        return self.health.condition().notes


def landed(ledger: Ledger) -> list[tuple[str, int]]:
    """Id and output tokens of every event, in order; an event that is there twice is there twice."""
    with_ids = "SELECT event_id, output_tokens FROM raw.usage_event ORDER BY ALL"
    return [(str(row[0]), int(row[1])) for row in ledger.session().rows(with_ids)]


def tokens(ledger: Ledger) -> list[int]:
    """Output tokens of every event, in order: with `values`, which numbers have landed, and how often."""
    return [int(row[0]) for row in ledger.session().rows("SELECT output_tokens FROM raw.usage_event ORDER BY ALL")]


def positions(ledger: Ledger) -> dict[str, int]:
    """Where the ledger stands, by stream."""
    return dict(ledger.session().rows("SELECT stream, position FROM raw.stream_position ORDER BY ALL"))


def rejections(ledger: Ledger) -> list[tuple[str, int, str]]:
    """Stream, record and reason of whatever was rejected."""
    return ledger.session().rows("SELECT stream, record, reason FROM raw.rejection ORDER BY ALL")


def gaps(ledger: Ledger) -> list[tuple[str, int, int, str]]:
    """Stream, bounds and reason of whatever was passed over."""
    return ledger.session().rows("SELECT stream, position_from, position_to, reason FROM raw.stream_gap ORDER BY ALL")
