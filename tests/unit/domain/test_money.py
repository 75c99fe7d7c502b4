"""Money: shares add up to the whole, and amounts keep every nano on the way in and out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.domain.money import NANO, NANO_MAX, half_even, nano, split, text

totals = st.integers(-(10**30), 10**30)
weight_tables = st.dictionaries(st.text(max_size=4), st.integers(0, 10**20), max_size=10)


@given(total=totals, weights=weight_tables)
def test_parts_add_up_to_the_whole(total: int, weights: dict[str, int]) -> None:
    """The parts sum to the total wherever anything weighs something, and there are none where nothing does."""
    parts = split(total, weights)

    assert parts.keys() == (weights.keys() if any(weights.values()) else set())
    assert not parts or sum(parts.values()) == total


@given(total=totals, weights=weight_tables)
def test_a_charge_and_its_credit_cancel(total: int, weights: dict[str, int]) -> None:
    """Splitting the negative total gives the negative parts, so that a correction undoes its charge line by line."""
    assert split(-total, weights) == {key: -part for key, part in split(total, weights).items()}


@given(total=totals, weights=weight_tables)
def test_each_part_is_within_one_nano_of_its_exact_share(total: int, weights: dict[str, int]) -> None:
    """No part is a whole nano away from the exact quotient, and who weighs nothing gets nothing."""
    whole = sum(weights.values())
    for key, part in split(total, weights).items():
        assert abs(part - Fraction(total * weights[key], whole)) < 1
        assert weights[key] or not part


@given(total=totals, weights=weight_tables, factor=st.integers(1, 10**9))
def test_scaling_every_weight_changes_no_share(total: int, weights: dict[str, int], factor: int) -> None:
    """Only proportions count, so weights may be written at any scale."""
    assert split(total, {key: weight * factor for key, weight in weights.items()}) == split(total, weights)


@given(total=totals, weights=weight_tables)
def test_order_of_weights_changes_no_share(total: int, weights: dict[str, int]) -> None:
    """The same weights in another order are the same split."""
    assert split(total, dict(reversed(list(weights.items())))) == split(total, weights)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, {"a": 1, "b": 1, "c": 1}, {"a": 4, "b": 3, "c": 3}),
        (11, {"c": 1, "b": 1, "a": 1}, {"a": 4, "b": 4, "c": 3}),
        (5, {"b": 2, "a": 1}, {"b": 3, "a": 2}),
        (100, {"a": 1, "b": 999}, {"a": 0, "b": 100}),
        (0, {"a": 1}, {"a": 0}),
        (7, {"a": 0}, {}),
        (7, {}, {}),
    ],
)
def test_what_is_left_goes_to_the_largest_remainders(
    total: int, weights: dict[str, int], parts: dict[str, int]
) -> None:
    """What whole quotients leave over goes one nano each to the largest remainders, ties to the lowest key."""
    assert split(total, weights) == parts


def test_keys_may_be_tuples() -> None:
    """Ties between compound keys go by their parts in order."""
    weights: Mapping[tuple[str, str], int] = {("m", "b"): 1, ("m", "a"): 1}

    assert split(1, weights) == {("m", "a"): 1, ("m", "b"): 0}


def test_negative_weights_are_refused() -> None:
    """A negative weight is a mistake of the caller, never a discount."""
    with pytest.raises(ValueError, match="weights must not be negative"):
        split(10, {"a": 2, "b": -1})


@given(st.fractions())
def test_half_even_is_nearest_and_ties_are_even(value: Fraction) -> None:
    """Rounding is never off by more than a half, and a tie lands on the even neighbour."""
    rounded = half_even(value)

    assert abs(rounded - value) <= Fraction(1, 2)
    assert abs(rounded - value) < Fraction(1, 2) or rounded % 2 == 0


@given(st.integers(-NANO_MAX, NANO_MAX))
def test_text_and_back_is_the_same_amount(nanos: int) -> None:
    """What is written with nine decimals reads back to the nano."""
    assert nano(text(nanos)) == nanos
    assert len(text(nanos).partition(".")[2]) == 9


@pytest.mark.parametrize(
    ("amount", "nanos"),
    [
        ("2.49", 2_490_000_000),
        ("0", 0),
        (3, 3 * NANO),
        (Decimal("0.000000001"), 1),
        ("-0.5", -500_000_000),
        ("1e3", 1000 * NANO),
        ("12000.00", 12_000 * NANO),
        ("9000000000", NANO_MAX),
        ("1.000000000000", NANO),
    ],
)
def test_amounts_as_people_write_them(amount: str | int | Decimal, nanos: int) -> None:
    """Text, whole numbers and decimals all read exactly; trailing zeros are no extra precision."""
    assert nano(amount) == nanos


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (2.49, "binary fraction"),
        (True, "binary fraction"),
        ("0.0000000001", "more than nine decimals"),
        ("1.00000000000000000000000000000001", "more than nine decimals"),
        ("two", "not an amount"),
        ("", "not an amount"),
        ("nan", "is not an amount"),
        ("Infinity", "is not an amount"),
        ("9000000000.000000001", "larger than one row"),
        ("-9000000001", "larger than one row"),
        ("1e400", "larger than one row"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(amount: str | float, reason: str) -> None:
    """Floats, too many decimals, words and amounts no row can hold are refused, and the message quotes them."""
    with pytest.raises(ValueError, match=reason) as refused:
        nano(amount)  # type: ignore[arg-type]

    assert repr(amount) in str(refused.value)


@given(decimals=st.integers(0, 30), digits=st.integers(1, 10**40))
def test_amounts_are_exact_or_refused(decimals: int, digits: int) -> None:
    """However many digits are written, none is ever lost in silence."""
    written = Decimal(digits).scaleb(-decimals) if digits < 10**25 else Decimal(f"{digits}e-{decimals}")
    exact = Fraction(digits * NANO, 10**decimals)
    if exact.denominator == 1 and exact <= NANO_MAX:
        assert nano(str(written)) == exact
    else:
        with pytest.raises(ValueError, match=r"nine decimals|larger than one row"):
            nano(str(written))


def test_text_shows_sign_and_nine_decimals() -> None:
    """Small negative amounts keep their sign and zeros."""
    assert [text(n) for n in (-1, 0, 1, 1_500_000_000, -2_000_000_000)] == [
        "-0.000000001",
        "0.000000000",
        "0.000000001",
        "1.500000000",
        "-2.000000000",
    ]
