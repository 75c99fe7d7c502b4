"""A month of a fleet that buys in every way, by the whole ladder, against the bare hourly GROUP BY; and a price that changes in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cost_fleet
import fleet
import ledgers
from bench_meter import _READ, MONTH, clear, nothing
from measure import THREADS, Result, Setting, clocked, cost, isolated, memory, peak_gib, rounds

from apportion.ledger.connection import Ledger
from metering.meter import meter

MONTH_COST_MAX = 5.0
PEAK_GIB_MAX = 1.5
CHANGED_HOURS = (fleet.END - datetime(2025, 11, 24, tzinfo=UTC)).days * 24


def run(setting: Setting) -> list[Result]:
    """The month, by as many keys as there are teams and by ten times as many, and the hours that a changed price reaches."""
    count = setting.size(small=1_000_000, full=50_000_000)
    found = []
    for keys, target in ((1, MONTH_COST_MAX), (10, None)):
        callers = keys * cost_fleet.TEAMS
        config = cost_fleet.config(setting.work / f"cost-{callers}", callers)
        changed = cost_fleet.config(setting.work / f"cost-{callers}", callers, changed=True)
        filled = isolated(cost_fleet.filled, setting.work / f"cost-{count}-{callers}.duckdb", config, count, callers)
        seconds, lines, peak = isolated(compare, filled, config, changed, setting)
        fleet_of = f"{count / 1e6:g} M events, {cost_fleet.POOLS} pools, {cost_fleet.TEAMS} teams, {callers} keys, {lines / 1e6:.1f} M lines"
        found += [
            cost(f"month of {callers} keys", f"{fleet_of}: hourly GROUP BY → metering, every component and rung", seconds["month"], seconds["floor"], target),
            cost(f"rate change of {callers} keys", f"the month → the {CHANGED_HOURS} hours that a changed price of one pool reaches", seconds["changed"], seconds["month"]),
            replace(memory(f"peak memory with {callers} keys", peak, PEAK_GIB_MAX), key=f"memory of {callers} keys"),
        ]  # fmt: skip
    return found


def compare(filled: Path, config: Path, changed: Path, setting: Setting) -> tuple[dict[str, list[float]], int, float]:
    """Seconds of every case in one ledger, the charge lines of its month, and GiB at the peak."""
    path = ledgers.copied(filled, setting.work / "cost-measured.duckdb")
    with Ledger(path, threads=THREADS) as ledger:
        seconds = rounds(
            {
                "floor": lambda: clocked(lambda: [ledger.session().rows(sql) for sql in _READ]),
                "month": lambda: month(ledger),
                "changed": lambda: rate_change(ledger, config, changed),
            },
            setting.rounds,
        )
        lines = int(ledger.session().value("SELECT count(*) FROM metering.charge_hourly"))
    ledgers.remove(path)
    return seconds, lines, peak_gib()


def month(ledger: Ledger) -> float:
    """Seconds to meter the month into empty tables."""
    clear(ledger, "metering")

    def whole() -> None:
        report = meter(ledger, ledgers.Fixed(), settle=nothing, since=MONTH.start, until=MONTH.end)
        assert report.hours == fleet.HOURS, report

    return clocked(whole)


def rate_change(ledger: Ledger, config: Path, changed: Path) -> float:
    """Seconds to meter again what another price of one pool reaches; the first price is put back afterwards, untimed."""
    if not ledger.session().value("SELECT count(*) FROM metering.metered_hour"):
        month(ledger)
    cost_fleet.synced(ledger, changed)

    def again() -> None:
        report = meter(ledger, ledgers.Fixed(), settle=nothing)
        assert report.hours == CHANGED_HOURS, report

    took = clocked(again)
    cost_fleet.synced(ledger, config)
    meter(ledger, ledgers.Fixed(), settle=nothing)
    return took
