"""A config as rows of `book`: globs become LIKE patterns, defaults are filled in, the policy becomes numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apportion.config.architectures import ModelArchitecture
from apportion.config.directory import DirectoryRule
from apportion.config.globs import like
from apportion.config.model import Config
from apportion.config.phases import Throughput
from apportion.config.values import BEGINNING, stamp
from apportion.config.weights import token_weights
from apportion.domain.period import FOREVER, Period
from apportion.domain.tokens import TOKEN_KINDS
from apportion.ledger import book_costs
from apportion.ledger import book_tables as tables
from apportion.ledger.book_tables import ordered, text
from apportion.ledger.connection import Row

POLICY_COLUMNS: Final = (
    "phase_split", "idle", "over", "min_coverage_ppm", "sample_hold_us", "unlogged_tolerance_ppm", "weight_scale",
    *(f"{kind}_weight" for kind in TOKEN_KINDS), "observers", "context_weight", "tiers",
    "cache_read_host_weight", "cache_read_storage_weight",
)  # fmt: skip
SETTLEMENT_COLUMNS: Final = ("idle", "over")
"""Policy that only settlement reads; all other policy is metering's."""


def rows(config: Config) -> dict[str, list[Row]]:
    """Rows of every table by its name, each in the order of `book_tables.ordered`."""
    found: Mapping[str, list[Row]] = {
        tables.POOL.name: [(pool.id, pool.gpu, pool.gpus, *_range(pool.effective)) for pool in config.pools],
        tables.DEPLOYMENT.name: _deployments(config),
        tables.DEPLOYMENT_MODEL.name: [
            (deployment.id, model, *_range(deployment.effective))
            for deployment in config.deployments
            for model in deployment.models
        ],
        tables.MODEL_ALIAS.name: [
            (alias.alias, alias.model, *_range(alias.effective)) for alias in config.model_aliases
        ],
        tables.ENERGY_RATE.name: [
            (rate.pool, rate.per_kwh_nano, rate.pue_ppm, rate.watts_per_gpu, *_range(rate.effective))
            for rate in config.energy_rates
        ],
        tables.SHARED_COST.name: [
            (cost.id, cost.per_month_nano, cost.policy, *_range(cost.effective)) for cost in config.shared_costs
        ],
        tables.SHARED_COST_SHARE.name: sorted(
            {(cost.id, team, weight) for cost in config.shared_costs for team, weight in cost.shares.items()}
        ),
        tables.ENTITLEMENT.name: [
            (entitled.pool, entitled.team, entitled.gpus, *_range(entitled.effective))
            for entitled in config.entitlements
        ],
        tables.DIRECTORY_RULE.name: [_rule(number, rule) for number, rule in enumerate(config.directory.rules, 1)],
        tables.COST_CENTER.name: list(config.directory.cost_centers.items()),
        tables.MODEL_ARCHITECTURE.name: [
            _architecture(model.architecture) for model in config.models if model.architecture
        ],
        **book_costs.rows(config),
        tables.MODEL_WEIGHT.name: [
            (model, weight, BEGINNING, FOREVER)
            for model, weight in token_weights(config.policy, config.models).models.items()
        ],
        tables.MODEL_ADAPTER.name: [
            (model.id, like(glob), BEGINNING, FOREVER) for model in config.models for glob in model.adapters
        ],
        tables.DOWNTIME.name: [
            (down.deployment, down.gpus, down.cause, *_range(down.effective)) for down in config.downtime
        ],
    }
    return {name: ordered(content) for name, content in found.items()}


def policy(config: Config) -> dict[str, object]:
    """The policy's columns by name; the scale of its weights is that of models and tiers too."""
    weights = token_weights(config.policy, config.models)
    found: dict[str, object] = {column: getattr(config.policy, column) for column in POLICY_COLUMNS[:6]}
    found |= {"weight_scale": weights.scale, "observers": text([like(glob) for glob in config.policy.observers])}
    found |= {"context_weight": weights.context, "cache_read_host_weight": weights.cache_read_host}
    found |= {"cache_read_storage_weight": weights.cache_read_storage}
    found |= {"tiers": text([{"tier": tier, "weight": weight} for tier, weight in sorted(weights.tiers.items())])}
    return found | {f"{kind}_weight": weights.kinds[kind] for kind in TOKEN_KINDS}


def settings(config: Config) -> dict[str, str]:
    """What `book.setting` keeps besides the digest."""
    return {
        "billing_currency": config.ledger.billing_currency,
        "epoch": stamp(config.ledger.epoch),
        "metered_from": stamp(config.ledger.metered_from) if config.ledger.metered_from else "",
        "tag_allow_list": text(sorted(config.tag_allow_list)),
        "budgets_nano": text(dict(config.budgets_nano)),
    }


def _range(effective: Period) -> Row:
    return effective.start, effective.end


def _deployments(config: Config) -> list[Row]:
    return [
        (
            deployment.id, deployment.pool, deployment.gpus, config.utilization_of(deployment),
            deployment.capacity_per_gpu_hour, deployment.owner, deployment.charge_to, deployment.role,
            *(_like(glob) for glob in (
                deployment.match.cluster, deployment.match.replica, deployment.match.namespace, deployment.match.node,
                deployment.match.gpu_uuid, deployment.match.pod)),
            config.phase_split_of(deployment), *_throughput(deployment.throughput), deployment.capacity_source,
            *_range(deployment.effective),
        )
        for deployment in config.deployments
    ]  # fmt: skip


def _architecture(row: ModelArchitecture) -> Row:
    return (
        row.model, text(row.architecture.plain()), row.weights, row.kv, row.batch, row.mean_context, row.tensor_parallel,
        BEGINNING, FOREVER,
    )  # fmt: skip


def _throughput(known: Throughput | None) -> tuple[int | None, int | None, int | None]:
    return (known.prefill, known.decode, known.cache_read) if known else (None, None, None)


def _rule(number: int, rule: DirectoryRule) -> Row:
    return (
        number, _like(rule.principal), _like(rule.namespace), _like(rule.source),
        text({tag: like(glob) for tag, glob in rule.tags}) if rule.tags else "{}", rule.team, rule.team_tag,
        rule.team_name, rule.project, rule.cost_center, *_range(rule.effective),
    )  # fmt: skip


def _like(glob: str | None) -> str | None:
    return None if glob is None else like(glob)
