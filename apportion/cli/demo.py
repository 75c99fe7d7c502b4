"""`apportion demo`."""

from __future__ import annotations

import argparse
import shutil
from datetime import datetime, timedelta

from apportion import simulation
from apportion.cli.output import console, print_json
from apportion.config.load import load
from apportion.domain.errors import UsageError
from apportion.domain.period import Period, month_of, next_month
from apportion.ledger.connection import read_only
from apportion.pipeline import Pipeline
from exporters import chargeback, status

END = simulation.START + timedelta(hours=simulation.HOURS)
MARK = ".apportion-demo"


class _EndOfTheWeek:
    """The simulated week has just ended, whatever today is."""

    def now(self) -> datetime:
        return END


def run(options: argparse.Namespace) -> int:
    """Simulate, ingest, meter, report; every file stays for a look."""
    folder = options.out
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder with --out.")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UsageError(f"{folder} is not empty and not an earlier demo; name another folder with --out.")
    shutil.rmtree(folder, ignore_errors=True)
    screen = console(stderr=options.json)
    screen.print(f"Simulating a week of a fleet in {folder}/ …")
    config_path, usage, gpu = simulation.write(folder)
    (folder / MARK).touch()
    with Pipeline.open(load(config_path), _EndOfTheWeek()) as pipeline:
        for path, format_name in ((usage, "usage"), (gpu, "gpu")):
            outcome = pipeline.ingest([path], format_name).outcome
            screen.print(
                f"{path.name}: {outcome.received:,} received = {outcome.landed:,} landed + "
                f"{outcome.duplicates:,} duplicates + {outcome.rejected:,} rejected"
            )
        report = pipeline.meter()
        screen.print(f"{report.hours:,} hours metered in {report.seconds:.2f} s\n")
        results = read_only(pipeline.ledger.results)
    period = Period(month_of(simulation.START), next_month(simulation.START))
    whole = chargeback.month_table(results, period, by=None, period="month")
    for name, format_name in (("chargeback-2026-10.csv", "csv"), ("chargeback-2026-10.parquet", "parquet")):
        chargeback.write(whole, folder / name, format_name)
    teams = chargeback.month_table(results, period, by=["team", "cost_kind"], period="month")
    if options.json:
        print_json({"out": str(folder), "status": status.status(results)})
        return 0
    chargeback.show(teams, screen)
    screen.print()
    status.show(status.status(results), screen)
    screen.print(
        f"\nLook at {folder}/: chargeback-2026-10.csv, apportion.toml, usage.ndjson. Then try, in that folder:\n"
        "  apportion report --month 2026-10 --by team,model\n"
        "  apportion report --month 2026-10 --by team,token_kind,day --format csv"
    )
    return 0
