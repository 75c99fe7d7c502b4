"""`apportion check`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from apportion.cli.output import console, print_json
from apportion.config.load import load
from apportion.domain.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.probe import Seen
    from apportion.config.model import Config
    from exporters.discoveries import Discovered


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
    if options.json:
        probes = [dataclasses.asdict(look) for look in seen]
        found = None if known is None else dataclasses.asdict(known)
        warned = [*config.warnings, *doubts]
        print_json({"config": resolved, "warnings": warned, "probes": probes, "discovered": found})
        return 0
    _show(options.config, config, resolved, seen, known, doubts)
    return 0


def _show(
    file: Path, config: Config, resolved: object, seen: Sequence[Seen], known: Discovered | None, doubts: Sequence[str]
) -> None:
    from exporters.columns import printable

    screen = console()
    screen.print_json(json.dumps(resolved, default=str))
    lines = [f"source {look.source}: {look.said}" for look in seen if look.well]
    if known is not None:
        lines += [
            f"pools seen: {', '.join(known.pools) or 'none'}",
            f"models seen: {', '.join(known.models) or 'none'}",
        ]
    for line in lines:
        screen.print(printable(line), markup=False)
    warnings = [*config.warnings, *(f"source {look.source}: {look.said}" for look in seen if not look.well)]
    warnings += [*(found.line for found in known.findings), *doubts] if known else [*doubts]
    for warning in warnings:
        screen.print("[yellow]warning[/yellow] ", end="")
        screen.print(printable(warning), markup=False)
    counts = ", ".join(
        [
            f"{len(config.pools)} pool rows",
            f"{len(config.deployments)} deployment rows",
            f"{len(config.rates)} rates",
            f"{len(config.directory.rules)} directory rules",
            f"{len(config.sources)} sources",
            f"{len(warnings)} warnings",
        ]
    )
    screen.print("[green]ok[/green] ", end="")
    screen.print(f"{file}: {counts}", markup=False)


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
