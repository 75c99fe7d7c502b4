"""`apportion prices`."""

from __future__ import annotations

import argparse

from apportion.cli.output import console, print_json
from apportion.cli.results import published
from apportion.cli.times import instant
from apportion.domain.errors import UsageError
from exporters import prices
from exporters.columns import printable


def run(options: argparse.Namespace) -> int:
    """Prices in force for the external models that were seen, or what is doubtful about them; neither is a failure."""
    moment = instant(options.at, "--at")
    if moment is not None and options.what != "list":
        raise UsageError("--at is for `prices list`; `prices check` looks at the last run, so leave it out.")
    results = published(options)
    if options.what == "list":
        found = prices.listed(results, moment)
        if options.json:
            print_json(found)
        else:
            prices.show_listed(found, console())
        return 0
    if options.json:
        print_json(prices.doubts(results))
        return 0
    screen, said = console(), prices.warnings(results)
    for sentence in said:
        screen.print("[yellow]warning[/yellow] ", end="")
        screen.print(printable(sentence), markup=False)
    if not said:
        screen.print("Price lists agree, and every external token has a price.")
    return 0
