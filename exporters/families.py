"""Which metric families the ledger backs, and the one query behind each: everything that ties metrics to tables.

A query reads the results file and answers the family's labels and `sample`: the value as exact decimal text, or NULL
where there is none. Money is nano in the tables and units of currency in metrics, as all metrics are in base units.

Month-to-date figures are of the newest metered month. Team and model pairs are bounded where the counters are kept: a
pair without counters of its own is `other` here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

NANO: Final = 9
MICRO: Final = 6
QUOTIENT: Final = 18
"""Decimals of prices per token and of shares: truncated so far behind the point that no float can tell."""

MONTH: Final = "SELECT max(billing_period) FROM months"

# The join tells which pairs have labels of their own; where it finds none, `labelled` is NULL, and the pair is `other`.
_PAIRED: Final = f"""
LEFT JOIN (
    SELECT DISTINCT team AS team_id, model AS model_id, TRUE AS labelled FROM counters WHERE metric <> 'gpu_us'
) AS pair USING (team_id, model_id)
WHERE line.billing_period = ({MONTH})"""
_TEAM: Final = "CASE WHEN labelled THEN line.team_id ELSE 'other' END AS team"
_MODEL: Final = "CASE WHEN labelled THEN line.model_id ELSE 'other' END AS model"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family.

    Attributes:
        kind: counter or gauge.
        name: without the `_total` that counters end in.
        labels: names; each is a column of the query.
        unit: what the name ends in, or empty.
        help: one sentence, without quotes and backslashes.
        sql: the query.
    """

    kind: Literal["counter", "gauge"]
    name: str
    labels: tuple[str, ...]
    unit: str
    help: str
    sql: str


def decimal(column: str, digits: int) -> str:
    """SQL for an integer of 10^-digits as exact decimal text: 1500000000 nano is 1.500000000."""
    if digits == 0:
        return f"CAST({column} AS VARCHAR)"
    return f"CAST(CAST({column} AS DECIMAL(38, 0)) * {Decimal(1).scaleb(-digits):f} AS VARCHAR)"


def instant(column: str) -> str:
    """SQL for a time as seconds since 1970."""
    return decimal(f"epoch_us({column})", MICRO)


def cost_families(cur: str) -> Iterator[Family]:
    """What teams owe, in a currency's lower-case code."""
    labels = ("team", "model", "pool", "cost_kind", "token_kind")
    charged = "Cost charged so far; what was taken back is in the credited twin, and the difference is the net."
    credited = "Cost taken back so far, by restatements and settlements."
    yield from _twins("cost", NANO, labels, cur, ("charged_cost", charged), ("credited_cost", credited))
    yield Family(
        "gauge",
        f"apportion_month_to_date_cost_{cur}",
        ("team", "cost_center", "model", "cost_kind"),
        cur,
        "Cost of the newest metered month, settled as of now.",
        f"""
        SELECT {_TEAM}, line.cost_center, {_MODEL}, line.cost_kind,
            {decimal("sum(line.effective_cost_nano)", NANO)} AS sample
        FROM chargeback AS line {_PAIRED} GROUP BY ALL""",
    )


def unit_cost_families(cur: str) -> Iterator[Family]:
    """Quotients of sums, never sums of quotients: pairs folded into `other` add up both parts first."""
    scaled = f"sum(line.effective_cost_nano) * {10 ** (QUOTIENT - NANO)}"
    per_token = decimal(f"{scaled} // sum(line.consumed_tokens)", QUOTIENT)
    yield Family(
        "gauge",
        f"apportion_cost_per_token_{cur}",
        ("team", "model", "token_kind", "basis"),
        cur,
        "Cost per token of the newest metered month: workload only (usage), or with idle and overhead (allocation).",
        f"""
        SELECT {_TEAM}, {_MODEL}, line.token_kind, line.basis, {per_token} AS sample
        FROM unit_cost AS line {_PAIRED} AND line.basis IN ('usage', 'allocation') GROUP BY ALL""",
    )
    yield Family(
        "gauge",
        f"apportion_cost_per_output_token_fully_loaded_{cur}",
        ("team", "model"),
        cur,
        "All cost of team and model over its output and reasoning tokens, of the newest metered month.",
        f"""
        SELECT {_TEAM}, {_MODEL}, {per_token} AS sample
        FROM unit_cost AS line {_PAIRED} AND line.basis = 'fully_loaded_output' GROUP BY ALL""",
    )


def quantity_families() -> Iterator[Family]:
    """Tokens and GPU time."""
    tokens = "Tokens metered so far; token kinds are disjoint."
    credited_tokens = "Tokens taken back so far, by corrected and superseded events."
    labels: tuple[str, ...] = ("team", "model", "token_kind")
    yield from _twins("tokens", 0, labels, "", ("tokens", tokens), ("credited_tokens", credited_tokens))
    seconds = "GPU time paid for so far, by what the GPUs did."
    credited_seconds = "GPU time taken back from a state so far, by restatements."
    labels = ("pool", "state")
    yield from _twins("gpu_us", MICRO, labels, "seconds", ("gpu", seconds), ("credited_gpu", credited_seconds))


def _twins(
    metric: str, digits: int, labels: tuple[str, ...], unit: str, charged: tuple[str, str], credited: tuple[str, str]
) -> Iterator[Family]:
    """The two counters that a row of `counters` holds, each as (middle of its name, help)."""
    for column, (name, said) in (("charged", charged), ("credited", credited)):
        sql = f"SELECT {', '.join(labels)}, {decimal(column, digits)} AS sample FROM counters WHERE metric = '{metric}'"
        yield Family("counter", f"apportion_{name}_{unit}".removesuffix("_"), labels, unit, said, sql)
