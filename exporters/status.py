"""How far the figures reach, what was refused on the way, and whether everything adds up: for programs and people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console

from apportion.domain.money import text as money_text
from apportion.ledger.connection import Session
from exporters import status_costs
from exporters.columns import Column, printable, show_columns
from exporters.reconciliation import DAY_BY_POOL

OUTCOMES: Final = ("landed", "duplicates", "superseded", "conflicts", "rejected")
"""What can become of a record: they add up to `received`."""

_STATUS: Final = """
SELECT
    ledger, published_at, pid, billing_currency, policy_version, watermark, first_hour, metered_hours, dirty_hours,
    refused_hours
FROM status
"""

_POOLS: Final = """
SELECT
    strftime(billing_period, '%Y-%m') AS month, pool_id AS pool, effective_cost_nano, workload_nano, idle_nano,
    unmeasured_nano, unmapped_nano, unattributed_nano, consumed_tokens AS tokens, unmapped_tokens, unplaced_tokens
FROM pool_shares ORDER BY billing_period, pool_id
"""

_LISTS: Final = {
    "months": status_costs.MONTHS,
    "without_cost": status_costs.WITHOUT_COST,
    "credits": status_costs.CREDITS,
    "pools": _POOLS,
    "sources": "SELECT source, last_hour FROM sources ORDER BY source",
    "rejections": """
SELECT source AS format, reason, records, replayed, newest_stream, newest_line, newest_reporter
FROM rejections ORDER BY records DESC, format, reason""",
    "reconciliation": f"SELECT pool_id AS pool, engine_tokens, logged_tokens, unlogged_tokens FROM ({DAY_BY_POOL}) AS day ORDER BY pool",
    "refused": """
SELECT reason, count(*) AS hours, min(charge_period_start) AS first, max(charge_period_start) AS last
FROM refused_hours GROUP BY reason ORDER BY first, reason""",
    "collectors": """
SELECT name, collector, state, since, failures, last_error, last_success_at, lag_records, notes FROM collectors ORDER BY name""",
    "gaps": """
SELECT stream, count(*) AS gaps, sum(position_to - position_from)::BIGINT AS records, max(noticed_at) AS noticed_at,
    arg_max(reason, noticed_at) AS reason
FROM stream_gaps GROUP BY stream ORDER BY stream""",
    "observed": """
SELECT source, believed_source, sum(events)::BIGINT AS events, sum(consumed_tokens)::HUGEINT AS tokens
FROM observed_usage GROUP BY ALL ORDER BY source, believed_source""",
    "streams": "SELECT stream, position, records, updated_at FROM streams ORDER BY stream",
    "steps": "SELECT step, runs, finished_at, duration_us, row_count FROM step_runs ORDER BY step",
    "jobs": "SELECT job, runs, failed, started_at, outcome, detail, duration_us FROM job_runs ORDER BY job",
}


def status(results: Session) -> dict[str, Any]:
    """Everything that was published about the ledger's health: texts, integers, booleans and ratios, ready for JSON.

    Units: `_cost` is decimal text in the billing currency; ratios are of a pool's workload cost, None where it has
    none; `logged_ratio` is of the tokens that engines counted.
    """
    found: dict[str, Any] = _records(results, _STATUS)[0]
    found["ingest"] = _ingest(results)
    found |= {name: _records(results, query) for name, query in _LISTS.items()}
    for pool in found["pools"]:
        for name in ("unmapped", "unattributed"):
            pool[f"{name}_ratio"] = _ratio(pool[f"{name}_cost"], pool["workload_cost"])
    for pool in found["reconciliation"]:
        pool["logged_ratio"] = (
            round(pool["logged_tokens"] / pool["engine_tokens"], 6) if pool["engine_tokens"] else None
        )
    return found


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print a status for people."""
    currency, ingest = found["billing_currency"] or "", found["ingest"]
    hours = (
        f"{found['metered_hours']:,} hours metered, {found['dirty_hours']:,} to meter again, "
        f"{found['refused_hours']:,} refused"
    )
    lines = [
        f"Published {found['published_at']} by process {found['pid']}, from {found['ledger']}",
        f"Figures are final up to {found['watermark'] or 'nothing yet'}: {hours}",
    ]
    lines += [f"  refused: {one['hours']:,} hours from {one['first']}: {one['reason']}" for one in found["refused"]]
    outcomes = " + ".join(f"{ingest[name]:,} {name}" for name in OUTCOMES)
    skewed = f" ({ingest['skewed']:,} with clocks ahead, taken at arrival time)" if ingest["skewed"] else ""
    lines.append(f"Ingest: {ingest['received']:,} received = {outcomes}{skewed}")
    if ingest["claimed"]:
        lines.append(f"  {ingest['claimed']:,} callers wrote in the request who is to pay, which is not believed")
    for one in found["rejections"]:
        replayed = f" ({one['replayed']:,} replayed since)" if one["replayed"] else ""
        by = f", which {one['newest_reporter']} reported" if one["newest_reporter"] else ""
        newest = f"; the newest is line {one['newest_line']:,} of {one['newest_stream']}{by}"
        lines.append(f"  rejected: {one['records']:,} of {one['format']}: {one['reason']}{replayed}{newest}")
    lines += [f"  usage from {one['source']}, last in the hour of {one['last_hour']}" for one in found["sources"]]
    for one in found["observed"]:
        calls = f"{one['events']:,} events of {one['source']} tell of calls that {one['believed_source']} reports"
        lines.append(f"  observed: {calls}; not metered twice")
    lines += [f"  lost: {one['records']:,} records of {one['stream']}: {one['reason']}" for one in found["gaps"]]
    for month in found["months"]:
        verdict = "yes" if month["conserved"] else "NO"
        of = f"{month['charged_cost']} of {month['origin_cost']} {currency}".rstrip()
        lines.append(f"{month['month']}: sum of charges = sum of origin: {verdict}, {of}")
        lines += status_costs.lines(found, month)
    lines += [
        f"Engines of {one['pool']} counted {one['engine_tokens']:,} tokens in the newest 24 hours; logs say "
        f"{one['logged_tokens']:,} ({_percent(one['logged_ratio'])}), {one['unlogged_tokens']:,} are nobody's"
        for one in found["reconciliation"]
    ]
    for line in lines:
        console.print(printable(line), soft_wrap=True, markup=False, highlight=False)
    _show_pools(found["pools"], console)
    _show_collectors(found["collectors"], console)
    _show_jobs(found["jobs"], console)


