"""`apportion explain`."""

from __future__ import annotations

import argparse

from apportion.cli.output import console, print_json
from apportion.cli.refused import warn_of_refused_hours
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
    results = published(options)
    found = explanation.explained(results, question)
    if options.json:
        print_json(explanation.shown(found))
    else:
        explanation_screen.show(found, console())
    warn_of_refused_hours(results, question.period)
    return 0


def _period(options: argparse.Namespace) -> Period:
    hour = instant(options.hour, "--hour")
    if hour is None and options.month is None:
        raise UsageError("say which figure: --month 2026-10, or --hour 2026-10-07T14:00Z.")
    if hour is None:
        return _month(options.month)
    if options.month is not None:
        raise UsageError("--hour and --month are two figures; say one of them.")
    if hour != hour_of(hour):
        raise UsageError(
            f"--hour {options.hour} is inside an hour; write its start, as in {hour_of(hour):%Y-%m-%dT%H:%MZ}."
        )
    return Period(hour, hour + HOUR)


def _month(text: str) -> Period:
    try:
        return month(text)
    except ValueError as error:
        raise UsageError(f"--month {error}.") from None
