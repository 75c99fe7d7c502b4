"""Fixtures of the metering steps: facts in, rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apportion.domain.period import Period
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.step import run
from metering.meter import meter
from metering.steps import STEPS
from tests.blank import blank
from tests.frozen import FrozenClock
from tests.steps.metering.facts import Facts, load, moment
from tests.steps.metering.reading import nothing

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for the tests of a file: loading facts replaces whatever the test before left."""
    with Ledger(blank(tmp_path_factory.mktemp("metering") / "apportion.duckdb")) as opened:
        yield opened


@pytest.fixture
def stepped(ledger: Ledger, clock: FrozenClock) -> Callable[..., Rows]:
    """Facts, the name of a step, a window and a query -> the query's rows after every step up to that one."""

    def answer(facts: Facts, last: str, start: int, end: int, query: str) -> Rows:
        with ledger.transaction() as session:
            load(session, facts)
            wanted = STEPS[: 1 + [step.name for step in STEPS].index(last)]
            run(
                session,
                wanted,
                Period(moment(start), moment(end)),
                {"policy_version": 1, "sample_hold_us": facts.hold},
                clock,
            )
        return ledger.session().rows(query)

    return answer


@pytest.fixture
def metered(ledger: Ledger, clock: FrozenClock) -> Callable[..., Session]:
    """Facts and a window -> a session with a ledger in which that window is metered and audited."""

    def answer(facts: Facts, start: int, end: int) -> Session:
        with ledger.transaction() as session:
            load(session, facts)
        clock.set(moment(end))
        meter(ledger, clock, settle=nothing, since=moment(start), until=moment(end))
        return ledger.session()

    return answer
