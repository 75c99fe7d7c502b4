"""Learn what a deployment sustains: the most weighted tokens per GPU-hour that could serve, of hours that met its service level.

An hour meets the level where enough of its successful requests met both limits: time to the first token, and time per further
token. Source: goodput as DistServe defines it, observed hour by hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apportion.config.phases import ServiceLevel
from apportion.domain.period import HOUR_US, Period
from apportion.ledger.connection import Session
from metering.steps import STEPS

HOURS_MIN: Final = 24
"""A day and its night; of fewer hours the best is an accident."""

_PLACES: Final = next(step.sql for step in STEPS if step.name == "metering.series_place")
"""Where series ran, for any span: a SELECT that reads and writes nothing of the last metered one."""

_HOURS: Final = f"""
WITH place AS MATERIALIZED ({_PLACES}),
request AS (
    SELECT
        date_trunc('hour', event.occurred_at) AS charge_period_start,
        ttft_us IS NOT NULL AND (output_tokens + reasoning_tokens < 2 OR duration_us IS NOT NULL) AS is_told,
        ttft_us <= $ttft_us AND (output_tokens + reasoning_tokens < 2
            OR duration_us - ttft_us <= $tpot_us::HUGEINT * (output_tokens + reasoning_tokens - 1)) AS is_met
    FROM raw.usage_event AS event
    JOIN place ON place.series_no = event.series_no AND place.deployment_no = $deployment_no
        AND event.occurred_at >= place.effective_from AND event.occurred_at < place.effective_to
    JOIN raw.series AS series ON series.series_no = event.series_no
    WHERE event.occurred_at >= $period_start::TIMESTAMP AND event.occurred_at < $period_end::TIMESTAMP
        AND event.requests > 0 AND series.status = 'success'
),
latency AS (
    SELECT charge_period_start, COUNT(*) AS requests, COUNT(*) FILTER (is_told) AS told, COUNT(*) FILTER (is_told AND is_met) AS met
    FROM request
    GROUP BY charge_period_start
),
work AS (
    SELECT charge_period_start, SUM(prefill_weight + decode_weight) AS weight
    FROM metering.model_usage_hourly WHERE deployment_no = $deployment_no
    GROUP BY charge_period_start
),
down AS (
    SELECT charge_period_start, SUM(down_us)::BIGINT AS down_us
    FROM metering.downtime_hourly WHERE deployment_no = $deployment_no
    GROUP BY charge_period_start
),
paid AS (  -- an hour of which all GPU time was down is none
    SELECT charge_period_start, SUM(paid_us)::HUGEINT - COALESCE(MIN(down_us), 0) AS paid_us
    FROM metering.deployment_cost_hourly
    LEFT JOIN down USING (charge_period_start)  -- NULL: all could serve
    WHERE deployment_no = $deployment_no
    GROUP BY charge_period_start
    HAVING SUM(paid_us) > COALESCE(MIN(down_us), 0)
)
SELECT
    charge_period_start, (weight * {HOUR_US} // (policy.weight_scale * paid_us))::BIGINT AS tokens_per_gpu_hour,
    told * 1000000 >= requests * policy.min_coverage_ppm AS is_known, met * 1000000 >= told * $quantile_ppm AS meets
FROM latency
JOIN work USING (charge_period_start)
JOIN paid USING (charge_period_start)
JOIN metering.metered_hour USING (charge_period_start)
JOIN book.policy AS policy USING (policy_version)
WHERE weight > 0
ORDER BY charge_period_start
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What hours say a deployment sustains.

    Attributes:
        window: the hours asked for.
        hours_met: hours that met the service level.
        hours_missed: hours that did not.
        hours_unknown: hours too few of whose requests tell their times.
        best: the most weighted tokens per GPU-hour of an hour that met the level; 0 where none did.
        best_at: that hour.
        missed_least: the fewest of an hour that missed it; None where none did, so that the best may not be the most.
        failure: why nothing can be said, as a part of a sentence; empty where it can.
    """

    window: Period
    hours_met: int
    hours_missed: int
    hours_unknown: int
    best: int
    best_at: datetime | None
    missed_least: int | None
    failure: str


def learn(session: Session, deployment_no: int, window: Period, level: ServiceLevel) -> Capacity:
    """Look at the metered hours of a window; changes nothing."""
    rows = session.rows(
        _HOURS,
        {
            "deployment_no": deployment_no, "period_start": window.start, "period_end": window.end,
            "ttft_us": level.ttft_us, "tpot_us": level.tpot_us, "quantile_ppm": level.quantile_ppm,
        },
    )  # fmt: skip
    met = [(tokens, hour) for hour, tokens, known, meets in rows if known and meets]
    missed = [tokens for _, tokens, known, meets in rows if known and not meets]
    best, best_at = max(met, key=lambda one: one[0], default=(0, None))
    failure = ""
    if len(met) + len(missed) < HOURS_MIN:
        failure = f"only {len(met) + len(missed)} of {len(rows)} hours with requests tell their times, and {HOURS_MIN} are needed"
    elif not best:
        failure = "no hour met the service level"
    return Capacity(
        window=window, hours_met=len(met), hours_missed=len(missed), hours_unknown=len(rows) - len(met) - len(missed),
        best=best, best_at=best_at, missed_least=min(missed, default=None), failure=failure,
    )  # fmt: skip
