"""Which hours a change of exchange rates reaches: those in which something costs in that currency, and no others.

A rate, what recurs of a commitment, and upkeep follow the exchange rate of each moment. What was paid once was converted when
it was paid: where that differs, the row of the commitment or asset itself does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from apportion.domain.period import HOUR, Period
from apportion.ledger import book_hours
from apportion.ledger.book_costs import ASSET, COMMITMENT, FX, RATE
from apportion.ledger.book_tables import RANGE, text
from apportion.ledger.connection import Row, Session

_PRICED: Final = (
    (RATE, ("price_nano", "list_nano")),
    (COMMITMENT, ("per_gpu_hour_nano", "recurring_per_hour_nano")),
    (ASSET, ("maintenance_per_year_nano", "colocation_per_month_nano")),
)
"""Amounts that are converted hour by hour; a row in which all of them are 0 asks for no exchange rate."""

# Lines that a price in the currency may stand behind. A line does not keep the currency where its prices have several.
_EXTERNAL: Final = r"""
SELECT DISTINCT line.charge_period_start
FROM metering.external_usage_hourly AS line
JOIN book.model AS model USING (model_no)
JOIN book.price AS price
    ON line.provider LIKE price.provider_pattern ESCAPE '\' AND model.model_id LIKE price.model_pattern ESCAPE '\'
    AND price.effective_from < line.charge_period_start + INTERVAL 1 HOUR AND price.effective_to > line.charge_period_start
JOIN (SELECT unnest(from_json($changes::JSON, '[["VARCHAR"]]')) AS change) AS changed
    ON price.currency = changed.change[1]
    AND changed.change[2]::TIMESTAMP < line.charge_period_start + INTERVAL 1 HOUR
    AND changed.change[3]::TIMESTAMP > line.charge_period_start
"""


def reached(
    session: Session, before: Sequence[Row], after: Sequence[Row], rows: Mapping[str, Sequence[Row]]
) -> list[Period]:
    """Periods in which exchange rates differ and something has that currency.

    Args:
        session: asked for metered usage of external providers.
        before: rows of `book.fx` up to now.
        after: those from now on.
        rows: all tables from now on; where they differ from before, their own differences are reached.
    """
    changes = [
        (currency, period)
        for currency in sorted({row[0] for row in (*before, *after)})
        for period in book_hours.reached(FX, _of(currency, before), _of(currency, after))
    ]
    if not changes:
        return []
    used = _used(rows)
    found = {both for currency, period in changes for both in _shared(period, used[currency])}
    external = session.rows(
        _EXTERNAL, {"changes": text([[currency, period.start, period.end] for currency, period in changes])}
    )
    return sorted(found | {Period(hour, hour + HOUR) for (hour,) in external})


def _of(currency: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row[0] == currency]


def _used(rows: Mapping[str, Sequence[Row]]) -> defaultdict[str, list[Period]]:
    """When something has each currency: disjoint periods, ascending."""
    found: defaultdict[str, list[Period]] = defaultdict(list)
    for table, amounts in _PRICED:
        columns = list(table.columns)
        currency, start, end = (columns.index(column) for column in ("currency", *RANGE))
        priced = [columns.index(amount) for amount in amounts]
        for row in rows[table.name]:
            if row[currency] and any(row[at] for at in priced):
                found[row[currency]].append(Period(row[start], row[end]))
    for code, periods in found.items():
        found[code] = list(_joined(sorted(periods)))
    return found


def _joined(periods: Sequence[Period]) -> Iterator[Period]:
    last: Period | None = None
    for period in periods:
        if last and period.start <= last.end:
            last = Period(last.start, max(last.end, period.end))
            continue
        if last:
            yield last
        last = period
    if last:
        yield last


def _shared(period: Period, used: Sequence[Period]) -> Iterator[Period]:
    for other in used:
        if period.overlaps(other):
            yield Period(max(period.start, other.start), min(period.end, other.end))
