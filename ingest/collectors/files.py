"""Files, read from where the ledger says, in slices of whole records.

A position is only believed while the stream still begins and continues as it did (`evidence`: digests of its head and of
the bytes before the position). A file that grew continues; one that was replaced is read from its start, and
deduplication recognises what was landed before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

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

    def __init__(self, path: Path, format_: Format, file: BinaryIO | None = None) -> None:
        """Look at a file.

        Args:
            path: of the file.
            format_: what it says.
            file: the same file, open, for whoever has to read one file whatever becomes of its name.

        Raises: InputError when it cannot be read.
        """
        self.path = path
        self.stream = stream_name(path, format_)
        self.notes: list[str] = []
        self.header = b""
        self._format = format_
        self._has_header = not format_.reads_arrays  # what may be an array of objects explains itself
        self._bytes = _opened(path, format_, file)
        self._head = b""
        self._cutter = Cutter(format_, b"", Position(), b"")

    @property
    def size(self) -> int:
        """Bytes of the file as it stands, compressed where it is."""
        return self._bytes.size

    def consumed(self, piece: Slice) -> int:
        """About how many bytes of the file lie behind the end of a slice, for progress."""
        return self._bytes.behind if self._bytes.compressed else piece.end

    @property
    def is_compressed(self) -> bool:
        """Whether the file is an archive, which nobody writes on."""
        return self._bytes.compressed

    @property
    def is_plain(self) -> bool:
        """Whether bytes of the stream are bytes of the file."""
        return type(self._bytes) is ByteStream and not self._bytes.compressed

    def slices(self, position: Position, *, growing: bool = False) -> Iterator[Slice]:
        """Whole records after the position, in order; the header is known once the first slice is drawn.

        Args:
            position: how far the file was read before.
            growing: somebody still writes it: a last line without its end waits, a header without its end as well.

        Raises: InputError when the header lacks what the format needs, or the file cannot be read on.
        """
        if position.offset and not self._same(position):
            position = Position()
        if growing and self._has_header and b"\n" not in self.read(0, HEADER_BYTES_MAX).lstrip(b"\xef\xbb\xbf\r\n"):
            return
        preamble = self._beginning()
        if growing and self.header and not self.header.endswith(b"\n"):
            return
        position = replace(position)  # the cutter moves it on
        if not position.offset:
            position = Position(offset=len(preamble), lines=preamble.count(b"\n"))
        begin = max(0, position.offset - TAIL_BYTES)
        tail = self.read(begin, position.offset - begin)
        self._cutter = Cutter(self._format, self.header, position, tail)
        for chunk in self._bytes.chunks(position.offset):
            yield from self._cutter.feed(chunk)
        yield from self._cutter.finish(damaged=growing or self._bytes.damage is not None)
        if not growing:
            self._say_how_it_ended()

    def evidence(self) -> str:
        """What to remember with the position after the slice drawn last."""
        at, tail = self._cutter.at, self._cutter.tail
        head = self._head[: min(HEAD_BYTES, at.offset)]
        return json.dumps(
            {
                "head_bytes": len(head),
                "head": digest(head),
                "tail_bytes": len(tail),
                "tail": digest(tail),
                "lines": at.lines,
                "header": self.header.decode("utf-8", "replace"),
            }
        )

    def carries(self, position: Position) -> bool:
        """Whether the stream up to the position is what it was when the position was remembered."""
        known = json.loads(position.evidence)
        head_bytes, tail_bytes = int(known.get("head_bytes", 0)), int(known.get("tail_bytes", 0))
        return (
            bool(tail_bytes)
            and digest(self.read(0, head_bytes)) == known.get("head")
            and digest(self.read(position.offset - tail_bytes, tail_bytes)) == known.get("tail")
        )

    def read(self, start: int, count: int) -> bytes:
        """Bytes of the stream, fewer where it ends before."""
        held = b""
        for chunk in self._bytes.chunks(start) if count else ():
            held += chunk[: count - len(held)]
            if len(held) >= count:
                break
        return held

    def _same(self, position: Position) -> bool:
        """Whether reading goes on at the position; says so where it does not."""
        if not self.carries(position):
            self.notes.append(
                f"{self.path}: not the file that was read before; read from its start, known events are recognised."
            )
            return False
        last, following = self.read(position.offset - 1, 1), self.read(position.offset, 1)
        if last != b"\n" and following not in {b"", b"\r", b"\n"}:
            self.notes.append(
                f"{self.path}: its last line had no end when it was read, and has grown since; read from its start, known events "
                "are recognised, and what the line said then shows as a conflict where it differs."
            )
            return False
        return True

    def _beginning(self) -> bytes:
        """Learn head and header. Returns: what to skip at the start of the stream, a byte order mark and the header."""
        self._head = self.read(0, HEADER_BYTES_MAX)
        mark = 3 if self._head.startswith(b"\xef\xbb\xbf") else 0
        try:
            self.header = self._format.header(self._head[mark:])
        except InputError as error:
            msg = f"{self.path}: {error}"
            raise InputError(msg) from error
        return self._head[: mark + len(self.header)]

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


def _opened(path: Path, format_: Format, file: BinaryIO | None) -> ByteStream:
    stream = ByteStream(path, file)
    return ArrayStream(path, stream) if format_.reads_arrays and is_array(stream) else stream


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()
