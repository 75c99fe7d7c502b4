"""A broker that stops, dies, loses a disk block or forgets: the ledger has what can still be read, once, and says what cannot."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator

import pytest

from apportion.ledger.connection import Ledger
from tests.component.broker import Broker, real_broker
from tests.component.consuming import Consuming, gaps, positions, tokens, values

pytestmark = [
    pytest.mark.component,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("closed_sockets"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that may be killed."""
    with real_broker(tmp_path_factory.mktemp("mortal")) as started:
        yield started


@pytest.fixture
def topic() -> str:
    """A name that no other test has."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("end", [Broker.stop, Broker.kill])
def test_a_restarted_broker_is_read_on(
    broker: Broker, ledger: Ledger, topic: str, end: functools.partial[None]
) -> None:
    """The source rides out a broker that goes and comes back, and every event lands once."""
    broker.create(topic, partitions=2)
    broker.produce(topic, values(range(100)))
    with Consuming(broker, ledger, [topic]) as source:
        source.until_landed(100)
        end(broker)
        broker.start()
        broker.produce(topic, values(range(100, 200)))
        source.until_landed(200)

    assert tokens(ledger) == list(range(200))
    assert gaps(ledger) == []


def test_a_corrupt_batch_is_a_gap(broker: Broker, ledger: Ledger, topic: str) -> None:
    """A batch that rotted on the broker's disk is passed over whole and written down; what follows lands."""
    broker.create(topic)
    for numbers in (range(50), range(50, 57), range(57, 107)):
        broker.produce(topic, values(numbers), config=["linger.ms=500"])  # one batch each
    broker.stop()
    [segment] = broker.segments(topic, 0)
    data = segment.read_bytes()
    at = data.index(b'"output_tokens": 53')
    segment.write_bytes(data[:at] + b"X" + data[at + 1 :])
    broker.start()
    with Consuming(broker, ledger, [topic]) as source:
        source.until_landed(100)
        assert "offsets 50 to 56 fail their checksum" in source.notes[0]

    stream = f"kafka:k/{topic}[{broker.topic_id(topic)}]/0"
    assert tokens(ledger) == [*range(50), *range(57, 107)]
    assert gaps(ledger) == [(stream, 50, 57, "corrupt")]
    assert positions(ledger) == {stream: 107}


def test_a_shorter_log_is_read_from_its_end(broker: Broker, ledger: Ledger, topic: str) -> None:
    """Where the cluster lost what had been read, reading goes on at the end, and what is written there lands."""
    broker.create(topic)
    broker.produce(topic, values(range(10)))
    with Consuming(broker, ledger, [topic]) as source:
        source.until_landed(10)
    with ledger.transaction() as session:
        session.do("UPDATE raw.stream_position SET position = 40")  # as if thirty more had been read, and lost since
    with Consuming(broker, ledger, [topic]) as source:
        source.until(lambda: source.notes, "a note")
        broker.produce(topic, values(range(10, 15)))
        source.until_landed(15)

    assert tokens(ledger) == list(range(15))
    assert list(positions(ledger).values()) == [15]
    assert gaps(ledger) == []


def test_a_silent_cluster_fails(broker: Broker, ledger: Ledger, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that does not answer for too long ends the run, so that the source is seen to fail; the next run goes on."""
    monkeypatch.setattr("ingest.kafka.reader.PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("ingest.kafka.reader.LOOK_SECONDS", 0.2)
    monkeypatch.setattr("ingest.kafka.options.REQUEST_MS", 1000)
    monkeypatch.setattr("ingest.kafka.door.ASK_MS", 500)
    broker.create(topic)
    broker.produce(topic, values([1]))
    with Consuming(broker, ledger, [topic]) as source:
        source.until_landed(1)
        broker.stop()
        try:
            with pytest.raises(Exception, match="Kafka: "):
                source.until(lambda: False, "never")
        finally:
            broker.start()
    broker.produce(topic, values([2]))
    with Consuming(broker, ledger, [topic]) as source:
        source.until_landed(2)

    assert tokens(ledger) == [1, 2]
