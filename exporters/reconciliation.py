"""Tokens in request logs against what engines counted: by pool, or hour by hour, with the likely cause of each difference.

A kind of tokens is compared where the engines tell it: what logs say of hours and kinds that no engine counted is left
out of the sums, and an engine's silence is None, never 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console

from apportion.domain.errors import UsageError
from apportion.domain.period import Period, month_of, next_month
from apportion.ledger.connection import Row, Session
from exporters.columns import Column, show_columns

NO_TELEMETRY: Final = (
    "No engine told its counters in this time, so there is nothing to hold the logs against. "
    'Write a source with collector = "prometheus" that reads their metrics, or land engine samples (apportion ingest --format engine); '
    "hours that are over are compared once they are metered."
)

_SUMS: Final = """
    sum(engine_input_tokens)::HUGEINT AS engine_input_tokens,
    (sum(logged_input_tokens) FILTER (engine_input_tokens IS NOT NULL))::HUGEINT AS logged_input_tokens,
    sum(engine_output_tokens)::HUGEINT AS engine_output_tokens,
    (sum(logged_output_tokens) FILTER (engine_output_tokens IS NOT NULL))::HUGEINT AS logged_output_tokens,
    sum(unlogged_uncached_input_tokens + unlogged_cache_read_tokens)::HUGEINT AS unlogged_input_tokens,
    sum(unlogged_output_tokens)::HUGEINT AS unlogged_output_tokens
"""

DAY_BY_POOL: Final = f"""
SELECT
    pool_id, coalesce(engine_input_tokens, 0) + coalesce(engine_output_tokens, 0) AS engine_tokens,
    coalesce(logged_input_tokens, 0) + coalesce(logged_output_tokens, 0) AS logged_tokens,
    unlogged_input_tokens + unlogged_output_tokens AS unlogged_tokens
FROM (
    SELECT pool_id, {_SUMS}
    FROM reconciliation
    WHERE pool_id <> '' AND charge_period_start > (SELECT max(charge_period_start) - INTERVAL 24 HOUR FROM hours)
        AND (engine_input_tokens IS NOT NULL OR engine_output_tokens IS NOT NULL)
    GROUP BY pool_id
) AS pool
"""
"""Tokens of the newest 24 metered hours, by pool whose engines counted any: a day, so that requests still running at its
end and logs under way hardly show."""

# Hours of which no engine tells are compared with nothing, but a gap in the telemetry must not look like agreement.
_INSIDE: Final = """
FROM (
    SELECT * FROM reconciliation
    UNION ALL BY NAME
    SELECT
        charge_period_start, pool_id, deployment_id, '' AS model_id, 0 AS engines, 0 AS observed_us,
        0 AS unlogged_uncached_input_tokens, 0 AS unlogged_cache_read_tokens, 0 AS unlogged_output_tokens, 'no_telemetry' AS cause
    FROM hours
    ANTI JOIN reconciliation USING (charge_period_start, pool_id, deployment_id)
    WHERE deployment_id <> ''
) AS deployment_hour
WHERE ($since::TIMESTAMP IS NULL OR charge_period_start >= $since) AND ($until::TIMESTAMP IS NULL OR charge_period_start < $until)
    AND ($pool::VARCHAR IS NULL OR pool_id = $pool)
