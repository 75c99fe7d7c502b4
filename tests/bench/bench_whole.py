"""From a file of events to a table of hourly cost by team and model, whole processes, against what people would write instead.

All four tables are compared before anything is timed: the same lines, tokens and cost. Only ours would still be right
with bad lines, a second delivery or a price change.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from functools import partial
from pathlib import Path

import fleet
from measure import Result, Setting, clocked, cost, isolated, rounds, speed

PANDAS_SPEED_MIN = 10.0
MSGSPEC_SPEED_MIN = 1.0
DUCKDB_COST_MAX = 2.5
RIVALS = Path(__file__).parent / "rivals"
NAMES = ("pandas", "msgspec", "duckdb", "apportion")


def run(setting: Setting) -> list[Result]:
    """Ours against each rival."""
    count = setting.size(small=50_000, full=1_000_000)
    events = isolated(fleet.events, setting.work / f"events-{count}.ndjson", count)
    directory = setting.work / "whole"
    config = isolated(fleet.config, directory, utilization="allocation")
    cases = {name: partial(table, name, events, config) for name in NAMES}
    for case in cases.values():
        case()
    checked(directory)
    seconds = rounds(cases, setting.rounds)
    ours = seconds["apportion"]
    what = f"{count:,} events as JSON lines to an hourly cost table"
    return [
        speed("pandas", f"{what}: pandas → apportion", ours, seconds["pandas"], PANDAS_SPEED_MIN),
        speed("msgspec", f"{what}: msgspec → apportion", ours, seconds["msgspec"], MSGSPEC_SPEED_MIN),
        cost("duckdb", f"{what}: DuckDB unchecked → apportion", ours, seconds["duckdb"], DUCKDB_COST_MAX),
    ]


def table(name: str, events: Path, config: Path) -> float:
    """Seconds of a whole process that writes its table beside the config."""
    for leftover in config.parent.glob("apportion*.duckdb*"):
        leftover.unlink()
    script = [sys.executable, str(RIVALS / f"{name}_table.py"), str(events)]
    given = config if name == "apportion" else config.parent / "teams.csv"
    return clocked(
        lambda: subprocess.run(
            [*script, str(given), str(written(config.parent, name))], check=True, capture_output=True
        )
    )


def written(directory: Path, name: str) -> Path:
    """Where a script writes its table."""
    return directory / f"{name}.csv"


def checked(directory: Path) -> None:
    """Every table has the same lines, tokens and cost: to the cent where floats added it up."""
    expected = totals(written(directory, "duckdb"))
    for name in NAMES:
        lines, tokens, amount = totals(written(directory, name))
        assert (lines, tokens) == expected[:2], (name, lines, tokens, expected)
        assert abs(amount - expected[2]) < 0.01, (name, amount, expected)


def totals(path: Path) -> tuple[int, int, float]:
    """Lines, tokens and cost of a table; of ours, those of workload."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("cost_kind", "workload") == "workload"]
    cost_column, token_column = (
        ("effective_cost", "consumed_quantity") if "effective_cost" in rows[0] else ("cost", "tokens")
    )
    return len(rows), sum(int(row[token_column]) for row in rows), sum(float(row[cost_column]) for row in rows)
