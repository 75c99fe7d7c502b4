"""The chargeback of a month as a table, and the only importer of pandas.

Grain: one row per distinct combination of a line's dimensions, or of those that are asked for; tokens without a cost
have a row of their own beside those with one, so that of every other row the quantity times the unit cost is the cost.
Amounts are decimal text with exactly nine digits after the point, quantities integer text, both empty where there is
none; no floats.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console

from apportion.domain.errors import LedgerError, UsageError
from apportion.domain.money import text as money_text
from apportion.domain.period import Period
from apportion.ledger.connection import Session
from apportion.ledger.parquet import write_frame
from exporters import chargeback_screen, chargeback_text
from exporters.amounts import decimal_sql, quotient_sql

DIMENSIONS: Final = (
    "team_id", "team_name", "project", "cost_center", "provider", "model_id", "pool_id", "deployment_id", "tier",
    "cost_kind", "cause", "token_kind",
)  # fmt: skip
METHOD: Final = ("allocation_method", "confidence", "policy_version")
COLUMNS: Final = (
    "billing_period", "charge_period_start", "charge_period_end", *DIMENSIONS, "consumed_quantity", "consumed_unit",
    "effective_cost", "billing_currency", "unit_cost", *METHOD, "charge_class", "statement_version",
)  # fmt: skip
SHORT_NAMES: Final = {"team": "team_id", "model": "model_id", "pool": "pool_id", "deployment": "deployment_id"}
HOURS: Final = {"day": 24, "hour": 1}
"""Of the charge periods finer than a month."""
UNIT_DECIMALS: Final = 12

PARQUET_TYPES: Final = {
    "charge_period_start": "TIMESTAMPTZ",
    "charge_period_end": "TIMESTAMPTZ",
    "consumed_quantity": "BIGINT",
    "effective_cost": "DECIMAL(38, 9)",
    "unit_cost": f"DECIMAL(38, {UNIT_DECIMALS})",
}

_MONTHLY: Final = f"""
SELECT
    billing_period, billing_period AS charge_period_start, billing_period + INTERVAL 1 MONTH AS charge_period_end,
    {", ".join(DIMENSIONS + METHOD)}, consumed_tokens, effective_cost_nano
FROM chargeback
WHERE billing_period = $month
"""

# What was settled over the month keeps the month as its period; what was settled by the hour is an hour's line.
_FINER: Final = f"""
SELECT
    months.billing_period, date_trunc($grain, line.charge_period_start)::TIMESTAMP AS charge_period_start,
    (date_trunc($grain, line.charge_period_start) + to_hours($hours))::TIMESTAMP AS charge_period_end,
    {", ".join(DIMENSIONS + METHOD[:2])}, months.policy_version, consumed_tokens, effective_cost_nano
FROM chargeback_hourly AS line
JOIN months ON months.billing_period = $month
WHERE line.charge_period_start >= $month AND line.charge_period_start < $month_end
UNION ALL
SELECT
    billing_period,
    CASE WHEN hourly THEN date_trunc($grain, charge_period_start) ELSE charge_period_start END::TIMESTAMP,
    CASE WHEN hourly THEN date_trunc($grain, charge_period_start) + to_hours($hours)
        ELSE charge_period_end END::TIMESTAMP,
    team_id, team_name, project, cost_center, CASE WHEN cost_kind = 'idle' THEN 'self' ELSE '' END, '', pool_id, '', '',
    cost_kind, cause, '', allocation_method, confidence, policy_version, NULL, effective_cost_nano
