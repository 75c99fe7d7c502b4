"""A real broker, an independent producer (kcat), and the ledger afterwards: what was produced, no more and no less."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from typing import Any

import pytest
from kafka import KafkaProducer

from apportion.config.environment import Secret
from apportion.ledger.connection import Ledger
from ingest.kafka.member import BrokerError
from tests.component.broker import PASSWORD, USER
from tests.component.consuming import Consuming, gaps, positions, rejections, tokens, values
from tests.unit.ingest.desk import sample

pytestmark = [
    pytest.mark.component,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("closed_sockets"),
]


@pytest.fixture
def topic() -> str:
    """A name that no other test has."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "zstd", "snappy"])
def test_every_codec_lands(any_kafka: Any, ledger: Ledger, topic: str, codec: str) -> None:
    """Whatever producers compress with, each event lands once, over all partitions."""
    any_kafka.create(topic, partitions=3)
    any_kafka.produce(topic, values(range(500)), codec=codec)

    with Consuming(any_kafka, ledger, [topic]) as source:
        source.until_landed(500)

    assert tokens(ledger) == list(range(500))
    assert sum(positions(ledger).values()) == 500
    assert rejections(ledger) == gaps(ledger) == []


def test_positions_are_of_the_topic_id(kafka: Any, ledger: Ledger, topic: str) -> None:
    """The ledger calls a partition by source, topic, the topic's id, and number."""
    kafka.create(topic, partitions=2)
    kafka.produce(topic, values(range(3)), partition=1)

    with Consuming(kafka, ledger, [topic]) as source:
        source.until_landed(3)

    assert positions(ledger) == {f"kafka:k/{topic}[{kafka.topic_id(topic)}]/1": 3}


def test_a_second_run_goes_on(any_kafka: Any, ledger: Ledger, topic: str) -> None:
    """A stopped source has landed what it took, and the next one reads what came since, once."""
    any_kafka.create(topic, partitions=2)
    any_kafka.produce(topic, values(range(10)))
    with Consuming(any_kafka, ledger, [topic]) as source:
        source.until_landed(10)
    any_kafka.produce(topic, values(range(10, 20)))
    with Consuming(any_kafka, ledger, [topic]) as source:
        source.until_landed(20)
        source.until(lambda: source.health.condition().lag_records == 0, "no lag")

    assert tokens(ledger) == list(range(20))
    received = "SELECT sum(received), sum(duplicates) FROM raw.batch"
    assert ledger.session().row(received) == (20, 0)


def test_formats_by_topic_and_header(kafka: Any, ledger: Ledger, topic: str) -> None:
    """A topic's format is the config's, a message's own header goes before it, and all of a partition stays in order."""
    samples = f"{topic}-gpu"
    kafka.create(topic)
    kafka.create(samples)
    one, two = (json.dumps(sample(at)).encode() for at in ("2026-10-15T11:00:00Z", "2026-10-15T11:00:30Z"))
    kafka.produce(samples, [one])
    kafka.produce(topic, values([1]))
    kafka.produce(topic, [two], headers=["apportion-format=gpu"])
    kafka.produce(topic, values([2]), headers=["other=x"])

    with Consuming(kafka, ledger, [topic, samples], formats={samples: "gpu"}) as source:
        source.until_landed(2)
        source.until(lambda: sum(positions(ledger).values()) == 4, "all four")

    assert tokens(ledger) == [1, 2]
    assert ledger.session().value("SELECT count(*) FROM raw.gpu_sample") == 2
    assert rejections(ledger) == []


def test_poison_is_quarantined_with_its_offset(any_kafka: Any, ledger: Ledger, topic: str) -> None:
    """Bad bytes, and formats that nobody knows, are named by their offset, and what follows lands."""
    any_kafka.create(topic)
    any_kafka.produce(topic, [*values([1]), b"\xff\xfe not json", b'{"event_id": "x"}', b"null", b"{" * 5000])
    any_kafka.produce(topic, [b"<xml>\nof two lines</xml>", *values([2])], headers=["apportion-format=xml"])
    any_kafka.produce(topic, [json.dumps(json.loads(values([3])[0]), indent=1).encode(), *values([4])])

    with Consuming(any_kafka, ledger, [topic]) as source:
        source.until_landed(3)
        source.until(lambda: sum(positions(ledger).values()) == 9, "all nine")

    assert tokens(ledger) == [1, 3, 4]
    assert sorted((record, reason) for _, record, reason in rejections(ledger)) == [
        (1, "malformed"),
        (2, "missing_field"),
        (3, "malformed"),
        (4, "malformed"),
        (5, "unknown_format"),
        (6, "unknown_format"),
    ]


