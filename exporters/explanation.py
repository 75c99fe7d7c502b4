"""From a figure down to what it is made of: lines, hours, rates, utilization, the rung that split the phases, and why that rung.

Everything is read from the published results, so that it explains what was published and not what is being metered. Money
is integer nano until `shown`, which writes it as decimal text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from apportion.domain.errors import LedgerError, UsageError
from apportion.domain.money import text
from apportion.domain.period import HOUR, Period, month_of, next_month
from apportion.domain.tokens import DECODE, PREFILL
from apportion.ledger.connection import Row, Session
from exporters import causes
from exporters.explanation_absent import nothing
from exporters.explanation_costs import INSIDE, external, metered_to, objects, origins, stale

HOURS_MAX: Final = 5
"""Hours worth looking at first: the dearest ones."""

_IS_KNOWN: Final = """
SELECT count(*) = 3 FROM information_schema.tables WHERE table_name IN ('phase_choices', 'price_terms', 'external_charges')
"""

_LINES: Final = f"""
SELECT
    pool_id, deployment_id, provider, model_id, tier, cost_kind::VARCHAR AS cost_kind, cause, token_kind::VARCHAR AS token_kind,
    allocation_method, confidence::VARCHAR AS confidence, count(DISTINCT charge_period_start) AS hours,
    sum(consumed_tokens)::HUGEINT AS consumed_tokens, sum(effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM chargeback_hourly {INSIDE}
GROUP BY ALL
ORDER BY
    effective_cost_nano DESC NULLS LAST, pool_id, deployment_id, provider, model_id, tier, cost_kind, cause, token_kind, allocation_method,
    confidence
"""
_HOURS: Final = f"""
SELECT charge_period_start, sum(effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM chargeback_hourly {INSIDE}
GROUP BY charge_period_start
ORDER BY effective_cost_nano DESC NULLS LAST, charge_period_start
LIMIT {HOURS_MAX}
"""
_SETTLED: Final = """
SELECT pool_id, cost_kind::VARCHAR AS cost_kind, cause, allocation_method, sum(effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM settlement
WHERE billing_period = $start AND team_id = $team AND ($pool::VARCHAR IS NULL OR pool_id = $pool)
GROUP BY ALL
ORDER BY ALL
"""
_PLACES: Final = f"""
SELECT pool_id, deployment_id FROM chargeback_hourly {INSIDE} AND pool_id <> ''
GROUP BY ALL
ORDER BY ALL
"""
_AT: Final = "WHERE charge_period_start = $start AND pool_id = $pool"
_PARTS: Final = {
    "origin_charges": f"SELECT * FROM origin_charges {_AT} ORDER BY component, evidence, currency, cause",
    "cost": f"SELECT * FROM hours {_AT} AND deployment_id = $deployment",
    "idle": f"SELECT cause, idle_nano FROM idle_hours {_AT} AND deployment_id = $deployment ORDER BY cause",
    "phase_choice": f"SELECT phase_split, policy_phase_split, phase_method FROM phase_choices {_AT} AND deployment_id = $deployment",
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
        pool: its id, or None for all.
    """

    period: Period
    team: str | None = None
    model: str | None = None
    deployment: str | None = None
    pool: str | None = None

    @property
    def is_hour(self) -> bool:
        """Whether it asks for one hour, which is explained to the bottom."""
        return self.period.end - self.period.start == HOUR

    @property
    def is_whole(self) -> bool:
        """Whether it asks for whole pools, so that what they cost at the origin is what it adds up to."""
        return self.team is None and self.model is None and self.deployment is None

    @property
    def is_settled(self) -> bool:
        """Whether settlement, which knows teams and pools, has lines of it: a team's month."""
        return not self.is_hour and self.team is not None and self.model is None and self.deployment is None

    @property
    def parameters(self) -> dict[str, object]:
        """What the queries ask for."""
        return {
            "start": self.period.start, "end": self.period.end, "team": self.team, "model": self.model,
            "deployment": self.deployment, "pool": self.pool,
        }  # fmt: skip


def explained(results: Session, question: Question) -> dict[str, Any]:
    """What a figure is made of, ready for JSON.

    Returns: `lines` of the figure as metered, what to do about their `causes`, and `external` usage by whose price; of a month also
    what `settled` adds and its dearest `hours`; of an hour the `deployment_hours` behind it, each with origin charges, cost, idle and
    phases, what of it was asked about, the chosen rung marked. Of an hour, and of a month of whole pools, `origin_charges` and the
    `prices` behind them. `charged_cost_nano` is what the month's chargeback says, where settlement is known; `stale` is not None where
    hours wait to be metered again.
    Raises: UsageError when nothing was metered there, naming what there is; LedgerError for results of an earlier version.
    """
    if not results.value(_IS_KNOWN):
        msg = "these results were published by an earlier version of apportion; `apportion meter` publishes them again"
        raise LedgerError(msg)
    lines = objects(results, _LINES, question.parameters)
    if not lines:
        raise UsageError(nothing(results, question.parameters))
    metered = sum(line["effective_cost_nano"] or 0 for line in lines)
    settled = objects(results, _SETTLED, _only(question, "start", "team", "pool")) if question.is_settled else []
    moved = sum(line["effective_cost_nano"] for line in settled) if question.is_settled else None
    waiting = stale(results, question.parameters)
    found: dict[str, Any] = {
        "period_start": question.period.start, "period_end": question.period.end,
        "metered_to": metered_to(results, question.period), "team_id": question.team,
        "model_id": question.model, "deployment_id": question.deployment, "pool_id": question.pool,
        "billing_currency": results.value("SELECT billing_currency FROM status"), "effective_cost_nano": metered,
        "settled_cost_nano": moved, "charged_cost_nano": None if moved is None else metered + moved, "stale": waiting,
        "lines": lines, "causes": _causes(lines, question.team), "external": external(results, question.parameters),
    }  # fmt: skip
    if question.is_hour or question.is_whole:
        found |= origins(results, question.period, lines)
    if question.is_hour:
        places = results.rows(_PLACES, question.parameters)
        found["deployment_hours"] = [_deployment_hour(results, question.period, place, lines) for place in places]
    else:
        found["settled"] = settled
        hours = objects(results, _HOURS, question.parameters)
        behind = waiting["charged_hours"] if waiting else []
        found["hours"] = [{**hour, "is_stale": hour["charge_period_start"] in behind} for hour in hours]
    return found


def shown(value: Any) -> Any:
    """The same for programs: every `…_nano` as decimal text under its name without the unit, times as RFC 3339 in UTC."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if not isinstance(value, dict):
        return value
    return {
        name.removesuffix("_nano"): text(int(one)) if name.endswith("_nano") and one is not None else shown(one)
        for name, one in value.items()
    }


def _only(question: Question, *names: str) -> dict[str, object]:
    return {name: question.parameters[name] for name in names}


def _causes(lines: Sequence[Mapping[str, Any]], team: str | None) -> list[dict[str, str]]:
    """What the causes of the lines mean and who can do what about them, each once."""
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        known = causes.of_line(line["cost_kind"], line["cause"], team or "")
        if known is not None:
            name, said = known
            found[name] = {"cause": name, "means": said.means, "who_can_act": said.who_can_act}
    return [found[name] for name in sorted(found)]


def _deployment_hour(results: Session, hour: Period, place: Row, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    pool, deployment = place
    asked = {"start": hour.start, "pool": pool, "deployment": deployment}
    parts = {
        name: objects(results, sql, asked if "$deployment" in sql else {"start": hour.start, "pool": pool})
        for name, sql in _PARTS.items()
    }
    cost = next(iter(parts.pop("cost")), None)
    choice = next(iter(parts.pop("phase_choice")), None)
    for rung in parts["phases"]:
        rung["inputs"] = json.loads(rung["inputs"] or "{}")
        if "prefill_weight" in rung["inputs"] and cost is not None:
            rung["inputs"]["weight_scale"] = cost["weight_scale"]
        rung["is_chosen"] = choice is not None and rung["phase_method"] == choice["phase_method"]
    if choice is not None:
        choice |= _asked_by(choice, parts["phases"])
    own = [line for line in lines if (line["pool_id"], line["deployment_id"]) == (pool, deployment)]
    for idle in parts["idle"]:
        same = [line for line in own if (line["cost_kind"], line["cause"]) == ("idle", idle["cause"])]
        idle["asked_nano"] = sum(line["effective_cost_nano"] for line in same)
    found: dict[str, Any] = {"pool_id": pool, "deployment_id": deployment, "cost": cost, **parts}
    found["pool_paid_us"] = results.value(
        f"SELECT sum(paid_us)::HUGEINT FROM hours {_AT}", {"start": hour.start, "pool": pool}
    )
    found |= {"phase_choice": choice, "asked": _asked_for(own, [idle["cause"] for idle in parts["idle"]])}
    if cost and cost["prefill_nano"] + cost["decode_nano"] and not parts["phases"]:
        found["note"] = _meter_again(results, hour)
    return found


def _asked_by(choice: Mapping[str, Any], phases: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Who asked for the phase split, and why it was not taken where it was not."""
    asked, taken = choice["phase_split"], choice["phase_method"].split("/")[0]
    wanted = ("role", "measured") if asked == "measured" else (asked,)
    said = [one["failure"] for one in phases if one["phase_method"].split("/")[0] in wanted and one["failure"]]
    return {
        "asked_by": "" if not asked else "policy" if asked == choice["policy_phase_split"] else "deployment",
        "failure": "" if asked in ("", "auto") or taken in wanted else "; ".join(said),
    }


def _asked_for(lines: Sequence[Mapping[str, Any]], idle: Sequence[str]) -> dict[str, int]:
    """What the lines of a question bear of each part of a deployment's hour; what commitments leave unused is not in it."""
    found: Counter[str] = Counter()
    for line in lines:
        kind, token_kind = line["cost_kind"], line["token_kind"]
        part = "unattributed" if kind == "workload" else kind
        part = "prefill" if token_kind in PREFILL else "decode" if token_kind in DECODE else part
        if kind != "idle" or line["cause"] in idle:
            found[f"{part}_nano"] += line["effective_cost_nano"] or 0
    return {
        f"{part}_nano": found[f"{part}_nano"] for part in ("unmeasured", "idle", "prefill", "decode", "unattributed")
    }


def _meter_again(results: Session, hour: Period) -> str:
    """How to get rungs that were not kept when the hour was metered."""
    month = month_of(hour.start)
    last = results.value("SELECT max(charge_period_start) FROM chargeback_hourly")
    first = results.value("SELECT min(charge_period_start) FROM chargeback_hourly")
    since, until = max(first, month), min(last + HOUR, next_month(month))
    return (
        "this hour was metered before the rungs of its phase split were kept; "
        f"`apportion meter --since {since:%Y-%m-%dT%H:%MZ} --until {until:%Y-%m-%dT%H:%MZ}` meters its month again and keeps them"
    )
