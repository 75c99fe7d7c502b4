"""`apportion inventory`."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

from apportion.cli.output import console, print_json
from apportion.cli.times import ascending, instant
from apportion.domain.clock import SystemClock
from apportion.domain.errors import InputError, UsageError
from apportion.domain.period import hour_of


def run(options: argparse.Namespace) -> int:
    """Hold the pools against telemetry, or print rows for what Kubernetes shows; a difference is no failure, nothing is written."""
    since, until = instant(options.since, "--since"), instant(options.until, "--until")
    ascending(since, until)
    if options.kubernetes:
        if until is not None:
            raise UsageError("--until is not for --kubernetes, which shows what is there now; leave it out.")
        return _kubernetes(options, since or hour_of(SystemClock().now()))
    from apportion.cli.results import published
    from exporters import inventory

    stretches = inventory.compared(published(options), since=since, until=until)
    if options.json:
        print_json({"pools": inventory.as_records(stretches), "rows": inventory.pool_rows(stretches)})
    else:
        inventory.show(stretches, console())
    return 0


def _kubernetes(options: argparse.Namespace, since: datetime) -> int:
    from apportion.cli.kubernetes_inventory import State

    file: Path = options.kubernetes
    try:
        rows = State(file.read_bytes()).rows(since)
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}); give this user access, or correct the path"
        ) from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    if options.json:
        print_json({"rows": rows})
    else:
        sys.stdout.write(rows + "\n")
    return 0