def _ingest(results: Session) -> dict[str, Any]:
    totals: dict[str, int] = dict.fromkeys(("received", *OUTCOMES, "skewed", "claimed"), 0)
    formats: dict[str, dict[str, int]] = defaultdict(dict)
    for source, outcome, records in results.rows("SELECT source, outcome, records FROM ingest_totals ORDER BY ALL"):
        totals[outcome] += records
        formats[source][outcome] = formats[source].get(outcome, 0) + records  # a source may send several kinds
    return {
        **totals,
        "adds_up": totals["received"] == sum(totals[name] for name in OUTCOMES),
        "formats": dict(formats),
    }


def _show_pools(pools: Sequence[Mapping[str, Any]], console: Console) -> None:
    columns = [
        Column("month", [pool["month"] for pool in pools]),
        Column("pool", [pool["pool"] or "(none)" for pool in pools]),
    ]
    columns += [
        Column(name, [pool[f"{name}_cost"] for pool in pools], is_number=True)
        for name in ("workload", "idle", "unmeasured")
    ]
    columns += [
        Column(name, [_percent(pool[f"{name}_ratio"]) for pool in pools], is_number=True)
        for name in ("unmapped", "unattributed")
    ]
    columns.append(Column("unplaced tokens", [f"{pool['unplaced_tokens']:,}" for pool in pools], is_number=True))
    if pools:
        console.print()
        show_columns("Pools", columns, console)


def _show_collectors(collectors: Sequence[Mapping[str, Any]], console: Console) -> None:
    columns = [
        Column(title, [one[name] or "" for one in collectors])
        for title, name in (
            ("source", "name"),
            ("arrives by", "collector"),
            ("state", "state"),
            ("since", "since"),
            ("last success", "last_success_at"),
        )
    ]
    columns.append(Column("failures", [f"{one['failures']:,}" for one in collectors], is_number=True))
    lags = ["" if one["lag_records"] is None else f"{one['lag_records']:,}" for one in collectors]
    columns.append(Column("lag", lags, is_number=True))
    columns.append(Column("says", [_said(one) for one in collectors]))
    if collectors:
        console.print()
        show_columns("Sources", columns, console)


def _said(one: Mapping[str, Any]) -> str:
    """Why a source fails, else the newest note about it."""
    return str(one["last_error"] if one["state"] == "failing" else one["notes"].rpartition("\n")[2])


def _show_jobs(jobs: Sequence[Mapping[str, Any]], console: Console) -> None:
    columns = [Column(name, [job[key] for job in jobs]) for name, key in (("job", "job"), ("last", "started_at"))]
    columns += [Column(name, [f"{job[name]:,}" for job in jobs], is_number=True) for name in ("runs", "failed")]
    columns += [Column(name, [job[name] for job in jobs]) for name in ("outcome", "detail")]
    if jobs:
        console.print()
        show_columns("Runs", columns, console)


def _records(results: Session, query: str) -> list[dict[str, Any]]:
    """Rows as objects; what is nano becomes `_cost` text, times become RFC 3339."""
    names = results.columns(query)
    return [dict(_plain(name, value) for name, value in zip(names, row, strict=True)) for row in results.rows(query)]


def _plain(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_nano"):
        return f"{name.removesuffix('_nano').removesuffix('_cost')}_cost", money_text(value)
    return name, f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value


def _ratio(part: str, whole: str) -> float | None:
    of, all_ = (int(amount.replace(".", "")) for amount in (part, whole))
    return round(of / all_, 6) if all_ else None


def _percent(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2%}"
