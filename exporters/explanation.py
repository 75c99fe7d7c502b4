"""From a figure down to what it is made of: lines, hours, rates, utilization, the rung that split the phases, and why that rung.

Everything is read from the published results, so that it explains what was published and not what is being metered. Money
is integer nano until `shown`, which writes it as decimal text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apportion.domain.errors import UsageError
from apportion.domain.money import text
from apportion.domain.period import HOUR, Period
from apportion.ledger.connection import Session

HOURS_MAX: Final = 5
"""Hours worth looking at first: the dearest ones."""

_INSIDE: Final = """
WHERE charge_period_start >= $start AND charge_period_start < $end
    AND ($team::VARCHAR IS NULL OR team_id = $team) AND ($model::VARCHAR IS NULL OR model_id = $model)
    AND ($deployment::VARCHAR IS NULL OR deployment_id = $deployment)
"""
_LINES: Final = f"""
SELECT
    pool_id, deployment_id, model_id, cost_kind::VARCHAR AS cost_kind, cause, token_kind::VARCHAR AS token_kind,
    allocation_method, confidence::VARCHAR AS confidence, count(DISTINCT charge_period_start) AS hours,
    sum(consumed_tokens)::HUGEINT AS consumed_tokens, sum(effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM chargeback_hourly {_INSIDE}
GROUP BY ALL
ORDER BY
    effective_cost_nano DESC NULLS LAST, pool_id, deployment_id, model_id, cost_kind, cause, token_kind, allocation_method, confidence
"""
_HOURS: Final = f"""
SELECT charge_period_start, sum(effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM chargeback_hourly {_INSIDE}
GROUP BY charge_period_start
ORDER BY effective_cost_nano DESC NULLS LAST, charge_period_start
LIMIT {HOURS_MAX}
"""
_SETTLED: Final = """
SELECT pool_id, cost_kind::VARCHAR AS cost_kind, cause, allocation_method, sum(effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM settlement
WHERE billing_period = $start AND team_id = $team
GROUP BY ALL
ORDER BY ALL
"""
_PLACES: Final = f"""
SELECT pool_id, deployment_id FROM chargeback_hourly {_INSIDE} AND pool_id <> ''
GROUP BY ALL
ORDER BY ALL
"""
_AT: Final = "WHERE charge_period_start = $start AND pool_id = $pool"
_PARTS: Final = {
    "origin_charges": f"SELECT * FROM origin_charges {_AT} ORDER BY component, evidence, currency, cause",
    "cost": f"SELECT * FROM hours {_AT} AND deployment_id = $deployment",
    "idle": f"SELECT cause, idle_nano FROM idle_hours {_AT} AND deployment_id = $deployment ORDER BY cause",
    "phases": f"SELECT * FROM phase_methods {_AT} AND deployment_id = $deployment ORDER BY rung, phase_method",
}
"""What a deployment's hour is explained by, each with its query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which figure.

    Attributes:
        period: a month, or an hour of one.
        team: its id, or None for all.
        model: its id, or None for all.
        deployment: its id, or None for all.
    """

    period: Period
    team: str | None = None
    model: str | None = None
    deployment: str | None = None

    @property
    def is_hour(self) -> bool:
        """Whether it asks for one hour, which is explained to the bottom."""
        return self.period.end - self.period.start == HOUR

    @property
    def parameters(self) -> dict[str, object]:
        """What the queries ask for."""
        return {
            "start": self.period.start, "end": self.period.end, "team": self.team, "model": self.model,
            "deployment": self.deployment,
        }  # fmt: skip


def explained(results: Session, question: Question) -> dict[str, Any]:
    """What a figure is made of, ready for JSON.

    Returns: `lines` of the figure as metered; of a month also what `settled` adds and its dearest `hours`; of an hour the
    `deployment_hours` behind it, each with origin charges, cost, idle and phases, the chosen rung marked.
    Raises: UsageError when nothing was metered there, naming what there is.
    """
    lines = _objects(results, _LINES, question.parameters)
    if not lines:
        raise UsageError(_nothing(results, question))
    found: dict[str, Any] = {
        "period_start": question.period.start, "period_end": question.period.end, "team_id": question.team,
        "model_id": question.model, "deployment_id": question.deployment,
        "billing_currency": results.value("SELECT billing_currency FROM status"),
        "effective_cost_nano": sum(line["effective_cost_nano"] or 0 for line in lines), "lines": lines,
    }  # fmt: skip
    if question.is_hour:
        places = results.rows(_PLACES, question.parameters)
        found["deployment_hours"] = [_deployment_hour(results, question.period, *place) for place in places]
    else:
        found["settled"] = (
            _objects(results, _SETTLED, {"start": question.period.start, "team": question.team})
            if question.team is not None and question.model is None and question.deployment is None
            else []
        )
        found["hours"] = _objects(results, _HOURS, question.parameters)
    return found


def shown(value: Any) -> Any:
    """The same with every `…_nano` as decimal text under its name without the unit."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name.removesuffix("_nano"): text(int(one)) if name.endswith("_nano") and one is not None else shown(one)
        for name, one in value.items()
    }


def _deployment_hour(results: Session, hour: Period, pool: str, deployment: str) -> dict[str, Any]:
    asked = {"start": hour.start, "pool": pool, "deployment": deployment}
    parts = {
        name: _objects(results, sql, asked if "$deployment" in sql else {"start": hour.start, "pool": pool})
        for name, sql in _PARTS.items()
    }
    cost = parts.pop("cost")
    method = cost[0]["allocation_method"] if cost else ""
    for rung in parts["phases"]:
        rung["inputs"] = json.loads(rung["inputs"] or "{}")
        rung["is_chosen"] = method.endswith(f"+{rung['phase_method']}")
    return {"pool_id": pool, "deployment_id": deployment, "cost": cost[0] if cost else None, **parts}


def _objects(results: Session, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    columns = [row[0] for row in results.rows(f"DESCRIBE {sql}", parameters)]
    return [dict(zip(columns, row, strict=True)) for row in results.rows(sql, parameters)]


def _nothing(results: Session, question: Question) -> str:
    """Why there is nothing to explain, and what to ask instead."""
    inside = {"start": question.period.start, "end": question.period.end}
    teams = results.rows(
        "SELECT DISTINCT team_id FROM chargeback_hourly WHERE charge_period_start >= $start AND charge_period_start < $end ORDER BY 1",
        inside,
    )
    when = f"from {question.period.start:%Y-%m-%d %H:%M} to {question.period.end:%Y-%m-%d %H:%M}"
    if not teams:
        first, last = results.row("SELECT min(charge_period_start), max(charge_period_start) FROM chargeback_hourly")
        there = (
            f"charges reach from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}" if first else "run `apportion meter`"
        )
        return f"nothing was charged {when}; {there}."
    return (
        f"nothing was charged {when} for what was asked; teams with charges then: {', '.join(row[0] for row in teams)}."
    )
