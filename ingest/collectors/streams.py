"""Files as streams of bytes, whatever compresses them: plain, gzip or zstd, told by their first bytes.

A compressed file that ends too early gives what is whole and then says so; memory stays bounded whatever the ratio.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from apportion.domain.errors import InputError

PLAIN_CHUNK_BYTES = 4 * 1024 * 1024
GZIP_CHUNK_BYTES = 256 * 1024
ZSTD_CHUNK_BYTES = 2 * 1024
"""A zstd block of 4 bytes can stand for 128 KiB, and its decoder has no output limit: so at most 64 MiB at once."""

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def pieces(self, data: bytes) -> Iterator[bytes]: ...


class ByteStream:
    """The decompressed bytes of a file from a position on.

    Attributes:
        path: what sentences call the file; what is opened, where it was not handed in open.
        size: bytes of the file as it stands, compressed where it is.
        behind: bytes of a compressed file that have been read.
        damage: a sentence, once the end was reached, when the file is cut short or damaged.
    """

    def __init__(self, path: Path, file: BinaryIO | None = None) -> None:
        """Look at a file.

        Args:
            path: of the file.
            file: the same file, open. It is read whatever becomes of its name, and left open.

        Raises: InputError when it cannot be read.
        """
        self.path = path
        self.damage: str | None = None
        self.behind = 0
        self._file = file
        try:
            with self._opened() as opened:
                self._magic = _read(opened, 0, 4)
                self.size = opened.seek(0, 2)
        except OSError as error:
            msg = f"{path}: cannot be read ({error.strerror}); check the path and its permissions."
            raise InputError(msg) from error

    @property
    def compressed(self) -> bool:
        """Whether positions in the stream differ from positions in the file."""
        return self._magic.startswith((GZIP_MAGIC, ZSTD_MAGIC))

    def chunks(self, start: int) -> Iterator[bytes]:
        """Bytes from a position of the decompressed stream to its end."""
        try:
            with self._opened() as file:
                if not self.compressed:
                    while chunk := _read(file, start, PLAIN_CHUNK_BYTES):
                        start += len(chunk)
                        yield chunk
                    return
                for chunk in self._decompressed(file):
                    if start >= len(chunk):
                        start -= len(chunk)
                        continue
                    yield chunk[start:]
                    start = 0
        except OSError as error:
            msg = f"{self.path}: cannot be read ({error.strerror}); what was read before is kept."
            raise InputError(msg) from error

    def _opened(self) -> contextlib.AbstractContextManager[BinaryIO]:
        return contextlib.nullcontext(self._file) if self._file else self.path.open("rb")

    def _decompressed(self, file: BinaryIO) -> Iterator[bytes]:
        gzip = self._magic.startswith(GZIP_MAGIC)
        chunk_bytes = GZIP_CHUNK_BYTES if gzip else ZSTD_CHUNK_BYTES
        decoder: _Decoder = _Gzip() if gzip else _Zstd()
        try:
            at = 0
            while data := _read(file, at, chunk_bytes):
                self.behind = at = at + len(data)
                while data:
                    if decoder.eof and not data.strip(b"\0"):
                        break  # padding of tapes and of some uploaders
                    if decoder.eof:
                        decoder = _Gzip() if gzip else _Zstd()
                    yield from decoder.pieces(data)
                    data = decoder.unused_data if decoder.eof else b""
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - zlib and zstandard share no base class
            self.damage = (
                f"{self.path}: damaged after what was read ({error}); what is whole was kept. Fetch the file again."
            )
            return
        if not decoder.eof:
            self.damage = f"{self.path}: cut short; what is whole was kept. Run this again when the file is complete."


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    """Bytes at a position: an open file may be read by several at once, each from where it is."""
    file.seek(at)
    return file.read(count)


class _Gzip:
    """zlib's decoder, its output bounded per piece."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if out := self._inner.decompress(data, PLAIN_CHUNK_BYTES):
                yield out
            data = self._inner.unconsumed_tail


class _Zstd:
    """zstandard's decoder of one frame; small inputs bound its output."""

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415 - only needed for .zst files

        self._inner = zstandard.ZstdDecompressor().decompressobj()

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if out := self._inner.decompress(data):
            yield out
