"""Which stream a file carries on: told by what is in it, never by its name.

A file is the stream whose position it bears out: it begins as the stream began and has the bytes before the position that the
stream had there. So a log that was renamed, copied or compressed goes on where it was read to, and a new log under an old
name is a new stream. A stream is called after the path it was first read under, with a number where that name was taken
before; ids made from `{file}` use its last part, so they stay what they were whatever becomes of the file.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from apportion.domain.errors import InputError
from apportion.ledger.connection import Session
from ingest.collectors.cutting import Position
from ingest.collectors.files import HEAD_BYTES, FileCollector, digest
from ingest.format import Format
from ingest.streams import shown_name

FOLLOWED = "tail:"
"""Streams that begin so belong to collectors that follow files; `apportion ingest` calls its own `file:`."""


@dataclass(slots=True)
class Stream:
    """One content, whatever files hold it.

    Attributes:
        name: in the ledger.
        position: how far it has been read.
        head: its first bytes, as far as this process has seen them.
    """

    name: str
    position: Position = field(default_factory=Position)
    head: bytes = b""


class Streams:
    """The streams of one format that files may carry on."""

    def __init__(self, format_: Format) -> None:
        self._format = format_
        self._streams: dict[str, Stream] = {}
        self._begun: dict[int, dict[str, set[str]]] = {}
        self._shown: set[str] = set()
        self._generations: defaultdict[str, int] = defaultdict(lambda: 1)

    def load(self, session: Session, *, followed: bool = False) -> None:
        """Learn what the ledger has read.

        Args:
            session: to ask.
            followed: only what collectors that follow files have read.
        """
        self._streams.clear()
        self._begun.clear()
        self._shown.clear()
        self._generations.clear()
        found = session.rows(_STREAMS, {"suffix": f"#{self._format.name}", "prefix": FOLLOWED if followed else ""})
        for name, offset, records, evidence in found:
            lines = int(json.loads(evidence).get("lines", 0))
            self.move(Stream(name=name), Position(offset=offset, records=records, lines=lines, evidence=evidence))

    def carried_by(self, collector: FileCollector) -> Stream | None:
        """The stream that a file goes on with: of several, the one that was read furthest."""
        bearing = [stream for stream in self._alike(collector) if collector.carries(stream.position)]
        return max(bearing, key=lambda stream: (stream.position.offset, _is_followed(stream)), default=None)

    def followed_by(self, collector: FileCollector) -> Stream | None:
        """The same, and what `ingest` has read of it is taken over: its own streams start again with each new content."""
        furthest = self.carried_by(collector)
        if furthest is None or _is_followed(furthest):
            return furthest
        bearing = [one for one in self._alike(collector) if _is_followed(one) and collector.carries(one.position)]
        own = max(bearing, key=lambda stream: stream.position.offset, default=None)
        if own is None:
            name = f"{FOLLOWED}{furthest.name.removeprefix('file:')}"
            own = Stream(name) if name not in self._streams else self.begin(collector.path, like=furthest)
        return self.move(own, furthest.position)

    def longer_than(self, collector: FileCollector) -> Stream | None:
        """A stream that begins as the file does and was read beyond the file's end: the file may be a copy under way."""
        for stream in self._alike(collector):
            if not collector.read(stream.position.offset - 1, 1):
                return stream
        return None

    def holding(self, collector: FileCollector) -> Stream | None:
        """A stream that all of a small file is the beginning of, byte by byte: all of it has been read."""
        head = collector.read(0, HEAD_BYTES)
        for stream in self._streams.values() if head and len(head) < HEAD_BYTES else ():
            if len(head) < len(stream.head) and stream.head.startswith(head):
                return stream
        return None

    def begin(self, path: Path, *, like: Stream | None = None) -> Stream:
        """A new stream, called after a path, or after the stream that it seems to be a piece of.

        Raises: InputError when the path is not UTF-8.
        """
        place = path.resolve()
        if like:
            return Stream(f"{FOLLOWED}{_utf8(place)}/{shown_name(like.name)}#{self._format.name}")
        generation, name = self._generations[place.name], place.name
        while name in self._shown:
            generation += 1
            name = f"{place.name}@{generation}"
        self._generations[place.name] = generation
        return Stream(f"{FOLLOWED}{_utf8(place.with_name(name))}#{self._format.name}")

    def move(self, stream: Stream, position: Position) -> Stream:
        """A stream was read to a position."""
        count, begun = _beginning(stream.position)
        before = self._begun.get(count, {})
        before.get(begun, set()).discard(stream.name)
        if not before.get(begun):
            before.pop(begun, None)
        stream.position = position
        self._streams[stream.name] = stream
        count, begun = _beginning(position)
        self._begun.setdefault(count, {}).setdefault(begun, set()).add(stream.name)
        self._shown.add(shown_name(stream.name))
        return stream

    def _alike(self, collector: FileCollector) -> list[Stream]:
        head = collector.read(0, HEAD_BYTES)
        names: set[str] = set()
        for count, begun in self._begun.items():
            if begun and count <= len(head):
                names |= begun.get(digest(head[:count]), set())
        return [self._streams[name] for name in sorted(names)]


def _is_followed(stream: Stream) -> bool:
    return stream.name.startswith(FOLLOWED)


def _beginning(position: Position) -> tuple[int, str]:
    known = json.loads(position.evidence)
    return int(known.get("head_bytes", 0)), str(known.get("head", ""))


def _utf8(path: Path) -> str:
    try:
        return str(path).encode().decode()
    except UnicodeEncodeError as error:
        msg = f"{str(path)!a}: the name is not UTF-8; rename the file or its folder."
        raise InputError(msg) from error


_STREAMS = """
SELECT stream, position, records, evidence
FROM raw.stream_position
WHERE ends_with(stream, $suffix) AND starts_with(stream, $prefix) AND (starts_with(stream, 'file:') OR starts_with(stream, 'tail:'))
ORDER BY updated_at, stream
"""
