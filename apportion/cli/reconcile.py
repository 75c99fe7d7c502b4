"""`apportion reconcile`."""

from __future__ import annotations

import argparse
from datetime import datetime

from apportion.cli.output import console, print_json
from apportion.cli.results import published
from apportion.cli.times import instant
from apportion.domain.errors import UsageError
from apportion.domain.period import month
from exporters import reconciliation


def run(options: argparse.Namespace) -> int:
    """Tokens in the logs against the engines' counters; a difference is no failure."""
    since, until = _asked(options)
    results = published(options)
    if since is None and until is None and (newest := reconciliation.newest_month(results)):
        since, until = newest.start, newest.end
    found = reconciliation.compared(results, since=since, until=until, pool=options.pool)
    if options.json:
        print_json(found)
    else:
        reconciliation.show(found, console())
    return 0


def _asked(options: argparse.Namespace) -> tuple[datetime | None, datetime | None]:
    since, until = instant(options.since, "--since"), instant(options.until, "--until")
    if options.month and (since or until):
        raise UsageError("--month is the whole time; leave out --since and --until, or the month.")
    if options.month:
        try:
            period = month(options.month)
        except ValueError as error:
            raise UsageError(f"--month {error}.") from None
        return period.start, period.end
    if since and until and since >= until:
        raise UsageError(f"--since {options.since} is not before --until {options.until}; the time holds no hour.")
    return since, until
