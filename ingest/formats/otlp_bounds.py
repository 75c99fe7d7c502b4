"""How many messages a Protocol Buffers body holds, found without making any of them.

An empty message takes two bytes on the wire and a hundred times that when it is read, so a small body could fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apportion.domain.errors import InputError

ITEMS_MAX = 500_000
"""Of one level. An honest span takes hundreds of bytes and a data point about a hundred, so that no body of 32 MiB comes here."""

_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5


def bounded(body: bytes, path: Sequence[frozenset[int]]) -> None:
    """Follow field numbers down into a body. Raises: InputError where a level of them holds too many messages.

    What is not well formed is left for the parser to refuse.
    """
    level = [(0, len(body))]
    for fields in path:
        below: list[tuple[int, int]] = []
        for start, end in level:
            for field, inside, after in _messages(body, start, end):
                if field in fields:
                    below.append((inside, after))
            if len(below) > ITEMS_MAX:
                msg = f"The body holds more than {ITEMS_MAX} items; nothing of it was taken. Send smaller batches."
                raise InputError(msg)
        level = below


def _messages(body: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Field number, first byte and end of every field with a length, at most one more than are allowed."""
    at, found = start, 0
    while at < end and found <= ITEMS_MAX:
        tag, at = _varint(body, at, end)
        wire = tag & 7
        if wire == _LENGTH:
            length, at = _varint(body, at, end)
            if at + length > end:
                return
            yield tag >> 3, at, at + length
            at += length
            found += 1
        elif wire == _VARINT:
            _, at = _varint(body, at, end)
        elif wire in {_FIXED_64, _FIXED_32}:
            at += 8 if wire == _FIXED_64 else 4
        else:
            return


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and where it ends; beyond the end where it has none."""
    number = shift = 0
    while at < end and shift < 70:  # noqa: PLR2004 - ten bytes of seven bits
        byte = body[at]
        number |= (byte & 127) << shift
        at += 1
        if byte < 128:  # noqa: PLR2004 - the last byte
            return number, at
        shift += 7
    return 0, end + 1
