"""The steps of an hour in the order they run, and the truths that must hold before any of them is kept."""

from __future__ import annotations

from typing import Final

from apportion.ledger.step import Query, load

OVER_EVENTS: Final = "metering.placed_usage_hourly"
"""The step that reads the events: the only one whose input grows with the traffic and not with the fleet."""

OF_ENGINES: Final = frozenset({"metering.engine_usage_hourly", "metering.reconciliation_hourly"})
"""The steps that have no row for an hour of which no engine tells: most ledgers never need them."""

_ORDER: Final = (
    "metering.engine_usage_hourly",
    "metering.series_place",
    OVER_EVENTS,
    "metering.reconciliation_hourly",
    "metering.origin_charge_hourly",
    "metering.gpu_activity_hourly",
    "metering.deployment_cost_hourly",
    "metering.phase_share_hourly",
    "metering.deployment_hourly",
    "metering.charge_hourly",
)


def _ordered(found: dict[str, Query]) -> tuple[Query, ...]:
    if set(found) != set(_ORDER):
        msg = f"metering/sql and the order of steps disagree about {sorted(set(found) ^ set(_ORDER))}"
        raise ValueError(msg)
    return tuple(found[name] for name in _ORDER)


STEPS: Final = _ordered(load("metering", "sql"))
AUDITS: Final = tuple(load("metering", "audits").values())
