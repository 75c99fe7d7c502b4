"""Non-negative least squares of a few columns, exactly: every subset of columns is solved, and the best feasible one kept.

With five columns there are thirty-one subsets, so nothing iterates and no machine's floats decide what the page says.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations


def fit(columns: Sequence[Sequence[int]], target: Sequence[int]) -> tuple[list[Fraction], Fraction]:
    """Coefficients >= 0 with the least squared error, no intercept. Returns: them, and R2 against the mean."""
    products = [[_dot(left, right) for right in columns] for left in columns]
    against = [_dot(column, target) for column in columns]
    square = _dot(target, target)
    best, least = [Fraction(0)] * len(columns), Fraction(square)
    for size in range(1, len(columns) + 1):
        for chosen in combinations(range(len(columns)), size):
            solved = _solved([[products[a][b] for b in chosen] for a in chosen], [against[a] for a in chosen])
            if solved is None or any(value < 0 for value in solved):
                continue
            error = square - sum(
                (value * against[place] for value, place in zip(solved, chosen, strict=True)), Fraction(0)
            )
            if error < least:
                best, least = [Fraction(0)] * len(columns), error
                for place, value in zip(chosen, solved, strict=True):
                    best[place] = value
    spread = square - Fraction(sum(target) ** 2, max(len(target), 1))
    return best, 1 - least / spread if spread else Fraction(0)


def _dot(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _solved(products: Sequence[Sequence[int]], against: Sequence[int]) -> list[Fraction] | None:
    """The normal equations by elimination; None where columns depend on one another."""
    size = len(against)
    rows = [[Fraction(value) for value in (*row, right)] for row, right in zip(products, against, strict=True)]
    for place in range(size):
        pivot = next((row for row in range(place, size) if rows[row][place]), None)
        if pivot is None:
            return None
        rows[place], rows[pivot] = rows[pivot], rows[place]
        rows[place] = [value / rows[place][place] for value in rows[place]]
        for row in range(size):
            if row != place and rows[row][place]:
                factor = rows[row][place]
                rows[row] = [value - factor * own for value, own in zip(rows[row], rows[place], strict=True)]
    return [row[-1] for row in rows]
