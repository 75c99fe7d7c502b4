"""Token kinds and the scaling of their weights."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.domain.tokens import DECODE, PREFILL, TOKEN_KINDS, scaled_weights

decimals = st.decimals("0", "1000", places=9)


def test_each_kind_belongs_to_one_phase() -> None:
    """Kinds are disjoint, so tokens add up over kinds and phases."""
    assert set(PREFILL).isdisjoint(DECODE)
    assert TOKEN_KINDS == ("uncached_input", "cache_read", "cache_write", "output", "reasoning")


@given(st.dictionaries(st.sampled_from(TOKEN_KINDS), decimals))
def test_scaled_weights_are_the_weights(weights: dict[str, Decimal]) -> None:
    """Scaled weights are exactly the weights times the scale, and no smaller power of ten would do."""
    scaled, scale = scaled_weights(weights)

    assert {kind: Decimal(weight) / scale for kind, weight in scaled.items()} == weights
    assert scale == 1 or any(weight % 10 for weight in scaled.values())


def test_the_defaults_scale_by_ten() -> None:
    """One decimal in any weight scales all of them by ten; trailing zeros do not."""
    weights = {"cache_read": Decimal("0.1"), "output": Decimal("6.00")}

    assert scaled_weights(weights) == ({"cache_read": 1, "output": 60}, 10)
    assert scaled_weights({"output": Decimal("1E+2")}) == ({"output": 100}, 1)
    assert scaled_weights({}) == ({}, 1)


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        ("-1", "zero or more"),
        ("NaN", "zero or more"),
        ("Infinity", "zero or more"),
        ("0.0000000001", "at most 9"),
        ("1.00000000000000000000000000000001", "at most 9"),
    ],
)
def test_weights_out_of_range_are_refused(weight: str, reason: str) -> None:
    """Negative, endless and overly fine weights are refused with the kind or the limit."""
    with pytest.raises(ValueError, match=reason):
        scaled_weights({"output": Decimal(weight)})
