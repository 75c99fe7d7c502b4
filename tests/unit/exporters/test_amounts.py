"""Exact numbers as text: what SQL writes is what fractions say."""

from __future__ import annotations

from fractions import Fraction

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.amounts import decimal_sql, grouped, quotient_sql

CONNECTION = duckdb.connect()


@given(st.integers(-(10**30), 10**30), st.integers(1, 12))
def test_decimal_text_is_exact(scaled, decimals):
    """An integer of 10^-n becomes text with exactly n decimals, that many always, and no minus before a zero."""
    text = CONNECTION.execute(
        f"SELECT {decimal_sql('x', decimals)} FROM (SELECT $x::HUGEINT AS x)", {"x": scaled}
    ).fetchone()[0]

    assert Fraction(text) == Fraction(scaled, 10**decimals)
    assert len(text.partition(".")[2]) == decimals
    assert text.startswith("-") == (scaled < 0)


@given(st.integers(-(10**30), 10**30) | st.integers(-20, 20), st.integers(1, 10**18) | st.integers(1, 8))
def test_quotients_are_rounded_half_even(dividend, divisor):
    """A quotient is the nearest integer, a tie going to the even one, on both sides of zero."""
    sql = f"SELECT {quotient_sql('a', 'b')} FROM (SELECT $a::HUGEINT AS a, $b::HUGEINT AS b)"

    assert CONNECTION.execute(sql, {"a": dividend, "b": divisor}).fetchone()[0] == round(Fraction(dividend, divisor))


@pytest.mark.parametrize(("scaled", "shown", "text"), [
    (1_234_567_500_000_000, 2, "1,234,567.50"), (-500_000_000, 9, "-0.500000000"), (0, 2, "0.00"), (2 * 10**9, 0, "2"),
])  # fmt: skip
def test_people_get_thousands_separators(scaled, shown, text):
    """Amounts for people are grouped by thousands and show as many decimals as asked."""
    assert grouped(scaled, 9, shown) == text
