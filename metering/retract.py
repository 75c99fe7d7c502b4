"""Hours before `metered_from` are no longer metered once it moves later: nothing of them stays in any figure.

What followed from them is settled again in the same transaction, so counters only rise: what an hour charged is credited.
The hours stay marked as changed, for where metering begins earlier again; before it such marks count nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

from apportion.domain.clock import Clock
from apportion.domain.period import Period, spans
from apportion.ledger.connection import Ledger, Session
from metering.hours import metered_from
from metering.steps import STEPS

_EARLY = "SELECT charge_period_start FROM metering.metered_hour WHERE charge_period_start < $begins"
_INSIDE = "WHERE charge_period_start >= $period_start AND charge_period_start < $period_end"
_HOURLY = tuple(step.name for step in STEPS if step.window == "charge_period_start")


def retract(ledger: Ledger, clock: Clock, settle: Callable[[Session, Period], None]) -> int:
    """Take back every metered hour before `metered_from`, each contiguous span of at most a month in one transaction.

    Returns: hours taken back. Raises: AuditFailed when what is left does not add up; then that span stays as it was.
    """
    session = ledger.session()
    first = metered_from(session)
    if first is None:
        return 0
    early = spans(hour for (hour,) in session.rows(_EARLY, {"begins": first}))
    for period in early:
        with ledger.transaction() as writing:
            _take_back(writing, period, clock)
            settle(writing, period)
    if session.value(
        "SELECT EXISTS (FROM metering.refused_hour WHERE charge_period_start < $begins)", {"begins": first}
    ):
        with ledger.transaction() as writing:
            writing.do("DELETE FROM metering.refused_hour WHERE charge_period_start < $begins", {"begins": first})
    return sum(1 for period in early for _ in period.hours())


def _take_back(session: Session, period: Period, clock: Clock) -> None:
    window = {"period_start": period.start, "period_end": period.end}
    session.do(
        f"INSERT INTO book.dirty_hour SELECT charge_period_start, $now FROM metering.metered_hour {_INSIDE} "
        "ON CONFLICT DO NOTHING",
        {**window, "now": clock.now()},
    )
    for table in (*_HOURLY, "metering.metered_hour"):
        session.do(f"DELETE FROM {table} {_INSIDE}", window)
