"""Meter the hours that are due: each contiguous span of at most a month in one audited transaction.

What depends on the charges (attribution, settlement, counters) runs inside that transaction through a callback, so a
reader sees an hour with all that follows from it, or as it was before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from apportion.domain.clock import Clock
from apportion.domain.errors import LedgerError
from apportion.domain.period import FOREVER, HOUR, HOUR_US, Period, spans
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.step import Query, audit, fill
from metering.gaps import gaps
from metering.halving import halved
from metering.hours import due
from metering.retract import retract
from metering.steps import (
    AUDITS,
    EXTERNAL,
    GPU_ACTIVITY,
    GPU_PLACE,
    OBSERVED,
    OF_ENGINES,
    OF_PLACED_GPUS,
    ONLY_WITH,
    OVER_EVENTS,
    RECONCILIATION,
    STEPS,
)

_INSIDE = "WHERE charge_period_start >= $period_start AND charge_period_start < $period_end"
_HOURS = "unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR))"

# What an engine counted in a span is told by a reading within it, or by one that ends a gap of a day at most; what it was doing,
# also by one whose hold reaches into it.
_ENGINES_TELL = """
SELECT EXISTS (
    SELECT 1 FROM raw.engine_sample
    WHERE sampled_at > $period_start::TIMESTAMP - INTERVAL 1 HOUR AND sampled_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
)
"""

# Settled by the step before the pass over the events: whether anybody but our own fleet served in the span.
_OTHERS_SERVE = "SELECT EXISTS (SELECT 1 FROM metering.series_place WHERE provider <> 'self')"

PIECE_MAX = timedelta(days=5)
"""A month of events or samples is added a quarter faster in parts of one to five days than at once; shorter ones gain nothing."""

RUNS_AT_MOST = timedelta(days=1)
"""Of a request's duration no more counts."""

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""An open `since`."""

Settle = Callable[[Session, Period], None]
"""What follows from a span's charges, run inside the span's transaction."""

Progress = Callable[[int, int], None]
"""Told after each span: hours metered so far, hours there are to meter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReport:
    """What one run did.

    Attributes:
        hours: hours metered.
        spans: transactions they took.
        refused: hours that wait, for a rate say, and the reason.
        failed: those among them that could not be computed, though they were tried.
        retracted: hours before `metered_from` that had been metered and no longer are.
        rows: charge lines written.
        seconds: wall time.
    """

    hours: int
    spans: int
    refused: dict[datetime, str]
    failed: frozenset[datetime]
    retracted: int
    rows: int
    seconds: float


def meter(
    ledger: Ledger,
    clock: Clock,
    *,
    settle: Settle,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress | None = None,
) -> MeterReport:
    """Meter every due hour, or every hour of a window whether due or not; take back those before `metered_from`.

    An hour whose rates have a gap, or that cannot be computed, is refused: it is recorded with the reason, stays due, and
    holds up no other. Any other exception undoes the span it happens in; spans before it are kept.

    Raises: UsageError for a window that cannot be metered, AuditFailed when what is taken back does not add up.
    """
    began = time.perf_counter()
    session = ledger.session()
    retracted = retract(ledger, clock, settle)
    wanted = due(session, now=clock.now(), since=since, until=until)
    refused = gaps(session, wanted)
    ready = [hour for hour in wanted if hour not in refused]
    within = Period(since or EARLIEST, until or FOREVER)
    tried = _refused(session, within)
    _record_refusals(ledger, clock, {**{hour: tried[hour] for hour in ready if hour in tried}, **refused}, within)
    written: dict[Period, int] = {}
    failed: dict[datetime, str] = {}

    def attempt(part: Period) -> None:
        written[part] = _meter_span(ledger, clock, part, settle)
        if progress is not None:
            progress(sum(_hours(span) for span in written), len(ready))

    for period in spans(ready):
        failed |= {hour: why for part, why in halved(period, attempt).items() for hour in part.hours()}
    refused = dict(sorted({**refused, **failed}.items()))
    if failed:
        _record_refusals(ledger, clock, refused, within)
    return MeterReport(
        hours=sum(_hours(span) for span in written), spans=len(written), refused=refused, failed=frozenset(failed),
        retracted=retracted, rows=sum(written.values()), seconds=time.perf_counter() - began,
    )  # fmt: skip


