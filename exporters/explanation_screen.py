"""An explained figure for people: the sum first, then what it is made of, one step deeper per table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from exporters.amounts import grouped, percent, rounded
from exporters.columns import Column, printable, show_columns

DECIMALS: Final = 9
GPU_HOUR_US: Final = 3_600_000_000

Rows = Sequence[Mapping[str, Any]]


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print what `explained` found."""
    currency = found["billing_currency"]
    told = ("team_id", "pool_id", "deployment_id", "model_id")
    asked = " · ".join(str(found[name]) for name in told if found[name] is not None)
    when = f"{found['period_start']:%Y-%m-%d %H:%M} to {found['period_end']:%Y-%m-%d %H:%M} UTC"
    title = f"{asked or 'everything'}, {when}: {_amount(found['effective_cost_nano'])} {currency}"
    if found["settled_cost_nano"]:
        title += (
            f" as metered, and {_amount(found['settled_cost_nano'])} from settlement: "
            f"{_amount(found['charged_cost_nano'])} in the month's chargeback"
        )
    uncharged = sum(line["consumed_tokens"] or 0 for line in found["lines"] if line["effective_cost_nano"] is None)
    if uncharged:
        title += f"; {uncharged:,} tokens have no cost"
    _lines(title, found["lines"], console, is_hour="deployment_hours" in found)
    if found["causes"]:
        columns = _columns(found["causes"], ("cause", "means", "who_can_act"))
        columns[-1].wraps = True
        _table("What this means, and who can act", columns, console)
    pool = None
    for hour in found.get("deployment_hours", ()):
        if hour["pool_id"] != pool:
            pool = hour["pool_id"]
            _origins(hour, currency, console)
        _hour(hour, console, of_all=found["team_id"] is None and found["model_id"] is None)
    if found.get("settled"):
        names = ("pool_id", "cost_kind", "cause", "allocation_method", "effective_cost_nano")
        columns = _columns(found["settled"], names)
        columns[-1].total = _amount(found["settled_cost_nano"])
        columns[0].total = "total"
        _table("What the month's settlement adds", columns, console)
    if found.get("hours"):
        rows = [{"hour": f"{one['charge_period_start']:%Y-%m-%dT%H:%MZ}", **one} for one in found["hours"]]
        _table("The dearest hours", _columns(rows, ("hour", "effective_cost_nano")), console)
        console.print(f"\nTo the bottom of one: --hour {rows[0]['hour']} instead of --month")


def _lines(title: str, lines: Rows, console: Console, *, is_hour: bool) -> None:
    names = (
        "pool_id", "deployment_id", "model_id", "cost_kind", "cause", "token_kind", "allocation_method", "confidence",
        *(() if is_hour else ("hours",)), "consumed_tokens", "effective_cost_nano",
    )  # fmt: skip
    columns = _columns(lines, names)
    columns[-1].total = _amount(sum(line["effective_cost_nano"] or 0 for line in lines))
    columns[0].total = "total"
    show_columns(title, columns, console)


def _origins(hour: Mapping[str, Any], currency: str, console: Console) -> None:
    """What a pool's hour cost: once for all of its deployments."""
    origins = [
        {
            **one,
            "evidence": one["evidence"] or "rate card",
            "gpu_hours": _gpu_hours(one["paid_us"]),
            "in_currency": f"{_amount(one['cost_in_currency_nano'])} {one['currency']}" if one["currency"] else "",
        }
        for one in hour["origin_charges"]
    ]
    names = ("component", "evidence", "cause", "gpu_hours", "in_currency", "list_cost_nano", "effective_cost_nano")
    columns = _columns(origins, names)
    columns[-1].total = _amount(sum(one["effective_cost_nano"] for one in origins if not one["cause"]))
    columns[0].total = "what deployments share" if any(one["cause"] for one in origins) else "total"
    _table(f"{hour['pool_id']}: what the pool's hour cost, in {currency}", columns, console)


