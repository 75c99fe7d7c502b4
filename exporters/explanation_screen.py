"""An explained figure for people: the sum first, then what it is made of, one step deeper per table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from exporters.amounts import grouped
from exporters.columns import Column, show_columns

DECIMALS: Final = 9
GPU_HOUR_US: Final = 3_600_000_000

Rows = Sequence[Mapping[str, Any]]


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print what `explained` found."""
    currency = found["billing_currency"]
    asked = " · ".join(str(found[name]) for name in ("team_id", "model_id", "deployment_id") if found[name] is not None)
    when = f"{found['period_start']:%Y-%m-%d %H:%M} to {found['period_end']:%Y-%m-%d %H:%M} UTC"
    _lines(
        f"{asked or 'everything'}, {when}: {_amount(found['effective_cost_nano'])} {currency}", found["lines"], console
    )
    for hour in found.get("deployment_hours", ()):
        _hour(hour, currency, console)
    if found.get("settled"):
        columns = _columns(
            found["settled"], ("pool_id", "cost_kind", "cause", "allocation_method", "effective_cost_nano")
        )
        _below("What the month's settlement adds", columns, console)
    if found.get("hours"):
        rows = [{"hour": f"{one['charge_period_start']:%Y-%m-%dT%H:%MZ}", **one} for one in found["hours"]]
        _below("The dearest hours", _columns(rows, ("hour", "effective_cost_nano")), console)
        console.print(f"\nTo the bottom of one: add --hour {rows[0]['hour']}")


def _lines(title: str, lines: Rows, console: Console) -> None:
    names = (
        "pool_id", "deployment_id", "model_id", "cost_kind", "cause", "token_kind", "allocation_method", "confidence", "hours",
        "consumed_tokens", "effective_cost_nano",
    )  # fmt: skip
    columns = _columns(lines, names)
    columns[-1].total = _amount(sum(line["effective_cost_nano"] or 0 for line in lines))
    columns[0].total = "total"
    show_columns(title, columns, console)


def _hour(hour: Mapping[str, Any], currency: str, console: Console) -> None:
    """One deployment's hour: what it cost, how it was used, and by which rung its phases were told apart."""
    name = f"{hour['pool_id']} / {hour['deployment_id'] or '(unscheduled)'}"
    origins = [
        {
            **one,
            "evidence": one["evidence"] or "rate card",
            "gpu_hours": grouped(int(one["paid_us"]) * 1000 // GPU_HOUR_US, 3, 3),
            "in_currency": f"{_amount(one['cost_in_currency_nano'])} {one['currency']}" if one["currency"] else "",
        }
        for one in hour["origin_charges"]
    ]
    names = ("component", "evidence", "cause", "gpu_hours", "in_currency", "list_cost_nano", "effective_cost_nano")
    columns = _columns(origins, names)
    columns[-1].total = _amount(sum(one["effective_cost_nano"] for one in origins if not one["cause"]))
    columns[0].total = "without a cause: what deployments share"
    _below(f"{name}: what the pool's hour cost, in {currency}", columns, console)
    if hour["cost"]:
        _use(name, hour, console)
    if hour["phases"]:
        _rungs(name, hour["phases"], console)


def _use(name: str, hour: Mapping[str, Any], console: Console) -> None:
    cost = hour["cost"]
    parts = [("its GPU time's share of the pool's hour", cost["effective_cost_nano"])]
    parts += [("  unmeasured: nobody saw it", cost["unmeasured_nano"])] if cost["unmeasured_nano"] else []
    parts += [(f"  idle: {one['cause']}", one["idle_nano"]) for one in hour["idle"]]
    parts += [("  workload", cost["workload_nano"])]
    parts += [
        (f"    {phase}", cost[f"{phase}_nano"])
        for phase in ("prefill", "decode", "unattributed")
        if cost[f"{phase}_nano"]
    ]
    seen = f"; telemetry saw {_percent(cost['observed_us'], cost['paid_us'])} of it" if cost["observed_us"] else ""
    title = f"{name}: how it was used, by {cost['allocation_method']} ({cost['confidence']}){seen}"
    columns = [
        Column("part", [part for part, _ in parts]),
        Column("cost", [_amount(nano) for _, nano in parts], is_number=True),
    ]
    _below(title, columns, console)


def _rungs(name: str, phases: Rows, console: Console) -> None:
    rows = [
        {
            "": "→" if one["is_chosen"] else "",
            "method": one["phase_method"],
            "confidence": one["confidence"],
            "prefill": _share(one, "prefill_share"),
            "decode": _share(one, "decode_share"),
            "why not, or from what": one["failure"] or json.dumps(one["inputs"], separators=(", ", ": ")),
        }
        for one in phases
    ]
    columns = [Column(heading, [row[heading] for row in rows]) for heading in rows[0]]
    columns[-1].wraps = True
    _below(f"{name}: the rungs that could split it into prefill and decode", columns, console)


def _below(title: str, columns: Sequence[Column], console: Console) -> None:
    """A table under another."""
    console.print()
    show_columns(title, columns, console)


def _columns(rows: Rows, names: Sequence[str]) -> list[Column]:
    """Columns of rows by name; those without a word are left out, but for the last."""
    found = [(name, [_cell(name, row[name]) for row in rows]) for name in names]
    return [
        Column(_heading(name), cells, is_number=name.endswith(("_nano", "tokens", "hours")))
        for name, cells in found
        if any(cells) or name == names[-1]
    ]


def _heading(name: str) -> str:
    return name.removesuffix("_id").removesuffix("_nano").replace("consumed_tokens", "tokens").replace("_", " ")


def _cell(name: str, value: Any) -> str:
    if name.endswith("_nano"):
        return "unpriced" if value is None else _amount(value)
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _amount(nano: int) -> str:
    return grouped(int(nano), DECIMALS, DECIMALS)


def _share(rung: Mapping[str, Any], name: str) -> str:
    if rung["prefill_share"] is None:
        return ""
    return _percent(rung[name], rung["prefill_share"] + rung["decode_share"])


def _percent(part: int, whole: int) -> str:
    return f"{grouped(int(part) * 10_000 // int(whole), 2, 2)} %" if whole else ""
