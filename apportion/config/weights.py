"""The weights of a token as integers: of its kind, its context, its model and its tier, and one scale for their product.

A token of kind k weighs (tokens x kinds[k] + tokens x context length x context) x models[m] x tiers[t], in units of 1 // scale. Where a
cached token weighs differently by where it was read from, all weights of kinds are multiples of `MIX`: a mix in such parts is an integer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import gcd
from typing import Final

from apportion.config.models import Model
from apportion.config.policy import Policy
from apportion.domain.tokens import scaled_weights

OTHERS = ""
"""The model, and the tier, that stands for all that are not named."""
MIX: Final = 10_000
"""Basis points, in which engines' shares of the tiers of a cache are kept: finer ones leave weights of context too little room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWeights:
    """Integers, exact.

    Attributes:
        kinds: token kind -> weight, all five.
        context: weight of one decoded token and one token of its context.
        cache_read_host: of a cached token from the memory of the host.
        cache_read_storage: of one from a disk or another node.
        models: model -> weight, `OTHERS` for those not named; empty where none differs.
        tiers: tier -> weight, alike.
        scale: what a weight of 1 has become in the product of the three.
    """

    kinds: Mapping[str, int]
    context: int
    cache_read_host: int
    cache_read_storage: int
    models: Mapping[str, int]
    tiers: Mapping[str, int]
    scale: int


def token_weights(policy: Policy, models: Sequence[Model]) -> TokenWeights:
    """The weights of a policy and of models. Invariant: where nothing but kinds is weighed, they and the scale are theirs alone."""
    further = {"cache_read_host": policy.cache_read_host_weight, "cache_read_storage": policy.cache_read_storage_weight}
    found, scale = scaled_weights({**policy.weights, **further, "context": policy.context_weight})
    parts = 1 if set(further.values()) == {policy.weights["cache_read"]} else MIX
    weights = {name: weight * parts for name, weight in found.items()}
    by_model, model_scale = _factors({model.id: model.weight for model in models})
    by_tier, tier_scale = _factors(policy.tiers)
    return TokenWeights(
        kinds={kind: weights[kind] for kind in policy.weights}, context=weights["context"],
        cache_read_host=weights["cache_read_host"], cache_read_storage=weights["cache_read_storage"],
        models=by_model, tiers=by_tier, scale=scale * parts * model_scale * tier_scale,
    )  # fmt: skip


def _factors(weights: Mapping[str, Decimal]) -> tuple[dict[str, int], int]:
    """Integers in lowest terms and their scale; none where all are 1."""
    if all(weight == 1 for weight in weights.values()):
        return {}, 1
    scaled, scale = scaled_weights({**weights, OTHERS: Decimal(1)})
    common = gcd(scale, *scaled.values())
    return {name: weight // common for name, weight in scaled.items()}, scale // common
