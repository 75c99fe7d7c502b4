"""Metering as a whole: spans, hand-over of dirty hours, refusals, and nothing half-done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apportion.domain.errors import AuditFailed, LedgerBroken, LedgerError, UsageError
from apportion.domain.period import Period
from metering.meter import meter
from metering.steps import EXTERNAL, OF_ENGINES, OF_PLACED_GPUS, ONLY_WITH, STEPS
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, Pool, Rate, Sample, at, load, moment
from tests.steps.metering.reading import charges, nothing

START = at("2026-09-30 22:00")
FLEET = Facts(
    pools=(Pool(gpus=2, start=START),), rates=(Rate(nano=10**9),), deployments=(Deployment(start=START, utilization="allocation"),),
    events=tuple(Event(at=START + n * 1_700_000_000, principal=f"k{n % 3}", tokens=(("output", n + 1),)) for n in range(9)),
    samples=(Sample(at=START, ppm=1, deployment="d"),))  # fmt: skip


def prepared(ledger, clock, facts: Facts = FLEET, now: int = START + 4 * HOUR):
    """A ledger with facts at a time, and a session."""
    with ledger.transaction() as session:
        load(session, facts)
    clock.set(moment(now))
    return ledger.session()


def test_due_hours_are_metered_in_spans_within_months(ledger, clock) -> None:
    """Four hours over the end of a month: two transactions; afterwards nothing is due, and nothing is dirty."""
    session, told, settled = prepared(ledger, clock), [], []
    report = meter(
        ledger,
        clock,
        settle=lambda _, period: settled.append(period),
        progress=lambda done, of: told.append((done, of)),
    )

    assert (report.hours, report.spans, report.refused) == (4, 2, {})
    assert report.rows == session.value("SELECT COUNT(*) FROM metering.charge_hourly") > 0
    assert settled == [
        Period(moment(START), moment(START + 2 * HOUR)),
        Period(moment(START + 2 * HOUR), moment(START + 4 * HOUR)),
    ]
    assert told == [(2, 4), (4, 4)]
    # 00:00 has an event after it that is not over yet.
    assert session.rows("SELECT charge_period_start FROM raw.dirty_hour") == []
    assert session.rows("SELECT COUNT(*), MAX(metered_at) FROM metering.metered_hour") == [(4, clock.now())]

    again = meter(ledger, clock, settle=nothing)
    assert (again.hours, again.spans, again.rows) == (0, 0, 0)


def test_metering_again_changes_nothing(ledger, clock) -> None:
    """The same inputs, the same lines: a window forces it, and leaves the hours beside it alone."""
    session = prepared(ledger, clock)
    meter(ledger, clock, settle=nothing)
    before = charges(session)
    report = meter(ledger, clock, settle=nothing, since=moment(START + HOUR), until=moment(START + 3 * HOUR))

    assert report.hours == 2
    assert charges(session) == before


def test_a_dirty_hour_is_metered_alone(ledger, clock) -> None:
    """A late event changes its own hour only."""
    session = prepared(ledger, clock)
    meter(ledger, clock, settle=nothing)
    before = charges(session)
    late = START + 2 * HOUR + 1
    with ledger.transaction() as writing:
        writing.do(
            "INSERT INTO raw.usage_event SELECT * REPLACE (?::TIMESTAMP AS occurred_at, 'late' AS event_id) FROM raw.usage_event LIMIT 1",
            [moment(late)],
        )
        writing.do("INSERT INTO raw.dirty_hour VALUES (?, ?)", [moment(START + 2 * HOUR), clock.now()])
    report = meter(ledger, clock, settle=nothing)
    changed = {key[0] for key in {key for key, value in charges(session).items() ^ before.items()}}

    assert (report.hours, changed) == (1, {START + 2 * HOUR})


def test_an_exception_undoes_its_span_and_no_other(ledger, clock) -> None:
    """Whatever follows from charges fails in the second month: the first month stays, the second is as it was, and dirty."""
    session = prepared(ledger, clock)

    def failing(_, period: Period) -> None:
        if period.start >= moment(START + 2 * HOUR):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        meter(ledger, clock, settle=failing)

    assert {key[0] for key in charges(session)} == {START, START + HOUR}
    assert session.value("SELECT COUNT(*) FROM metering.metered_hour") == 2
    assert session.value("SELECT MIN(charge_period_start) FROM raw.dirty_hour") == moment(START + 2 * HOUR)
    assert meter(ledger, clock, settle=nothing).hours == 2


def test_the_settlement_sees_the_span_it_settles(ledger, clock) -> None:
    """It runs in the same transaction, after the audits."""
    prepared(ledger, clock)
    seen = []
    meter(
        ledger,
        clock,
        settle=lambda session, _: seen.append(
            session.value("SELECT COUNT(DISTINCT charge_period_start) FROM metering.charge_hourly")
        ),
    )

    assert seen == [2, 4]


def test_a_gap_in_the_rates_refuses_its_hours_and_no_others(ledger, clock) -> None:
    """They are recorded with the reason and stay dirty; a rate that fills the gap lets them through."""
    gap = replace(FLEET, rates=(Rate(end=START + HOUR), Rate(start=START + HOUR + HOUR // 2)))
    session = prepared(ledger, clock, gap)
    report = meter(ledger, clock, settle=nothing)
    hour = moment(START + HOUR)

    assert (report.hours, report.spans, list(report.refused)) == (3, 2, [hour])
    assert session.rows("SELECT charge_period_start, reason FROM metering.refused_hour") == list(report.refused.items())
    assert "pool p has no accelerator rate from 2026-09-30T23:00:00Z to 2026-09-30T23:30:00Z" in report.refused[hour]
    assert session.rows("SELECT charge_period_start FROM raw.dirty_hour") == [(hour,)]
    assert {key[0] for key in charges(session)} == {START, START + 2 * HOUR, START + 3 * HOUR}

    with ledger.transaction() as writing:
        writing.do(
            "UPDATE book.rate SET effective_to = ? WHERE effective_to = ?", [moment(START + HOUR + HOUR // 2), hour]
        )
    assert (meter(ledger, clock, settle=nothing).hours, session.rows("FROM metering.refused_hour")) == (1, [])
    assert session.rows("FROM raw.dirty_hour") == []


def test_an_hour_that_an_audit_refuses_waits_and_no_other(ledger, clock) -> None:
    """What follows from one hour does not add up: the rest of its span is kept, and the hour is tried again with the next run."""
    session, hour = prepared(ledger, clock), moment(START + HOUR)

    def failing(_, period: Period) -> None:
        if hour in period.hours():
            raise AuditFailed("s", "a", [(1,)])

    for hours in (3, 0):
        report = meter(ledger, clock, settle=failing)
        assert (report.hours, report.failed, list(report.refused)) == (hours, {hour}, [hour])
        assert session.rows("SELECT charge_period_start, reason FROM metering.refused_hour") == list(
            report.refused.items()
        )
        assert session.rows("SELECT charge_period_start FROM raw.dirty_hour") == [(hour,)]
        clock.set(moment(START + 4 * HOUR + 1))
    assert session.rows("SELECT refused_at FROM metering.refused_hour") == [(moment(START + 4 * HOUR),)]

    report = meter(ledger, clock, settle=nothing)
    assert (report.hours, report.failed, session.rows("FROM metering.refused_hour")) == (1, frozenset(), [])


def test_a_broken_ledger_ends_the_run(ledger, clock) -> None:
    """It is no fault of an hour: nothing is halved, and nothing is refused for it."""
    session, tried = prepared(ledger, clock), []

    def failing(_, period: Period) -> None:
        tried.append(period)
        raise LedgerBroken("gone")

    with pytest.raises(LedgerBroken):
        meter(ledger, clock, settle=failing)
    assert (len(tried), session.rows("FROM metering.refused_hour")) == (1, [])


def test_refusals_outside_a_window_are_left_as_they_are(ledger, clock) -> None:
    """Metering a part of the time says nothing about the rest."""
    session = prepared(ledger, clock, replace(FLEET, rates=()))
    assert len(meter(ledger, clock, settle=nothing).refused) == 4
    report = meter(ledger, clock, settle=nothing, since=moment(START + HOUR), until=moment(START + 2 * HOUR))

    assert (report.hours, len(report.refused)) == (0, 1)
    assert session.value("SELECT COUNT(*) FROM metering.refused_hour") == 4


def test_the_newest_policy_is_in_force(ledger, clock) -> None:
    """Its version stands on every hour metered with it."""
    session = prepared(ledger, clock)
    with ledger.transaction() as writing:
        writing.do(
            "INSERT INTO book.policy SELECT * REPLACE (2 AS policy_version, 0 AS output_weight) FROM book.policy"
        )
    meter(ledger, clock, settle=nothing)

    assert session.rows("SELECT DISTINCT policy_version FROM metering.metered_hour") == [(2,)]
    assert session.rows(
        "SELECT DISTINCT cause FROM metering.charge_hourly WHERE cost_kind = 'workload' ORDER BY ALL"
    ) == [("",), ("zero_weight",)]


def test_without_a_policy_nothing_is_metered(ledger, clock) -> None:
    """A sentence says what is missing."""
    prepared(ledger, clock)
    with ledger.transaction() as writing:
        writing.do("DELETE FROM book.policy")

    with pytest.raises(LedgerError, match="no policy yet"):
        meter(ledger, clock, settle=nothing)


def test_a_hold_of_more_than_an_hour_is_refused(ledger, clock) -> None:
    """It could reach into a third hour, which nobody would mark dirty."""
    prepared(ledger, clock, replace(FLEET, hold=HOUR + 1))

    with pytest.raises(LedgerError, match="set sample_hold_seconds to at most 3600"):
        meter(ledger, clock, settle=nothing)


def test_a_window_that_has_not_passed_is_refused(ledger, clock) -> None:
    """Before anything is touched."""
    session = prepared(ledger, clock)

    with pytest.raises(UsageError, match="has not passed yet"):
        meter(ledger, clock, settle=nothing, until=moment(START + 5 * HOUR))
    assert session.value("SELECT COUNT(*) FROM metering.metered_hour") == 0


def test_every_step_is_recorded_with_its_span(ledger, clock) -> None:
    """One record a step and span, committed with the rows; steps that would have no row are none."""
    session = prepared(ledger, clock)
    with ledger.transaction() as writing:
        writing.do("DELETE FROM ledger.step_run")
    meter(ledger, clock, settle=nothing)

    needed = len(STEPS) - len(OF_ENGINES | set(ONLY_WITH) | {EXTERNAL})
    of_gpus = len(OF_PLACED_GPUS - set(ONLY_WITH))  # no sample tells of the second span
    assert session.rows("SELECT period_start, COUNT(*) FROM ledger.step_run GROUP BY ALL ORDER BY ALL") == [
        (moment(START), needed), (moment(START + 2 * HOUR), needed - of_gpus),
    ]  # fmt: skip