def test_tombstones_and_blank_messages_are_passed_over(kafka: Any, ledger: Ledger, topic: str) -> None:
    """A message without content is no record; the position moves past it, also where nothing else came."""
    kafka.create(topic)
    kafka.tombstones(topic, 3)

    with Consuming(kafka, ledger, [topic]) as source:
        source.until(lambda: sum(positions(ledger).values()) == 3, "past them")
        kafka.produce(topic, [b"  ", *values([1])])
        source.until_landed(1)

    assert list(positions(ledger).values()) == [5]
    assert rejections(ledger) == []


def test_many_records_in_one_message(any_kafka: Any, ledger: Ledger, topic: str) -> None:
    """A message may hold an array or a record per line; what is wrong in it is named by the message's offset."""
    any_kafka.create(topic)
    lines, array = b"\n".join(values([1, 2])), b"[" + b",\n".join([*values([3, 4]), b'{"event_id": 7}']) + b"]"
    any_kafka.produce(topic, [lines, array, *values([5])])

    with Consuming(any_kafka, ledger, [topic]) as source:
        source.until_landed(5)

    assert tokens(ledger) == [1, 2, 3, 4, 5]
    assert [record for _, record, _ in rejections(ledger)] == [1]


@pytest.mark.parametrize("consumers", [1, 2])
def test_members_come_and_go(kafka: Any, ledger: Ledger, topic: str, consumers: int) -> None:
    """While sources of one group join and leave, and producing goes on, every event lands once."""
    kafka.create(topic, partitions=6)
    options = {"group": topic, "consumers": consumers}
    with Consuming(kafka, ledger, [topic], **options) as first:
        kafka.produce(topic, values(range(400)))
        first.until_landed(200)
        with Consuming(kafka, ledger, [topic], **options):
            kafka.produce(topic, values(range(400, 800)))
            with Consuming(kafka, ledger, [topic], **options) as third:
                kafka.produce(topic, values(range(800, 1200)))
                third.until_landed(900)
            kafka.produce(topic, values(range(1200, 1600)))
        first.until_landed(1600)

    assert tokens(ledger) == list(range(1600))
    assert sum(positions(ledger).values()) == 1600


def test_a_topic_made_again_is_another_stream(kafka: Any, ledger: Ledger, topic: str) -> None:
    """A topic that is deleted and made again is read from its beginning, though its offsets were met before."""
    kafka.create(topic)
    kafka.produce(topic, values(range(5)))
    with Consuming(kafka, ledger, [topic], start="latest") as source:
        source.until(lambda: positions(ledger), "the end")
        kafka.produce(topic, values(range(5, 10)))
        source.until_landed(5)
        old = kafka.topic_id(topic)
        kafka.delete(topic)
        kafka.create(topic)
        kafka.produce(topic, values(range(10, 30)))
        source.until_landed(25)

    assert tokens(ledger) == list(range(5, 30))
    assert positions(ledger) == {f"kafka:k/{topic}[{old}]/0": 10, f"kafka:k/{topic}[{kafka.topic_id(topic)}]/0": 20}
    assert gaps(ledger) == []


def test_what_retention_took_is_a_gap(kafka: Any, ledger: Ledger, topic: str) -> None:
    """Offsets that were deleted before they were read are written down, and reading goes on after them."""
    kafka.create(topic)
    kafka.produce(topic, values(range(10)))
    with Consuming(kafka, ledger, [topic]) as source:
        source.until_landed(10)
    kafka.produce(topic, values(range(10, 30)))
    kafka.forget(topic, 0, 25)
    with Consuming(kafka, ledger, [topic]) as source:
        source.until_landed(15)
        assert "offsets 10 to 24 were deleted" in source.notes[0]

    stream = f"kafka:k/{topic}[{kafka.topic_id(topic)}]/0"
    assert tokens(ledger) == [*range(10), *range(25, 30)]
    assert gaps(ledger) == [(stream, 10, 25, "retention")]
    assert positions(ledger) == {stream: 30}