def _hour(hour: Mapping[str, Any], console: Console, *, of_all: bool) -> None:
    """One deployment's hour: how it was used, and by which rung its phases were told apart."""
    name = f"{hour['pool_id']} / {hour['deployment_id'] or '(unscheduled)'}"
    if hour["cost"]:
        _use(name, hour, console, of_all=of_all)
    if hour["phases"]:
        _rungs(name, hour, console)
    if hour.get("note"):
        console.print(printable(f"\n{name}: {hour['note']}"), markup=False)


def _use(name: str, hour: Mapping[str, Any], console: Console, *, of_all: bool) -> None:
    cost, asked = hour["cost"], hour["asked"]
    whole = f"its {_gpu_hours(cost['paid_us'])} of the pool's {_gpu_hours(hour['pool_paid_us'])} GPU-hours"
    parts = [(whole, cost["effective_cost_nano"], sum(asked.values()))]
    if cost["unmeasured_nano"]:
        parts.append(("  unmeasured: nobody saw it", cost["unmeasured_nano"], asked["unmeasured_nano"]))
    parts += [(f"  idle: {one['cause']}", one["idle_nano"], one["asked_nano"]) for one in hour["idle"]]
    phases = [phase for phase in ("prefill", "decode", "unattributed") if cost[f"{phase}_nano"]]
    worked = sum(asked[f"{phase}_nano"] for phase in ("prefill", "decode", "unattributed"))
    parts.append(("  workload", cost["workload_nano"], worked))
    parts += [(f"    {phase}", cost[f"{phase}_nano"], asked[f"{phase}_nano"]) for phase in phases]
    seen = f"; telemetry saw {percent(cost['observed_us'], cost['paid_us'])} of it" if cost["observed_us"] else ""
    title = f"{name}: how it was used, by {cost['allocation_method']} ({cost['confidence']}){seen}"
    columns = [
        Column("part", [part for part, _, _ in parts]),
        Column("cost", [_amount(nano) for _, nano, _ in parts], is_number=True),
    ]
    if not of_all:
        columns.append(Column("of it in the lines above", [_amount(nano) for _, _, nano in parts], is_number=True))
    console.print()
    show_columns(title, columns, console)


def _rungs(name: str, hour: Mapping[str, Any], console: Console) -> None:
    rows = [
        {
            "": "→" if one["is_chosen"] else "",
            "method": one["phase_method"],
            "confidence": one["confidence"],
            "prefill": _share(one, "prefill_share"),
            "decode": _share(one, "decode_share"),
            "why not, or from what": one["failure"] or _inputs(one["inputs"]),
        }
        for one in hour["phases"]
    ]
    columns = [
        Column(heading, [row[heading] for row in rows], is_number=heading in ("prefill", "decode"))
        for heading in rows[0]
    ]
    columns[-1].wraps = True
    _table(f"{name}: {_choice(hour['phase_choice'])}", columns, console)


def _choice(choice: Mapping[str, Any] | None) -> str:
    """Which phase split was asked for by whom, and which was taken."""
    if choice is None or not choice["phase_split"]:
        return "the rungs that could split it into prefill and decode"
    asked, policy = choice["phase_split"], choice["policy_phase_split"]
    by = "the policy" if choice["asked_by"] == "policy" else f"the deployment, where the policy says {policy}"
    taken = f'phase_split = "{asked}" by {by}; taken: {choice["phase_method"]}'
    if asked == "auto":
        return f"{taken}, the best rung that can say"
    return f"{taken}, since {asked} cannot say: {choice['failure']}" if choice["failure"] else f"{taken}, as asked"


def _inputs(inputs: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {one:,}" if isinstance(one, int) else f"{name.replace('_', ' ')} {one}"
        for name, one in inputs.items()
    )


def _table(title: str, columns: Sequence[Column], console: Console) -> None:
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


def _gpu_hours(paid_us: int) -> str:
    return grouped(rounded(int(paid_us) * 1000, GPU_HOUR_US), 3, 3)


def _share(rung: Mapping[str, Any], name: str) -> str:
    if rung["prefill_share"] is None:
        return ""
    return percent(rung[name], rung["prefill_share"] + rung["decode_share"])
