"""A file that is one JSON array, as a stream of its elements, one per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ingest.collectors.streams import ByteStream
from ingest.elements import advance
from ingest.slices import RECORD_BYTES_MAX


class ArrayStream(ByteStream):
    """The elements of a JSON array as lines, each as it was written; positions count the bytes of these lines.

    Bytes are looked at as Latin-1, so that an element keeps its own bytes, sound or not: landing judges them.
    """

    def __init__(self, path: Path, source: ByteStream) -> None:
        super().__init__(path)
        self._source = source

    def chunks(self, start: int) -> Iterator[bytes]:
        """Lines from a position on."""
        for lines in self._lines():
            if start >= len(lines):
                start -= len(lines)
                continue
            yield lines[start:]
            start = 0

    def _lines(self) -> Iterator[bytes]:
        text, wanted, inside = "", 0, False
        for chunk in self._source.chunks(0):
            self.behind = self._source.behind
            text += chunk.decode("latin-1")
            if len(text) < wanted:
                continue  # an element that was not whole is not read again before there is twice as much of it
            lines, text, inside = advance(text, inside=inside)
            yield lines
            wanted = 2 * len(text)
            if len(text) > RECORD_BYTES_MAX:
                break
        lines, text, inside = advance(text, inside=inside)
        yield lines
        if inside or text:
            self.damage = self._source.damage or (
                f"{self.path}: cut short, or no JSON array of elements of at most {RECORD_BYTES_MAX} bytes; the elements before "
                "that were kept. Run this again when it is whole, or write one object per line (jq -c '.[]')."
            )


def is_array(source: ByteStream) -> bool:
    """Whether the file is one array, and not lines of which the first is one by mistake."""
    begun = b""
    for chunk in source.chunks(0):
        begun = (begun + chunk).lstrip(b"\xef\xbb\xbf \t\r\n")
        if begun:
            break
    if not begun.startswith(b"["):
        return False
    first, _, more = begun.partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True
    return not more.strip()
