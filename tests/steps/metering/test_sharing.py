"""Processor sharing of a deployment's day: against exact fractions, beside the token split, and leaving nothing behind."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.domain.errors import UsageError
from apportion.domain.money import split
from apportion.domain.period import Period
from metering import sharing
from metering.meter import meter
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, Pool, Rate, at, load, moment
from tests.steps.metering.reading import nothing

START = at("00:00")
DAY = Period(moment(START), moment(START) + timedelta(days=1))
ROWS = f"""
SELECT charge_period_start, deployment_id, principal, tokens_nano, sharing_nano
FROM {sharing.TABLE} JOIN raw.caller USING (caller_no) JOIN book.deployment_key USING (deployment_no) ORDER BY ALL
"""


def fleet(
    *events: Event, deployments: tuple[Deployment, ...] = (Deployment(gpus=3, utilization="allocation"),)
) -> Facts:
    """One pool at a price that divides by nothing."""
    return Facts(pools=(Pool(gpus=3),), rates=(Rate(nano=10**9 + 7),), deployments=deployments, events=events)


def request(end: int, duration: int | None, principal: str = "a", tokens: int = 10, deployment: str = "") -> Event:
    """A request by its end and length in microseconds of the day."""
    return Event(
        at=START + end, duration=duration, principal=principal, deployment=deployment, tokens=(("output", tokens),)
    )


def compared(ledger, clock, facts: Facts, hours: int = 24, deployments: tuple[str, ...] = ("d",)):
    """The audit's figures and rows, after the day was metered."""
    with ledger.transaction() as session:
        load(session, facts)
    clock.set(moment(START + 26 * HOUR))
    meter(ledger, clock, settle=nothing, since=moment(START), until=moment(START + hours * HOUR))
    with sharing.undone(ledger) as session:
        numbers = [n for d in deployments for n in sharing.deployments_of(session, deployment=d, pool=None)]
        return sharing.compare(session, clock, DAY, numbers), session.rows(ROWS)


def test_an_instant_is_shared_by_heads(ledger, clock) -> None:
    """One runs a minute alone and a minute beside another: three quarters of the two minutes are its, whatever the tokens."""
    minute = 60_000_000
    facts = fleet(request(2 * minute, 2 * minute, "a", 1), request(2 * minute, minute, "b", 999))
    figures, rows = compared(ledger, clock, facts)

    whole = 3 * (10**9 + 7)
    assert [(row[2], row[4]) for row in rows] == list(split(whole, {"a": 3, "b": 1}).items())
    assert [(row[2], row[3]) for row in rows] == list(split(whole, {"a": 1, "b": 999}).items())
    assert (figures.requests, figures.ran_us, figures.busy_us, figures.hours) == (2, 3 * minute, 2 * minute, 1)


def test_a_request_over_an_hour_bears_a_part_of_each(ledger, clock) -> None:
    """It shares each hour with whoever ran there, also where it ended later and has no tokens yet."""
    minute = 60_000_000
    facts = fleet(request(HOUR + minute, 2 * minute, "long"), request(HOUR - 1, minute - 1, "first"))
    _, rows = compared(ledger, clock, facts)

    whole = 3 * (10**9 + 7)
    assert rows == [
        (moment(START), "d", "first", whole, split(whole, {"first": minute - 1, "long": minute + 1})["first"]),
        (moment(START), "d", "long", 0, split(whole, {"first": minute - 1, "long": minute + 1})["long"]),
        (moment(START + HOUR), "d", "long", whole, whole),
    ]


def test_requests_before_and_after_the_day_count_within_it(ledger, clock) -> None:
    """What runs over midnight counts on each side, and what ended before the day not at all."""
    facts = fleet(
        request(10, 20, "over"),
        request(20, 5, "in"),
        request(24 * HOUR + 10, 30, "late"),
        request(24 * HOUR - 1, 5, "last"),
    )
    figures, rows = compared(ledger, clock, facts)

    assert (figures.requests, figures.ran_us) == (4, 10 + 5 + 20 + 5)
    assert [row[2] for row in rows if row[4]] == ["in", "over", "last", "late"]


