"""Who pays: the hours of a span by team, then the settlement, statement and counters of its months.

Everything runs inside the caller's transaction, and every audit is asked before it returns, so a failure leaves the ledger
as it was. Nothing is metered here: a changed directory, owner or policy needs only what metering left behind.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any, Final

from apportion.domain.clock import Clock
from apportion.domain.errors import LedgerError
from apportion.domain.period import Period, month_of, next_month
from apportion.ledger import step
from apportion.ledger.connection import Session
from apportion.ledger.step import Query
from attribution.counters import LABEL_SETS_MAX, count

MAPPING: Final = ("attribution.caller_rule", "attribution.caller_team")
SETTLING: Final = (
    "attribution.team_monthly",
    "attribution.settlement_weight",
    "attribution.reservation",
    "attribution.settlement_idle",
    "attribution.settlement_shared",
    "attribution.settlement",
    "attribution.charge_monthly",
    "attribution.unit_cost_monthly",
)
HOUR_AUDITS: Final = ("attributed_cost_equals_metered_cost",)
MONTH_AUDITS: Final = (
    "settlement_sums_to_zero",
    "monthly_cost_equals_origin_cost",
    "no_negative_idle",
    "system_teams_take_no_share",
    "counters_never_decrease",
    "counters_equal_published_months",
)

_DIRECTORY_DIGEST: Final = """
SELECT md5(concat_ws(chr(10), 'rules', (SELECT string_agg(rule::VARCHAR, chr(10) ORDER BY rule::VARCHAR) FROM book.directory_rule AS rule),
    'given', (SELECT string_agg(given::VARCHAR, chr(10) ORDER BY team) FROM book.cost_center AS given)))
"""

_POLICIES_DIGEST: Final = """
SELECT md5(concat_ws(chr(10), $directory::VARCHAR, $policy_version::VARCHAR,
    'owners', (SELECT string_agg(concat_ws(' ', deployment_no, charge_to, effective_from, effective_to, owner), chr(10)
        ORDER BY deployment_no, effective_from) FROM book.deployment WHERE charge_to = 'owner'),
    'entitlements', (SELECT string_agg(held::VARCHAR, chr(10) ORDER BY held::VARCHAR) FROM book.entitlement AS held),
    'shared', (SELECT string_agg(concat_ws(' ', policy, effective_from, effective_to, shared_cost_id), chr(10)
        ORDER BY shared_cost_id, effective_from) FROM book.shared_cost),
    'shares', (SELECT string_agg(share::VARCHAR, chr(10) ORDER BY share::VARCHAR) FROM book.shared_cost_share AS share)))
"""


def attribute(session: Session, period: Period, clock: Clock, *, max_label_sets: int = LABEL_SETS_MAX) -> None:
    """Attribute the metered hours of a span and settle each month it touches.

    A month last attributed by another directory or policy is attributed whole, so that no month follows two.
    Raises: AuditFailed when cost would be lost, made or misplaced; LedgerError when the ledger holds no policy.
    """
    book = _book(session)
    _map_callers(session, period, clock, book)
    for month in _months(period):
        known = session.rows("SELECT 1 FROM attribution.attributed_month WHERE billing_period = $month AND book_digest = $digest",
                             {"month": month.start, "digest": book["book_digest"]})
        hours = Period(max(period.start, month.start), min(period.end, month.end)) if known else month
        _attribute_hours(session, hours, clock)
        _settle(session, month, clock, book, max_label_sets)


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
    found = session.rows(
        "SELECT DISTINCT date_trunc('month', charge_period_start)::TIMESTAMP AS billing_period FROM metering.metered_hour "
        "ANTI JOIN (SELECT date_trunc('month', billing_period) AS billing_period FROM attribution.attributed_month "
        "WHERE book_digest = $digest) AS current ON current.billing_period = date_trunc('month', charge_period_start) "
        "ORDER BY billing_period",
        {"digest": _book(session)["book_digest"]}) if session.value("SELECT COUNT(*) FROM metering.metered_hour") else []
    return [Period(start, next_month(start)) for (start,) in found]


@cache
def steps() -> dict[str, Query]:
    """Every step of this stage, by the table it fills."""
    return step.load("attribution", "sql")


@cache
def audits() -> dict[str, Query]:
    """Every audit of this stage, by the truth it protects."""
    return step.load("attribution", "audits")


def _book(session: Session) -> dict[str, Any]:
    """The policy in force and digests of what attribution follows, under the names that steps ask for."""
    policies = session.rows(
        "SELECT policy_version, idle, over FROM book.policy ORDER BY policy_version DESC LIMIT 1")
    if not policies:
        msg = "this ledger holds no policy yet; run `apportion meter` with a config first"
        raise LedgerError(msg)
    version, idle, over = policies[0]
    directory = session.value(_DIRECTORY_DIGEST)
    digest = session.value(_POLICIES_DIGEST, {"directory": directory, "policy_version": version})
    return {"policy_version": version, "idle": idle, "over": over, "directory_digest": directory, "book_digest": digest}


def _map_callers(session: Session, period: Period, clock: Clock, book: dict[str, Any]) -> None:
    """Rebuild who each caller is, unless callers and directory are those it was built from."""
    now = (session.value("SELECT COUNT(*) FROM raw.caller"), book["directory_digest"])
    if session.rows("SELECT callers, directory_digest FROM attribution.mapped_directory") == [now]:
        return
    step.run(session, [steps()[name] for name in MAPPING], period, {}, clock)
    session.do("DELETE FROM attribution.mapped_directory")
    session.do("INSERT INTO attribution.mapped_directory VALUES ($callers, $digest)", {"callers": now[0], "digest": now[1]})


def _attribute_hours(session: Session, hours: Period, clock: Clock) -> None:
    step.run(session, [steps()["attribution.charge_hourly"]], hours, {}, clock)
    step.audit(session, [audits()[name] for name in HOUR_AUDITS], hours, {})
    last = (hours.end - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    days = Period(hours.start.replace(hour=0), last + timedelta(days=1))
    step.run(session, [steps()["attribution.charge_daily"]], days, {}, clock)


def _settle(session: Session, month: Period, clock: Clock, book: dict[str, Any], max_label_sets: int) -> None:
    step.run(session, [steps()[name] for name in SETTLING], month, book, clock)
    count(session, steps(), month, clock, label_sets_max=max_label_sets)
    step.audit(session, [audits()[name] for name in MONTH_AUDITS], month, book)
    session.do("DELETE FROM attribution.attributed_month WHERE billing_period = $month", {"month": month.start})
    session.do("INSERT INTO attribution.attributed_month VALUES ($month, $now, $policy_version, $digest)",
               {"month": month.start, "now": clock.now(), "policy_version": book["policy_version"],
                "digest": book["book_digest"]})


def _months(period: Period) -> list[Period]:
    found = []
    start = month_of(period.start)
    while start < period.end:
        found.append(Period(start, next_month(start)))
        start = next_month(start)
    return found
