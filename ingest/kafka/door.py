"""The door to Kafka: the only module that knows the client library, and little enough of it that another could stand in.

A consumer here is a member of a group that is told which partitions it holds, reads them from where it is told to, and
never decides by itself where to go on: out of range is an error, committed offsets are advice for other people's tools.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import (
    CorruptRecordError,
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
    for_code,
)

from apportion.config.sources import KafkaSource
from ingest.kafka.member import BrokerError, CorruptError, Holder, Message, OutOfRangeError, Place
from ingest.kafka.options import Version, connection, reading

SESSION_MS = 10_000
"""How long the group waits for a member that died before others read its partitions; a restart waits as long."""

ASK_MS = 5_000
"""For a question about offsets; the reader can do nothing else meanwhile."""

ASK_ALONE_MS = 500
"""For the same question about one partition, where some of them do not answer."""

_SILENT = (KafkaTimeoutError, KeyError)
"""What the library raises for a partition without a leader: the latter where others were asked for with it."""

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
        """Of the library's own bounds, and no longer than the seconds unless the group is being joined."""
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
            raise BrokerError.of("reading", error) from error
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
        """Nothing is asked of the cluster: an offset that is not there is found out when it is fetched."""
        try:
            self._client.seek(TopicPartition(*place), offset)
        except (ValueError, KeyError):
            return False
        return True

    def pause(self, places: Collection[Place]) -> None:
        """What was fetched already waits inside the library."""
        self._client.pause(*self._ours(places))

    def resume(self, places: Collection[Place]) -> None:
        """What waited inside the library comes first."""
        self._client.resume(*self._ours(places))

    def _ours(self, places: Collection[Place]) -> list[TopicPartition]:
        ours = self._client.assignment()
        return [place for place in map(_partition, places) if place in ours]

    def position(self, place: Place) -> int | None:
        """As sought, or after what was polled last: no committed offset is ever asked for."""
        partition = _partition(place)
        if partition not in self._client.assignment():
            return None
        with _said("the position of a partition"):
            found: int | None = self._client.position(partition, timeout_ms=ASK_MS)
        return found

    def ranges(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        """All in one question; one by one where that fails, since the library answers for all partitions or for none."""
        leader = self._client._cluster.leader_for_partition  # noqa: SLF001 - nothing public says that there is none
        led = [place for place in map(_partition, places) if leader(place) != -1]  # None: not known yet
        with _said("the range of a partition"):
            if not led:
                return {}
            try:
                return self._asked(led, ASK_MS)
            except _SILENT:
                found: dict[Place, tuple[int, int]] = {}
                enough = time.monotonic() + ASK_MS / 1000
                for place in led:
                    with contextlib.suppress(*_SILENT):
                        found |= self._asked([place], ASK_ALONE_MS) if time.monotonic() < enough else {}
                return found

    def _asked(self, partitions: list[TopicPartition], milliseconds: int) -> dict[Place, tuple[int, int]]:
        first = self._client.beginning_offsets(partitions, timeout_ms=milliseconds)
        after = self._client.end_offsets(partitions, timeout_ms=milliseconds)
        return {tuple(place): (first[place], after[place]) for place in partitions}

    def corrupt_at(self, place: Place, offset: int) -> int | None:
        """Asked by a reader outside the group, which has fetched nothing before."""
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
        """As committed offsets of the group."""
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
        """Asked of the cluster each time."""
        return {
            topic["name"]: (_id(topic.get("topic_id")), len(topic["partitions"]))
            for topic in self._described(topics)
            if not topic["error_code"]
        }

    def refused(self, topics: Collection[str]) -> dict[str, str]:
        """Asked of the cluster each time."""
        errors = {topic["name"]: for_code(topic["error_code"]) for topic in self._described(topics)}
        return {
            name: "" if error is UnknownTopicOrPartitionError else f"{error.__name__} (error {error.errno})"
            for name, error in errors.items()
            if error.errno
        }

    def _described(self, topics: Collection[str]) -> list[dict[str, Any]]:
        with self._lock, _said("topics"):
            return list(self._client.describe_topics(sorted(topics)))

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
    return CorruptError.said(str(error)) or BrokerError.of("reading", error)


@contextlib.contextmanager
def _said(what: str) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise BrokerError.of(what, error) from error
