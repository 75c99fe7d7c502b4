"""`apportion check`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apportion.cli.output import console, print_json
from apportion.config.limits import WARNINGS_MAX, bounded
from apportion.config.load import load
from apportion.config.tables import listed
from apportion.domain.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.probe import Seen
    from apportion.config.model import Config
    from exporters.discoveries import Discovered

ROWS_MAX: Final = 20
"""A longer list is shown by its beginning, so that the warnings behind it stay on the screen."""
ROWS_SHOWN: Final = 2
NAMES_MAX: Final = 20
LINES_MAX: Final = 10
"""Of what the ledger tells of one kind."""
MORE: Final = "more like these"
PRICES_MORE: Final = "more of prices; see `apportion prices check`"


def run(options: argparse.Namespace) -> int:
    """Validate everything at once, look at the sources, and at what was published of what they sent; the loader raises with
    every problem.

    What a look finds missing is a warning: it may be there when `serve` starts.
    """
    from apportion.cli.probe import probe

    config = load(options.config)
    resolved = config.resolved()
    seen = [] if getattr(options, "no_probe", False) else probe(config)
    known = _discovered(options.ledger or config.ledger.path)
    doubts = _price_doubts(options.ledger or config.ledger.path)
    fallen = _phase_doubts(options.ledger or config.ledger.path, config)
    if options.json:
        probes = [dataclasses.asdict(look) for look in seen]
        found = None if known is None else dataclasses.asdict(known)
        warned = [*config.warnings, *doubts, *fallen]
        print_json({"config": resolved, "warnings": warned, "probes": probes, "discovered": found})
        return 0
    _show(options.config, config, resolved, seen, known, doubts, fallen)
    return 0


def _show(
    file: Path,
    config: Config,
    resolved: object,
    seen: Sequence[Seen],
    known: Discovered | None,
    doubts: Sequence[str],
    fallen: Sequence[str],
) -> None:
    from exporters.columns import printable

    screen = console()
    screen.print_json(json.dumps(_short(resolved), default=str))
    lines = [f"source {look.source}: {look.said}" for look in seen if look.well]
    if known is not None:
        when = f"seen in {known.month}" if known.month else "seen, since no month is metered yet"
        lines += [
            f"pools {when}: {listed(known.pools, NAMES_MAX) or 'none'}",
            f"models {when}: {listed(known.models, NAMES_MAX) or 'none'}",
        ]
    for line in lines:
        screen.print(printable(line), markup=False)
    warnings = [*config.warnings, *(f"source {look.source}: {look.said}" for look in seen if not look.well)]
    found = [found.line for found in known.findings] if known else []
    shown = [
        *bounded(warnings, WARNINGS_MAX),
        *_first(found, MORE),
        *_first(fallen, MORE),
        *_first(doubts, PRICES_MORE),
    ]
    for warning in shown:
        screen.print("[yellow]warning[/yellow] ", end="")
        screen.print(printable(warning), markup=False)
    told = len(warnings) + len(found) + len(doubts) + len(fallen)
    counts = ", ".join(
        [
            f"{len(config.pools)} pool rows",
            f"{len(config.deployments)} deployment rows",
            f"{len(config.rates)} rates",
            f"{len(config.directory.rules)} directory rules",
            f"{len(config.sources)} sources",
            f"{told} warnings",
        ]
    )
    screen.print("[green]ok[/green] ", end="")
    screen.print(f"{file}: {counts}", markup=False)


def _short(resolved: object) -> object:
    """The config with the first rows of long lists, and how many more there are."""
    if isinstance(resolved, dict):
        return {key: _short(value) for key, value in resolved.items()}
    if isinstance(resolved, list):
        left_out = len(resolved) - ROWS_MAX
        shown = [_short(value) for value in (resolved[:ROWS_SHOWN] if left_out > 0 else resolved)]
        return shown if left_out <= 0 else [*shown, f"and {len(resolved) - ROWS_SHOWN} more; --json prints all"]
    return resolved


def _first(sentences: Sequence[str], more: str) -> list[str]:
    left_out = len(sentences) - LINES_MAX
    return [*sentences[:LINES_MAX], *([f"{left_out} {more}"] if left_out > 0 else [])]


def _discovered(ledger: Path) -> Discovered | None:
    """What the results beside a ledger tell of its fleet; None before the first metering, or where it cannot be read."""
    from apportion.ledger.connection import read_only, results_path
    from exporters.discoveries import discovered

    try:
        return discovered(read_only(results_path(ledger)))
    except LedgerError:
        return None


def _price_doubts(ledger: Path) -> list[str]:
    """What the results beside a ledger tell of prices that are missing or disagree; nothing where they cannot be read."""
    from apportion.ledger.connection import read_only, results_path
    from exporters import prices

    try:
        return prices.warnings(read_only(results_path(ledger)))
    except LedgerError:
        return []


def _phase_doubts(ledger: Path, config: Config) -> list[str]:
    """Deployments that the results beside a ledger show split by weights against their config."""
    from apportion.ledger.connection import read_only, results_path
    from exporters import phase_doubts

    forced = {row.id: config.phase_split_of(row) for row in config.deployments if row.role == "both"}
    try:
        return phase_doubts.warnings(read_only(results_path(ledger)), forced)
    except LedgerError:
        return []