def test_hours_without_durations_are_left_out(ledger, clock) -> None:
    """Where nobody tells a duration there is nothing to compare, and that is said in money."""
    facts = fleet(request(1000, None, "a"), request(HOUR + 1000, 500, "a"), request(HOUR + 1000, 0, "b"))
    figures, rows = compared(ledger, clock, facts)

    assert figures.hours == 1
    assert figures.left_out_nano == 3 * (10**9 + 7)
    assert [(row[2], row[4]) for row in rows] == [("a", 3 * (10**9 + 7)), ("b", 0)]


def test_deployments_are_swept_apart(ledger, clock) -> None:
    """Requests of two deployments at the same time do not share an instant."""
    both = tuple(Deployment(id=name, utilization="allocation") for name in ("d", "e"))
    facts = fleet(request(100, 100, "a", deployment="d"), request(100, 100, "b", deployment="e"), deployments=both)
    figures, rows = compared(ledger, clock, facts, deployments=("d", "e"))

    assert figures.hours == 2
    assert all(row[3] == row[4] > 0 for row in rows)


def test_nothing_of_an_audit_stays(ledger, clock) -> None:
    """Metering's own tables are as before."""
    facts = fleet(request(100, 50), request(HOUR + 100, 50))
    compared(ledger, clock, facts, hours=2)
    session = ledger.session()
    kept = session.rows("FROM metering.series_place ORDER BY ALL"), session.rows("FROM ledger.step_run ORDER BY ALL")

    with sharing.undone(ledger) as inside:
        sharing.compare(inside, clock, DAY, sharing.deployments_of(inside, deployment="d", pool=None))

    again = session.rows("FROM metering.series_place ORDER BY ALL"), session.rows("FROM ledger.step_run ORDER BY ALL")
    assert kept == again


def test_a_failure_inside_is_not_swallowed(ledger) -> None:
    """Only the undoing itself is silent."""
    with pytest.raises(ZeroDivisionError), sharing.undone(ledger):
        raise ZeroDivisionError


def test_what_is_not_there_is_named(ledger, clock) -> None:
    """An unknown deployment or pool names those there are; a day without work says what to do."""
    with ledger.transaction() as session:
        load(session, fleet(request(100, 50)))
        with pytest.raises(UsageError, match="--deployment 'x' is not in the config; there are d"):
            sharing.deployments_of(session, deployment="x", pool=None)
        with pytest.raises(UsageError, match="--pool 'x' is not in the config; there are p"):
            sharing.deployments_of(session, deployment=None, pool="x")
        assert len(sharing.deployments_of(session, deployment=None, pool="p")) == 1
        with pytest.raises(UsageError, match="no metered work on 2031-01-01"):
            sharing.compare(session, clock, Period(moment(at("2031-01-01")), moment(at("2031-01-02"))), [1])


REQUESTS = st.lists(
    st.tuples(st.integers(0, 3 * 40), st.integers(0, 60), st.sampled_from("abcd"), st.integers(1, 9)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=REQUESTS)
def test_shares_are_the_exact_integrals(ledger, clock, drawn: list[tuple[int, int, str, int]]) -> None:
    """Over random lives each hour's money is split by the integral of 1 / N in exact fractions, but for single nanos of rounding."""
    tick = 90_000_000  # forty of them are an hour, so that edges meet and hours are crossed
    events = [request(end * tick, length * tick // 10, who, tokens) for end, length, who, tokens in drawn]
    _, rows = compared(ledger, clock, fleet(*events), hours=4)

    exact: dict[tuple[int, str], Fraction] = defaultdict(Fraction)
    step = tick // 10
    lives = [(max(end * 10 - length, 0), end * 10, who) for end, length, who, _ in drawn]
    for instant in range(1300):
        running = [who for start, end, who in lives if start <= instant < end]
        for who in running:
            exact[instant // 400, who] += Fraction(step, len(running))
    whole = 3 * (10**9 + 7)
    found = {((row[0] - moment(START)) // timedelta(hours=1), row[2]): (row[3], row[4]) for row in rows}
    for hour in {key[0] for key in found}:
        busy = sum(part for key, part in exact.items() if key[0] == hour)
        assert sum(parts[0] for key, parts in found.items() if key[0] == hour) == whole
        assert sum(parts[1] for key, parts in found.items() if key[0] == hour) == whole
        for (of, who), (_, nano) in found.items():
            if of == hour:
                assert abs(nano - whole * exact[hour, who] / busy) <= 1
