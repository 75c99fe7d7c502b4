"""What the collector asks of a Kafka client, so that a faster one could stand in: a member of a group that reads where it is told.

It holds partitions as the group decides, reads them from the offset it is given, and never decides by itself where to go
on: an offset out of range is an error, and what it commits to the cluster is advice for other people's tools.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, Self

from apportion.domain.errors import ApportionError

Place = tuple[str, int]
"""A partition: its topic's name, and its number."""


class Message(Protocol):
    """One record of a partition.

    Attributes:
        offset: its place in the partition.
        value: its bytes; None where it is a tombstone.
        headers: names and values, in the order they were sent.
    """

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its bytes; None where it is a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values, in the order they were sent."""
        ...


class Holder(Protocol):
    """Who is told what the group decided. Called on the client's own thread, so that it must answer at once."""

    def assigned(self, places: Collection[Place]) -> None:
        """These partitions are ours now; they stay paused until somebody says where to begin."""
        ...

    def revoked(self, places: Collection[Place]) -> None:
        """These partitions are ours no more."""
        ...


class BrokerError(ApportionError):
    """The cluster cannot be reached, or refuses what is asked of it."""

    @classmethod
    def of(cls, what: str, error: Exception) -> Self:
        """What the client raised, in a sentence that says what was asked for."""
        said = f"{type(error).__name__}: {error}"
        return cls(f"Kafka: {what}: {said}; check brokers, topics, security and access rights.")


class OutOfRangeError(Exception):
    """Partitions do not have the offsets that were asked for.

    Attributes:
        places: and the offsets.
    """

    def __init__(self, places: Collection[Place]) -> None:
        super().__init__()
        self.places = tuple(places)


class CorruptError(Exception):
    """A batch of records does not match its checksum.

    Attributes:
        place: where it is.
        offset: of its first record, as the batch says.
    """

    def __init__(self, place: Place, offset: int) -> None:
        super().__init__()
        self.place, self.offset = place, offset

    @classmethod
    def said(cls, sentence: str) -> Self | None:
        """What the client's sentence about a batch says; None where it says nothing of the kind."""
        found = _BATCH.search(sentence)
        return cls((found["topic"], int(found["partition"])), int(found["offset"])) if found else None


_BATCH = re.compile(r"topic='(?P<topic>.*?)', partition=(?P<partition>\d+)\) at offset (?P<offset>\d+)")


class Consumer(Protocol):
    """One member of the source's group. One thread at a time, but for what it calls its holder from."""

    def poll(self, seconds: float) -> Mapping[Place, Sequence[Message]]:
        """What arrived, in the order of its partition.

        Raises: OutOfRangeError, CorruptError; BrokerError for what only a person can change.
        """
        ...

    def seek(self, place: Place, offset: int) -> bool:
        """Read on from there. Returns: False where the partition is not ours any more."""
        ...

    def pause(self, places: Collection[Place]) -> None:
        """Fetch nothing of them until they are resumed; those that are not ours are passed over."""
        ...

    def resume(self, places: Collection[Place]) -> None:
        """Fetch them again; those that are not ours are passed over."""
        ...

    def position(self, place: Place) -> int | None:
        """The offset that is read next; None where the partition is not ours."""
        ...

    def ranges(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        """First offset of each partition, and the one after its last. One that does not answer holds up no other: it is left out.

        Raises: BrokerError where the cluster refuses to say.
        """
        ...

    def corrupt_at(self, place: Place, offset: int) -> int | None:
        """First offset of the batch that holds this offset, where it fails its checksum; else None. Asked anew each time.

        Raises: BrokerError where the batch cannot be fetched.
        """
        ...

    def advise(self, offsets: Mapping[Place, int], *, wait: bool = False) -> None:
        """Tell the cluster how far we are, for whoever watches the group; nobody here reads it back, so failing is no harm."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Topics(Protocol):
    """What the cluster says about topics. Any thread."""

    def known(self, topics: Collection[str]) -> Mapping[str, tuple[str, int]]:
        """Id (empty where the broker has none) and number of partitions of each topic that can be read.

        Raises: BrokerError when nobody answers.
        """
        ...

    def refused(self, topics: Collection[str]) -> Mapping[str, str]:
        """What the cluster says instead of describing a topic, as the name of its error; empty where it does not exist.

        Raises: BrokerError when nobody answers.
        """
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...
