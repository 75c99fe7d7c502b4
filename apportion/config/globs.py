r"""Globs: `*` is any text, `?` is one character, everything else is itself, case and all.

They become LIKE patterns with ESCAPE '\' where the ledger matches them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

_LIKE: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_", "*": "%", "?": "_"})


def like(glob: str) -> str:
    r"""The LIKE pattern, with ESCAPE '\', that matches what a glob matches."""
    return glob.translate(_LIKE)


def _literal(glob: str) -> str:
    """What every text that matches begins with."""
    return glob[: next((at for at, sign in enumerate(glob) if sign in "*?"), len(glob))]


def share_a_text(left: str, right: str) -> bool:
    """Whether some text matches both globs."""
    if not (_literal(left).startswith(_literal(right)) or _literal(right).startswith(_literal(left))):
        return False
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
