"""The truth that methods are held against: the closed form of a step's shares, and least squares that find what there is."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.simulator.nnls import fit
from tests.bench.simulator.shapley import brute_force, shares

COSTS = st.integers(0, 10**15)


@given(fixed=COSTS, marginals=st.lists(COSTS, min_size=1, max_size=5))
def test_the_closed_form_is_the_mean_over_all_orders(fixed: int, marginals: list[int]) -> None:
    """A fixed part for whoever comes first and a marginal part of each: every order's mean is fixed / n + marginal."""

    def cost(batch: frozenset[int]) -> int:
        return (fixed if batch else 0) + sum(marginals[number] for number in batch)

    found = shares(fixed, marginals)

    for exact, marginal, rounded in zip(brute_force(cost, len(marginals)), marginals, found, strict=True):
        assert exact == marginal + Fraction(fixed, len(marginals))
        assert abs(exact - rounded) < 1


@given(fixed=COSTS, marginals=st.lists(COSTS, min_size=1, max_size=300))
def test_the_shares_of_a_step_add_up(fixed: int, marginals: list[int]) -> None:
    """Every femtosecond of a step is on exactly one of its requests."""
    assert sum(shares(fixed, marginals)) == fixed + sum(marginals)


@given(
    rows=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=3, max_size=12),
    factors=st.tuples(st.integers(0, 50), st.integers(0, 50)),
)
def test_least_squares_find_what_made_the_data(rows: list[tuple[int, int]], factors: tuple[int, int]) -> None:
    """Where a target is an exact non-negative mixture of columns, nothing is left over."""
    target = [a * factors[0] + b * factors[1] for a, b in rows]

    found, _ = fit(list(zip(*rows, strict=True)), target)

    assert all(value >= 0 for value in found)
    assert [sum(f * x for f, x in zip(found, row, strict=True)) for row in rows] == target


def test_a_negative_coefficient_is_never_found() -> None:
    """What would need a negative cost per token is left at zero, and the rest fitted without it."""
    found, _ = fit([[1, 2, 3], [3, 2, 1]], [1, 4, 7])

    assert found[1] == 0
    assert found[0] == Fraction(1 + 8 + 21, 14)
