"""What to say beside figures of which some hours could not be metered again."""

from __future__ import annotations

from rich.markup import escape

from apportion.cli.output import console
from apportion.domain.period import HOUR, Period
from apportion.ledger.connection import Session


def warn_of_refused_hours(results: Session, period: Period) -> None:
    """Say, beside the figures of a month or an hour, that they are not those of all of it as things are now, for a missing rate say."""
    refused, reason = results.row(
        "SELECT count(*), min(reason) FROM refused_hours WHERE charge_period_start >= $start AND charge_period_start < $end",
        {"start": period.start, "end": period.end},
    )
    if not refused:
        return
    if period.end - period.start == HOUR:
        said = (
            "this hour could not be metered as things are now; it stands as it was metered before, "
            "and the prices shown are those of now"
        )
    else:
        said = (
            f"{refused} hours of this month could not be metered as things are now; "
            "they stand as they were metered before, or not at all"
        )
    console(stderr=True).print(f"[yellow]warning[/yellow] {said}: {escape(reason)}")
