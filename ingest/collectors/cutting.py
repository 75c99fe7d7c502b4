"""Cut a stream of bytes into slices of whole records, whatever sizes the bytes arrive in.

Where a slice ends never changes what a record is: records are told apart from the start of the stream on, and a record
longer than RECORD_BYTES_MAX is passed over without being held, as one rejected record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.format import Ending, Format
from ingest.rejections import BYTES_MAX
from ingest.slices import RECORD_BYTES_MAX, SLICE_BYTES_MAX, SLICE_RECORDS, Slice, nth_line_end

PART_BYTES = 4 * 1024 * 1024
"""Bytes looked at in one go; less than a record may have, so that no overlong record hides inside a part."""

TAIL_BYTES = 4096


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


class Cutter:
    """Feed it bytes, take slices.

    Attributes:
        at: the position after the last slice taken.
        tail: the last bytes of the stream before that position.
    """

    def __init__(self, format_: Format, header: bytes, at: Position, tail: bytes) -> None:
        self.at, self.tail = at, tail
        self._format, self._header = format_, header
        self._overlong: _Overlong | None = None
        self._held: list[bytes] = []
        self._size = self._line_ends = self._open = 0
        self._room = SLICE_RECORDS
        self._begin([])

    @property
    def torn(self) -> int:
        """Bytes that belong to no slice, once all are taken: the beginning of a record."""
        if self._overlong:
            return self._overlong.length
        rest = b"".join(self._held)
        return len(rest) if rest.strip() else 0

    def feed(self, chunk: bytes) -> Iterator[Slice]:
        """Slices that are whole now that these bytes have arrived."""
        for start in range(0, len(chunk), PART_BYTES):
            yield from self._part(chunk[start : start + PART_BYTES])

    def finish(self, *, damaged: bool) -> Iterator[Slice]:
        """The last slice. A last record without a line end is taken if it is whole, and never from a damaged stream."""
        if not self._overlong:
            yield from self._take(b"".join(self._held), "more" if damaged else "last")

    def _part(self, part: bytes) -> Iterator[Slice]:
        rest = part
        if self._overlong:
            end = rest.find(b"\n") + 1
            self._overlong.add(rest[:end] if end else rest)
            if not end:
                return
            yield self._passed_over(self._overlong)
            rest = rest[end:]
        first = rest.find(b"\n")
        if self._open + (first if first >= 0 else len(rest)) > RECORD_BYTES_MAX:
            held = b"".join(self._held)
            begin = held.rfind(b"\n") + 1
            yield from self._take(held[:begin], "all")
            self._overlong = _Overlong(held[begin:])
            self._begin([])
            yield from self._part(rest)
            return
        left_open = len(rest) - rest.rfind(b"\n") - 1 if first >= 0 else self._open + len(rest)
        yield from self._fill(rest)
        self._open = left_open

    def _fill(self, rest: bytes) -> Iterator[Slice]:
        while rest:
            found, room = rest.count(b"\n"), self._room - self._line_ends
            if found < room and self._size + len(rest) < SLICE_BYTES_MAX:
                self._held.append(rest)
                self._size, self._line_ends = self._size + len(rest), self._line_ends + found
                return
            cut = nth_line_end(rest, room) if found >= room else len(rest)
            yield from self._take(b"".join([*self._held, rest[:cut]]), "more")
            rest = rest[cut:]

    def _take(self, data: bytes, ending: Ending) -> Iterator[Slice]:
        """The whole records of what is held; what is left stays held."""
        cut = self._format.cut(data, self._header, ending)
        if cut.end:
            whole = data[: cut.end]
            piece = Slice(
                data=whole,
                start=self.at.offset,
                end=self.at.offset + cut.end,
                first_record=self.at.records,
                first_line=self.at.lines,
                records=cut.records,
                sifted=cut.sifted,
            )
            self._pass(piece, whole.count(b"\n"), whole[-TAIL_BYTES:])
            yield piece
        self._begin([data[cut.end :]] if cut.end < len(data) else [])

    def _passed_over(self, record: _Overlong) -> Slice:
        self._overlong = None
        fault = (
            f"oversized: the record has {record.length} bytes; at most {RECORD_BYTES_MAX} are read. "
            "Check the line ends of the file."
        )
        piece = Slice(
            data=record.beginning,
            start=self.at.offset,
            end=self.at.offset + record.length,
            first_record=self.at.records,
            first_line=self.at.lines,
            records=1,
            fault=fault,
            digest=record.digest,
        )
        self._pass(piece, 1, record.tail)
        return piece

    def _pass(self, piece: Slice, line_ends: int, tail: bytes) -> None:
        self.at.offset, self.at.records, self.at.lines = (
            piece.end,
            self.at.records + piece.records,
            self.at.lines + line_ends,
        )
        self.tail = (self.tail + tail)[-TAIL_BYTES:]

    def _begin(self, held: list[bytes]) -> None:
        self._held = held
        self._size = sum(map(len, held))
        self._line_ends = sum(part.count(b"\n") for part in held)
        self._room = SLICE_RECORDS + 2 * self._line_ends  # a record of more lines than a slice has room to end
        self._open = self._size - held[-1].rfind(b"\n") - 1 if held else 0


class _Overlong:
    """A record that is too long to hold: its beginning, its end, and a digest of all of it.

    Attributes:
        length: bytes so far, the line end included.
        beginning: what is kept of it.
        tail: its last bytes.
    """

    def __init__(self, begun: bytes) -> None:
        self.length, self.beginning, self.tail = 0, b"", b""
        self._hash = hashlib.sha256()
        self.add(begun)

    @property
    def digest(self) -> str:
        """SHA-256 of the record, its line end not included."""
        return self._hash.hexdigest()

    def add(self, data: bytes) -> None:
        """More of it."""
        self.length += len(data)
        self.beginning += data[: max(0, BYTES_MAX - len(self.beginning))]
        self.tail = (self.tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        self._hash.update(data.removesuffix(b"\n"))