"""
_POOLS: Final = f"SELECT pool_id AS pool, {_SUMS} {_INSIDE} GROUP BY pool_id ORDER BY pool_id"
_CAUSES: Final = (
    f"SELECT pool_id, cause, count(*) AS hours {_INSIDE} GROUP BY pool_id, cause ORDER BY hours DESC, cause"
)
_HOURS: Final = f"""
SELECT
    charge_period_start, pool_id AS pool, deployment_id AS deployment, model_id AS model, engines, observed_us,
    engine_input_tokens, engine_cache_read_tokens, engine_output_tokens, engine_requests, engine_aborted_requests,
    logged_input_tokens, logged_cache_read_tokens, logged_output_tokens, logged_requests, crossing_input_tokens,
    crossing_output_tokens, border_input_tokens, border_output_tokens,
    unlogged_uncached_input_tokens, unlogged_cache_read_tokens, unlogged_output_tokens, cause
{_INSIDE} ORDER BY charge_period_start, deployment_id
"""


def newest_month(results: Session) -> Period | None:
    """The newest month in which engines counted anything; None where none ever did."""
    newest = results.value("SELECT max(charge_period_start) FROM reconciliation")
    return None if newest is None else Period(month_of(newest), next_month(month_of(newest)))


def compared(
    results: Session, *, since: datetime | None = None, until: datetime | None = None, pool: str | None = None
) -> dict[str, Any]:
    """The comparison of a time, ready for JSON: `pools` with their sums and the hours of each cause; with a pool, its `hours`.

    A side left out reaches to the first or the last hour there is. Raises: UsageError for a pool that was never metered.
    """
    if pool is not None:
        known = [str(row[0]) for row in results.rows("SELECT DISTINCT pool_id FROM hours ORDER BY ALL")]
        if pool not in known:
            raise UsageError(f"--pool {pool!r} has no metered hour; there are {', '.join(known) or 'no pools yet'}.")
    given = {"since": since, "until": until, "pool": pool}
    causes: dict[str, dict[str, int]] = defaultdict(dict)
    for name, cause, hours in results.rows(_CAUSES, given):
        causes[name][cause] = hours
    found: dict[str, Any] = {
        "since": since and _text(since),
        "until": until and _text(until),
        "pools": [{**one, "hours_by_cause": causes[one["pool"]]} for one in _records(results, _POOLS, given)],
    }
    if pool is not None:
        found["hours"] = _records(results, _HOURS, given)
    return found


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print a comparison for people: hour by hour where it has hours, else by pool."""
    telling = [
        one
        for one in found["pools"]
        if one["engine_input_tokens"] is not None or one["engine_output_tokens"] is not None
    ]
    if not telling:
        console.print(NO_TELEMETRY, soft_wrap=True)
        return
    title = "".join(["Logs and engines", *(f", {side} {found[side]}" for side in ("since", "until") if found[side])])
    rows, columns = (found["hours"], _by_hour) if "hours" in found else (found["pools"], _by_pool)
    show_columns(title, columns(rows), console)


def _by_pool(pools: Sequence[Mapping[str, Any]]) -> list[Column]:
    causes = [", ".join(f"{name} {hours:,}" for name, hours in one["hours_by_cause"].items()) for one in pools]
    named = Column("pool", [one["pool"] or "(none)" for one in pools])
    return [named, *_tokens(pools), Column("deployment-hours by cause", causes, wraps=True)]


def _by_hour(hours: Sequence[Mapping[str, Any]]) -> list[Column]:
    flat = [
        {**one, "unlogged_input_tokens": one["unlogged_uncached_input_tokens"] + one["unlogged_cache_read_tokens"]}
        for one in hours
    ]
    return [
        Column("hour", [one["charge_period_start"] for one in hours]),
        Column("deployment", [one["deployment"] or "(none)" for one in hours]),
        *_tokens(flat),
        Column("cause", [one["cause"] for one in hours]),
    ]


def _tokens(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    return [
        Column(f"{side} {kind}", [_count(one[f"{side}_{kind}_tokens"]) for one in rows], is_number=True)
        for kind in ("input", "output")
        for side in ("engine", "logged", "unlogged")
    ]


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"


def _records(results: Session, query: str, given: Mapping[str, object]) -> list[dict[str, Any]]:
    names = results.columns(query, given)
    return [_record(names, row) for row in results.rows(query, given)]


def _record(names: Sequence[str], row: Row) -> dict[str, Any]:
    return {
        name: _text(value) if isinstance(value, datetime) else value for name, value in zip(names, row, strict=True)
    }


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
