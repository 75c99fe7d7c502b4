"""`apportion explain`."""

from __future__ import annotations

import argparse

from apportion.cli.output import console, print_json
from apportion.cli.results import published
from apportion.cli.times import instant
from apportion.domain.errors import UsageError
from apportion.domain.period import HOUR, Period, hour_of, month
from exporters import explanation, explanation_screen
from exporters.explanation import Question


def run(options: argparse.Namespace) -> int:
    """From a figure down to what it is made of."""
    question = Question(
        period=_period(options),
        team=options.team,
        model=options.model,
        deployment=options.deployment,
        pool=options.pool,
    )
    found = explanation.explained(published(options), question)
    if options.json:
        print_json(explanation.shown(found))
    else:
        explanation_screen.show(found, console())
    return 0


def _period(options: argparse.Namespace) -> Period:
    hour = instant(options.hour, "--hour")
    if hour is None and options.month is None:
        raise UsageError("say which figure: --month 2026-10, or --hour 2026-10-07T14:00Z.")
    if hour is None:
        return _month(options.month)
    if hour != hour_of(hour):
        raise UsageError(
            f"--hour {options.hour} is inside an hour; write its start, as in {hour_of(hour):%Y-%m-%dT%H:%MZ}."
        )
    whole = Period(hour, hour + HOUR)
    if options.month is not None and not _month(options.month).start <= hour < _month(options.month).end:
        raise UsageError(f"--hour {options.hour} is not in --month {options.month}; leave out the month.")
    return whole


def _month(text: str) -> Period:
    try:
        return month(text)
    except ValueError as error:
        raise UsageError(f"--month {error}.") from None
