"""Many sentences that say the same of different rows, as a few of them and how many more there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

WARNINGS_MAX: Final = 3
"""Of one kind: what to do is the same for all."""
ERRORS_MAX: Final = 50
"""Of one kind: a wrong row each, but whoever has so many made one mistake."""

_NUMBER: Final = re.compile(r"\[\d+\]|:\d+")
_NAMED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\w.:+-]*")


def bounded(sentences: Sequence[str], most: int) -> list[str]:
    """The first sentences of each kind, in their order, and behind the last of these how many more are like it.

    Sentences are of one kind where only names in quotes, numbers and times differ, and the rows that they stand at.
    """
    kinds = [_kind(sentence) for sentence in sentences]
    counted, seen = Counter(kinds), Counter[str]()
    shown: list[str] = []
    for sentence, kind in zip(sentences, kinds, strict=True):
        seen[kind] += 1
        if seen[kind] <= most:
            shown.append(sentence)
        if seen[kind] == most < counted[kind]:
            shown.append(f"{_place(sentence)}: {counted[kind] - most} more like the last one")
    return shown


def _place(sentence: str) -> str:
    """Where a sentence is about, without the row."""
    return _NUMBER.sub("", sentence.partition(": ")[0])


def _kind(sentence: str) -> str:
    where, _, said = sentence.partition(": ")
    return f"{_NUMBER.sub('', where)}: {_NAMED.sub('', _NUMBER.sub('', said))}"
