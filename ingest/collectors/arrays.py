"""A file that is one JSON array, as a stream of its elements, one per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from apportion.domain.errors import InputError
from ingest.collectors.streams import ByteStream

ARRAY_BYTES_MAX = 256 * 1024 * 1024


class ArrayStream(ByteStream):
    """The elements of a JSON array as lines. An array cannot be continued, so it is read whole."""

    def __init__(self, path: Path, source: ByteStream) -> None:
        super().__init__(path)
        self._source = source

    def chunks(self, start: int) -> Iterator[bytes]:
        """Lines from a position on. Raises: InputError when the file is no array, or too large to hold."""
        held = bytearray()
        for chunk in self._source.chunks(0):
            held += chunk
            if len(held) > ARRAY_BYTES_MAX:
                msg = f"{self.path}: a JSON array of more than {ARRAY_BYTES_MAX >> 20} MiB; write one object per line instead (jq -c '.[]')."
                raise InputError(msg)
        try:
            elements = json.loads(held)
        except ValueError as error:
            msg = f"{self.path}: not a whole JSON array ({error}); nothing of it was read. Write it again, or one object per line."
            raise InputError(msg) from error
        lines = b"".join(json.dumps(element, ensure_ascii=False).encode() + b"\n" for element in elements)
        if start < len(lines):
            yield lines[start:]


def is_array(source: ByteStream) -> bool:
    """Whether the first character that is no space opens an array."""
    for chunk in source.chunks(0):
        if begun := chunk.lstrip(b"\xef\xbb\xbf \t\r\n"):
            return begun.startswith(b"[")
    return False
