"""`apportion check`."""

from __future__ import annotations

import argparse
import json

from apportion.cli.output import console, print_json
from apportion.config.load import load


def run(options: argparse.Namespace) -> int:
    """Validate everything at once; the loader raises with every problem."""
    config = load(options.config)
    resolved = config.resolved()
    if options.json:
        print_json({"config": resolved, "warnings": list(config.warnings)})
        return 0
    screen = console()
    screen.print_json(json.dumps(resolved, default=str))
    for warning in config.warnings:
        screen.print(f"[yellow]warning[/yellow] {warning}")
    counts = ", ".join(
        [
            f"{len(config.pools)} pool rows",
            f"{len(config.deployments)} deployment rows",
            f"{len(config.rates)} rates",
            f"{len(config.directory.rules)} directory rules",
            f"{len(config.warnings)} warnings",
        ]
    )
    screen.print(f"[green]ok[/green] {options.config}: {counts}")
    return 0
