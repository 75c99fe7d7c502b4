"""`apportion ingest`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from apportion.cli.output import console, print_json
from apportion.config.load import load
from apportion.domain.clock import SystemClock
from apportion.domain.errors import InputError, UsageError
from apportion.pipeline import IngestReport, Pipeline
from ingest.files import Progress
from ingest.outcome import Outcome


def run(options: argparse.Namespace) -> int:
    """Land files, or try the quarantine again."""
    if bool(options.paths) == options.replay_rejections:
        raise UsageError(
            "name files to ingest, or --replay-rejections to try the quarantine again; not both, not neither."
        )
    with Pipeline.open(load(options.config), SystemClock(), path=options.ledger) as pipeline:
        if options.replay_rejections:
            report = pipeline.replay()
        else:
            with progress_bars(shown=not options.json and sys.stderr.isatty()) as bar:
                report = pipeline.ingest(options.paths, options.format, progress=bar)
    show(report, json_wanted=options.json)
    if report.unreadable:
        raise InputError("\n".join(report.unreadable))
    return 0


def show(report: IngestReport, *, json_wanted: bool) -> None:
    """The counts, and what is to be said about single files."""
    if json_wanted:
        print_json({**report.outcome.as_dict(), "notes": report.notes, "unreadable": report.unreadable})
        return
    screen, outcome = console(), report.outcome
    screen.print(
        f"{outcome.received:,} received = {outcome.landed:,} landed + {outcome.duplicates:,} duplicates + "
        f"{outcome.superseded:,} superseded + {outcome.conflicts:,} conflicts + {outcome.rejected:,} rejected"
    )
    for reason, count in outcome.rejections.most_common():
        screen.print(f"  rejected {count:,}: {reason}")
    if outcome.skewed:
        screen.print(f"  {outcome.skewed:,} events were ahead of the clock and stand at their arrival")
    if outcome.claimed:
        screen.print(f"  {outcome.claimed:,} callers wrote in the request who is to pay, which is not believed")
    if outcome.dropped_tags:
        screen.print(f"  {outcome.dropped_tags:,} tag values were not on the allow-list and dropped")
    for note in report.notes:
        screen.print(f"note {note}", markup=False)
    if outcome.rejected or outcome.conflicts:
        screen.print(
            "next: `apportion status` shows reasons and places; after a fix, `apportion ingest --replay-rejections`"
        )


@contextlib.contextmanager
def progress_bars(*, shown: bool) -> Iterator[Callable[[Path], Progress] | None]:
    """A bar per file with rate and rejects, on a terminal only."""
    if not shown:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console(stderr=True)) as bars:

        def begin(path: Path) -> Progress:
            task = bars.add_task(path.name, total=None, counts="")

            def advance(done: int, total: int, outcome: Outcome) -> None:
                elapsed = bars.tasks[task].elapsed or 0
                rate = f"{outcome.received / elapsed:,.0f} records/s" if elapsed else ""
                rejects = outcome.rejected + outcome.conflicts
                bars.update(task, completed=done, total=total, counts=f"{rate}  {rejects:,} rejected")

            return advance

        yield begin
