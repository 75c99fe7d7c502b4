"""The elements of JSON arrays as lines, each as it was written.

Bytes are looked at as Latin-1, so that an element keeps its own bytes, sound or not: landing judges them.
"""

from __future__ import annotations

import json

_SPACE = " \t\r\n"
_BEFORE_ELEMENT = _SPACE + ","
_BETWEEN_ARRAYS = _SPACE + "\xef\xbb\xbf"
_ONE_LINE = str.maketrans("\r\n", "  ")


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
