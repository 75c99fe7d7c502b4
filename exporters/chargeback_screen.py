"""A chargeback table for people: constant columns move into the title, empty ones away, and the lines add up."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console

from exporters.amounts import grouped
from exporters.columns import Column, show_columns

WITHOUT_COST: Final = (
    "tokens have no cost and are in no amount; `apportion report --by model,cause` names them, and says why"
)

MONEY_DECIMALS: Final = 9
PER_MILLION_DECIMALS: Final = 6
TITLED: Final = (
    "billing_period", "charge_period_end", "billing_currency", "charge_class", "statement_version", "policy_version",
    "consumed_unit",
)  # fmt: skip
NUMBERS: Final = ("consumed_quantity", "effective_cost", "unit_cost")
HEADINGS: Final = {
    "charge_period_start": "period",
    "team_id": "team",
    "model_id": "model",
    "pool_id": "pool",
    "deployment_id": "deployment",
    "consumed_quantity": "tokens",
    "unit_cost": "per 1M tokens",
}


def show(frame: Any, total_nano: int, tokens_without_cost: int, console: Console) -> None:
    """Print the lines of a frame and their total, and how many tokens are not in it. Units: nano."""
    first = frame.iloc[0]
    decimals = _significant([*frame["effective_cost"], grouped(total_nano, MONEY_DECIMALS, MONEY_DECIMALS)])
    columns = []
    for name in _shown(frame):
        heading = f"cost {first['billing_currency']}" if name == "effective_cost" else HEADINGS.get(name, name)
        total = grouped(total_nano, MONEY_DECIMALS, decimals) if name == "effective_cost" else ""
        columns.append(Column(heading, _cells(frame, name, decimals), total, is_number=name in NUMBERS))
    columns[0].total = "total"
    show_columns(f"Chargeback of {first['billing_period']}", columns, console)
    if tokens_without_cost:
        console.print(f"\n{tokens_without_cost:,} {WITHOUT_COST}", soft_wrap=True, markup=False, highlight=False)


def _shown(frame: Any) -> list[str]:
    """Columns that say something a title does not: no constants, nothing that is empty throughout; numbers last."""
    hidden = {name for name in frame.columns if (frame[name].astype("str") == "").all()} | set(TITLED)
    if frame["charge_period_start"].nunique() == 1:
        hidden.add("charge_period_start")
    named = [name for name in frame.columns if name not in hidden and name not in NUMBERS]
    return named + [name for name in NUMBERS if name == "effective_cost" or (name in frame and name not in hidden)]


def _cells(frame: Any, name: str, decimals: int) -> list[str]:
    values = [str(value) for value in frame[name]]
    if name == "effective_cost":
        return [grouped(_scaled(value), MONEY_DECIMALS, decimals) if value else "unpriced" for value in values]
    if name == "unit_cost":
        return [
            grouped(_scaled(value), PER_MILLION_DECIMALS, PER_MILLION_DECIMALS) if value else "" for value in values
        ]
    if name == "consumed_quantity":
        return [f"{int(value):,}" if value else "" for value in values]
    return values


def _scaled(amount: str) -> int:
    return int(amount.replace(".", ""))


def _significant(amounts: list[str]) -> int:
    """Decimals that any of the amounts needs, and at least two, so that printed lines add up to the printed total."""
    return max([2, *(len(amount.partition(".")[2].rstrip("0")) for amount in amounts)])
