"""The door to Kafka: the only module that knows the client library, and little enough of it that another could stand in.

A consumer here is a member of a group that is told which partitions it holds, reads them from where it is told to, and
never decides by itself where to go on: out of range is an error, committed offsets are advice for other people's tools.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import CorruptRecordError, KafkaError, LogTruncationError, OffsetOutOfRangeError

from apportion.config.sources import KafkaSource
from ingest.kafka.member import BrokerError, CorruptError, Holder, Message, OutOfRangeError, Place
from ingest.kafka.options import Version, connection, reading

SESSION_MS = 10_000
"""How long the group waits for a member that died before others read its partitions; a restart waits as long."""

ASK_MS = 5_000
"""For a question about offsets; the reader can do nothing else meanwhile."""


# Its debug log has every byte that is sent, passwords of PLAIN among them.
logging.getLogger("kafka").setLevel(logging.WARNING)


class Member:
    """One member of the source's group. One thread at a time."""

    def __init__(self, settings: KafkaSource, holder: Holder, *, api_version: Version = None) -> None:
        self._options = reading(settings, api_version)
        with _said("no broker answers"):
            self._client = _made(
                KafkaConsumer,
                group_id=settings.group,
                session_timeout_ms=SESSION_MS,
                partition_assignment_strategy=[RoundRobinPartitionAssignor],
                **self._options,
            )
            self._client.subscribe(topics=list(settings.topics), listener=_Listener(self._client, holder))

    def poll(self, seconds: float) -> dict[Place, list[Message]]:
        """What arrived, in the order of its partition.

        Raises: OutOfRangeError, CorruptError; BrokerError for what only a person can change.
        """
        try:
            found = self._client.poll(timeout_ms=round(seconds * 1000))
            self._take_up_the_join()
        except OffsetOutOfRangeError as error:
            raise OutOfRangeError([tuple(place) for place in error.args[0]]) from error
        except LogTruncationError as error:
            raise OutOfRangeError([tuple(place) for place in error.divergent_offsets]) from error
        except CorruptRecordError as error:
            raise _corrupt(error) from error
        except KafkaError as error:
            raise _broker_error("reading", error) from error
        return {tuple(place): messages for place, messages in found.items()}

    def _take_up_the_join(self) -> None:
        """Let the next poll wait for a join that outlasted this one.

        Where new partitions were the reason to join, the library forgets why once it has joined, and, if a poll ended in
        between, never takes up what it was assigned: it would poll for ever and hold nothing.
        """
        inside = self._client._coordinator  # noqa: SLF001 - nothing public says it
        if inside.rejoining and not inside.rejoin_needed:
            inside.request_rejoin()

    def seek(self, place: Place, offset: int) -> bool:
        """Read on from there. Returns: False where the partition is not ours any more."""
        try:
            self._client.seek(TopicPartition(*place), offset)
        except (ValueError, KeyError):
            return False
        return True

    def pause(self, places: Collection[Place]) -> None:
        """Fetch nothing of them until they are resumed; those that are not ours are passed over."""
        self._client.pause(*self._ours(places))

    def resume(self, places: Collection[Place]) -> None:
        """Fetch them again."""
        self._client.resume(*self._ours(places))

    def _ours(self, places: Collection[Place]) -> list[TopicPartition]:
        ours = self._client.assignment()
        return [place for place in map(_partition, places) if place in ours]

    def position(self, place: Place) -> int | None:
        """The offset that is read next."""
        partition = _partition(place)
        if partition not in self._client.assignment():
            return None
        with _said("the position of a partition"):
            found: int | None = self._client.position(partition, timeout_ms=ASK_MS)
        return found

    def ranges(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        """First offset of each partition, and the one after its last."""
        partitions = [_partition(place) for place in places]
        if not partitions:
            return {}
        with _said("the range of a partition"):
            first = self._client.beginning_offsets(partitions, timeout_ms=ASK_MS)
            after = self._client.end_offsets(partitions, timeout_ms=ASK_MS)
        return {tuple(place): (first[place], after[place]) for place in partitions}

    def corrupt_at(self, place: Place, offset: int) -> int | None:
        """First offset of the corrupt batch that holds this one, asked by a reader outside the group; None where it is sound."""
        partition = _partition(place)
        with _said("a batch"), contextlib.closing(_made(KafkaConsumer, **self._options)) as reader:
            reader.assign([partition])
            reader.seek(partition, offset)
            try:
                reader.poll(timeout_ms=ASK_MS, max_records=1)
            except CorruptRecordError as error:
                found = _corrupt(error)
                return found.offset if isinstance(found, CorruptError) else None
        return None

    def advise(self, offsets: Mapping[Place, int], *, wait: bool = False) -> None:
        """Tell the cluster how far we are, for whoever watches the group; nobody here reads it back, so failing is no harm."""
        told = {_partition(place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
        with contextlib.suppress(KafkaError):
            if wait:
                self._client.commit(told, timeout_ms=ASK_MS)
            else:
                self._client.commit_async(told)

    def close(self) -> None:
        """Leave the group."""
        with contextlib.suppress(KafkaError):
            self._client.close(autocommit=False, timeout_ms=ASK_MS)


class ClusterTopics:
    """What the cluster says about topics. Any thread."""

    def __init__(self, settings: KafkaSource, *, api_version: Version = None) -> None:
        self._lock = threading.Lock()
        with _said("no broker answers"):
            self._client = _made(KafkaAdminClient, **connection(settings, api_version))

    def known(self, topics: Collection[str]) -> dict[str, tuple[str, int]]:
        """Id (empty where the broker has none) and number of partitions of each topic that exists."""
        with self._lock, _said("topics"):
            found: list[dict[str, Any]] = self._client.describe_topics(sorted(topics))
        return {
            topic["name"]: (_id(topic.get("topic_id")), len(topic["partitions"]))
            for topic in found
            if not topic["error_code"]
        }

    def close(self) -> None:
        """Let go of the connections."""
        with contextlib.suppress(KafkaError):
            self._client.close()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # the library is untyped
    def __init__(self, client: KafkaConsumer, holder: Holder) -> None:
        self._client, self._holder = client, holder

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._holder.revoked([tuple(place) for place in revoked])

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        for partition in assigned:  # paused and with a position, so that no committed offset is ever asked for
            self._client.seek(partition, 0)
        self._client.pause(*assigned)
        self._holder.assigned([tuple(place) for place in assigned])


def _made(library: Any, **options: Any) -> Any:
    """A client of the library; where it cannot be made, its thread and connections, which it would leave behind, end."""
    insides: list[Any] = []

    def inside(**given: Any) -> Any:
        insides.append(library.DEFAULT_CONFIG["kafka_client"](**given))
        return insides[-1]

    try:
        return library(kafka_client=inside, **options)
    except BaseException:
        for one in insides:
            one.close()
        raise


def _partition(place: Place) -> TopicPartition:
    return TopicPartition(*place)


def _id(found: object) -> str:
    text = str(found or "")
    return text if text.strip("0-") else ""


def _corrupt(error: CorruptRecordError) -> Exception:
    said = re.search(r"topic='(?P<topic>.*?)', partition=(?P<partition>\d+)\) at offset (?P<offset>\d+)", str(error))
    if not said:
        return _broker_error("reading", error)
    return CorruptError((said["topic"], int(said["partition"])), int(said["offset"]))


def _broker_error(what: str, error: KafkaError) -> BrokerError:
    return BrokerError(
        f"Kafka: {what}: {type(error).__name__}: {error}; check brokers, topics, security and access rights."
    )


@contextlib.contextmanager
def _said(what: str) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise _broker_error(what, error) from error
