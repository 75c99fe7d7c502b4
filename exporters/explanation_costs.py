"""Where a figure's money comes from: origin charges, the prices behind them, external usage by whose price, and what of it is stale.

Everything is read from the published results. Units: nano, of the billing currency unless the name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from apportion.domain.period import HOUR, Period
from apportion.ledger.connection import Session

Rows = Sequence[Mapping[str, Any]]

INSIDE: Final = """
WHERE charge_period_start >= $start AND charge_period_start < $end
    AND ($team::VARCHAR IS NULL OR team_id = $team) AND ($model::VARCHAR IS NULL OR model_id = $model)
    AND ($deployment::VARCHAR IS NULL OR deployment_id = $deployment) AND ($pool::VARCHAR IS NULL OR pool_id = $pool)
"""
"""The lines of chargeback that a question is about."""

_WHEN: Final = "charge_period_start >= $start AND charge_period_start < $end"
_COSTS: Final = ("billed_cost_nano", "effective_cost_nano", "list_cost_nano", "contracted_cost_nano")
_ORIGINS: Final = f"""
SELECT
    pool_id, component, evidence, currency, cause, sum(paid_us)::HUGEINT AS paid_us,
    {", ".join(f"sum({name})::HUGEINT AS {name}" for name in _COSTS)},
    sum(cost_in_currency_nano)::HUGEINT AS cost_in_currency_nano
FROM origin_charges
WHERE {_WHEN} AND list_contains($pools::VARCHAR[], pool_id)
GROUP BY pool_id, component, evidence, currency, cause
ORDER BY pool_id, component, evidence, currency, cause
"""
# A commitment is written at the first pool it names, and what it costs may be another's.
_PRICES: Final = """
SELECT * FROM price_terms
WHERE effective_from < $end AND effective_to > $start AND (
    (evidence = '' AND term <> 'exchange_rate' AND list_contains($pools::VARCHAR[], pool_id))
    OR (list_contains($evidences::VARCHAR[], evidence) AND evidence <> ''
        AND (evidence LIKE 'commitment/%' OR list_contains($pools::VARCHAR[], pool_id))))
ORDER BY pool_id, component, evidence, term, unit, currency, effective_from, value_nano
"""
_EXCHANGE: Final = """
SELECT * FROM price_terms
WHERE effective_from < $end AND effective_to > $start AND term = 'exchange_rate' AND list_contains($currencies::VARCHAR[], currency)
ORDER BY currency, effective_from
"""
_EXTERNAL: Final = f"""
SELECT
    provider, model_id, tier, token_kind, cause, price_evidence, currency, sum(consumed_tokens)::HUGEINT AS consumed_tokens,
    sum(cost_in_currency_nano)::HUGEINT AS cost_in_currency_nano, sum(effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM external_charges
WHERE {_WHEN} AND ($team::VARCHAR IS NULL OR team_id = $team) AND ($model::VARCHAR IS NULL OR model_id = $model)
GROUP BY provider, model_id, tier, token_kind, cause, price_evidence, currency
ORDER BY effective_cost_nano DESC NULLS LAST, provider, model_id, tier, token_kind, cause, price_evidence, currency
"""
_REFUSED: Final = f"""
SELECT count(*), min(charge_period_start), min(reason) FROM refused_hours WHERE {_WHEN}
"""
_STALE: Final = f"""
SELECT DISTINCT charge_period_start FROM chargeback_hourly {INSIDE}
    AND charge_period_start IN (SELECT charge_period_start FROM refused_hours)
"""
_REACH: Final = f"SELECT max(charge_period_start) FROM chargeback_hourly WHERE {_WHEN}"


def objects(results: Session, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    """The rows of a query by the names of its columns."""
    columns = [row[0] for row in results.rows(f"DESCRIBE {sql}", parameters)]
    return [dict(zip(columns, row, strict=True)) for row in results.rows(sql, parameters)]


def origins(results: Session, period: Period, lines: Rows) -> dict[str, list[dict[str, Any]]]:
    """What the pools of some lines cost over a period, and the terms in force in it.

    Returns: `origin_charges` by pool, component, evidence, currency and cause; of whole pools, however little of one the lines bear;
    shared costs, of the empty pool, where the lines have overhead. `prices`: of those pools, contracts and currencies.
    """
    pools = sorted({line["pool_id"] for line in lines if line["pool_id"] or line["cost_kind"] == "overhead"})
    asked: dict[str, object] = {"start": period.start, "end": period.end}
    charges = objects(results, _ORIGINS, asked | {"pools": pools})
    evidences = sorted({one["evidence"] for one in charges})
    prices = objects(results, _PRICES, asked | {"pools": pools, "evidences": evidences})
    currencies = sorted({one["currency"] for one in (*charges, *prices) if one["currency"]})
    return {
        "origin_charges": charges,
        "prices": prices + objects(results, _EXCHANGE, asked | {"currencies": currencies}),
    }


def external(results: Session, asked: Mapping[str, object]) -> list[dict[str, Any]]:
    """External usage by provider, model, tier, kind of token and sources of the price; none of a pool or a deployment.

    `cost_in_currency_nano` is NULL where the price is in the billing currency, or where prices were in several.
    """
    if asked["pool"] or asked["deployment"]:
        return []
    return objects(results, _EXTERNAL, {name: asked[name] for name in ("start", "end", "team", "model")})


def stale(results: Session, asked: Mapping[str, object]) -> dict[str, Any] | None:
    """Hours that wait, for a missing rate say, and stand as they were metered before, if at all; None where there are none.

    Returns: how many are `refused_hours`, the `first_hour` of them and a `reason`; which of them have charges of the question.
    """
    refused, first, reason = results.row(_REFUSED, {"start": asked["start"], "end": asked["end"]})
    if not refused:
        return None
    hours = sorted(hour for (hour,) in results.rows(_STALE, asked))
    return {"refused_hours": refused, "first_hour": first, "reason": reason, "charged_hours": hours}


def metered_to(results: Session, period: Period) -> datetime:
    """The end of what was metered of a period: its own end, or that of the last hour with charges."""
    watermark = results.value("SELECT watermark FROM status")
    if watermark is not None and watermark >= period.end:
        return period.end
    last: datetime = results.value(_REACH, {"start": period.start, "end": period.end})
    return last + HOUR
