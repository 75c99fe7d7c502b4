"""The true shares of a step: what each request in the batch adds to its cost, averaged over every order of joining.

A step costs `fixed` as soon as anybody is in it, and a marginal amount for each request. The first to join brings the fixed
part; in a fair share of the orders that is everyone in turn. So the Shapley value is `fixed / n + marginal`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations

from apportion.domain.money import split


def shares(fixed: int, marginals: Sequence[int]) -> list[int]:
    """The closed form in whole femtoseconds, which add up to the step: the remainder goes to the first in the batch."""
    each, left = divmod(fixed, len(marginals))
    return [marginal + each + (place < left) for place, marginal in enumerate(marginals)]


def brute_force(cost: Callable[[frozenset[int]], int], players: int) -> list[Fraction]:
    """The definition: mean marginal contribution over all permutations. For small batches only."""
    total = [Fraction(0)] * players
    orders = list(permutations(range(players)))
    for order in orders:
        joined: frozenset[int] = frozenset()
        for player in order:
            grown = joined | {player}
            total[player] += cost(grown) - cost(joined)
            joined = grown
    return [amount / len(orders) for amount in total]


def nano_of(total_nano: int, true_fs: dict[str, int]) -> dict[str, int]:
    """Money by true shares, to the nano."""
    return split(total_nano, true_fs)
