"""How much a token weighs and on which deployment it counts: models, adapters, tiers, context and roles.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from re import DOTALL, escape, fullmatch
from typing import Any

from tests.oracle_fleet import DECODE, KINDS, PREFILL, WEIGHT_SCALE, Deployment, Fleet
from tests.oracle_units import hour_range, shared_us

CONTEXT = {"output": "output_context", "reasoning": "reasoning_context"}
"""Under what name the sums of tokens x context stand beside the counts of decode tokens."""
FACTOR_SCALE = 10**12
"""Of a model's factor times a tier's, each of at most six decimals."""
LONGEST = 2**31 - 1
MIX_SCALE = 10**4
"""Of the tiers that cache reads of an hour came from: basis points."""
BIG_SCALE = WEIGHT_SCALE * FACTOR_SCALE * MIX_SCALE


def fits(pattern: str, text: str) -> bool:
    """Whether a glob of `*` and `?` fits the whole text, letter for letter."""
    expression = escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return fullmatch(expression, text, DOTALL) is not None


def bases(fleet: Fleet, model: str) -> set[str]:
    """Models that a name is an adapter of."""
    return {known.id for known in fleet.models if any(fits(glob, model) for glob in known.adapters)}


def serves(fleet: Fleet, deployment: Deployment, model: str) -> bool:
    """Whether a deployment serves a model, or the model that this is an adapter of."""
    return bool(({model} | bases(fleet, model)) & deployment.models)


def present(fleet: Fleet, hour: int) -> list[Deployment]:
    """Dated parts of deployments that are in force within an hour, the first of each first."""
    parts = [part for part in fleet.deployments if shared_us(hour_range(hour), part.during)]
    return sorted(parts, key=lambda part: part.during)


def role(fleet: Fleet, name: str, hour: int) -> str:
    """The role of a deployment in an hour: of several dated parts, the first's."""
    return next((part.role for part in present(fleet, hour) if part.id == name), "both")


def prompt_home(fleet: Fleet, name: str, model: str, hour: int) -> str:
    """Where the prompt of a request counts: on the only deployment that prefills the model for a decoding one, else where it ran."""
    able = readers(fleet, model, hour)
    return able.pop() if role(fleet, name, hour) == "decode" and len(able) == 1 else name


def readers(fleet: Fleet, model: str, hour: int) -> set[str]:
    """Deployments that prefill a model in an hour."""
    return {part.id for part in present(fleet, hour) if part.role == "prefill" and serves(fleet, part, model)}


def reads_with_others(fleet: Fleet, name: str, hour: int) -> bool:
    """Whether a deployment only prefills, and not as the only one of each of its models: some prompts of others have no place there."""
    models = {model for part in present(fleet, hour) if part.id == name for model in part.models}
    alone = models and all(readers(fleet, model, hour) == {name} for model in models)
    return role(fleet, name, hour) == "prefill" and not alone


def model_factor(fleet: Fleet, model: str) -> Fraction:
    """How heavy a model's tokens are: its own factor, else that of the only model it is an adapter of."""
    factors = {known.id: known.weight for known in fleet.models}
    if model in factors:
        return factors[model]
    found = bases(fleet, model)
    return factors[found.pop()] if len(found) == 1 else Fraction(1)


def factor(fleet: Fleet, model: str, tier: str) -> Fraction:
    """What every weight of a model's tokens in a tier is multiplied by."""
    return model_factor(fleet, model) * dict(fleet.tiers).get(tier, Fraction(1))


def context_sums(event: Mapping[str, Any]) -> dict[str, int]:
    """Decode tokens of one event x the length of the context that a token of them sees in the mean, by name of the sum."""
    counts = {kind: event.get(f"{kind}_tokens", 0) for kind in KINDS}
    prompt = sum(counts[kind] for kind in PREFILL)
    length = prompt + sum(counts[kind] for kind in DECODE) // 2
    return {CONTEXT[kind]: min(counts[kind], LONGEST) * min(length, LONGEST) for kind in DECODE}


def weighted(
    fleet: Fleet, used: Mapping[Any, Mapping[str, int]], cache_read: Fraction | None = None
) -> dict[tuple[Any, str], int]:
    """Weight by consumer and token kind over `BIG_SCALE`, zero counts left out; a cache read weighs what is given, else as ever."""
    return {
        (who, kind): weight(fleet, who.model, who.tier, kind, kinds, cache_read)
        for who, kinds in used.items()
        for kind in KINDS
        if kinds.get(kind)
    }


def weight(
    fleet: Fleet, model: str, tier: str, kind: str, kinds: Mapping[str, int], cache_read: Fraction | None = None
) -> int:
    """What all tokens of a kind weigh, over `BIG_SCALE`."""
    each = Fraction(dict(fleet.weights)[kind], WEIGHT_SCALE)
    exact = kinds[kind] * (cache_read if kind == "cache_read" and cache_read is not None else each)
    if kind in CONTEXT:
        exact += fleet.context_weight * kinds.get(CONTEXT[kind], 0)
    exact *= factor(fleet, model, tier) * BIG_SCALE
    assert exact.denominator == 1
    return exact.numerator


def totals(weights: Mapping[tuple[Any, str], int], kinds: Iterable[str]) -> int:
    """What tokens of these kinds weigh together."""
    return sum(weight for (_, kind), weight in weights.items() if kind in kinds)
