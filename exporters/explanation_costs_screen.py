"""Origin charges, the prices behind them and external usage for people. Every amount has all of its decimals, so that columns add up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rich.console import Console

from apportion.domain.period import FOREVER
from exporters.explanation_tables import DECIMALS, Rows, amount, columns_of, gpu_hours, table, trimmed

COSTS: Final = ("list_cost_nano", "contracted_cost_nano", "billed_cost_nano")
UNITS: Final = {"gpu_hour": "GPU-hour", "gpu_second": "GPU-second", "kwh": "kWh", "gpu": "GPU"}
LONG_AGO: Final = 1970
"""Whatever is in force since this year or before has no beginning."""


def show_origins(title: str, charges: Rows, console: Console, *, all_costs: bool = False) -> None:
    """What pools cost by component and evidence, and of it what deployments share.

    List, contracted and billed costs are shown where any differs from the effective cost, or all of them where asked for.
    """
    rows = [
        {
            **one,
            "pool": one["pool_id"] or "(shared costs)",
            "evidence": one["evidence"] or ("rate card" if one["pool_id"] else ""),
            "gpu_hours": gpu_hours(one["paid_us"]) if one["paid_us"] else "",
            "in_currency": _in_currency(one, one["currency"]),
        }
        for one in charges
    ]
    differ = [name for name in COSTS if all_costs or any(one[name] != one["effective_cost_nano"] for one in charges)]
    of_pools = ("pool",) if len({one["pool_id"] for one in charges}) > 1 else ()
    names = (*of_pools, "component", "evidence", "cause", "gpu_hours", "in_currency", *differ, "effective_cost_nano")
    columns = columns_of(rows, names, total=(*differ, "effective_cost_nano"))
    table(title, columns, console)
    if any(one["cause"] for one in charges):
        shared = sum(one["effective_cost_nano"] for one in charges if not one["cause"])
        console.print(f"\nOf it, what deployments share: {amount(shared)}; the rest has lines of its own")


def show_prices(prices: Rows, currency: str, console: Console) -> None:
    """The terms in force, in the words of who wrote them."""
    many = len({one["pool_id"] for one in prices if one["pool_id"]}) > 1
    rows = [
        {
            "pool": one["pool_id"] if many else "",
            "component": one["component"],
            "evidence": one["evidence"] or ("rate card" if one["pool_id"] else ""),
            "term": one["term"].replace("_", " "),
            "amount": _value(one),
            "unit": _unit(one, currency),
            "list": trimmed(one["list_nano"], DECIMALS, 2) if one["list_nano"] not in (None, one["value_nano"]) else "",
            "gpus": one["gpus"],
            "purchase": one["purchase"].replace("_", " "),
            "from": _date(one["effective_from"]),
            "to": _date(one["effective_to"]),
            "source": one["source"],
        }
        for one in prices
    ]
    columns = columns_of(rows, tuple(rows[0]))
    for column in columns:
        column.is_number = column.heading in ("amount", "list", "gpus")
    if not any(row["source"] for row in rows):
        columns.pop()
    table("The prices in force", columns, console)


def show_external(usage: Rows, currency: str, console: Console) -> None:
    """External usage, by whose price."""
    rows = [{**one, "price": one["price_evidence"], "in_currency": _in_currency(one, one["currency"])} for one in usage]
    names = (
        "provider", "model_id", "tier", "token_kind", "cause", "price", "consumed_tokens", "in_currency", "effective_cost_nano",
    )  # fmt: skip
    columns = columns_of(rows, names, total=("effective_cost_nano",))
    table(f"External usage by whose price, in {currency}", columns, console)


def _in_currency(row: Mapping[str, Any], currency: str) -> str:
    return f"{amount(row['cost_in_currency_nano'])} {currency}" if currency else ""


def _value(term: Mapping[str, Any]) -> str:
    is_money = term["term"] not in ("discount", "pue", "watts")
    return trimmed(term["value_nano"], DECIMALS, 2 if is_money else 0)


def _unit(term: Mapping[str, Any], currency: str) -> str:
    """What an amount is of, as `USD per GPU-hour`."""
    name, unit = term["term"], UNITS.get(term["unit"], term["unit"])
    if name == "exchange_rate":
        return f"{currency} for 1 {term['currency']}"
    if name in ("discount", "pue"):
        return str(unit)
    if name == "watts":
        return f"W per {unit}"
    once = unit in ("term", "life", "range")
    return f"{term['currency'] or currency} {'for all of its' if once else 'per'} {unit}"


def _date(moment: datetime) -> str:
    if moment >= FOREVER or moment.year <= LONG_AGO:
        return ""
    return f"{moment:%Y-%m-%d}" if not (moment.hour or moment.minute) else f"{moment:%Y-%m-%dT%H:%MZ}"
