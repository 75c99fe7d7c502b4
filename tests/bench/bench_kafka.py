"""A topic into the ledger, against the same client consuming the same topic and doing nothing with it, at a real broker."""

from __future__ import annotations

import tempfile
import threading
from contextlib import closing
from pathlib import Path

import fleet
import kafka
import ledgers
from confluent_kafka import Producer
from measure import Result, Setting, clocked, isolated, memory, peak_gib, rounds, speed

from apportion.config.load import load
from apportion.config.sources import KafkaSource, Source
from apportion.pipeline import Pipeline
from ingest.kafka.collector import KafkaCollector
from ingest.outcome import Outcome
from ingest.supervise import Health
from tests.component.broker import Broker

SPEED_MIN = 0.6
PEAK_GIB_MAX = 1.5
PARTITIONS = 6
POLL_RECORDS = 5000


def run(setting: Setting) -> list[Result]:
    """Throughput of a topic, and the memory it takes."""
    count = setting.size(small=100_000, full=500_000)
    config = isolated(fleet.config, setting.work / "kafka")
    file = isolated(fleet.events, setting.work / f"events-{count}.ndjson", count)
    with tempfile.TemporaryDirectory(prefix="apportion-broker-") as folder, Broker(Path(folder)) as broker:
        broker.create("usage", partitions=PARTITIONS)
        isolated(produce, file, broker.address())
        peak = isolated(peak_of_landing, setting.work / "peak.duckdb", config, broker.address(), count)
        number = iter(range(10_000))
        seconds = rounds(
            {
                "floor": lambda: consumed(broker.address(), count, f"floor-{next(number)}"),
                "ours": lambda: landed(
                    setting.work / "kafka.duckdb", config, broker.address(), count, f"ours-{next(number)}"
                ),
            },
            setting.rounds,
        )
    return [
        speed(
            "speed",
            f"{count:,} events in {PARTITIONS} partitions: kafka-python consuming alone → ledger",
            seconds["ours"],
            seconds["floor"],
            SPEED_MIN,
        ),
        memory("peak memory of landing a topic", peak, PEAK_GIB_MAX),
    ]


def produce(file: Path, brokers: str) -> None:
    """A message per line, in batches as a busy gateway's client makes them."""
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20, "compression.type": "lz4"})
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            producer.produce("usage", line.rstrip(b"\n"), partition=number // 1000 % PARTITIONS)
            if number % 1000 == 0:
                producer.poll(0)
                if len(producer) > POLL_RECORDS * 10:
                    producer.flush()
    producer.flush()


def consumed(brokers: str, count: int, group: str) -> float:
    """Seconds until every message was handed over, joining the group included."""

    def consume() -> None:
        left = count
        with closing(
            kafka.KafkaConsumer(
                "usage", bootstrap_servers=brokers, group_id=group, auto_offset_reset="earliest",
                enable_auto_commit=False, max_poll_records=POLL_RECORDS,
                max_partition_fetch_bytes=4 * 1024 * 1024,
            )
        ) as consumer:  # fmt: skip
            while left > 0:
                left -= sum(map(len, consumer.poll(1000).values()))

    return clocked(consume)


def landed(path: Path, config: Path, brokers: str, count: int, group: str) -> float:
    """Seconds until every message is committed to an empty ledger, joining the group included."""
    settings = KafkaSource(brokers=(brokers,), topics=("usage",), group=group)
    source = Source(name="topic", collector="kafka", format="usage", kafka=settings)
    with Pipeline(load(config), ledgers.empty(path, config), ledgers.Fixed()) as pipeline:
        collector = KafkaCollector(
            "topic", "usage", settings, ledger=pipeline.ledger, find_format=pipeline.find_format,
            rules=pipeline.live_rules(source), clock=pipeline.clock,
        )  # fmt: skip
        stop = threading.Event()
        seconds = clocked(lambda: collector.run(_Until(count, stop, pipeline), stop))
        held = pipeline.ledger.session().value("SELECT count(*) FROM raw.usage_event")
        assert held == count, (held, count)
    ledgers.remove(path)
    return seconds


class _Until(Health):
    """Stops the collector once so many records have landed."""

    def __init__(self, count: int, stop: threading.Event, pipeline: Pipeline) -> None:
        super().__init__("topic", "kafka", pipeline.clock)
        self._left, self._done = count, stop

    def landed(self, outcome: Outcome) -> None:
        super().landed(outcome)
        self._left -= outcome.received
        if self._left <= 0:
            self._done.set()


def peak_of_landing(path: Path, config: Path, brokers: str, count: int) -> float:
    """GiB that a process held which did nothing but land the topic."""
    landed(path, config, brokers, count, "peak")
    return peak_gib()
