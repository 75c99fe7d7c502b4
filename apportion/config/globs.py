r"""Globs: `*` is any text, `?` is one character, everything else is itself, case and all.

They become LIKE patterns with ESCAPE '\' where the ledger matches them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

_LIKE: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_", "*": "%", "?": "_"})


def like(glob: str) -> str:
    r"""The LIKE pattern, with ESCAPE '\', that matches what a glob matches."""
    return glob.translate(_LIKE)


def pairs(globs: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places of every two globs whose texts may begin alike, the earlier first.

    A thousand names that differ in their first letters are a few pairs, and not half a million.
    """
    begun: list[int] = []
    for place in sorted(range(len(globs)), key=lambda at: (_ends(globs[at])[0], at)):
        start = _ends(globs[place])[0]
        while begun and not start.startswith(_ends(globs[begun[-1]])[0]):
            begun.pop()
        for other in begun:
            yield min(other, place), max(other, place)
        begun.append(place)


def share_a_text(left: str, right: str) -> bool:
    """Whether some text matches both globs."""
    (start, end), (other_start, other_end) = _ends(left), _ends(right)
    if not (start.startswith(other_start) or other_start.startswith(start)):
        return False
    if not (end.endswith(other_end) or other_end.endswith(end)):
        return False
    if start == left:
        return _pattern(right).fullmatch(left) is not None
    if other_start == right:
        return _pattern(left).fullmatch(right) is not None
    return _meet(left, right)


@lru_cache(maxsize=16_384)
def _ends(glob: str) -> tuple[str, str]:
    """What every text that matches begins with, and what it ends with."""
    parts = re.split(r"[*?]", glob)
    return parts[0], parts[-1]


@lru_cache(maxsize=16_384)
def _pattern(glob: str) -> re.Pattern[str]:
    """The expression of a glob; each part is taken where it first fits, so that no name makes it look twice."""
    first, *others = ["".join("." if sign == "?" else re.escape(sign) for sign in part) for part in glob.split("*")]
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(first + middle + (f".*{others[-1]}" if others else ""), re.DOTALL)


def _meet(left: str, right: str) -> bool:
    """Whether two globs, both with wildcards, match a text in common."""
    # Row by row over `left`: reach[j] says whether what is read of it and right[:j] match a text in common.
    reach = [True]
    for sign in right:
        reach.append(reach[-1] and sign == "*")
    for mark in left:
        above, reach = reach, [reach[0] and mark == "*"]
        for sign, (diagonal, upper) in zip(right, pairwise(above), strict=True):
            if "*" in {mark, sign}:
                reach.append(upper or reach[-1])
            else:
                reach.append(diagonal and (mark == sign or "?" in {mark, sign}))
    return reach[-1]
