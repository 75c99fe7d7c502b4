"""`apportion report`."""

from __future__ import annotations

import argparse
import sys

from apportion.cli.output import console
from apportion.cli.refused import warn_of_refused_hours
from apportion.cli.results import published
from apportion.domain.errors import UsageError
from apportion.domain.period import month
from exporters import chargeback
from exporters.chargeback_screen import WITHOUT_COST


def run(options: argparse.Namespace) -> int:
    """The chargeback of a month, on screen or in a file."""
    try:
        period = month(options.month)
    except ValueError as error:
        raise UsageError(f"--month {error}.") from None
    wanted = [name.strip() for name in (options.by or "").split(",") if name.strip()]
    grains = [name for name in wanted if name in ("day", "hour")]
    if len(grains) > 1:
        raise UsageError("--by takes day or hour, not both.")
    by = [name for name in wanted if name not in grains] or None
    format_name = "json" if options.json else options.format
    if format_name == "parquet" and not options.out:
        raise UsageError("--format parquet writes a file; name it with --out.")
    if options.out is not None and (not options.out.name or options.out.is_dir()):
        raise UsageError(f"--out {str(options.out)!r} is a folder; name a file in it.")
    results = published(options)
    frame = chargeback.month_table(results, period, by=by, period=grains[0] if grains else "month")
    if options.out:
        chargeback.write(frame, options.out, format_name)
        console(stderr=True).print(f"wrote {options.out}")
    elif format_name == "table":
        chargeback.show(frame, console())
    else:
        sys.stdout.write(chargeback.text(frame, format_name))
    without_cost = chargeback.tokens_without_cost(frame)
    if without_cost and format_name in ("csv", "parquet"):  # which have no room for totals
        console(stderr=True).print(f"{without_cost:,} {WITHOUT_COST}", markup=False)
    warn_of_refused_hours(results, period)
    return 0
