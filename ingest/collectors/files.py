"""Files, read from where the ledger says, in slices of whole records.

A position is only believed while the stream still begins and continues as it did (`evidence`: digests of its head and of
the bytes before the position). A file that grew continues; one that was replaced is read from its start, and
deduplication recognises what was landed before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from apportion.domain.errors import InputError
from ingest.collectors.arrays import ArrayStream, is_array
from ingest.collectors.cutting import TAIL_BYTES, Cutter, Position
from ingest.collectors.streams import ByteStream
from ingest.format import Format
from ingest.slices import Slice

HEAD_BYTES = 4096
HEADER_BYTES_MAX = 1024 * 1024


class FileCollector:
    """One file.

    Attributes:
        path: as it was asked for.
        stream: its name in the ledger.
        header: the bytes that belong to every slice.
        notes: sentences for the person who asked, once the slices are drawn.
    """

    def __init__(self, path: Path, format_: Format) -> None:
        self.path = path
        self.stream = stream_name(path, format_)
        self.notes: list[str] = []
        self.header = b""
        self._format = format_
        self._bytes = _opened(path, format_)
        self._head = b""
        self._cutter = Cutter(format_, b"", Position(), b"")

    @property
    def size(self) -> int:
        """Bytes of the file as it stands, compressed where it is."""
        return self._bytes.size

    def consumed(self, piece: Slice) -> int:
        """About how many bytes of the file lie behind the end of a slice, for progress."""
        return self._bytes.behind if self._bytes.compressed else piece.end

    def slices(self, position: Position) -> Iterator[Slice]:
        """Whole records after the position, in order; the header is known once the first slice is drawn.

        Raises: InputError when the header lacks what the format needs, or the file cannot be read on.
        """
        if position.offset and not self._same(position):
            position = Position()
        preamble = self._beginning()
        if not position.offset:
            position = Position(offset=len(preamble), lines=preamble.count(b"\n"))
        begin = max(0, position.offset - TAIL_BYTES)
        tail = self._read(begin, position.offset - begin)
        self._cutter = Cutter(self._format, self.header, position, tail)
        for chunk in self._bytes.chunks(position.offset):
            yield from self._cutter.feed(chunk)
        yield from self._cutter.finish(damaged=self._bytes.damage is not None)
        self._say_how_it_ended()

    def evidence(self) -> str:
        """What to remember with the position after the slice drawn last."""
        at, tail = self._cutter.at, self._cutter.tail
        head = self._head[: min(HEAD_BYTES, at.offset)]
        return json.dumps(
            {
                "head_bytes": len(head),
                "head": _digest(head),
                "tail_bytes": len(tail),
                "tail": _digest(tail),
                "lines": at.lines,
                "header": self.header.decode("utf-8", "replace"),
            }
        )

    def _same(self, position: Position) -> bool:
        """Whether the stream up to the position is what it was; says so where it is not."""
        known = json.loads(position.evidence)
        head_bytes, tail_bytes = int(known.get("head_bytes", 0)), int(known.get("tail_bytes", 0))
        head = self._read(0, head_bytes)
        tail = self._read(position.offset - tail_bytes, tail_bytes + 1)
        if not tail_bytes or _digest(head) != known.get("head") or _digest(tail[:tail_bytes]) != known.get("tail"):
            self.notes.append(
                f"{self.path}: not the file that was read before; read from its start, known events are recognised."
            )
            return False
        if not tail[:tail_bytes].endswith(b"\n") and tail[tail_bytes:] not in {b"", b"\r", b"\n"}:
            self.notes.append(
                f"{self.path}: its last line had no end when it was read, and has grown since; read from its start, known events "
                "are recognised, and what the line said then shows as a conflict where it differs."
            )
            return False
        return True

    def _beginning(self) -> bytes:
        """Learn head and header. Returns: what to skip at the start of the stream, a byte order mark and the header."""
        self._head = self._read(0, HEADER_BYTES_MAX)
        mark = 3 if self._head.startswith(b"\xef\xbb\xbf") else 0
        try:
            self.header = self._format.header(self._head[mark:])
        except InputError as error:
            msg = f"{self.path}: {error}"
            raise InputError(msg) from error
        return self._head[: mark + len(self.header)]

    def _read(self, start: int, count: int) -> bytes:
        held = b""
        for chunk in self._bytes.chunks(start) if count else ():
            held += chunk[: count - len(held)]
            if len(held) >= count:
                break
        return held

    def _say_how_it_ended(self) -> None:
        if self._bytes.damage:
            self.notes.append(self._bytes.damage)
        elif self._cutter.torn:
            self.notes.append(
                f"{self.path}: the last {self._cutter.torn} bytes, from line {self._cutter.at.lines + 1} on, are not a whole record "
                "yet; they are read when the file is complete."
            )


def stream_name(path: Path, format_: Format) -> str:
    """What the ledger calls a file. Raises: InputError when its name is not UTF-8."""
    try:
        return f"file:{path.resolve()}#{format_.name}".encode().decode()
    except UnicodeEncodeError as error:
        msg = f"{str(path)!a}: the name is not UTF-8; rename the file or its folder."
        raise InputError(msg) from error


def _opened(path: Path, format_: Format) -> ByteStream:
    stream = ByteStream(path)
    return ArrayStream(path, stream) if format_.reads_arrays and is_array(stream) else stream


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
