"""The fleet as the oracle sees it: a config document, as `tomllib` gives it, read into plain integers.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. The document must be valid;
telling what is wrong with one is the product's job. What was bought is in `oracle_purchases.py`, units are those of
`oracle_units.py`, weights of token kinds integers over one common scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.oracle_price_list import Price, price_list
from tests.oracle_purchases import Purchases, purchases
from tests.oracle_units import PPM, Range, during, nano, scaled

PREFILL = ("uncached_input", "cache_read", "cache_write")
DECODE = ("output", "reasoning")
KINDS = PREFILL + DECODE
WEIGHT_SCALE = 10**9
DEFAULT_WEIGHTS = {"uncached_input": "1", "cache_write": "1", "cache_read": "0.1", "output": "6", "reasoning": "6"}


@dataclass(frozen=True, kw_only=True)
class Pool:
    """GPUs bought together over one range; a pool of several ranges was resized."""

    id: str
    gpus: int
    during: Range


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A dated part of a pool; `payer` is the owner where the owner is charged for everything."""

    id: str
    pool: str
    gpus: int
    models: frozenset[str]
    match: tuple[tuple[str, str], ...]
    utilization: str
    capacity_per_gpu_hour: int
    payer: str
    role: str
    phase_split: str
    throughput: tuple[tuple[str, int], ...]
    during: Range


@dataclass(frozen=True, kw_only=True)
class SharedCost:
    """A monthly amount of no pool, in nano; `shares` are exact and need not add up to anything."""

    id: str
    per_month: int
    policy: str
    shares: tuple[tuple[str, Fraction], ...]
    during: Range


@dataclass(frozen=True, kw_only=True)
class Entitlement:
    """GPUs of a pool reserved for a team."""

    pool: str
    team: str
    gpus: int
    during: Range


@dataclass(frozen=True, kw_only=True)
class Alias:
    """A reported model name and the model it stands for."""

    alias: str
    model: str
    during: Range


@dataclass(frozen=True, kw_only=True)
class Model:
    """How heavy a model's tokens are, and what its adapters are called."""

    id: str
    weight: Fraction
    adapters: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Downtime:
    """GPUs of a deployment that served nobody, and why."""

    deployment: str
    gpus: int
    cause: str
    during: Range


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of the directory: patterns that must all match, and who pays then."""

    patterns: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    team_tag: str
    team: str
    team_name: str
    project: str
    cost_center: str
    during: Range


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Everything dated, and the policies in force."""

    pools: tuple[Pool, ...]
    deployments: tuple[Deployment, ...]
    bought: Purchases
    prices: tuple[Price, ...]
    shared_costs: tuple[SharedCost, ...]
    entitlements: tuple[Entitlement, ...]
    aliases: tuple[Alias, ...]
    rules: tuple[Rule, ...]
    tag_keys: frozenset[str]
    cost_centers: tuple[tuple[str, str], ...]
    weights: tuple[tuple[str, int], ...]
    context_weight: Fraction
    cache_tiers: tuple[tuple[str, Fraction], ...]
    tiers: tuple[tuple[str, Fraction], ...]
    models: tuple[Model, ...]
    downtimes: tuple[Downtime, ...]
    min_coverage_ppm: int
    idle: str
    over: str
    hold_us: int
    tolerance_ppm: int
    observers: tuple[str, ...]


