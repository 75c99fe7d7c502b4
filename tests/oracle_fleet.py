"""The fleet as the oracle sees it: a config document, as `tomllib` gives it, read into plain integers.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. The document must be valid;
telling what is wrong with one is the product's job. Times are integer microseconds since 1970 in UTC, ranges half-open,
money nano-units, weights integers over one common scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

Range = tuple[int, int]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
NANO = 10**9
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
    during: Range


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A price per GPU-hour of one component, in nano."""

    pool: str
    component: str
    per_gpu_hour: int
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
    rates: tuple[Rate, ...]
    shared_costs: tuple[SharedCost, ...]
    entitlements: tuple[Entitlement, ...]
    aliases: tuple[Alias, ...]
    rules: tuple[Rule, ...]
    tag_keys: frozenset[str]
    cost_centers: tuple[tuple[str, str], ...]
    weights: tuple[tuple[str, int], ...]
    idle: str
    over: str
    hold_us: int
    tolerance_ppm: int
    observers: tuple[str, ...]


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant(text: str) -> int:
    """Microseconds of an RFC 3339 text with at most six decimals."""
    return micros(datetime.fromisoformat(text))


def moment(us: int) -> datetime:
    """The aware time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def hour_of(us: int) -> int:
    """Start of the hour that holds a time."""
    return us - us % HOUR_US


def hour_range(hour: int) -> Range:
    """The hour that starts here."""
    return hour, hour + HOUR_US


def month_of(us: int) -> int:
    """Start of the month that holds a time."""
    return micros(moment(us).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def month_hours(us: int) -> range:
    """Starts of all hours of the month that holds a time."""
    start = month_of(us)
    return range(start, month_of(start + 31 * 24 * HOUR_US), HOUR_US)


def shared_us(*ranges: Range) -> int:
    """Microseconds that every range holds."""
    return max(0, min(end for _, end in ranges) - max(start for start, _ in ranges))


def nano(amount: str | int | Decimal) -> int:
    """Nano-units of an amount of at most nine decimals."""
    exact = Fraction(Decimal(amount)) * NANO
    assert exact.denominator == 1, amount
    return exact.numerator


def fleet(document: Mapping[str, Any]) -> Fleet:
    """The fleet that a valid config document describes."""
    policy = document.get("policy", {})
    rules = tuple(_rule(entry) for entry in document.get("directory", {}).get("rules", ()))
    used = {key for rule in rules for key in (*dict(rule.tags), rule.team_tag) if key}
    weights = policy.get("weights", DEFAULT_WEIGHTS)
    return Fleet(
        pools=tuple(Pool(id=p["id"], gpus=p["gpus"], during=_range(p)) for p in _tables(document, "pools")),
        deployments=tuple(_deployment(d, policy) for d in _tables(document, "deployments")),
        rates=tuple(
            Rate(pool=r["pool"], component=r["component"], per_gpu_hour=nano(r["per_gpu_hour"]), during=_range(r))
            for r in _tables(document, "rates")
        ),
        shared_costs=tuple(_shared_cost(s) for s in _tables(document, "shared_costs")),
        entitlements=tuple(
            Entitlement(pool=e["pool"], team=e["team"], gpus=e["gpus"], during=_range(e))
            for e in _tables(document, "entitlements")
        ),
        aliases=tuple(
            Alias(alias=a["alias"], model=a["model"], during=_range(a)) for a in _tables(document, "model_aliases")
        ),
        rules=rules,
        tag_keys=frozenset(used | {"project"} | set(document.get("directory", {}).get("tags", ()))),
        cost_centers=tuple(document.get("directory", {}).get("cost_centers", {}).items()),
        weights=tuple((kind, _scaled(weights.get(kind, DEFAULT_WEIGHTS[kind]))) for kind in KINDS),
        idle=policy.get("idle", "separate"),
        over=policy.get("over", "month"),
        hold_us=int(policy.get("sample_hold_seconds", 120) * 1_000_000),
        tolerance_ppm=int(Decimal(policy.get("unlogged_tolerance", "0.01")) * 1_000_000),
        observers=tuple(policy.get("observers", ())),
    )


def _tables(document: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    tables: Iterable[Mapping[str, Any]] = document.get(name, ())
    return tables


def _range(entry: Mapping[str, Any]) -> Range:
    start = entry.get("effective_from", EPOCH)
    return micros(start), micros(entry.get("effective_to", datetime(9999, 12, 31, tzinfo=UTC)))


def _scaled(weight: str | int | Decimal) -> int:
    exact = Fraction(Decimal(weight)) * WEIGHT_SCALE
    assert exact.denominator == 1, weight
    return exact.numerator


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
        during=_range(entry),
    )


def _shared_cost(entry: Mapping[str, Any]) -> SharedCost:
    shares = tuple((team, Fraction(Decimal(share))) for team, share in entry.get("shares", {}).items())
    return SharedCost(
        id=entry["id"],
        per_month=nano(entry["per_month"]),
        policy=entry.get("policy", "proportional"),
        shares=shares,
        during=_range(entry),
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
        during=_range(entry),
    )
