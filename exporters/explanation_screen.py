"""An explained figure for people: the sum first, then what it is made of, one step deeper per table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console

from exporters.amounts import percent, rounded
from exporters.columns import Column, printable, show_columns
from exporters.explanation_costs_screen import show_external, show_origins, show_prices
from exporters.explanation_tables import GPU_HOUR_US, Rows, amount, columns_of, decimal, gpu_hours, table, trimmed

PPM_WHOLE: Final = 1_000_000
SHOWN_UNITS: Final = {"ps": (6, "µs"), "as": (12, "µs"), "us": (6, "s")}
"""What inputs are told in: the decimals it has in a unit for people."""


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print what `explained` found."""
    currency = found["billing_currency"]
    told = ("team_id", "pool_id", "deployment_id", "model_id")
    asked = " · ".join(str(found[name]) for name in told if found[name] is not None)
    when = f"{found['period_start']:%Y-%m-%d %H:%M} to {found['period_end']:%Y-%m-%d %H:%M} UTC"
    if found["metered_to"] < found["period_end"]:
        when += f", so far, to {found['metered_to']:%Y-%m-%d %H:%M}"
    title = f"{asked or 'everything'}, {when}: {amount(found['effective_cost_nano'])} {currency}"
    if found["settled_cost_nano"]:
        title += (
            f" as metered, and {amount(found['settled_cost_nano'])} from settlement: "
            f"{amount(found['charged_cost_nano'])} in the month's chargeback"
        )
    uncharged = sum(line["consumed_tokens"] or 0 for line in found["lines"] if line["effective_cost_nano"] is None)
    if uncharged:
        title += f"; {uncharged:,} tokens have no cost"
    _lines(title, found["lines"], console, is_hour="deployment_hours" in found)
    if found["causes"]:
        columns = columns_of(found["causes"], ("cause", "means", "who_can_act"))
        columns[-1].wraps = True
        table("What this means, and who can act", columns, console)
    if found["external"]:
        show_external(found["external"], currency, console)
    _origins(found, console)
    pool = None
    for hour in found.get("deployment_hours", ()):
        if hour["pool_id"] != pool:
            pool = hour["pool_id"]
            own = [one for one in found["origin_charges"] if one["pool_id"] == pool]
            show_origins(f"{pool}: what the pool's hour cost, in {currency}", own, console)
        _hour(hour, console, of_all=found["team_id"] is None and found["model_id"] is None)
    if found.get("settled"):
        names = ("pool_id", "cost_kind", "cause", "allocation_method", "effective_cost_nano")
        columns = columns_of(found["settled"], names)
        columns[-1].total = amount(found["settled_cost_nano"])
        columns[0].total = "total"
        table("What the month's settlement adds", columns, console)
    if found.get("hours"):
        rows = [
            {
                "hour": f"{one['charge_period_start']:%Y-%m-%dT%H:%MZ}",
                "stale": "as metered before: it waits" if one["is_stale"] else "",
                **one,
            }
            for one in found["hours"]
        ]
        table("The dearest hours", columns_of(rows, ("hour", "stale", "effective_cost_nano")), console)
        console.print(f"\nTo the bottom of one: --hour {rows[0]['hour']} instead of --month")


def _lines(title: str, lines: Rows, console: Console, *, is_hour: bool) -> None:
    lines = [{**line, "provider": line["provider"] if line["cost_kind"] == "external" else ""} for line in lines]
    names = (
        "pool_id", "deployment_id", "provider", "model_id", "tier", "cost_kind", "cause", "token_kind", "allocation_method", "confidence",
        *(() if is_hour else ("hours",)), "consumed_tokens", "effective_cost_nano",
    )  # fmt: skip
    columns = columns_of(lines, names)
    columns[-1].total = amount(sum(line["effective_cost_nano"] or 0 for line in lines))
    columns[0].total = "total"
    show_columns(title, columns, console)


def _origins(found: Mapping[str, Any], console: Console) -> None:
    """What a month of whole pools cost, or the shared costs of an hour; and the prices behind an hour or a month."""
    charges = found.get("origin_charges", ())
    if "hours" in found and charges:
        title = f"What it cost by component, as on an invoice, in {found['billing_currency']}"
        show_origins(title, charges, console, all_costs=True)
    if found.get("prices"):
        show_prices(found["prices"], found["billing_currency"], console)


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
    whole = f"its {gpu_hours(cost['paid_us'])} of the pool's {gpu_hours(hour['pool_paid_us'])} GPU-hours"
    parts = [(whole, cost["effective_cost_nano"], sum(asked.values()))]
    if cost["unmeasured_nano"]:
        parts.append(("  unmeasured: nobody saw it", cost["unmeasured_nano"], asked["unmeasured_nano"]))
    parts += [(f"  idle: {one['cause']}", one["idle_nano"], one["asked_nano"]) for one in hour["idle"]]
    phases = [phase for phase in ("prefill", "decode", "unattributed") if cost[f"{phase}_nano"]]
    worked = sum(asked[f"{phase}_nano"] for phase in ("prefill", "decode", "unattributed"))
    parts.append(("  workload", cost["workload_nano"], worked))
    parts += [(f"    {phase}", cost[f"{phase}_nano"], asked[f"{phase}_nano"]) for phase in phases]
    seen = f"; telemetry saw {percent(cost['observed_us'], cost['paid_us'])} of it" if cost["observed_us"] else ""
    seen += _activity(cost)
    title = f"{name}: how it was used, by {cost['allocation_method']} ({cost['confidence']}){seen}"
    columns = [
        Column("part", [part for part, _, _ in parts]),
        Column("cost", [amount(nano) for _, nano, _ in parts], is_number=True),
    ]
    if not of_all:
        columns.append(Column("of it in the lines above", [amount(nano) for _, _, nano in parts], is_number=True))
    console.print()
    show_columns(title, columns, console)


def _activity(cost: Mapping[str, Any]) -> str:
    """How busy it was, by what its utilization goes by."""
    if cost["utilization"] == "active" and cost["observed_us"]:
        return f", {percent(cost['active_ppm_us'], cost['observed_us'] * PPM_WHOLE)} of that active"
    if cost["utilization"] == "capacity" and cost["weight_scale"] and cost["capacity_token_us"]:
        used = decimal(cost["used_weight"], cost["weight_scale"])
        could = trimmed(rounded(cost["capacity_token_us"] * 1000, GPU_HOUR_US), 3)
        share = percent(cost["used_weight"] * GPU_HOUR_US, cost["capacity_token_us"] * cost["weight_scale"])
        return f"; used {used} of {could} weighted tokens it could serve ({share})"
    return ""


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
    table(f"{name}: {_choice(hour['phase_choice'])}", columns, console)


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
    """What a rung went by: weighted tokens as decimals, times of a token in microseconds."""
    scale = inputs.get("weight_scale")
    return ", ".join(
        _input(name, one, scale) for name, one in inputs.items() if name != "weight_scale" and one is not None
    )


def _input(name: str, value: Any, scale: int | None) -> str:
    what, _, unit = name.rpartition("_")
    words = what.replace("_", " ")
    if unit == "weight" and scale:
        return f"weighted {words} tokens {decimal(value, scale)}"
    if unit == "bp":
        return f"{words} {percent(value, 10_000)}"
    if unit in SHOWN_UNITS:
        decimals, shown = SHOWN_UNITS[unit]
        return f"{words} {trimmed(value, decimals)} {shown}"
    return f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"


def _share(rung: Mapping[str, Any], name: str) -> str:
    if rung["prefill_share"] is None:
        return ""
    return percent(rung[name], rung["prefill_share"] + rung["decode_share"])
