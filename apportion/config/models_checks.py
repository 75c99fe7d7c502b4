"""What models and weights must hold together: one row each, adapters of one model only, integers that fit the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apportion.config.fleet_reading import Fleet
from apportion.config.globs import pairs, share_a_text
from apportion.config.models import Model
from apportion.config.policy import Policy
from apportion.config.tables import Placed, Problems
from apportion.config.weights import MIX, token_weights

SCALE_MAX: Final = 10**12
"""Of all weights together: capacity x GPU time x scale then stays inside 128 bits, long division included."""
WEIGHT_MAX: Final = 10**15
"""Of one token: a deployment-hour of 10^14 tokens stays below 2^102, which a cost can still be divided by."""
CONTEXT_WEIGHT_MAX: Final = 2**23
"""Of one token and one of context: an hour of 10^14 tokens in contexts of 2^31 stays below 2^102 too."""


def check(models: Sequence[Placed[Model]], fleet: Fleet, policy: Policy, problems: Problems, place: str) -> None:
    """Note what single rows cannot show; `place` is that of the policy."""
    first: dict[str, Placed[Model]] = {}
    for row in models:
        seen = first.setdefault(row.item.id, row)
        if seen is not row:
            problems.error(row.where, f"model {row.item.id!r} stands at {seen.where} too; write one row for each model")
    _architectures_serve(models, fleet, problems)
    _adapters_apart(models, fleet, problems)
    _weights_fit(models, policy, problems, f"{place}.weights")
    _weights_weigh(models, policy, problems, f"{place}.tiers")


def _architectures_serve(models: Sequence[Placed[Model]], fleet: Fleet, problems: Problems) -> None:
    served = {model for row in fleet.deployments for model in row.item.models}
    for row in models:
        if row.item.architecture and row.item.id not in served:
            problems.warning(
                f"{row.where}.config",
                f"no deployment serves {row.item.id!r}, so nothing reads it; name the model as [[deployments]] do",
            )


def _adapters_apart(models: Sequence[Placed[Model]], fleet: Fleet, problems: Problems) -> None:
    told = set()
    globs = [(row, glob) for row in models for glob in row.item.adapters]
    for left, right in pairs([glob for _, glob in globs]):
        (one, glob), (other, both) = globs[left], globs[right]
        if other.where not in told and one.item.id != other.item.id and share_a_text(glob, both):
            told.add(other.where)
            problems.error(
                f"{other.where}.adapters",
                f"an adapter may fit {both!r}, and {glob!r} of {one.item.id!r} at {one.where}; "
                "make the patterns tell the two models' adapters apart",
            )
    _adapters_beside_models(globs, fleet, problems)


def _adapters_beside_models(globs: Sequence[tuple[Placed[Model], str]], fleet: Fleet, problems: Problems) -> None:
    """What is served as a model of its own is no adapter."""
    served = {model: row.where for row in fleet.deployments for model in row.item.models}
    names = [*(glob for _, glob in globs), *served]
    fitting = {
        (globs[left][0].where, names[right]): globs[left][0]
        for left, right in pairs(names)
        if left < len(globs) <= right
        and names[right] != globs[left][0].item.id
        and share_a_text(names[left], names[right])
    }
    for (where, model), row in fitting.items():
        problems.warning(
            f"{where}.adapters",
            f"fit {model!r}, which {served[model]} serves as a model of its own, so it is served wherever "
            f"{row.item.id!r} is too; make the patterns narrower",
        )


def _weights_fit(models: Sequence[Placed[Model]], policy: Policy, problems: Problems, place: str) -> None:
    found = token_weights(policy, [row.item for row in models])
    factors = max(found.models.values(), default=1) * max(found.tiers.values(), default=1)
    alike = found.cache_read_host == found.cache_read_storage == found.kinds["cache_read"]
    mixed = "" if alike else f" ({len(str(MIX)) - 1} of them for tiers of the cache)"
    heaviest = max(*found.kinds.values(), found.cache_read_host, found.cache_read_storage)
    if found.scale > SCALE_MAX:
        problems.error(
            place,
            f"need {len(str(found.scale)) - 1} decimals together with the weights of tiers and of [[models]]{mixed}, and "
            f"{len(str(SCALE_MAX)) - 1} can be kept; round some of them",
        )
    elif heaviest * factors > WEIGHT_MAX or found.context * factors > CONTEXT_WEIGHT_MAX:
        problems.error(
            place,
            "are too far apart together with the weights of tiers and of [[models]] to be kept exactly; "
            "round some of them, or bring them closer",
        )


def _weights_weigh(models: Sequence[Placed[Model]], policy: Policy, problems: Problems, tiers: str) -> None:
    """A weight of 0 is allowed, and rarely meant: it moves all cost to other tokens, and to nobody where there are none."""
    weightless = {f"{row.where}.weight": f"tokens of {row.item.id!r}" for row in models if row.item.weight == 0}
    weightless |= {
        f"{tiers}.{tier}": f"tokens of tier {tier!r}" for tier, weight in policy.tiers.items() if weight == 0
    }
    for where, tokens in weightless.items():
        problems.warning(
            where,
            f"is 0, so {tokens} carry no cost: other tokens of their deployment's hour bear it, and where there are none "
            "__unattributed__ does, with cause zero_weight; give a weight above 0 unless that is meant",
        )
