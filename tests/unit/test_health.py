"""How sources fare outlives the process: counts go on where the last one wrote them down."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from apportion.health import HealthLog
from apportion.ledger.connection import Ledger
from ingest.supervise import Condition
from tests.frozen import FrozenClock


def condition(clock: FrozenClock) -> Condition:
    """A source that has failed three times since its process started."""
    return Condition(
        name="topic",
        collector="kafka",
        state="failing",
        since=clock.now(),
        failures=3,
        last_error="no broker answers",
        last_success_at=None,
        lag_records=None,
        notes=("one", "two"),
    )


def test_failures_and_answers_add_up_across_processes(ledger: Ledger, clock: FrozenClock) -> None:
    """A second process counts on from what the first one wrote, and shows nothing that is not written."""
    first = HealthLog(ledger)
    first.write([condition(clock)], {("/v1/usage", 200): 2})
    shown = first.write([replace(condition(clock), failures=4)], {("/v1/usage", 200): 1, ("/v1/usage", 401): 1})
    later = HealthLog(ledger).write([replace(condition(clock), failures=1, state="running")], {})

    assert (shown.sources["topic"].failures, shown.sources["topic"].is_up) == (4, False)
    assert shown.responses == {("/v1/usage", 200): 3, ("/v1/usage", 401): 1}
    assert (later.sources["topic"].failures, later.sources["topic"].is_up) == (5, True)
    assert later.responses == shown.responses


def test_the_last_success_is_remembered(ledger: Ledger, clock: FrozenClock) -> None:
    """A source that has not worked in this process last worked in the one before."""
    HealthLog(ledger).write([replace(condition(clock), last_success_at=clock.now())], {})
    worked = clock.now()
    clock.advance(timedelta(hours=1))

    assert HealthLog(ledger).write([condition(clock)], {}).sources["topic"].last_success_at == worked


def test_a_source_that_left_the_config_leaves_the_page(ledger: Ledger, clock: FrozenClock) -> None:
    """Only configured sources are shown."""
    log = HealthLog(ledger)
    log.write([condition(clock)], {})

    assert log.write([], {}).sources == {}


def test_job_runs_are_those_of_the_ledger(ledger: Ledger, clock: FrozenClock) -> None:
    """Attempts are counted by job and outcome."""
    with ledger.transaction() as session:
        for outcome in ("ok", "ok", "failed"):
            session.do(
                "INSERT INTO ledger.job_run VALUES ('meter', $outcome, '', $at, 1)",
                {"outcome": outcome, "at": clock.now()},
            )

    assert HealthLog(ledger).job_runs() == {("meter", "ok"): 2, ("meter", "failed"): 1}


def test_records_that_were_lost_are_counted(ledger: Ledger, clock: FrozenClock) -> None:
    """A gap in a stream is as many records as its positions span."""
    before = HealthLog(ledger).write([], {}).lost_records
    with ledger.transaction() as session:
        session.do("INSERT INTO raw.stream_gap VALUES ('s', 10, 25, 'retention', $at)", {"at": clock.now()})

    assert (before, HealthLog(ledger).write([], {}).lost_records) == (None, 15)
