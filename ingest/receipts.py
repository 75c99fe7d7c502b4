"""What became of each part of a slice: how one landing answers many streams and requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from ingest.outcome import Outcome
from ingest.rejections import Rejection
from ingest.slices import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of one part.

    Attributes:
        part: the records.
        outcome: their counts, which add up to the part's records. Skewed clocks and dropped tags are counted per slice only.
        rejections: the records that were rejected or conflict, numbered as their stream numbers them.
    """

    part: Part
    outcome: Outcome
    rejections: tuple[Rejection, ...]


Answer = Callable[[Receipt], str]
"""Puts a receipt into the words that are kept with the request's idempotency key."""


def firsts(parts: Sequence[Part]) -> list[int]:
    """How many records of the slice come before each part."""
    return [0, *accumulate(part.records for part in parts)][:-1]


def receipts(
    parts: Sequence[Part], others: Mapping[tuple[int, str], int], numbered: Iterable[tuple[int, Rejection]]
) -> Iterator[Receipt]:
    """One receipt per part, in order.

    Args:
        parts: of the slice.
        others: records of a part, by its index, that are neither landed nor rejected, by verdict.
        numbered: what did not land, by its number in the slice, from 1.
    """
    waiting = deque(sorted(numbered, key=lambda pair: pair[0]))
    for index, (part, before) in enumerate(zip(parts, firsts(parts), strict=True)):
        mine = []
        while waiting and waiting[0][0] <= before + part.records:
            number, rejection = waiting.popleft()
            mine.append(placed(part, number - before, rejection))
        outcome = Outcome(
            received=part.records,
            duplicates=others.get((index, "duplicate"), 0),
            superseded=others.get((index, "superseded"), 0),
            conflicts=others.get((index, "conflict"), 0),
        )
        outcome.rejections.update(one.reason for one in mine if one.reason != "conflict")
        outcome.rejected = outcome.rejections.total()
        outcome.landed = part.records - outcome.duplicates - outcome.superseded - outcome.conflicts - outcome.rejected
        yield Receipt(part=part, outcome=outcome, rejections=tuple(mine))


def placed(part: Part, nth: int, rejection: Rejection) -> Rejection:
    """A rejection where its own stream has it."""
    return replace(rejection, stream=part.stream, record=part.number(nth), line=part.first_line + nth)
