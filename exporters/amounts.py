"""Exact numbers as text, in SQL and for people: integers scaled by a power of ten, never floats."""

from __future__ import annotations


def decimal_sql(scaled: str, decimals: int) -> str:
    """SQL for the decimal text of an integer expression: 1500000000 with nine decimals is 1.500000000."""
    scale = 10**decimals
    return (
        f"(CASE WHEN {scaled} < 0 THEN '-' ELSE '' END || (abs({scaled}) // {scale})::VARCHAR || '.' "
        f"|| lpad((abs({scaled}) % {scale})::VARCHAR, {decimals}, '0'))"
    )


def quotient_sql(dividend: str, divisor: str) -> str:
    """SQL for the integer nearest to a quotient of integers, ties to the even one. The divisor is positive."""
    whole, rest = f"(abs({dividend}) // {divisor})", f"(abs({dividend}) % {divisor})"
    up = f"(CASE WHEN {rest} * 2 > {divisor} OR ({rest} * 2 = {divisor} AND {whole} % 2 = 1) THEN 1 ELSE 0 END)"
    return f"(sign({dividend})::HUGEINT * ({whole} + {up}))"


def grouped(scaled: int, decimals: int, shown: int) -> str:
    """A scaled integer for people, with thousands separators and its first `shown` decimals; the rest must be zeros."""
    units, rest = divmod(abs(scaled), 10**decimals)
    after = f"{rest:0{decimals}d}"[:shown]
    return f"{'-' if scaled < 0 else ''}{units:,}{'.' if shown else ''}{after}"


def rounded(dividend: int, divisor: int) -> int:
    """The integer nearest to a quotient of integers, ties to the even one, so that two parts of a whole still add up to it."""
    whole, rest = divmod(dividend, divisor)
    return whole + (rest * 2 > divisor or (rest * 2 == divisor and whole % 2 == 1))


def percent(part: int, whole: int) -> str:
    """A part of a whole with two decimals, rounded half to even; empty where there is no whole."""
    return f"{grouped(rounded(int(part) * 10_000, int(whole)), 2, 2)} %" if whole else ""
