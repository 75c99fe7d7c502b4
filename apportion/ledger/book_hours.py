"""Which metered hours a change of dated rows reaches, and marking them dirty.

An hour depends only on what is in force within it, so it is reached where the rows in force differ, and nowhere else:
a price that changes next month does not touch this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from apportion.config.values import BEGINNING
from apportion.domain.period import FOREVER, HOUR, MICROSECOND, Period, month_of, next_month
from apportion.ledger.book_tables import RANGE, BookTable, text
from apportion.ledger.connection import Row, Session

ALWAYS: Final = Period(BEGINNING, FOREVER)

_COVERED: Final = """
SELECT hour.charge_period_start
FROM metering.metered_hour AS hour
WHERE EXISTS (
    SELECT 1
    FROM (SELECT unnest(from_json($periods::JSON, '[["TIMESTAMP"]]')) AS period) AS changed
    WHERE changed.period[1] < hour.charge_period_start + INTERVAL 1 HOUR
        AND changed.period[2] > hour.charge_period_start
)
"""


def reached(table: BookTable, before: Sequence[Row], after: Sequence[Row]) -> list[Period]:
    """Periods in which rows in force differ in what metering reads."""
    if not table.metered:
        return []
    old, new = _coverage(table, before), _coverage(table, after)
    found = [period for content in {*old, *new} for period in _differing(old.get(content, []), new.get(content, []))]
    return sorted({_whole_months(period) if table.monthly else period for period in found})


def covered(session: Session, periods: Iterable[Period]) -> tuple[int, datetime | None, datetime | None]:
    """How many metered hours lie in or touch the periods: their number, the first's start and the last's end."""
    count, first, last = session.row(
        f"SELECT count(*), min(charge_period_start), max(charge_period_start) FROM ({_COVERED}) AS reached",
        {"periods": _listed(periods)},
    )
    return count, first, last + HOUR if last else None


def mark(session: Session, periods: Iterable[Period], now: datetime) -> None:
    """Mark the metered hours of periods dirty; those marked before keep their time."""
    session.do(
        f"INSERT INTO book.dirty_hour SELECT charge_period_start, $now FROM ({_COVERED}) AS reached "
        "ON CONFLICT DO NOTHING",
        {"periods": _listed(periods), "now": now},
    )


def _coverage(table: BookTable, rows: Sequence[Row]) -> dict[Row, list[Period]]:
    columns = list(table.columns)
    content, spread = ([columns.index(column) for column in chosen] for chosen in (table.metered, table.spread))
    start, end = (columns.index(column) for column in RANGE)
    found: defaultdict[Row, list[Period]] = defaultdict(list)
    for row in rows:
        over = (row[start], row[end]) if any(row[at] for at in spread) else ()
        found[*(row[at] for at in content), *over].append(Period(row[start], row[end]))
    return found


def _differing(old: Sequence[Period], new: Sequence[Period]) -> list[Period]:
    """Periods that one of the two covers and the other does not."""
    edges = sorted({edge for period in (*old, *new) for edge in (period.start, period.end)})
    return [
        Period(start, end)
        for start, end in pairwise(edges)
        if any(p.start <= start < p.end for p in old) != any(p.start <= start < p.end for p in new)
    ]


def _whole_months(period: Period) -> Period:
    end = period.end if period.end >= FOREVER else next_month(month_of(period.end - MICROSECOND))
    return Period(month_of(period.start), end)


def _listed(periods: Iterable[Period]) -> str:
    return text([[period.start, period.end] for period in sorted(set(periods))])
