"""Which hours are to be metered; those among them that must wait for a rate are what `gaps` says.

An hour is due once it has passed and something it depends on changed, or when it was never metered. Hours are starts of
charge periods, aware UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime

from apportion.domain.errors import UsageError
from apportion.domain.period import Period, hour_of
from apportion.ledger.connection import Session

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)

_INVENTORY = """
SELECT MIN(earliest) FROM (
    SELECT MIN(effective_from) AS earliest FROM book.pool
    UNION ALL SELECT MIN(effective_from) FROM book.deployment
    UNION ALL SELECT MIN(effective_from) FROM book.shared_cost
    UNION ALL SELECT MIN(effective_from) FROM book.commitment
    UNION ALL SELECT MIN(effective_from) FROM book.asset
)
"""

_KNOWN = """
SELECT MIN(charge_period_start) FROM (
    SELECT charge_period_start FROM raw.dirty_hour
    UNION ALL SELECT charge_period_start FROM book.dirty_hour
    UNION ALL SELECT charge_period_start FROM metering.metered_hour
)
"""

# Every hour of the inventory passes; outside it only hours that something landed in are worth a line.
_DUE = """
WITH elapsed AS (SELECT unnest(range($first::TIMESTAMP, $until::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start),
dirty AS (
    SELECT charge_period_start FROM raw.dirty_hour
    UNION
    SELECT charge_period_start FROM book.dirty_hour
)
(SELECT charge_period_start FROM elapsed EXCEPT SELECT charge_period_start FROM metering.metered_hour)
UNION
SELECT charge_period_start FROM dirty WHERE charge_period_start >= $begins AND charge_period_start < $until
ORDER BY charge_period_start
"""


def due(
    session: Session,
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[datetime]:
    """Hours to meter, ascending: those that passed and are dirty or were never metered.

    With a window, every hour inside it, metered before or not; an open side reaches to the first or last hour there is.

    Raises: UsageError, in a sentence, for a window that is not of whole, elapsed hours at or after `metered_from`.
    """
    check_window(session, now=now, since=since, until=until)
    last = until or hour_of(now)
    if since is not None or until is not None:
        first = since or first_hour(session)
        return list(Period(first, last).hours()) if first is not None and first < last else []
    begins = metered_from(session)
    inventory = begins or session.value(_INVENTORY)
    first = min(hour_of(inventory), last) if inventory is not None else last
    found = session.rows(_DUE, {"first": first, "until": last, "begins": begins or EARLIEST})
    return [row[0] for row in found]


def check_window(session: Session, *, now: datetime, since: datetime | None, until: datetime | None) -> None:
    """Refuse a window that cannot be metered as asked. Raises: UsageError."""
    for name, instant in (("--since", since), ("--until", until)):
        if instant is None:
            continue
        if instant.tzinfo is None:
            raise UsageError(f"{name} {instant.isoformat()} has no zone; write it as 2026-10-01T00:00:00Z")
        whole, elapsed = hour_of(instant), hour_of(now)
        if instant != whole:
            raise UsageError(
                f"{name} {_text(instant)} is inside an hour; hours are metered whole, as from {_text(whole)}"
            )
        if instant > elapsed:
            raise UsageError(f"{name} {_text(instant)} has not passed yet; the last hour ended at {_text(elapsed)}")
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--since {_text(since)} is not before --until {_text(until)}; the window holds no hour")
    begins = metered_from(session)
    if since is not None and begins is not None and since < begins:
        raise UsageError(f"--since {_text(since)} is before metered_from {_text(begins)}; move one of them")
    first = first_hour(session)
    if since is not None and (first is None or since < first):
        there = f"the first hour with inventory or usage is {_text(first)}" if first else "there is no inventory yet"
        raise UsageError(f"--since {_text(since)} is before anything happened; {there}")


def first_hour(session: Session) -> datetime | None:
    """The first hour metered at all: `metered_from`, else the earliest inventory or usage; None for an empty ledger."""
    begins = metered_from(session)
    if begins is not None:
        return hour_of(begins)
    found = [hour_of(start) for start in (session.value(_INVENTORY), session.value(_KNOWN)) if start is not None]
    return min(found, default=None)


def metered_from(session: Session) -> datetime | None:
    """Where the config last synced says that metering begins; None where it does not say."""
    found = session.rows("SELECT setting FROM book.setting WHERE name = 'metered_from' AND setting <> ''")
    if not found:
        return None
    instant = datetime.fromisoformat(str(found[0][0]))
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
