"""`apportion meter`."""

from __future__ import annotations

import argparse

from rich.markup import escape

from apportion.cli.output import console, print_json
from apportion.cli.times import ascending, instant
from apportion.config.load import load
from apportion.domain.clock import SystemClock
from apportion.pipeline import Pipeline, timed


def run(options: argparse.Namespace) -> int:
    """Meter what is due; hours that cannot be metered are named and make the exit code 1."""
    since, until = instant(options.since, "--since"), instant(options.until, "--until")
    ascending(since, until)
    clock = SystemClock()
    with Pipeline.open(load(options.config), clock, path=options.ledger) as pipeline:
        started_at, seconds = timed(clock)
        report = pipeline.meter(since=since, until=until)
        outcome = "refused" if report.refused else "ok"
        pipeline.record("meter", outcome, f"{report.hours} hours", started_at, seconds())
        pipeline.publish()  # once more, so that what is published knows of this run
    refused = {hour.isoformat(): reason for hour, reason in sorted(report.refused.items())}
    if options.json:
        print_json({"hours": report.hours, "spans": report.spans, "rows": report.rows, "refused": refused,
                    "retracted": report.retracted})  # fmt: skip
        return 1 if refused else 0
    screen = console()
    screen.print(f"{report.hours:,} hours metered in {report.seconds:.2f} s; results in {pipeline.ledger.results}")
    if report.retracted:
        screen.print(f"{report.retracted:,} hours before ledger.metered_from taken back")
    for reason in sorted(set(refused.values()))[:20]:
        hours = [hour for hour, why in refused.items() if why == reason]
        screen.print(f"[red]refused[/red] {len(hours)} hours from {hours[0]}: {escape(reason)}")
    return 1 if refused else 0
