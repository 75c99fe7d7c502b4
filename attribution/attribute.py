"""Who pays: the hours of a span by team, then the settlement, statement and counters of its months.

Everything runs inside the caller's transaction, and every audit is asked before it returns, so a failure leaves the
ledger as it was. Nothing is metered here: a changed directory, owner or policy needs only what metering left behind.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Final

from apportion.domain.clock import Clock
from apportion.domain.period import MICROSECOND, Period, month_of, next_month
from apportion.ledger import step
from apportion.ledger.connection import Session
from apportion.ledger.step import Query
from attribution.book import Book
from attribution.counters import LABEL_SETS_MAX, count

MAPPING: Final = (
    "attribution.caller_rule",
    "attribution.caller_team",
    "attribution.deployment_owner",
    "attribution.system_team",
)
SETTLEMENT: Final = (
    "attribution.settlement_weight",
    "attribution.reservation",
    "attribution.settlement_idle",
    "attribution.settlement_shared",
    "attribution.settlement",
)
STATEMENT: Final = ("attribution.charge_monthly", "attribution.unit_cost_monthly")
HOUR_AUDITS: Final = ("attributed_cost_equals_metered_cost",)
MONTH_AUDITS: Final = (
    "settlement_sums_to_zero",
    "monthly_cost_equals_origin_cost",
    "no_negative_idle",
    "system_teams_take_no_share",
    "counters_never_decrease",
    "counters_equal_published_months",
)

_DUE: Final = """
SELECT DISTINCT date_trunc('month', charge_period_start)::TIMESTAMP AS billing_period
FROM metering.metered_hour
WHERE date_trunc('month', charge_period_start) NOT IN (
    SELECT billing_period FROM attribution.attributed_month WHERE book_digest = $digest)
ORDER BY billing_period
"""

# A month of which no hour is metered any more is none.
_ATTRIBUTED: Final = """
INSERT INTO attribution.attributed_month
SELECT $month, $now, $policy_version, $digest
WHERE EXISTS (
    FROM metering.metered_hour WHERE charge_period_start >= $month::TIMESTAMP AND charge_period_start < $next_month::TIMESTAMP)
"""

_REVISION: Final = """
INSERT INTO attribution.revision SELECT COALESCE(MAX(revision), 0) + 1, $start, $end FROM attribution.revision
"""

# Hours settled one by one keep their rows when only others change, but a team's name is the month's business.
_NAME_AGAIN: Final = """
UPDATE attribution.settlement AS moved
SET team_name = known.team_name, cost_center = known.cost_center
FROM attribution.team_monthly AS known
WHERE moved.billing_period = $month AND known.billing_period = $month AND known.team = moved.team
    AND (moved.team_name <> known.team_name OR moved.cost_center <> known.cost_center)
"""


def attribute(session: Session, period: Period, clock: Clock, *, max_label_sets: int = LABEL_SETS_MAX) -> None:
    """Attribute the metered hours of a span, and settle each month it touches.

    A month last attributed by another directory or policy is attributed whole, so that no month follows two.
    Raises: AuditFailed when cost would be lost, made or misplaced; LedgerError when the ledger holds no policy.
    """
    book = Book.current(session)
    _map_callers(session, period, clock, book)
    for month in _months(period):
        span = Period(max(period.start, month.start), min(period.end, month.end))
        hours = span if _follows(session, month, book) else month
        _attribute_hours(session, hours, clock)
        _settle(session, month, hours, clock, book)
        count(session, steps(), month, clock, label_sets_max=max_label_sets)
        step.audit(session, [audits()[name] for name in MONTH_AUDITS], month, {})
        session.do("DELETE FROM attribution.attributed_month WHERE billing_period = $month", {"month": month.start})
        session.do(
            _ATTRIBUTED,
            {"month": month.start, "next_month": month.end, "now": clock.now(), "policy_version": book.policy_version,
             "digest": book.digest},
        )  # fmt: skip


def reattribute(session: Session, clock: Clock, *, max_label_sets: int = LABEL_SETS_MAX) -> list[Period]:
    """Attribute again, without metering, every month that follows another directory or policy than the current ones.

    Returns: those months, ascending; none when nothing changed. Raises: as `attribute` does.
    """
    months = due(session)
    for month in months:
        attribute(session, month, clock, max_label_sets=max_label_sets)
    return months


def due(session: Session) -> list[Period]:
    """Months with metered hours whose charges do not follow the current directory and policies, ascending."""
    if not session.value("SELECT COUNT(*) FROM metering.metered_hour"):
        return []
    found = session.rows(_DUE, {"digest": Book.current(session).digest})
    return [Period(start, next_month(start)) for (start,) in found]


@cache
def steps() -> dict[str, Query]:
    """Every step of this stage, by the table it fills."""
    return step.load("attribution", "sql")


@cache
def audits() -> dict[str, Query]:
    """Every audit of this stage, by the truth it protects."""
    return step.load("attribution", "audits")


def _map_callers(session: Session, period: Period, clock: Clock, book: Book) -> None:
    """Rebuild who each caller is, unless callers and directory are those it was built from."""
    now = (session.value("SELECT COUNT(*) FROM raw.caller"), book.directory_digest)
    if session.rows("SELECT callers, directory_digest FROM attribution.mapped_directory") == [now]:
        return
    step.run(session, [steps()[name] for name in MAPPING], period, {}, clock)
    session.do("DELETE FROM attribution.mapped_directory")
    session.do(
        "INSERT INTO attribution.mapped_directory VALUES ($callers, $digest)", {"callers": now[0], "digest": now[1]}
    )


def _follows(session: Session, month: Period, book: Book) -> bool:
    return bool(
        session.rows(
            "SELECT 1 FROM attribution.attributed_month WHERE billing_period = $month AND book_digest = $digest",
            {"month": month.start, "digest": book.digest},
        )
    )


def _attribute_hours(session: Session, hours: Period, clock: Clock) -> None:
    step.run(session, [steps()["attribution.charge_hourly"]], hours, {}, clock)
    step.audit(session, [audits()[name] for name in HOUR_AUDITS], hours, {})
    last_day = (hours.end - MICROSECOND).replace(hour=0, minute=0, second=0, microsecond=0)
    days = Period(hours.start.replace(hour=0), last_day + timedelta(days=1))
    step.run(session, [steps()["attribution.charge_daily"]], days, {}, clock)
    session.do(_REVISION, {"start": hours.start, "end": hours.end})


def _settle(session: Session, month: Period, hours: Period, clock: Clock, book: Book) -> None:
    """Settle what changed: the month where policies weigh the month, else only the hours; then write the statement."""
    settled = hours if book.over == "hour" else month
    if book.settles:
        step.run(session, [steps()["attribution.team_monthly"]], month, {}, clock)
    for name in SETTLEMENT:
        if name in book.settling:
            step.run(session, [steps()[name]], settled, book.parameters, clock)
        else:
            session.do(
                f"DELETE FROM {name} WHERE charge_period_start >= $start AND charge_period_start < $end",
                {"start": settled.start, "end": settled.end},
            )
    if book.settles and settled != month:
        session.do(_NAME_AGAIN, {"month": month.start})
    step.run(session, [steps()[name] for name in STATEMENT], month, book.parameters, clock)


def _months(period: Period) -> list[Period]:
    found = []
    start = month_of(period.start)
    while start < period.end:
        found.append(Period(start, next_month(start)))
        start = next_month(start)
    return found
