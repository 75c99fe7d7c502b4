"""`apportion inventory`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from apportion.cli.output import console, print_json
from apportion.cli.times import instant
from apportion.domain.clock import Clock, SystemClock
from apportion.domain.errors import InputError
from apportion.domain.period import hour_of


def run(options: argparse.Namespace) -> int:
    """Hold the pools against telemetry, or print rows for what Kubernetes shows; a difference is no failure, nothing is written."""
    if options.kubernetes:
        return _kubernetes(options, SystemClock())
    from apportion.cli.results import published
    from exporters import inventory

    since, until = instant(options.since, "--since"), instant(options.until, "--until")
    stretches = inventory.compared(published(options), since=since, until=until)
    if options.json:
        print_json({"pools": inventory.as_records(stretches), "rows": inventory.pool_rows(stretches)})
    else:
        inventory.show(stretches, console())
    return 0


def _kubernetes(options: argparse.Namespace, clock: Clock) -> int:
    from apportion.cli.kubernetes_inventory import State

    file: Path = options.kubernetes
    try:
        rows = State(file.read_bytes()).rows(instant(options.since, "--since") or hour_of(clock.now()))
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
