"""Exact numbers: every figure is an integer or a fraction, so that what adds up does so to the last digit."""

from __future__ import annotations

from fractions import Fraction

Exact = int | Fraction
"""A number as it is; whoever prints it rounds it."""


def ratio(of: Exact, to: Exact) -> Fraction:
    """One quantity by another. Raises: ValueError, in a sentence, where there is nothing to compare with."""
    if to == 0:
        msg = f"{of} by zero says nothing; the second quantity must be known and above zero"
        raise ValueError(msg)
    return Fraction(of, to)


def decay(base: Exact, times: int) -> Fraction:
    """A base to a negative power: what is left after so many times, such as a discount factor."""
    return Fraction(1) if times == 0 else ratio(1, Fraction(base) ** times)
