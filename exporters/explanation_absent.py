"""Why a question about a figure has no answer, and what to ask instead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import SequenceMatcher
from typing import Final

from apportion.ledger.connection import Session

NAMES_MAX: Final = 20
"""Names listed of those there are; the nearest to what was asked come first."""

_WHEN: Final = "charge_period_start >= $start AND charge_period_start < $end"
_DIMENSIONS: Final = ("team", "pool", "deployment", "model")
_REFUSED: Final = f"SELECT min(charge_period_start), min(reason), count(*) FROM refused_hours WHERE {_WHEN}"


def nothing(results: Session, asked: Mapping[str, object]) -> str:
    """A sentence about a question without lines: the time, a name that is not there then, or names that do not go together.

    `asked` has `start`, `end`, and for each dimension a name or None.
    """
    when = {"start": asked["start"], "end": asked["end"]}
    span = f"from {_hour(asked['start'])} to {_hour(asked['end'])}"
    if not results.value(f"SELECT count(*) FROM chargeback_hourly WHERE {_WHEN}", when):
        return f"nothing was charged {span}; {_reach(results, when)}."
    named = {dimension: str(asked[dimension]) for dimension in _DIMENSIONS if asked[dimension] is not None}
    for dimension, name in named.items():
        there = _names(results, dimension, {}, when)
        if name not in there:
            return (
                f"{dimension} {name!r} has no charge {span}{_elsewhere(results, dimension, name)}; "
                f"{dimension}s that have: {_listed(there, name)}."
            )
    *rest, last = named
    with_ = " and ".join(f"{dimension} {named[dimension]!r}" for dimension in rest)
    there = _names(results, last, {dimension: named[dimension] for dimension in rest}, when)
    if not there:
        return f"{with_} have no charge in common {span}; ask for fewer of them."
    return (
        f"{last} {named[last]!r} has no charge with {with_} {span}; {last}s that have: {_listed(there, named[last])}."
    )


def _reach(results: Session, when: Mapping[str, object]) -> str:
    """Where charges are instead."""
    refused, reason, count = results.row(_REFUSED, when)
    if count:
        return f"{count} hours from {_hour(refused)} were refused: {reason}"
    first, last = results.row("SELECT min(charge_period_start), max(charge_period_start) FROM chargeback_hourly")
    return f"charges reach from {_hour(first)} to {_hour(last)}" if first else "run `apportion meter`"


def _elsewhere(results: Session, dimension: str, name: str) -> str:
    """When a name had charges, if ever."""
    first, last = results.row(
        f"SELECT min(charge_period_start), max(charge_period_start) FROM chargeback_hourly WHERE {dimension}_id = $name",
        {"name": name},
    )
    return f" (it has some from {_hour(first)} to {_hour(last)})" if first else ""


def _names(results: Session, dimension: str, given: Mapping[str, str], when: Mapping[str, object]) -> list[str]:
    """Names of a dimension with charges in a time, among those of other names."""
    also = "".join(f" AND {other}_id = ${other}" for other in given)
    found = results.rows(
        f"SELECT DISTINCT {dimension}_id FROM chargeback_hourly WHERE {_WHEN}{also} AND {dimension}_id <> ''",
        {**when, **given},
    )
    return [str(name) for (name,) in found]


def _listed(names: list[str], asked: str) -> str:
    """Names, the nearest to one first."""

    def far(name: str) -> tuple[float, str]:
        return -SequenceMatcher(None, asked.lower(), name.lower()).ratio(), name

    near = sorted(names, key=far)
    more = f" and {len(near) - NAMES_MAX} more" if len(near) > NAMES_MAX else ""
    return (", ".join(near[:NAMES_MAX]) or "none") + more


def _hour(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else str(moment)
