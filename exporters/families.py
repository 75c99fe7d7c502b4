"""Which metric families the ledger backs, and the one query behind each: everything that ties metrics to tables.

A query reads the results file and answers the family's labels and `sample`: the value as exact decimal text, or NULL
where there is none. Money is nano in the tables and units of currency in metrics, as all metrics are in base units.

Month-to-date figures are of the newest metered month. Team and model pairs are bounded where the counters are kept: a
pair without counters of its own is `other` here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

NANO_DIGITS: Final = 9
MICRO_DIGITS: Final = 6
QUOTIENT_DIGITS: Final = 18
"""Of a price per token: nine digits beyond the nano, truncated."""

_MONTH: Final = "SELECT max(billing_period) FROM months"
_LABELLED: Final = "SELECT DISTINCT team AS team_id, model AS model_id, TRUE AS labelled FROM counters WHERE metric <> 'gpu_us'"
_TEAM: Final = "CASE WHEN labelled THEN line.team_id ELSE 'other' END AS team"
_MODEL: Final = "CASE WHEN labelled THEN line.model_id ELSE 'other' END AS model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric family.

    Attributes:
        name: without the `_total` that counters end in.
        kind: counter or gauge.
        labels: names; each is a column of the query.
        unit: what the name ends in, or empty.
        help: one sentence, without quotes and backslashes.
        sql: the query.
    """

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    unit: str
    help: str
    sql: str


def families(currency: str) -> Sequence[Family]:
    """Every family, for a ledger in this currency (ISO 4217)."""
    cur = currency.lower()
    return (*_costs(cur), *_unit_costs(cur), *_quantities(), *_trust(cur), *_ingest(), *_steps())


def decimal(column: str, digits: int) -> str:
    """SQL for an integer of 10^-digits as exact decimal text: 1500000000 nano is 1.500000000."""
    return f"CAST(CAST({column} AS DECIMAL(38, 0)) * {Decimal(1).scaleb(-digits):f} AS VARCHAR)"


def _costs(cur: str) -> tuple[Family, ...]:
    labels = ("team", "model", "pool", "cost_kind", "token_kind")
    return (
        Family(name=f"apportion_charged_cost_{cur}", kind="counter", labels=labels, unit=cur,
               help="Cost charged so far; what was taken back is in the credited twin, and the difference is the net.",
               sql=_counter("cost", labels, "charged", NANO_DIGITS)),
        Family(name=f"apportion_credited_cost_{cur}", kind="counter", labels=labels, unit=cur,
               help="Cost taken back so far, by restatements and settlements.",
               sql=_counter("cost", labels, "credited", NANO_DIGITS)),
        Family(name=f"apportion_month_to_date_cost_{cur}", kind="gauge", labels=("team", "cost_center", "model", "cost_kind"),
               unit=cur, help="Cost of the newest metered month, settled as of now.", sql=f"""
SELECT {_TEAM}, line.cost_center, {_MODEL}, line.cost_kind, {decimal('sum(line.effective_cost_nano)', NANO_DIGITS)} AS sample
FROM chargeback AS line LEFT JOIN ({_LABELLED}) AS pair USING (team_id, model_id)  -- NULL: beyond the bound
WHERE line.billing_period = ({_MONTH})
GROUP BY ALL"""),
    )


def _unit_costs(cur: str) -> tuple[Family, ...]:
    """Quotients of sums, never sums of quotients: pairs folded into `other` add up both parts first."""
    per_token = decimal(f"sum(line.effective_cost_nano) * {10 ** (QUOTIENT_DIGITS - NANO_DIGITS)} // sum(line.consumed_tokens)",
                        QUOTIENT_DIGITS)
    source = (f"FROM unit_cost AS line LEFT JOIN ({_LABELLED}) AS pair USING (team_id, model_id)  -- NULL: beyond the bound\n"
              f"WHERE line.billing_period = ({_MONTH})")
    return (
        Family(name=f"apportion_cost_per_token_{cur}", kind="gauge", labels=("team", "model", "token_kind", "basis"), unit=cur,
               help="Cost per token of the newest metered month: workload only (usage), or with settled idle and overhead "
                    "(allocation).",
               sql=f"SELECT {_TEAM}, {_MODEL}, line.token_kind, line.basis, {per_token} AS sample\n{source} "
                   "AND line.basis IN ('usage', 'allocation')\nGROUP BY ALL"),
        Family(name=f"apportion_cost_per_output_token_fully_loaded_{cur}", kind="gauge", labels=("team", "model"), unit=cur,
               help="All cost of team and model over its output and reasoning tokens, of the newest metered month.",
               sql=f"SELECT {_TEAM}, {_MODEL}, {per_token} AS sample\n{source} "
                   "AND line.basis = 'fully_loaded_output'\nGROUP BY ALL"),
    )


