"""A month of a fleet that buys in every way, by the whole ladder, against the bare hourly GROUP BY; and a price that changes in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import cost_fleet
import fleet
import ledgers
from bench_meter import _READ, MONTH, clear, nothing
from measure import THREADS, Result, Setting, clocked, cost, isolated, memory, peak_gib, rounds

from apportion.config.load import load
from apportion.ledger import book
from apportion.ledger.connection import Ledger
from metering.meter import meter

MONTH_COST_MAX = 5.0
PEAK_GIB_MAX = 1.5
CHANGED_HOURS = (fleet.END - datetime(2025, 11, 24, tzinfo=UTC)).days * 24


def run(setting: Setting) -> list[Result]:
    """The month, and the hours that a changed price reaches."""
    count = setting.size(small=1_000_000, full=50_000_000)
    config = cost_fleet.config(setting.work / "cost")
    changed = cost_fleet.config(setting.work / "cost", changed=True)
    filled = isolated(cost_fleet.filled, setting.work / f"cost-{count}.duckdb", config, count)
    seconds, peak = isolated(compare, filled, config, changed, setting)
    millions = (
        f"{count / 1e6:g} M events, {cost_fleet.POOLS} pools, {cost_fleet.TEAMS} teams, {cost_fleet.MODELS} models"
    )
    return [
        cost("month", f"a month of {millions}: hourly GROUP BY → metering, every component and rung", seconds["month"], seconds["floor"], MONTH_COST_MAX),
        cost("rate change", f"the month → the {CHANGED_HOURS} hours that a changed price of one pool reaches", seconds["changed"], seconds["month"]),
        memory(f"peak memory at {count / 1e6:g} M events", peak, PEAK_GIB_MAX),
    ]  # fmt: skip


def compare(filled: Path, config: Path, changed: Path, setting: Setting) -> tuple[dict[str, list[float]], float]:
    """Seconds of every case in one ledger, and GiB at the peak."""
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
    ledgers.remove(path)
    return seconds, peak_gib()


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
    _sync(ledger, changed)

    def again() -> None:
        report = meter(ledger, ledgers.Fixed(), settle=nothing)
        assert report.hours == CHANGED_HOURS, report

    took = clocked(again)
    _sync(ledger, config)
    meter(ledger, ledgers.Fixed(), settle=nothing)
    return took


def _sync(ledger: Ledger, config: Path) -> None:
    with ledger.transaction() as session:
        book.sync(session, load(config), fleet.END)
