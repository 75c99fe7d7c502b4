"""One member of the group against a cluster in memory: what it does where a part of the cluster does not answer."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from apportion.config.sources import KafkaSource
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.kafka.collector import KafkaCollector
from ingest.kafka.door import ClusterTopics, Member
from ingest.kafka.landing import Landing
from ingest.kafka.member import BrokerError, CorruptError, Holder, Place
from ingest.kafka.pending import Delivery, Pending
from ingest.kafka.positions import Positions
from ingest.kafka.reader import Reader
from ingest.outcome import Outcome
from ingest.supervise import Health
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import CANONICAL, NOON, RULES

A, B = ("t", 0), ("t", 1)


class Cluster:
    """Two partitions; a `Consumer` and `Topics` in one.

    Attributes:
        silent: partitions that do not answer.
        absent: topics, and the error that is said of each.
        corrupt: how often a fetch, and how often asking again, finds a corrupt batch.
        sought: where reading of each partition began, in order.
        polls: left before the reader is told to stop.
        closed: whether somebody let go of it.
    """

    def __init__(self, polls: int = 3) -> None:
        self.silent: set[Place] = set()
        self.absent: dict[str, str] = {}
        self.corrupt, self.again = 0, 0
        self.sought: list[tuple[Place, int]] = []
        self.polls = polls
        self.closed = 0
        self.at: dict[Place, int] = {}

    def known(self, topics: Collection[str]) -> Mapping[str, tuple[str, int]]:
        return {topic: ("id", 2) for topic in topics if topic not in self.absent}

    def refused(self, topics: Collection[str]) -> Mapping[str, str]:
        return {topic: self.absent[topic] for topic in topics}

    def ranges(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        return {place: (0, 10) for place in places if place not in self.silent}

    def poll(self, seconds: float) -> Mapping[Place, Sequence[Any]]:
        assert seconds > 0
        self.polls -= 1
        if self.corrupt:
            self.corrupt -= 1
            raise CorruptError(A, 0)
        return {}

    def corrupt_at(self, place: Place, offset: int) -> int | None:
        if place in self.silent:
            raise BrokerError("silent")
        return 0 if self.again and offset < 4 else None

    def seek(self, place: Place, offset: int) -> bool:
        self.sought.append((place, offset))
        self.at[place] = offset
        return True

    def position(self, place: Place) -> int | None:
        return self.at.get(place)

    def pause(self, places: Collection[Place]) -> None:
        pass

    def resume(self, places: Collection[Place]) -> None:
        pass

    def advise(self, offsets: Mapping[Place, int], *, wait: bool = False) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


class Reading:
    """A reader of a cluster, every poll of which is followed by a look.

    Attributes:
        notes: what it said.
        reader: it.
    """

    def __init__(self, ledger: Ledger, cluster: Cluster, topics: tuple[str, ...] = ("t",)) -> None:
        self.notes: list[str] = []
        self._cluster, self._seconds = cluster, iter(range(0, 1_000_000, 10))

        def connect(holder: Holder) -> Cluster:
            holder.assigned([A, B])
            return cluster

        self.reader = Reader(
            "k",
            KafkaSource(brokers=("b:9092",), topics=topics),
            connect=connect,
            topics=cluster,
            positions=Positions("k", ledger, FrozenClock(NOON)),
            pending=Pending(0),
            note=self.notes.append,
            looked=lambda: None,
            monotonic=lambda: next(self._seconds),
        )

    def run(self, after: Mapping[int, Any] | None = None) -> None:
        """Until the polls are used up; `after` says what changes when so many are left."""

        def is_stopping() -> bool:
            (after or {}).get(self._cluster.polls, lambda: None)()
            return self._cluster.polls <= 0

        self.reader.run(is_stopping, lambda: False)
        if self.reader.error:
            raise self.reader.error


def test_a_silent_partition_is_begun_later(ledger: Ledger) -> None:
    """The others are read meanwhile, it is said once, and nothing fails."""
    cluster = Cluster(polls=9)
    cluster.silent = {A}
    reading = Reading(ledger, cluster)
    reading.run({3: cluster.silent.clear})

    assert cluster.sought == [(B, 0), (A, 0)]
    assert reading.notes == [
        "t/0 does not say where it begins or goes on; it is read once it does, the others meanwhile."
    ]
    assert reading.reader.lag == 20


def test_lag_is_unknown_where_a_partition_is_silent(ledger: Ledger) -> None:
    """A partition that went silent after it was begun makes the lag unknown, and no failure."""
    cluster = Cluster(polls=200)
    reading = Reading(ledger, cluster)
    reading.run({190: lambda: cluster.silent.add(A)})

    assert (reading.reader.lag, reading.notes) == (None, [])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("", "topic u does not exist; it is read once it does."),
        (
            "TopicAuthorizationFailedError (error 29)",
            "topic u cannot be read: the cluster answers TopicAuthorizationFailedError (error 29); it is read once that is mended.",
        ),
    ],
)
def test_what_is_said_of_a_topic_is_what_the_cluster_says(ledger: Ledger, error: str, sentence: str) -> None:
    """A topic that cannot be read is noted with its reason, once, and again when it went missing again."""
    cluster = Cluster(polls=12)
    cluster.absent = {"u": error}
    reading = Reading(ledger, cluster, ("t", "u"))
    reading.run({8: cluster.absent.clear, 4: lambda: cluster.absent.update(u=error)})

    assert reading.notes == [sentence, sentence]
    assert cluster.sought == [(A, 0), (B, 0)]


def test_a_corruption_that_does_not_repeat_is_read_again(ledger: Ledger) -> None:
    """The partition is begun again where it stood."""
    cluster = Cluster(polls=4)
    cluster.corrupt = 1
    reading = Reading(ledger, cluster)
    reading.run()

    assert cluster.sought == [(A, 0), (B, 0), (A, 0)]
    assert ledger.session().rows("SELECT * FROM raw.stream_gap") == []


def test_a_corrupt_batch_that_cannot_be_asked_about_waits(ledger: Ledger) -> None:
    """Where the broker is silent about it nothing is passed over, and later it is."""
    cluster = Cluster(polls=9)
    cluster.corrupt, cluster.again, cluster.silent = 1, 1, {A}
    reading = Reading(ledger, cluster)
    cluster.silent.clear()
    reading.run({8: lambda: cluster.silent.add(A), 4: cluster.silent.clear})

    assert cluster.sought == [(A, 0), (B, 0), (A, 4)]
    gaps = ledger.session().rows("SELECT position_from, position_to, reason FROM raw.stream_gap")
    assert gaps == [(0, 4, "corrupt")]


class Client:
    """The library's consumer, as far as ranges are asked of it; what has no leader breaks the whole question.

    Attributes:
        leaders: by partition; -1 where there is none, and absent where it is not known.
        silent: partitions whose leader does not answer.
    """

    def __init__(self, leaders: Mapping[int, int], silent: Collection[int] = ()) -> None:
        self.leaders, self.silent = leaders, silent
        self._cluster = self

    def leader_for_partition(self, place: TopicPartition) -> int | None:
        return self.leaders.get(place.partition)

    def beginning_offsets(self, places: Collection[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        assert timeout_ms > 0
        if any(place.partition in self.silent for place in places):
            raise KafkaTimeoutError
        led = {place: 3 for place in places if self.leaders.get(place.partition, -1) != -1}
        return {place: led[place] for place in places}

    end_offsets = beginning_offsets


@pytest.mark.parametrize(
    ("client", "answered"),
    [
        (Client({0: 1, 1: 1}), [0, 1]),
        (Client({0: -1, 1: 1}), [1]),
        (Client({1: 1}), [1]),
        (Client({0: 1, 1: 1}, silent=[0]), [1]),
        (Client({0: -1, 1: -1}), []),
    ],
)
def test_ranges_of_what_answers(client: Client, answered: list[int]) -> None:
    """A partition without a leader, or of one that is silent, is left out, and the others are not."""
    member = object.__new__(Member)
    member._client = client

    assert member.ranges([A, B]) == {("t", number): (3, 3) for number in answered}


def test_refused_topics_are_named_by_their_error() -> None:
    """Only where the cluster says that there is no such topic does it not exist."""
    topics = object.__new__(ClusterTopics)
    topics._lock = threading.Lock()
    codes = {"a": 0, "b": 3, "c": 29}

    class Admin:
        def describe_topics(self, names: Sequence[str]) -> list[dict[str, object]]:
            return [{"name": name, "error_code": codes[name], "topic_id": "i", "partitions": [0]} for name in names]

    topics._client = Admin()

    assert topics.refused(["a", "b", "c"]) == {"b": "", "c": "TopicAuthorizationFailedError (error 29)"}
    assert topics.known(["a", "b", "c"]) == {"a": ("i", 1)}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def collector(ledger: Ledger, cluster: Cluster, format_name: str) -> KafkaCollector:
    return KafkaCollector(
        "k",
        format_name,
        KafkaSource(brokers=("b:9092",), topics=("t",), batch_seconds=0),
        ledger=ledger,
        find_format=CANONICAL.get,
        rules=RULES,
        clock=FrozenClock(NOON),
        connect=lambda _settings, holder: _assigned(holder, cluster),
        ask=lambda _settings: cluster,
    )


def _assigned(holder: Holder, cluster: Cluster) -> Cluster:
    holder.assigned([A])
    return cluster


def test_a_source_that_cannot_land_connects_to_nothing(ledger: Ledger, clock: FrozenClock, cluster: Cluster) -> None:
    """A format that messages cannot be in is found before there is a connection to leave behind."""
    health = Health("k", "kafka", clock)
    made = collector(ledger, cluster, "csv")
    made._ask = lambda _settings: pytest.fail("connected")
    with pytest.raises(InputError, match="csv"):
        made.run(health, threading.Event())


def test_landing_that_takes_long_is_no_sign_of_life(
    ledger: Ledger, clock: FrozenClock, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a slice lands and lands, the source does not say that it runs, and says once why not."""
    monkeypatch.setattr("ingest.kafka.collector.SLOW_SECONDS", -1.0)
    monkeypatch.setattr("ingest.kafka.reader.LOOK_SECONDS", 0.0)
    health, stop, looked = Health("k", "kafka", clock), threading.Event(), threading.Event()
    state: list[str] = []
    sent = [type("Sent", (), {"offset": 0, "value": b"{}", "headers": ()})]

    def poll(seconds: float) -> Mapping[Place, Sequence[Any]]:
        assert seconds > 0
        cluster.polls -= 1
        if cluster.polls == -20:
            looked.set()
        return {A: [sent.pop()]} if cluster.at and sent else {}

    def land(self: Landing, deliveries: Sequence[Delivery]) -> Outcome:
        assert self
        assert deliveries
        cluster.polls = 0
        looked.wait()
        state.append(health.condition().state)
        stop.set()
        return Outcome(received=1)

    monkeypatch.setattr(cluster, "poll", poll)
    monkeypatch.setattr(Landing, "land", land)
    collector(ledger, cluster, "usage").run(health, stop)

    assert state == ["starting"]
    assert ["landing has taken" in note for note in health.condition().notes] == [True]
    assert cluster.closed == 2
