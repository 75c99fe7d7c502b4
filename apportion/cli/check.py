"""`apportion check`."""

from __future__ import annotations

import argparse
import dataclasses
import json

from apportion.cli.output import console, print_json
from apportion.config.load import load


def run(options: argparse.Namespace) -> int:
    """Validate everything at once, and look at the sources; the loader raises with every problem.

    What a look finds missing is a warning: it may be there when `serve` starts.
    """
    from apportion.cli.probe import probe

    config = load(options.config)
    resolved = config.resolved()
    seen = [] if getattr(options, "no_probe", False) else probe(config)
    if options.json:
        probes = [dataclasses.asdict(look) for look in seen]
        print_json({"config": resolved, "warnings": list(config.warnings), "probes": probes})
        return 0
    screen = console()
    screen.print_json(json.dumps(resolved, default=str))
    for look in seen:
        if look.well:
            screen.print(f"source {look.source}: {look.said}", markup=False)
    failing = [f"source {look.source}: {look.said}" for look in seen if not look.well]
    for warning in (*config.warnings, *failing):
        screen.print("[yellow]warning[/yellow] ", end="")
        screen.print(warning, markup=False)
    counts = ", ".join(
        [
            f"{len(config.pools)} pool rows",
            f"{len(config.deployments)} deployment rows",
            f"{len(config.rates)} rates",
            f"{len(config.directory.rules)} directory rules",
            f"{len(config.sources)} sources",
            f"{len(config.warnings) + len(failing)} warnings",
        ]
    )
    screen.print("[green]ok[/green] ", end="")
    screen.print(f"{options.config}: {counts}", markup=False)
    return 0
