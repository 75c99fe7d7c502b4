"""How many messages a Protocol Buffers body holds, found without making any of them.

An empty message takes two bytes on the wire and a hundred times that when it is read, so a small body could fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apportion.domain.errors import InputError

ITEMS_MAX = 500_000
"""Of one level. An honest span takes hundreds of bytes and a data point about a hundred, so that no body of 32 MiB comes here."""

PARTS_MAX = 2_000_000
"""Of all items: attributes, values, events, links and exemplars, or of JSON its objects and lists. Honest ones take twenty bytes
and more, so that no body of 32 MiB comes here; empty ones take two, and seventy when they are read."""

Shape = dict[int, "Shape"]
"""Of a message, its fields that are messages, by number."""

_VALUE: Shape = {}
_PAIR: Shape = {2: _VALUE}
_VALUE |= {5: {1: _VALUE}, 6: {1: _PAIR}}
_EXEMPLAR: Shape = {7: _PAIR}
_NUMBER: Shape = {5: _EXEMPLAR, 7: _PAIR}
_METRIC: Shape = {
    5: {1: _NUMBER},
    7: {1: _NUMBER},
    9: {1: {8: _EXEMPLAR, 9: _PAIR}},
    10: {1: {1: _PAIR, 8: {}, 9: {}, 11: _EXEMPLAR}},
    11: {1: {6: {}, 7: _PAIR}},
    12: _PAIR,
}
_SPAN: Shape = {9: _PAIR, 11: {3: _PAIR}, 13: {4: _PAIR}, 15: {}}
_RECORD: Shape = {5: _VALUE, 6: _PAIR}


def _request(item: Shape) -> Shape:
    resource: Shape = {1: _PAIR, 3: {3: {}, 4: {}}}
    return {1: {1: resource, 2: {1: {3: _PAIR}, 2: item}}}


SPANS, LOG_RECORDS, METRICS = _request(_SPAN), _request(_RECORD), _request(_METRIC)
"""Requests of the three signals, with all that a sender can repeat in them."""

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


def sparse(body: bytes, shape: Shape) -> None:
    """Count the messages of a body at every depth. Raises: InputError where they are more than an honest body can hold."""
    if len(body) < 2 * PARTS_MAX:
        return
    count, waiting = 0, [(0, len(body), shape)]
    while waiting:
        start, end, fields = waiting.pop()
        for field, inside, after in _messages(body, start, end):
            if field not in fields:
                continue
            count += 1
            if count > PARTS_MAX:
                raise InputError(TOO_MANY_PARTS)
            if inside < after and fields[field]:
                waiting.append((inside, after, fields[field]))


TOO_MANY_PARTS = (
    "The body holds too many attributes and values for its size; nothing of it was taken. Send smaller batches."
)


def _messages(body: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Field number, first byte and end of every field with a length."""
    at = start
    while at < end:
        tag, at = _varint(body, at, end)
        wire = tag & 7
        if wire == _LENGTH:
            length, at = _varint(body, at, end)
            if at + length > end:
                return
            yield tag >> 3, at, at + length
            at += length
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
