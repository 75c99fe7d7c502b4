"""Files, read from where the ledger says, in slices of whole records.

A position is only believed while the stream still begins and continues as it did (`evidence`: digests of its head and of
the bytes before the position). A file that grew continues; one that was replaced is read from its start, and
deduplication recognises what was landed before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.collectors.arrays import ArrayStream, is_array
from ingest.collectors.slices import SLICE_BYTES_MAX, SLICE_RECORDS, Slice, nth_line_end
from ingest.collectors.streams import ByteStream
from ingest.formats.format import Format

HEAD_BYTES = 4096


@dataclass(slots=True)
class Position:
    """How far a stream has been read.

    Attributes:
        offset: bytes of the decompressed stream.
        records: records before it.
        lines: line ends before it.
        evidence: what must still be so for the offset to mean the same bytes.
    """

    offset: int = 0
    records: int = 0
    lines: int = 0
    evidence: str = "{}"

    @classmethod
    def at(cls, offset: int, records: int, evidence: str) -> Position:
        """A position as the ledger keeps it."""
        return cls(offset=offset, records=records, lines=int(json.loads(evidence).get("lines", 0)), evidence=evidence)


class FileCollector:
    """One file.

    Attributes:
        stream: its name in the ledger.
        header: the bytes that belong to every slice.
        notes: sentences for the person who asked, once the slices are drawn.
    """

    def __init__(self, path: Path, format_: Format) -> None:
        self.path = path
        self.stream = f"file:{path.resolve()}#{format_.name}"
        self.notes: list[str] = []
        self.header = b""
        self._format = format_
        self._bytes = _opened(path, format_)
        self._head = b""
        self._tail = b""

    @property
    def size(self) -> int:
        """Bytes of the file as it stands, compressed where it is."""
        return self._bytes.size

    def consumed(self, piece: Slice) -> int:
        """About how many bytes of the file lie behind the end of a slice, for progress."""
        return self._bytes.behind if self._bytes.compressed else piece.end

    def slices(self, position: Position) -> Iterator[Slice]:
        """Whole records after the position, in order; the header is known once the first slice is drawn."""
        if position.offset and not self._same(position):
            self.notes.append(f"{self.path}: not the file that was read before; read from its start, known events are recognised.")
            position = Position()
        skipped = self._beginning(position.offset)
        if not position.offset:
            position = Position(offset=len(skipped), lines=skipped.count(b"\n"))
        yield from self._cut(position)
        if self._bytes.damage:
            self.notes.append(self._bytes.damage)

    def evidence(self, piece: Slice) -> str:
        """What to remember with the position at the end of a slice just landed."""
        self._tail = (self._tail + piece.data)[-HEAD_BYTES:]
        head = self._head[: min(HEAD_BYTES, piece.end)]
        tail = self._tail[-HEAD_BYTES:]
        return json.dumps({
            "head_bytes": len(head), "head": _digest(head), "tail_bytes": len(tail), "tail": _digest(tail),
            "lines": piece.first_line + piece.data.count(b"\n"), "header": self.header.decode("utf-8", "replace"),
        })

    def _same(self, position: Position) -> bool:
        if not position.offset:
            return False
        known = json.loads(position.evidence)
        head = self._read(0, known["head_bytes"])
        tail = self._read(position.offset - known["tail_bytes"], known["tail_bytes"])
        return _digest(head) == known["head"] and _digest(tail) == known["tail"]

    def _beginning(self, start: int) -> bytes:
        """Learn head and header; at the start of a stream, also what to skip: a byte order mark and the header."""
        self._head = self._read(0, 1024 * 1024)
        mark = 3 if self._head.startswith(b"\xef\xbb\xbf") else 0
        self.header = self._format.header(self._head[mark:])
        self._tail = self._read(max(0, start - HEAD_BYTES), min(start, HEAD_BYTES)) if start else self._head[: mark + len(self.header)]
        return self._head[: mark + len(self.header)]

    def _read(self, start: int, count: int) -> bytes:
        held = b""
        for chunk in self._bytes.chunks(start) if count else ():
            held += chunk[: count - len(held)]
            if len(held) >= count:
                break
        return held

    def _cut(self, at: Position) -> Iterator[Slice]:
        held: list[bytes] = []
        size = line_ends = 0
        for chunk in self._bytes.chunks(at.offset):
            rest = chunk
            while rest:
                found = rest.count(b"\n")
                if line_ends + found < SLICE_RECORDS and size + len(rest) < SLICE_BYTES_MAX:
                    held.append(rest)
                    size, line_ends = size + len(rest), line_ends + found
                    break
                room = SLICE_RECORDS - line_ends
                cut = nth_line_end(rest, room) if found >= room else len(rest)
                data = b"".join([*held, rest[:cut]])
                end = self._format.boundary(data)
                piece = self._slice(data[:end] if end else data, at, oversized=not end)
                yield piece
                rest = data[len(piece.data) :] + rest[cut:]
                held, size, line_ends = [], 0, 0
        yield from self._rest(b"".join(held), at)

    def _rest(self, held: bytes, at: Position) -> Iterator[Slice]:
        end = self._format.boundary(held)
        torn = held[end:]
        if torn.strip():
            if not self._bytes.damage and self._format.fault(torn, self.header) is None:
                end = len(held)
            else:
                self.notes.append(
                    f"{self.path}: the last {len(torn)} bytes are not a whole record yet; they are read when the file is complete.")
        if end:
            yield self._slice(held[:end], at)

    def _slice(self, data: bytes, at: Position, *, oversized: bool = False) -> Slice:
        """The next slice; moves the position past it."""
        count = 1 if oversized else self._format.count(data)
        piece = Slice(data=data, start=at.offset, end=at.offset + len(data), first_record=at.records, first_line=at.lines,
                      records=count, oversized=oversized)
        at.offset, at.records, at.lines = piece.end, at.records + count, at.lines + data.count(b"\n")
        return piece


def _opened(path: Path, format_: Format) -> ByteStream:
    stream = ByteStream(path)
    return ArrayStream(path, stream) if format_.reads_arrays and is_array(stream) else stream


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