def fleet(document: Mapping[str, Any]) -> Fleet:
    """The fleet that a valid config document describes."""
    policy = document.get("policy", {})
    rules = tuple(_rule(entry) for entry in document.get("directory", {}).get("rules", ()))
    used = {key for rule in rules for key in (*dict(rule.tags), rule.team_tag) if key}
    weights = policy.get("weights", DEFAULT_WEIGHTS)
    return Fleet(
        pools=tuple(Pool(id=p["id"], gpus=p["gpus"], during=during(p)) for p in _tables(document, "pools")),
        deployments=tuple(_deployment(d, policy) for d in _tables(document, "deployments")),
        bought=purchases(document),
        prices=price_list(document),
        shared_costs=tuple(_shared_cost(s) for s in _tables(document, "shared_costs")),
        entitlements=tuple(
            Entitlement(pool=e["pool"], team=e["team"], gpus=e["gpus"], during=during(e))
            for e in _tables(document, "entitlements")
        ),
        aliases=tuple(
            Alias(alias=a["alias"], model=a["model"], during=during(a)) for a in _tables(document, "model_aliases")
        ),
        rules=rules,
        tag_keys=frozenset(used | {"project"} | set(document.get("directory", {}).get("tags", ()))),
        cost_centers=tuple(document.get("directory", {}).get("cost_centers", {}).items()),
        weights=tuple((kind, scaled(weights.get(kind, DEFAULT_WEIGHTS[kind]), WEIGHT_SCALE)) for kind in KINDS),
        context_weight=_exact(weights.get("context", 0)),
        cache_tiers=_cache_tiers(weights),
        tiers=tuple((tier, _exact(factor)) for tier, factor in policy.get("tiers", {}).items()),
        models=tuple(
            Model(id=m["id"], weight=_exact(m.get("weight", 1)), adapters=tuple(m.get("adapters", ())))
            for m in _tables(document, "models")
        ),
        downtimes=tuple(
            Downtime(deployment=d["deployment"], gpus=d["gpus"], cause=d["cause"], during=during(d))
            for d in _tables(document, "downtime")
        ),
        min_coverage_ppm=scaled(policy.get("min_coverage", "0.9"), PPM),
        idle=policy.get("idle", "separate"),
        over=policy.get("over", "month"),
        hold_us=int(policy.get("sample_hold_seconds", 120) * PPM),
        tolerance_ppm=int(Decimal(policy.get("unlogged_tolerance", "0.01")) * PPM),
        observers=tuple(policy.get("observers", ())),
    )


def _cache_tiers(weights: Mapping[str, Any]) -> tuple[tuple[str, Fraction], ...]:
    """What a cached token weighs by where it was."""
    near = weights.get("cache_read", DEFAULT_WEIGHTS["cache_read"])
    far = {tier: weights.get(f"cache_read_{tier}", near) for tier in ("host", "storage")}
    return tuple((tier, _exact(weight)) for tier, weight in {"device": near, **far}.items())


def _exact(factor: str | int | Decimal) -> Fraction:
    return Fraction(Decimal(factor))


def _tables(document: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    tables: Iterable[Mapping[str, Any]] = document.get(name, ())
    return tables


def _deployment(entry: Mapping[str, Any], policy: Mapping[str, Any]) -> Deployment:
    return Deployment(
        id=entry["id"],
        pool=entry["pool"],
        gpus=entry["gpus"],
        models=frozenset(entry.get("models", ())),
        match=tuple(entry.get("match", {}).items()),
        utilization=entry.get("utilization", policy.get("utilization", "active")),
        capacity_per_gpu_hour=entry.get("capacity_per_gpu_hour", 0),
        payer=entry["owner"] if entry.get("charge_to") == "owner" else "",
        role=entry.get("role", "both"),
        phase_split=entry.get("phase_split", policy.get("phase_split", "weights")),
        throughput=tuple(entry.get("throughput", {}).items()),
        during=during(entry),
    )


def _shared_cost(entry: Mapping[str, Any]) -> SharedCost:
    shares = tuple((team, Fraction(Decimal(share))) for team, share in entry.get("shares", {}).items())
    return SharedCost(
        id=entry["id"],
        per_month=nano(entry["per_month"]),
        policy=entry.get("policy", "proportional"),
        shares=shares,
        during=during(entry),
    )


def _rule(entry: Mapping[str, Any]) -> Rule:
    tag = entry.get("tag", {})
    return Rule(
        patterns=tuple((field, entry[field]) for field in ("source", "principal", "namespace") if field in entry),
        tags=() if isinstance(tag, str) else tuple(tag.items()),
        team_tag=tag if isinstance(tag, str) else "",
        team=entry.get("team", ""),
        team_name=entry.get("team_name", ""),
        project=entry.get("project", ""),
        cost_center=entry.get("cost_center", ""),
        during=during(entry),
    )
