"""The records of a JSON text as lines, each as it was written: of lines, of one array, of objects one after another.

Bytes are looked at as Latin-1, so that an element keeps its own bytes, sound or not: landing judges them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

_SPACE = " \t\r\n"
_BEFORE_ELEMENT = _SPACE + ","
_BETWEEN_ARRAYS = _SPACE + "\xef\xbb\xbf"
_ONE_LINE = str.maketrans("\r\n", "  ")


def lines_of(data: bytes) -> bytes | None:
    """The records of a body or a message as lines; None where it is an array that is not whole.

    Lines stay what they are, sound or not. Where the first one is no object by itself, and the whole is objects one after
    another, pretty-printed as a rule, each becomes one line.
    """
    begun = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if begun.startswith(b"["):
        return elements(begun)
    if not begun.startswith(b"{") or is_object(begun.partition(b"\n")[0]):
        return begun
    try:
        return "".join(one.translate(_ONE_LINE) + "\n" for one in _objects(begun.decode("latin-1"))).encode("latin-1")
    except ValueError:
        return begun  # not one document after another, so lines, of which the first is broken


def is_object(line: bytes) -> bool:
    """Whether bytes are one JSON object by themselves."""
    try:
        return isinstance(json.loads(line), dict)
    except RecursionError:
        return True  # nested very deep, and JSON all the same
    except ValueError:
        return False


def _objects(text: str) -> Iterator[str]:
    """JSON documents one after another. Raises: ValueError where one is broken, or nested deeper than is read."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        try:
            _, end = decoder.raw_decode(text, at)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        yield text[at:end]
        at = _past(text, end, _SPACE)


def elements(data: bytes) -> bytes | None:
    """The elements of bytes that are one whole JSON array, one per line; None where they are not."""
    lines, left, inside = advance(data.decode("latin-1"), inside=False)
    return None if inside or left.strip(_BETWEEN_ARRAYS) else lines


def advance(text: str, *, inside: bool) -> tuple[bytes, str, bool]:
    """Lines of the elements that are whole, the text that is left, and whether an array is still open there."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while True:
        begin = _past(text, at, _BEFORE_ELEMENT if inside else _BETWEEN_ARRAYS)
        bracket = text[begin : begin + 1]
        if bracket == ("]" if inside else "["):
            inside, at = not inside, begin + 1
            continue
        if not inside:
            at = begin
            break
        try:
            _, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            break
        if _past(text, end, _SPACE) == len(text):
            break  # a number may go on
        found.append(text[begin:end].translate(_ONE_LINE) + "\n")
        at = end
    return "".join(found).encode("latin-1"), text[at:], inside


def _past(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