def _meter_span(ledger: Ledger, clock: Clock, period: Period, settle: Settle) -> int:
    """Recompute a span whole. Returns: charge lines written."""
    window = {"period_start": period.start, "period_end": period.end}
    with ledger.transaction() as session:
        policy = _policy(session)
        fill(session, _windows(session, period), policy, clock)
        audit(session, AUDITS, period, policy)
        session.do(f"DELETE FROM raw.dirty_hour {_INSIDE}", window)
        session.do(f"DELETE FROM book.dirty_hour {_INSIDE}", window)
        session.do(f"DELETE FROM metering.refused_hour {_INSIDE}", window)
        session.do(
            f"INSERT OR REPLACE INTO metering.metered_hour SELECT {_HOURS}, $now, $policy_version",
            {**window, "now": clock.now(), "policy_version": policy["policy_version"]},
        )
        settle(session, period)
        return int(session.value(f"SELECT count(*) FROM metering.charge_hourly {_INSIDE}", window))


def _windows(session: Session, period: Period) -> Iterator[tuple[Query, Period]]:
    """The steps of a span in their order: those over events and samples piece by piece, none that would have no row."""
    window = {"period_start": period.start, "period_end": period.end}
    empty = set() if session.value(_ENGINES_TELL, window) else set(OF_ENGINES)
    empty |= {name for name, rows in ONLY_WITH.items() if not session.value(f"SELECT EXISTS (FROM {rows})")}
    for over_events, steps in groupby(STEPS, key=lambda step: step.name in OVER_EVENTS):
        together = tuple(steps)
        if over_events:
            observed = next(step for step in together if step.name == OBSERVED)
            if not session.value(_OTHERS_SERVE):
                together = tuple(step for step in together if step.name != EXTERNAL)
                session.do(f"DELETE FROM {EXTERNAL} {_INSIDE}", window)
            yield from ((step, piece) for piece in _pieces(period) for step in together)
            continue
        for step in together:
            if step.name in empty:
                session.do(f"DELETE FROM {step.name} {_INSIDE}", window)
                continue
            if step.name == RECONCILIATION:
                yield observed, Period(period.start, period.end + RUNS_AT_MOST)
            for piece in _pieces(period) if step.name == GPU_ACTIVITY else (period,):
                yield step, piece
            if step.name == GPU_PLACE and not session.value(f"SELECT EXISTS (FROM {GPU_PLACE})"):
                empty |= OF_PLACED_GPUS


def _pieces(period: Period) -> Iterator[Period]:
    """A period in parts small enough for the groups of each to stay in the processor's cache."""
    start = period.start
    while start < period.end:
        end = min(start + PIECE_MAX, period.end)
        yield Period(start, end)
        start = end


def _policy(session: Session) -> dict[str, int]:
    """The policy in force, as parameters of the steps."""
    found = session.rows("SELECT policy_version, sample_hold_us FROM book.policy ORDER BY policy_version DESC LIMIT 1")
    if not found:
        msg = "the ledger knows no policy yet, so nothing can be metered; sync a config into it first."
        raise LedgerError(msg)
    version, hold = found[0]
    if hold > HOUR_US:
        msg = f"a GPU sample would hold for {hold // 1_000_000} seconds; set sample_hold_seconds to at most 3600."
        raise LedgerError(msg)
    return {"policy_version": version, "sample_hold_us": hold}


def _hours(period: Period) -> int:
    return (period.end - period.start) // HOUR


def _refused(session: Session, within: Period) -> dict[datetime, str]:
    """Hours of a period that are refused as yet, and why."""
    window = {"period_start": within.start, "period_end": within.end}
    return dict(session.rows(f"SELECT charge_period_start, reason FROM metering.refused_hour {_INSIDE}", window))


def _record_refusals(ledger: Ledger, clock: Clock, refused: Mapping[datetime, str], within: Period) -> None:
    """Make `metering.refused_hour` say what is refused now in a period; written only when that changes."""
    if _refused(ledger.session(), within) == refused:
        return
    window = {"period_start": within.start, "period_end": within.end}
    with ledger.transaction() as session:
        session.do(f"DELETE FROM metering.refused_hour {_INSIDE}", window)
        for reason in sorted(set(refused.values())):
            for period in spans(hour for hour, why in refused.items() if why == reason):
                session.do(
                    f"INSERT INTO metering.refused_hour SELECT {_HOURS}, $reason, $now",
                    {"period_start": period.start, "period_end": period.end, "reason": reason, "now": clock.now()},
                )
