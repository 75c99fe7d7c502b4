"""Do something for a span of hours; where that cannot be computed, for its halves, down to the hours at fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from apportion.domain.errors import AuditFailed, StepFailed
from apportion.domain.period import HOUR, Period

SPLITS_PER_DOUBLING: Final = 4
"""Parts that may be halved, for each doubling of hours that a span holds: one hour at fault takes one for each doubling, so that
a few that lie apart are found at once, and a fault of all of them ends after some dozens of tries."""


def halved(period: Period, attempt: Callable[[Period], None]) -> dict[Period, str]:
    """Attempt a span, and wherever that fails its halves, long parts before short ones.

    Every part that is not halved any further was tried by itself, so what can be computed never waits on a part that cannot; parts
    that failed may be longer than an hour where many did, and trying them again finds more.

    Returns: what failed and why, ascending. Raises: whatever is no failure of a step or an audit.
    """
    failed: dict[Period, str] = {}
    splits = SPLITS_PER_DOUBLING * _hours(period).bit_length()
    waiting = deque([period])
    while waiting:
        part = waiting.popleft()
        try:
            attempt(part)
        except (StepFailed, AuditFailed) as error:
            if _hours(part) == 1 or splits == 0:
                failed[part] = str(error)
                continue
            splits -= 1
            middle = part.start + _hours(part) // 2 * HOUR
            waiting += [Period(part.start, middle), Period(middle, part.end)]
    return dict(sorted(failed.items()))


def _hours(period: Period) -> int:
    return (period.end - period.start) // HOUR
