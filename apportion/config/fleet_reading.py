"""Read the fleet's rows, each by itself: pools, deployments, rates, shared costs, entitlements and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from apportion.config import costs_reading, energy_reading, fleet, phases, phases_reading, rate_rows, values
from apportion.config.energy import EnergyRate
from apportion.config.fleet import Deployment, Entitlement, Match, ModelAlias, Pool, Rate, SharedCost
from apportion.config.rows import GPUS_MAX
from apportion.config.tables import Placed, Table, each
from apportion.domain.tokens import scaled_weights

CAPACITY_MAX: Final = 10**12
"""Weighted tokens per GPU-hour; far beyond any hardware, inside the arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Every sound row, with its place.

    Attributes:
        pools: rows of the inventory.
        deployments: parts of pools.
        rates: the rate card.
        energy_rates: of it what prices kilowatt-hours.
        shared_costs: monthly amounts.
        entitlements: reservations.
        aliases: model names that stand for others.
        pool_ids: every pool id written, also of rows with problems, so that one mistake is not reported twice.
    """

    pools: list[Placed[Pool]]
    deployments: list[Placed[Deployment]]
    rates: list[Placed[Rate]]
    energy_rates: list[Placed[EnergyRate]]
    shared_costs: list[Placed[SharedCost]]
    entitlements: list[Placed[Entitlement]]
    aliases: list[Placed[ModelAlias]]
    pool_ids: tuple[str, ...]


def read(root: Table, beside: Path) -> Fleet:
    """The fleet's tables of a config, and of the rate files it names; relative paths are beside the config file."""
    written = root.raw("pools")
    rows = written if isinstance(written, list) else []
    ids = {row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)}
    pools = each(root, "pools", _pool)
    rates = rate_rows.tables(root, beside)
    return Fleet(
        pools=pools,
        deployments=each(root, "deployments", _deployment),
        rates=rate_rows.each([row for row in rates if not row.has("per_kwh")], costs_reading.rate),
        energy_rates=energy_reading.read([row for row in rates if row.has("per_kwh")], pools, sorted(ids)),
        shared_costs=each(root, "shared_costs", _shared_cost),
        entitlements=each(root, "entitlements", _entitlement),
        aliases=each(root, "model_aliases", _alias),
        pool_ids=tuple(sorted(ids)),
    )


def _pool(table: Table) -> Pool:
    return Pool(
        id=table.name("id"), gpu=table.text("gpu"), gpus=table.integer("gpus", 1, GPUS_MAX), effective=table.period()
    )


def _deployment(table: Table) -> Deployment:
    owner = table.name("owner", "")
    charge_to = table.choice("charge_to", fleet.CHARGE_TOS, "caller")
    if charge_to == "owner" and not owner:
        table.wrong("charge_to", 'is "owner", but there is none; add owner = "TEAM"')
    capacity = table.integer("capacity_per_gpu_hour", 1, CAPACITY_MAX) if table.has("capacity_per_gpu_hour") else None
    return Deployment(
        id=table.name("id"),
        pool=table.name("pool"),
        gpus=table.integer("gpus", 1, GPUS_MAX),
        models=table.names("models"),
        utilization=table.choice("utilization", fleet.UTILIZATIONS) if table.has("utilization") else None,
        capacity_per_gpu_hour=capacity,
        owner=owner,
        charge_to=charge_to,
        role=table.choice("role", fleet.ROLES, "both"),
        match=_match(table.table("match")),
        effective=table.period(),
        phase_split=table.choice("phase_split", phases.PHASE_SPLITS) if table.has("phase_split") else None,
        throughput=phases_reading.throughput(table),
        capacity_source=table.choice("capacity_source", phases.CAPACITY_SOURCES, "declared"),
        service_level=phases_reading.service_level(table),
    )


def _match(table: Table) -> Match:
    return Match(
        cluster=table.pattern("cluster"),
        replica=table.pattern("replica"),
        namespace=table.pattern("namespace"),
        node=table.pattern("node"),
        gpu_uuid=table.pattern("gpu_uuid"),
        pod=table.pattern("pod"),
    )


def _shared_cost(table: Table) -> SharedCost:
    policy = table.choice("policy", fleet.SHARED_COST_POLICIES, "proportional")
    shares = _shares(table)
    if policy == "fixed" and not table.has("shares"):
        table.wrong("shares", 'is missing, and policy is "fixed"; add shares = { TEAM = "60", OTHER = "40" }')
    if policy != "fixed" and table.has("shares"):
        table.wrong("shares", f'is only for policy = "fixed", and this is "{policy}"; remove it, or change the policy')
    return SharedCost(
        id=table.name("id"),
        per_month_nano=table.amount("per_month"),
        policy=policy,
        shares=shares,
        effective=table.period(),
    )


def _shares(table: Table) -> Mapping[str, int]:
    shares = table.table("shares")
    weights = {team: shares.require(team, _share, Decimal(0)) for team in shares.written()}
    for team in weights:
        if team.startswith("__") or not team.strip():
            shares.wrong(team, "is not a team of yours; name a team that pays")
    if table.has("shares") and shares.sound() and not any(weights.values()):
        table.wrong("shares", "add up to nothing; give at least one team a share above zero")
    return scaled_weights({team: weight for team, weight in weights.items() if weight})[0]


def _share(value: object) -> Decimal:
    return values.exact(value, 9)


def _entitlement(table: Table) -> Entitlement:
    return Entitlement(
        pool=table.name("pool"),
        team=table.name("team"),
        gpus=table.integer("gpus", 1, GPUS_MAX),
        effective=table.period(),
    )


def _alias(table: Table) -> ModelAlias:
    alias = ModelAlias(
        alias=table.name("alias"), model=table.name("model"), effective=table.period(start_optional=True)
    )
    if alias.alias and alias.alias == alias.model:
        table.wrong("model", "is the alias itself; name the model it stands for")
    return alias
