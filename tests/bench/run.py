"""Measure what the project promises about speed, as ratios to floors of the same run, and keep them.

Usage: python tests/bench/run.py [--only NAME ...] [--scale small|full] [--rounds N] [--date YYYY-MM-DD] [--work DIR]

Every benchmark runs in a process of its own on two cores. Full-scale ratios of at least five rounds are added to
history.json; a smaller run only shows that everything still works.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the product as it stands here, whether or not it is installed
os.environ["PYTHONPATH"] = str(ROOT)

from measure import THREADS, Result, Seconds, Setting, isolated  # noqa: E402 - after the path is known

BENCHMARKS = (
    "ingest",
    "formats",
    "batch",
    "http",
    "kafka",
    "prometheus",
    "samples",
    "meter",
    "cost",
    "sharing",
    "scrape",
    "whole",
    "help",
)
ROUNDS_KEPT = 5
"""Fewer make no median worth keeping."""
HISTORY = Path(__file__).parent / "history.json"
VERSIONS = ("duckdb", "pandas", "msgspec")


def main() -> int:
    """Run what was asked for. Returns: 0 whether or not targets are met; a benchmark that fails raises."""
    options = arguments()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    console = Console(width=None if sys.stdout.isatty() else 200)
    load = os.getloadavg()[0]
    if load > 0.5:
        console.print(
            f"[yellow]note[/yellow] this machine is busy (load {load:.1f}); ratios are steadier than times, and neither is at its best"
        )
    found = {}
    with work_directory(options.work) as work:
        setting = Setting(scale=options.scale, rounds=options.rounds, work=work)
        for name in options.only or BENCHMARKS:
            found[name] = isolated(measured, name, setting)
            console.print(shown(name, found[name], setting))
    if options.scale == "full" and options.rounds >= ROUNDS_KEPT:
        keep(HISTORY, entry(found, options.date))
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="this one only; may be given again")
    parser.add_argument("--scale", default="full", choices=("small", "full"))
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is timed (default: 5)")
    parser.add_argument(
        "--date", default=datetime.now(UTC).date().isoformat(), help="what the history is to say (default: today)"
    )
    parser.add_argument(
        "--work", type=Path, help="keep generated data here for the next run; about 15 GB (default: a temporary folder)"
    )
    return parser.parse_args()


def measured(name: str, setting: Setting) -> list[Result]:
    """Run one benchmark."""
    results: list[Result] = importlib.import_module(f"bench_{name}").run(setting)
    return results


@contextmanager
def work_directory(kept: Path | None) -> Iterator[Path]:
    """Where generated data goes."""
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="apportion-bench-") as name:
        yield Path(name)


def shown(name: str, results: list[Result], setting: Setting) -> Table:
    """A benchmark's figures with what they were made of."""
    table = Table(
        title=f"{name}: {setting.scale} scale, {setting.rounds} rounds, {THREADS} threads", title_justify="left"
    )
    table.add_column("floor → ours", ratio=1)
    for column in ("floor min/med ms", "ours min/med ms", "figure", "target", "verdict"):
        table.add_column(column, justify="right", no_wrap=True)
    for result in results:
        verdict = {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}[result.met]
        figure = f"{result.figure:.3g} {result.unit}"
        table.add_row(result.name, times(result.floor), times(result.ours), figure, result.target, verdict)
    return table


def times(seconds: Seconds) -> str:
    """The least and the median, in milliseconds."""
    if not seconds:
        return ""
    ordered = sorted(seconds)
    middle = (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2
    return f"{ordered[0] * 1000:,.0f} / {middle * 1000:,.0f}"


def entry(found: dict[str, list[Result]], date: str) -> dict[str, object]:
    """What the history keeps of a run."""
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in VERSIONS}}
    ratios = {
        f"{name}.{result.key}": float(f"{result.figure:.3g}")
        for name, results in found.items()
        for result in results
        if result.unit == "x"
    }
    return {"date": date, "cores": os.cpu_count(), "versions": versions, "ratios": ratios}


def keep(path: Path, latest: dict[str, object]) -> None:
    """Add a run to the history, one line each."""
    history = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in [*history, latest])
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
