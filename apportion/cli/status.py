"""`apportion status`."""

from __future__ import annotations

import argparse

from apportion.cli.output import console, print_json
from apportion.cli.results import published
from exporters import status


def run(options: argparse.Namespace) -> int:
    """How far the figures reach and whether they add up."""
    found = status.status(published(options))
    if options.json:
        print_json(found)
    else:
        status.show(found, console())
    return 0
