"""Bodies of requests, bounded in size, time and memory, whatever a sender does: read, and unpacked."""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from ingest.http.answers import Message, Receive, Refusal
from ingest.http.limits import Hold

IDLE_SECONDS_MAX: Final = 30
"""How long a sender may pause within a body."""
BODY_SECONDS_MAX: Final = 300
"""How long a whole body may take."""
INPUT_BYTES: Final = 256 * 1024
OUTPUT_BYTES: Final = 1024 * 1024
"""Of a decompression step; what a bomb can make of memory beyond the bound."""
MEMBERS_MAX: Final = 64
"""Gzip files in one body: each costs a copy of what follows."""


class GoneError(Exception):
    """The sender hung up before the body was whole: nothing of it is landed, and nobody is left to answer."""


async def received(receive: Receive, hold: Hold, bytes_max: int) -> bytes:
    """The body as it was sent.

    Raises: GoneError; Refusal when it is too long (413), too slow (408), or there is no room for it (503).
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + BODY_SECONDS_MAX
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await _next(receive, min(deadline, clock() + IDLE_SECONDS_MAX))
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise too_large(bytes_max)
        hold.take(len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _next(receive: Receive, deadline: float) -> Message:
    try:
        async with asyncio.timeout_at(deadline):
            message = await receive()
    except TimeoutError:
        raise Refusal(408, "the body did not arrive in time; nothing of it was kept", connection="close") from None
    if message["type"] == "http.disconnect":
        raise GoneError
    return message


def too_large(bytes_max: int) -> Refusal:
    """The answer to a body above the bound."""
    return Refusal(413, f"a body may have {bytes_max} bytes, received and unpacked; send several", connection="close")


def unpacked(body: bytes, encoding: str, hold: Hold, bytes_max: int) -> bytes:
    """The content of a body, piece by piece, so that no more than the bound is ever unpacked.

    Args:
        body: as it was sent.
        encoding: identity or gzip.
        hold: of the request.
        bytes_max: of the content.

    Raises: Refusal when it is too large (413), not what the encoding says (400), or there is no room for it (503).
    """
    if encoding == "identity":
        return body
    pieces: list[bytes] = []
    size = 0
    for _ in range(MEMBERS_MAX):
        decoder, at = zlib.decompressobj(wbits=31), 0
        while not decoder.eof:
            given = decoder.unconsumed_tail
            if not given:
                given = body[at : at + INPUT_BYTES]
                at += len(given)
            piece = _step(decoder, given)
            hold.take(len(piece))
            pieces.append(piece)
            size += len(piece)
            if size > bytes_max:
                raise too_large(bytes_max)
        body = decoder.unused_data + body[at:]
        if not body.strip(b"\0"):
            return b"".join(pieces)
    raise Refusal(400, f"the gzip body has more than {MEMBERS_MAX} members; send one")


def _step(decoder: zlib._Decompress, given: bytes) -> bytes:
    if not given:
        raise Refusal(400, "the gzip body is cut short; nothing of it was kept")
    try:
        return decoder.decompress(given, OUTPUT_BYTES)
    except zlib.error:
        raise Refusal(400, "the body is not gzip, as its Content-Encoding says; nothing of it was kept") from None
