"""Learn what a token takes: GPU time of hours against their tokens, by non-negative least squares.

A fit is believed where it explains the hours, where its terms can be told apart, and where both phases take time; else it is
kept as the reason why the regression rung cannot say anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final

from apportion.domain.errors import UsageError
from apportion.domain.period import FOREVER, Period
from apportion.ledger import book_hours
from apportion.ledger.connection import Row, Session
from metering.least_squares import Solution, solve

METHOD: Final = "regression/1"
HOURS_MIN: Final = 24
"""A day and its night; fewer hours than that say little about any other."""
CONDITION_MAX: Final = 30
"""Belsley, Kuh and Welsch: beyond it what is fitted to one column could as well belong to another."""
PICOSECONDS_MAX: Final = 10**15
"""A thousand GPU-seconds per token: no fleet is so slow, and shares stay inside 128 bits."""
CONTEXT_MAX: Final = 10**13
"""Ten microseconds per token and token of context, likewise."""

TERMS: Final = ("prompt", "cache_read", "decode", "context")
"""Uncached input and cache writes; cache reads; output and reasoning; decode tokens x tokens of context."""
PICO_PER_MICRO: Final = 10**6
ATTO_PER_MICRO: Final = 10**12

# Busy time of what was seen stands for all that was paid and could serve; an hour seen for less than min_coverage says nothing.
_HOURS: Final = """
WITH used AS (
    SELECT
        charge_period_start, SUM(uncached_input_tokens + cache_write_tokens)::BIGINT AS prompt,
        SUM(cache_read_tokens)::BIGINT AS cache_read, SUM(output_tokens + reasoning_tokens)::BIGINT AS decode,
        SUM(context_tokens)::HUGEINT AS context
    FROM metering.model_usage_hourly WHERE deployment_no = $deployment_no
        AND charge_period_start >= $period_start AND charge_period_start < $period_end
    GROUP BY charge_period_start
),
down AS (
    SELECT charge_period_start, SUM(down_us)::BIGINT AS down_us
    FROM metering.downtime_hourly WHERE deployment_no = $deployment_no
    GROUP BY charge_period_start
),
paid AS (  -- an hour of which all GPU time was down is none
    SELECT charge_period_start, SUM(paid_us)::BIGINT - COALESCE(MIN(down_us), 0) AS paid_us
    FROM metering.deployment_cost_hourly
    LEFT JOIN down USING (charge_period_start)  -- NULL: all could serve
    WHERE deployment_no = $deployment_no
    GROUP BY charge_period_start
    HAVING SUM(paid_us) > COALESCE(MIN(down_us), 0)
),
active AS (
    SELECT charge_period_start, SUM(observed_us)::BIGINT AS observed_us, SUM(active_ppm_us)::HUGEINT AS active_ppm_us
    FROM metering.gpu_activity_hourly WHERE deployment_no = $deployment_no
    GROUP BY charge_period_start
),
engine AS (
    SELECT charge_period_start, SUM(phase_observed_us)::BIGINT AS observed_us,
        GREATEST(SUM(observed_us), 3600000000)::BIGINT AS engine_us, SUM(prefill_us + decode_us)::BIGINT AS busy_us
    FROM metering.engine_usage_hourly WHERE deployment_no = $deployment_no
    GROUP BY charge_period_start
)
SELECT
    used.charge_period_start, prompt, cache_read, decode, context,
    CASE WHEN engine.observed_us * 1000000::HUGEINT >= engine_us::HUGEINT * $coverage_ppm
        THEN (paid_us::HUGEINT * busy_us // engine.observed_us)::BIGINT END AS engine_us,
    CASE WHEN active.observed_us * 1000000::HUGEINT >= paid_us::HUGEINT * $coverage_ppm
        THEN (active_ppm_us // 1000000 * paid_us // active.observed_us)::BIGINT END AS gpu_us
FROM used
JOIN paid USING (charge_period_start)
LEFT JOIN active USING (charge_period_start)
LEFT JOIN engine USING (charge_period_start)
WHERE prompt + cache_read + decode > 0
ORDER BY used.charge_period_start
"""

_EARLIER: Final = """
SELECT count(*) FROM metering.phase_coefficient
WHERE deployment_no = $deployment_no AND model_no = 0 AND method = $method AND failure = '' AND effective_to > $effective_from
"""

_END: Final = """
UPDATE metering.phase_coefficient SET effective_to = GREATEST(effective_from, $effective_from::TIMESTAMP)
WHERE deployment_no = $deployment_no AND model_no = 0 AND method = $method AND effective_to > $effective_from::TIMESTAMP
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What the hours of a deployment say about its tokens.

    Attributes:
        deployment_no: whose.
        window: the hours asked for.
        hours: how many of them have usage and telemetry.
        source: whose time was fitted: engine, gpu, or empty.
        terms: which of `TERMS` had a part in it.
        picoseconds: term -> GPU-picoseconds per token; of `context` attoseconds per token and token of context. Zero without a part.
        solution: the fit; None where there was nothing to fit.
        failure: why it is not to be used, as a part of a sentence; empty where it is.
    """

    deployment_no: int
    window: Period
    hours: int
    source: str = ""
    terms: tuple[str, ...] = ()
    picoseconds: dict[str, int]
    solution: Solution | None = None
    failure: str = ""

    @property
    def inputs(self) -> str:
        """What the fit was made from, as the ledger keeps it."""
        found = self.solution
        numbers = {} if found is None else {
            "r2": _rounded(found.r2), "condition": _rounded(found.condition), "residual_rms_us": _rounded(found.residual_rms),
        }  # fmt: skip
        start, end = (moment.isoformat() for moment in (self.window.start, self.window.end))
        told = {"hours": self.hours, "source": self.source, "terms": self.terms, **numbers, "from": start, "to": end}
        return json.dumps(told, separators=(",", ":"))


def fit(session: Session, deployment_no: int, window: Period, *, r2_min: float) -> Fit:
    """Fit the hours of a window that were metered; changes nothing.

    Engines' own time is fitted where enough hours have it, else the time in which GPUs were active.
    Raises: CalibrationError where SciPy is not installed.
    """
    rows = session.rows(
        _HOURS,
        {
            "deployment_no": deployment_no, "period_start": window.start, "period_end": window.end,
            "coverage_ppm": session.value("SELECT arg_max(min_coverage_ppm, policy_version) FROM book.policy"),
        },
    )  # fmt: skip
    told = {source: [row for row in rows if row[column] is not None] for source, column in (("engine", 5), ("gpu", 6))}
    source = "engine" if len(told["engine"]) >= HOURS_MIN else "gpu"
    hours, nothing = told[source], dict.fromkeys(TERMS, 0)
    if len(hours) < HOURS_MIN:
        return Fit(
            deployment_no=deployment_no, window=window, hours=len(hours), picoseconds=nothing,
            failure=f"only {len(hours)} of {len(rows)} hours with usage have telemetry, and a fit needs {HOURS_MIN}"
            if rows else "no hour of the time has usage of the deployment",
        )  # fmt: skip
    terms, solution = _solve(hours, 5 if source == "engine" else 6)
    found = nothing | {
        term: round(coefficient * (ATTO_PER_MICRO if term == "context" else PICO_PER_MICRO))
        for term, coefficient in zip(terms, solution.coefficients, strict=True)
    }
    return Fit(
        deployment_no=deployment_no, window=window, hours=len(hours), source=source, terms=terms, picoseconds=found,
        solution=solution, failure=_failure(found, terms, solution, r2_min),
    )  # fmt: skip


def record(session: Session, found: Fit, effective_from: datetime, now: datetime) -> bool:
    """Put a fit in force from a time on, inside the caller's transaction; hours it reaches become dirty.

    What was in force ends there and stays as history. Returns: False for a failed fit that would take the place of coefficients
    that can be used: then nothing changes.
    """
    key = {"deployment_no": found.deployment_no, "method": METHOD, "effective_from": effective_from}
    if found.failure and session.value(_EARLIER, key):
        return False
    session.do(_END, key)
    ps = found.picoseconds
    session.do(
        "INSERT INTO metering.phase_coefficient BY NAME SELECT $deployment_no AS deployment_no, 0 AS model_no, $method AS method, "
        "$effective_from::TIMESTAMP AS effective_from, $effective_to::TIMESTAMP AS effective_to, $prompt AS uncached_input_ps, "
        "$cache_read AS cache_read_ps, $prompt AS cache_write_ps, $decode AS output_ps, $decode AS reasoning_ps, "
        "$context AS context_as, 'calibrated' AS confidence, $inputs AS inputs, $failure AS failure",
        {**key, **ps, "effective_to": FOREVER, "inputs": found.inputs, "failure": found.failure},
    )
    book_hours.mark(session, [Period(effective_from, FOREVER)], now)
    return True


def numbered(session: Session, deployment_id: str) -> int:
    """The number of a deployment. Raises: UsageError naming those there are."""
    known: dict[str, int] = dict(
        session.rows("SELECT deployment_id, deployment_no FROM book.deployment_key WHERE deployment_no > 0")
    )
    if deployment_id not in known:
        names = ", ".join(sorted(known)[:12]) or "none; run `apportion meter` first"
        raise UsageError(f"--deployment {deployment_id!r} is not known to the ledger; there are {names}.")
    return known[deployment_id]


def _solve(hours: Sequence[Row], target: int) -> tuple[tuple[str, ...], Solution]:
    """The fit by every term that has tokens; context, which mostly follows output, is left out where it cannot be told apart."""
    present = tuple(term for column, term in enumerate(TERMS, 1) if any(row[column] for row in hours))
    for terms in (present, tuple(term for term in present if term != "context")):
        columns = [[row[TERMS.index(term) + 1] for row in hours] for term in terms]
        solution = solve(columns, [row[target] for row in hours])
        if solution.condition <= CONDITION_MAX:
            break
    return terms, solution


def _failure(found: dict[str, int], terms: Sequence[str], solution: Solution, r2_min: float) -> str:
    """Everything that is wrong with a fit, so that who mends one thing does not meet the next; empty where nothing is."""
    if not {"prompt", "cache_read"} & set(terms) or "decode" not in terms:
        lacking = "output" if "decode" not in terms else "input"
        return f"no hour has {lacking} tokens, so the phases cannot be told apart"
    failures = []
    if solution.condition > CONDITION_MAX:
        said = f"{solution.condition:.1f}" if isfinite(solution.condition) else "infinite"
        failures.append(
            f"tokens of its kinds come together (condition number {said}, at most {CONDITION_MAX}), so their times cannot be told apart"
        )
    elif not found["prompt"] + found["cache_read"] or not found["decode"] + found["context"]:
        failures.append(f"the fit gives {'output' if found['prompt'] + found['cache_read'] else 'input'} no time")
    if solution.r2 < r2_min:
        alike = "every hour took the same time, so nothing tells what their tokens took"
        failures.append(f"R2 is {solution.r2:.3f}, and {r2_min:g} is asked for" if isfinite(solution.r2) else alike)
    if max(found.values()) > PICOSECONDS_MAX or found["context"] > CONTEXT_MAX:
        failures.append("the fit gives a token more time than any fleet takes: check the telemetry")
    return "; ".join(failures)


def _rounded(value: float) -> float | None:
    return round(value, 6) if isfinite(value) else None
