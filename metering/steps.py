"""The steps of an hour in the order they run, and the truths that must hold before any of them is kept."""

from __future__ import annotations

from typing import Final

from apportion.ledger.step import Query, load

OBSERVED: Final = "metering.observed_event"
"""Which events are passed over, since another source is believed: also among those that ended after the span."""

RECONCILIATION: Final = "metering.reconciliation_hourly"
"""It reads the requests that ran in the span, also where they ended up to a day later."""

EXTERNAL: Final = "metering.external_usage_hourly"
"""It has no row where only our own fleet served: most ledgers' events are then passed over once, not twice."""

OVER_EVENTS: Final = (OBSERVED, "metering.placed_usage_hourly", "metering.observed_usage_hourly", EXTERNAL)
"""The steps that read the events, one after another for each piece of a span: only their input grows with the traffic."""

OF_ENGINES: Final = frozenset(
    {
        "metering.engine_place_hourly",
        "metering.engine_usage_hourly",
        "metering.engine_state_hourly",
        "metering.cache_tier_hourly",
        RECONCILIATION,
    }
)
"""The steps that have no row for an hour of which no engine tells: most ledgers never need them."""

GPU_PLACE: Final = "metering.gpu_place"
"""Rebuilt whole for every span."""

GPU_ACTIVITY: Final = "metering.gpu_activity_hourly"
"""It reads the samples, for each piece of a span: its lists of readings then stay small."""

OF_PLACED_GPUS: Final = frozenset({GPU_ACTIVITY, "metering.pool_energy_hourly"})
"""The steps that have no row where no GPU has a place."""

ONLY_WITH: Final = {
    "metering.commitment_hourly": "book.commitment",
    "metering.asset_hourly": "book.asset",
    "metering.credit_pool_hourly": "book.credit",
    "metering.credit_hourly": "book.credit",
    "metering.pool_energy_hourly": "book.energy_rate",
    "metering.energy_charge_hourly": "book.energy_rate",
    "metering.cache_tier_hourly": "book.cache_tier_weight",
    "metering.downtime_hourly": "book.downtime",
    "metering.prefill_place_hourly": "book.deployment WHERE role = 'prefill'",
    "metering.prefill_unplaced_hourly": "book.deployment WHERE role = 'prefill'",
}
"""Step -> the rows without which it has none either."""

_ORDER: Final = (
    "metering.served_model",
    "metering.token_factor",
    "metering.engine_place_hourly",
    "metering.engine_usage_hourly",
    "metering.engine_state_hourly",
    "metering.cache_tier_hourly",
    GPU_PLACE,
    "metering.series_place",
    *OVER_EVENTS,
    "metering.prefill_place_hourly",
    RECONCILIATION,
    "metering.price_segment",
    "metering.card_charge_hourly",
    "metering.commitment_hourly",
    "metering.asset_hourly",
    "metering.pool_energy_hourly",
    "metering.energy_charge_hourly",
    "metering.credit_pool_hourly",
    "metering.credit_hourly",
    "metering.origin_charge_hourly",
    "metering.inventory_hourly",
    GPU_ACTIVITY,
    "metering.prefill_unplaced_hourly",
    "metering.deployment_cost_hourly",
    "metering.model_usage_hourly",
    "metering.phase_method_hourly",
    "metering.phase_share_hourly",
    "metering.downtime_hourly",
    "metering.deployment_hourly",
    "metering.idle_hourly",
    "metering.charge_hourly",
)


def _ordered(found: dict[str, Query]) -> tuple[Query, ...]:
    if set(found) != set(_ORDER):
        msg = f"metering/sql and the order of steps disagree about {sorted(set(found) ^ set(_ORDER))}"
        raise ValueError(msg)
    return tuple(found[name] for name in _ORDER)


STEPS: Final = _ordered(load("metering", "sql"))
AUDITS: Final = tuple(load("metering", "audits").values())