def _quantities() -> tuple[Family, ...]:
    tokens, seconds = ("team", "model", "token_kind"), ("pool", "state")
    return (
        Family(name="apportion_tokens", kind="counter", labels=tokens, unit="tokens",
               help="Tokens metered so far; token kinds are disjoint.", sql=_counter("tokens", tokens, "charged", 0)),
        Family(name="apportion_credited_tokens", kind="counter", labels=tokens, unit="tokens",
               help="Tokens taken back so far, by corrected and superseded events.",
               sql=_counter("tokens", tokens, "credited", 0)),
        Family(name="apportion_gpu_seconds", kind="counter", labels=seconds, unit="seconds",
               help="GPU time paid for so far, by what the GPUs did.", sql=_counter("gpu_us", seconds, "charged", MICRO_DIGITS)),
        Family(name="apportion_credited_gpu_seconds", kind="counter", labels=seconds, unit="seconds",
               help="GPU time taken back from a state so far, by restatements.",
               sql=_counter("gpu_us", seconds, "credited", MICRO_DIGITS)),
    )


def _counter(metric: str, labels: tuple[str, ...], column: str, digits: int) -> str:
    value = decimal(column, digits) if digits else f"CAST({column} AS VARCHAR)"
    return f"SELECT {', '.join(labels)}, {value} AS sample FROM counters WHERE metric = '{metric}'"


def _trust(cur: str) -> tuple[Family, ...]:
    return (
        Family(name=f"apportion_origin_cost_{cur}", kind="gauge", labels=(), unit=cur,
               help="What the fleet and everything shared cost in the newest metered month, before anything was divided.",
               sql=f"SELECT {decimal('origin_nano', NANO_DIGITS)} AS sample FROM months WHERE billing_period = ({_MONTH})"),
        Family(name="apportion_conserved", kind="gauge", labels=(), unit="",
               help="1 while the charges of every month add up to their origin charges to the nano, 0 otherwise.",
               sql="SELECT CASE bool_and(origin_nano = charged_nano) WHEN TRUE THEN '1' WHEN FALSE THEN '0' END AS sample FROM months"),
        Family(name="apportion_unattributed_ratio", kind="gauge", labels=("pool",), unit="ratio",
               help="Share of a pool's workload cost in the newest metered month that no logged request explains.",
               sql=f"SELECT pool_id AS pool, {decimal(f'unattributed_nano * {10**NANO_DIGITS} // workload_nano', NANO_DIGITS)} AS sample "
                   f"FROM pool_shares WHERE billing_period = ({_MONTH}) AND pool_id <> '' AND workload_nano > 0"),
        Family(name="apportion_month_start_timestamp_seconds", kind="gauge", labels=(), unit="seconds",
               help="Start of the newest metered month, which month-to-date figures are of.",
               sql=f"SELECT {_instant(f'({_MONTH})')} AS sample"),
        Family(name="apportion_watermark_timestamp_seconds", kind="gauge", labels=(), unit="seconds",
               help="Up to when figures are final.", sql=f"SELECT {_instant('watermark')} AS sample FROM status"),
        Family(name="apportion_published_timestamp_seconds", kind="gauge", labels=(), unit="seconds",
               help="When these figures were published.", sql=f"SELECT {_instant('published_at')} AS sample FROM status"),
    )


def _ingest() -> tuple[Family, ...]:
    return (
        Family(name="apportion_ingest_events", kind="counter", labels=("source", "outcome"), unit="",
               help="Records received so far, by what became of each; the outcomes add up to what was received.",
               sql="SELECT source, outcome, CAST(sum(records) AS VARCHAR) AS sample FROM ingest_totals "
                   "WHERE outcome NOT IN ('received', 'skewed') GROUP BY source, outcome"),
        Family(name="apportion_ingest_skewed_events", kind="counter", labels=("source",), unit="",
               help="Records so far whose clock ran ahead, which were taken at their arrival time.",
               sql="SELECT source, CAST(sum(records) AS VARCHAR) AS sample FROM ingest_totals "
                   "WHERE outcome = 'skewed' GROUP BY source"),
        Family(name="apportion_ingest_rejections", kind="counter", labels=("source", "reason"), unit="",
               help="Records quarantined so far, by reason; a conflict is one of them.",
               sql="SELECT source, reason, CAST(sum(records) AS VARCHAR) AS sample FROM rejections GROUP BY source, reason"),
    )


def _steps() -> tuple[Family, ...]:
    return (
        Family(name="apportion_step_duration_seconds", kind="gauge", labels=("step",), unit="seconds",
               help="How long the last run of a step took.",
               sql=f"SELECT step, {decimal('duration_us', MICRO_DIGITS)} AS sample FROM step_runs"),
        Family(name="apportion_step_last_success_timestamp_seconds", kind="gauge", labels=("step",), unit="seconds",
               help="When a step last ended well; one that fails leaves no record.",
               sql=f"SELECT step, {_instant('finished_at')} AS sample FROM step_runs"),
    )


def _instant(column: str) -> str:
    return decimal(f"epoch_us({column})", MICRO_DIGITS)