def test_reading_begins_at_the_first_offset_there_is(kafka: Any, ledger: Ledger, topic: str) -> None:
    """What was deleted before the source existed is no gap."""
    kafka.create(topic)
    kafka.produce(topic, values(range(10)))
    kafka.forget(topic, 0, 4)
    with Consuming(kafka, ledger, [topic]) as source:
        source.until_landed(6)

    assert tokens(ledger) == list(range(4, 10))
    assert gaps(ledger) == []


def test_added_partitions_are_read_whole(
    kafka: Any, ledger: Ledger, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`latest` skips what was there before the source, never what a partition got before it was noticed."""
    monkeypatch.setattr("ingest.kafka.options.METADATA_MS", 500)
    kafka.create(topic, partitions=2)
    kafka.produce(topic, values(range(10)))
    with Consuming(kafka, ledger, [topic], start="latest") as source:
        source.until(lambda: len(positions(ledger)) == 2, "both ends")
        kafka.widen(topic, 3)
        kafka.produce(topic, values(range(10, 15)), partition=2)
        source.until_landed(5)

    assert tokens(ledger) == list(range(10, 15))


def test_only_what_was_committed_lands(kafka: Any, ledger: Ledger, topic: str) -> None:
    """Messages of an aborted transaction are not billed, and its marks in the log are no lag."""
    kafka.create(topic)
    producer = KafkaProducer(bootstrap_servers=kafka.address(), transactional_id=topic)
    producer.init_transactions()
    for numbers, end in ((range(5), producer.commit_transaction), (range(5, 9), producer.abort_transaction)):
        producer.begin_transaction()
        for value in values(numbers):
            producer.send(topic, value)
        producer.flush()
        end()
    producer.close()
    kafka.produce(topic, values([9]))
    with Consuming(kafka, ledger, [topic]) as source:
        source.until_landed(6)
        source.until(lambda: source.health.condition().lag_records == 0, "no lag")

    assert tokens(ledger) == [0, 1, 2, 3, 4, 9]


@pytest.mark.parametrize(
    ("security", "mechanism"),
    [
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
        ("SSL", None),
        ("SASL_SSL", "SCRAM-SHA-512"),
    ],
)
def test_security(
    kafka: Any,
    ledger: Ledger,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    security: str,
    mechanism: str | None,
) -> None:
    """SASL and TLS connect, and the password is in no log."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    kafka.create(topic)
    kafka.produce(topic, values([1]))
    options: dict[str, Any] = {"brokers": (kafka.address(security),), "security": security, "ca_file": kafka.ca}
    if mechanism:
        options |= {"mechanism": mechanism, "username": USER, "password": Secret("KAFKA_PASSWORD")}
    with Consuming(kafka, ledger, [topic], **options) as source:
        source.until_landed(1)

    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("lie", [{"KAFKA_PASSWORD": "wrong"}, {}])
def test_a_refused_login_is_an_error(
    kafka: Any, ledger: Ledger, topic: str, monkeypatch: pytest.MonkeyPatch, lie: dict[str, str]
) -> None:
    """A wrong password, or a certificate that nobody vouches for, ends the run with a sentence that says no secret."""
    monkeypatch.setattr("ingest.kafka.options.REQUEST_MS", 3000)
    monkeypatch.setenv("KAFKA_PASSWORD", lie.get("KAFKA_PASSWORD", PASSWORD))
    security = "SASL_PLAINTEXT" if lie else "SASL_SSL"
    options = {"mechanism": "SCRAM-SHA-256", "username": USER, "password": Secret("KAFKA_PASSWORD")}
    source = Consuming(kafka, ledger, [topic], brokers=(kafka.address(security),), security=security, **options)
    with pytest.raises(BrokerError, match="Kafka: ") as raised:
        source.collector.run(source.health, threading.Event())

    assert "wrong" not in str(raised.value)
    assert PASSWORD not in str(raised.value)
