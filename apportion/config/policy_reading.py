"""Read `[policy]`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from apportion.config import fleet, models_reading, phases, policy, values
from apportion.config.policy import Policy
from apportion.config.tables import Table
from apportion.domain.tokens import TOKEN_KINDS

WEIGHTS: Final = {
    "uncached_input": Decimal(1),
    "cache_read": Decimal("0.1"),
    "cache_write": Decimal(1),
    "output": Decimal(6),
    "reasoning": Decimal(6),
}
"""Defaults: decoding a token holds a GPU about six times as long as prefilling one, and a cached one is nearly free."""
WEIGHT_MAX: Final = 1_000_000
"""Keeps weight x tokens x cost inside 128 bits for a month of the largest fleet."""
HOLD_MAX_SECONDS: Final = 3600
"""A sample that held longer would reach beyond the next hour."""
PPM: Final = 1_000_000
OBSERVERS: Final = (
    "litellm", "otel:litellm", "kong", "apisix", "envoy*", "portkey", "cloudflare",
    "vllm*", "sglang*", "otel:engine", "otel:server",
    "openai", "anthropic", "gemini", "bedrock", "cohere", "langfuse", "otel",
)  # fmt: skip
"""Defaults: gateways, which know whose call it was; engines, which know what it took; then what clients say of themselves."""


def read(table: Table) -> Policy:
    """The policy, with every default filled in."""
    hold = table.read("sample_hold_seconds", _hold_us, 120 * PPM)
    weights = table.table("weights")
    kinds = _weights(weights)
    return Policy(
        utilization=table.choice("utilization", fleet.UTILIZATIONS, "active"),
        phase_split=table.choice("phase_split", phases.PHASE_SPLITS, "weights"),
        weights=kinds,
        context_weight=weights.read("context", _weight, Decimal(0)),
        cache_read_host_weight=weights.read("cache_read_host", _weight, kinds["cache_read"]),
        cache_read_storage_weight=weights.read("cache_read_storage", _weight, kinds["cache_read"]),
        tiers=_tiers(table.table("tiers")),
        idle=table.choice("idle", policy.IDLE_POLICIES, "separate"),
        over=table.choice("over", policy.OVERS, "month"),
        min_coverage_ppm=table.read("min_coverage", _ratio_ppm, 900_000),
        sample_hold_us=hold,
        unlogged_tolerance_ppm=table.read("unlogged_tolerance", _ratio_ppm, 10_000),
        late_limit_days=table.integer("late_limit_days", 1, 3650, 35),
        observers=table.read("observers", _observers, OBSERVERS),
    )


def _weights(table: Table) -> Mapping[str, Decimal]:
    weights = {kind: table.read(kind, _weight, WEIGHTS[kind]) for kind in TOKEN_KINDS}
    if not any(weights.values()):
        table.wrong("", "are all zero, so no token would carry cost; give at least one kind a weight above zero")
    return weights


def _tiers(table: Table) -> Mapping[str, Decimal]:
    return {
        tier: table.read(tier, models_reading.factor, Decimal(1)) for tier in table.written() if _named(table, tier)
    }


def _named(table: Table, tier: str) -> bool:
    if not tier.strip():
        table.wrong("", "names a tier that is empty; requests without one weigh 1, so remove it")
    return bool(tier.strip())


def _weight(value: object) -> Decimal:
    weight = values.exact(value, 9)
    if weight > WEIGHT_MAX:
        msg = f"is {weight}; write a weight of at most {WEIGHT_MAX} (only their proportions count)"
        raise ValueError(msg)
    return weight


def _observers(value: object) -> tuple[str, ...]:
    return values.texts(value, '["litellm", "vllm-*", "otel*"]')


def _hold_us(value: object) -> int:
    seconds = values.exact(value, 6)
    if not 0 < seconds <= HOLD_MAX_SECONDS:
        msg = f"is {seconds}; write seconds above 0 and up to {HOLD_MAX_SECONDS}"
        raise ValueError(msg)
    return int(seconds * PPM)


def _ratio_ppm(value: object) -> int:
    ratio = values.exact(value, 6)
    if ratio > 1:
        msg = f"is {ratio}; write a ratio from 0 to 1, such as 0.9"
        raise ValueError(msg)
    return int(ratio * PPM)
