"""`apportion init`."""

from __future__ import annotations

import argparse

from apportion.cli.output import print_json
from apportion.config import template


def run(options: argparse.Namespace) -> int:
    """Write a config to start from."""
    written = template.write(options.directory)
    if options.json:
        print_json({"written": [str(path) for path in written]})
        return 0
    for path in written:
        print(f"wrote {path}")
    print(f"next: edit {written[0]}, then run `apportion check --config {written[0]}`")
    return 0