FROM (SELECT *, charge_period_end = charge_period_start + INTERVAL 1 HOUR AS hourly FROM settlement) AS moved
WHERE billing_period = $month
"""


def month_table(
    results: Session, month: Period, *, by: Sequence[str] | None = None, period: str = "month"
) -> pd.DataFrame:
    """The lines of a month, whole or summed over dimensions (cost kind is always one), by month, day or hour.

    Invariant: the effective costs add up to the month's charges, to the nano, whatever `by` and `period` say.
    Raises: UsageError for an unknown dimension; LedgerError naming the months there are when this one has no charges.
    """
    kept = _kept(by)
    _require(results, month)
    if period == "month":
        found = results.frame(_statement(_MONTHLY, kept), {"month": month.start})
    else:
        parameters = {"month": month.start, "month_end": month.end, "grain": period, "hours": HOURS[period]}
        found = results.frame(_statement(_FINER, kept), parameters)
    return found if by else found[list(COLUMNS)]


def write(frame: pd.DataFrame, out: Path, format_name: str) -> None:
    """Write a table to a file (table, csv, json or parquet), whole or not at all.

    Raises: LedgerError when the file cannot be written.
    """
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if format_name == "parquet":
            write_frame(frame, draft, {name: kind for name, kind in PARQUET_TYPES.items() if name in frame})
        else:
            draft.write_bytes(text(frame, format_name).encode())
        draft.replace(out)
    except OSError as error:
        msg = f"{out}: cannot be written ({error.strerror or error}); name another place with --out."
        raise LedgerError(msg) from error
    finally:
        draft.unlink(missing_ok=True)


def text(frame: pd.DataFrame, format_name: str) -> str:
    """A table as table, csv or json. Raises: UsageError for another format."""
    if format_name == "csv":
        return chargeback_text.csv(frame)
    if format_name == "json":
        return chargeback_text.json_text(frame, money_text(total(frame)), str(tokens_without_cost(frame)))
    if format_name == "table":
        page = io.StringIO()
        show(frame, Console(file=page, highlight=False))
        return page.getvalue()
    raise UsageError(f"--format {format_name} is not text; there are table, csv and json.")


def show(frame: pd.DataFrame, console: Console) -> None:
    """Print a table for people, with a total line that is the sum of the lines above it."""
    chargeback_screen.show(frame, total(frame), tokens_without_cost(frame), console)


def total(frame: pd.DataFrame) -> int:
    """The sum of a table. Units: nano."""
    return sum(int(amount.replace(".", "")) for amount in frame["effective_cost"] if amount)


def tokens_without_cost(frame: pd.DataFrame) -> int:
    """The tokens of a table that no amount in it is for."""
    rows = zip(frame["consumed_quantity"], frame["effective_cost"], strict=True)
    return sum(int(quantity) for quantity, amount in rows if quantity and not amount)


def _require(results: Session, month: Period) -> None:
    found = results.rows("SELECT DISTINCT billing_period FROM chargeback ORDER BY billing_period")
    months = [f"{start:%Y-%m}" for (start,) in found]
    if f"{month.start:%Y-%m}" not in months:
        known = f"there are {', '.join(months)}" if months else "no month has any yet; run `apportion meter`"
        msg = f"{month.start:%Y-%m} has no charges; {known}."
        raise LedgerError(msg)


def _kept(by: Sequence[str] | None) -> list[str]:
    if not by:
        return [*DIMENSIONS, *METHOD]
    kept = list(dict.fromkeys(SHORT_NAMES.get(name, name) for name in [*by, "cost_kind"]))
    unknown = [name for name in kept if name not in {*DIMENSIONS, *METHOD}]
    if unknown:
        shown = [*SHORT_NAMES, *(name for name in (*DIMENSIONS, *METHOD) if name not in SHORT_NAMES.values())]
        raise UsageError(f"--by {', '.join(unknown)}: no such dimension; there are {', '.join(shown)}, day and hour.")
    return kept


def _statement(lines: str, kept: Sequence[str]) -> str:
    keys = ["billing_period", "charge_period_start", "charge_period_end", *kept]
    unit_cost = decimal_sql(quotient_sql("nano * 1000", "tokens"), UNIT_DECIMALS)
    return f"""
WITH line AS ({lines}),
summed AS (
    SELECT
        {", ".join(keys)}, effective_cost_nano IS NULL AS is_unpriced, sum(consumed_tokens)::HUGEINT AS tokens,
        sum(effective_cost_nano)::HUGEINT AS nano
    FROM line
    GROUP BY {", ".join(keys)}, is_unpriced
)
SELECT
    strftime(billing_period, '%Y-%m') AS billing_period,
    strftime(charge_period_start, '%Y-%m-%dT%H:%M:%SZ') AS charge_period_start,
    strftime(charge_period_end, '%Y-%m-%dT%H:%M:%SZ') AS charge_period_end,
    {", ".join(kept)},
    CASE WHEN tokens > 0 THEN tokens::VARCHAR ELSE '' END AS consumed_quantity,
    CASE WHEN tokens > 0 THEN 'tokens' ELSE '' END AS consumed_unit,
    coalesce({decimal_sql("nano", 9)}, '') AS effective_cost,
    coalesce((SELECT billing_currency FROM status), '') AS billing_currency,
    CASE WHEN tokens > 0 AND NOT is_unpriced THEN {unit_cost} ELSE '' END AS unit_cost,
    'Regular' AS charge_class,
    'open' AS statement_version
FROM summed
ORDER BY {", ".join(f"summed.{key}" for key in keys)}, is_unpriced
"""
