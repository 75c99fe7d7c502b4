"""metering.engine_usage_hourly: cumulative counters as what each engine did in each hour."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.domain.period import Period
from apportion.ledger.connection import Ledger
from apportion.ledger.step import run
from metering.steps import STEPS
from tests.frozen import FrozenClock
from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Alias, Deployment, Facts, at, load, moment

STEP = "metering.engine_usage_hourly"
BEFORE = ("metering.served_model", "metering.engine_place_hourly")
QUERY = """
SELECT epoch_us(charge_period_start), deployment_id, {} FROM metering.engine_usage_hourly
JOIN book.pool_key USING (pool_no) JOIN book.deployment_key USING (deployment_no) JOIN book.model USING (model_no) ORDER BY ALL
"""
MINUTE = 60_000_000
D = (Deployment(),)
ONE, TWO = at("01:00"), at("02:00")


def counted(stepped, counts, columns="output_tokens", start=ONE, end=TWO, **facts):
    """Rows of a window: hour, deployment and the columns asked for."""
    whole = Facts(**{"deployments": D, "counts": tuple(counts), **facts})
    return stepped(whole, STEP, start, end, QUERY.format(columns))


def test_a_counter_is_what_it_grew_by(stepped) -> None:
    """The first reading says nothing without a start: it is where counting begins."""
    counts = [Count(at=ONE + n * MINUTE, output=1000 + n * n) for n in range(10, 21)]

    assert counted(stepped, counts, "output_tokens, engines, observed_us, resets") == [
        (ONE, "d", 300, 1, 10 * MINUTE, 0)
    ]


def test_an_increment_is_spread_over_the_time_between_its_readings(stepped) -> None:
    """A quarter of the time before the hour, a quarter of the tokens; what is left over goes to the later hour."""
    counts = [Count(at=ONE - 10 * MINUTE, output=0), Count(at=ONE + 30 * MINUTE, output=7)]

    assert counted(stepped, counts, start=at("00:00")) == [(at("00:00"), "d", 1), (ONE, "d", 6)]
    assert counted(stepped, counts) == [(ONE, "d", 6)]


def test_growth_between_close_readings_across_a_border_may_be_of_either_hour(stepped) -> None:
    """Of 90 in the minute around 01:00 a third is the earlier hour's; readings farther apart than a sample holds are a hole."""
    counts = [
        Count(at=ONE - 20_000_000, output=0, prompt=0),
        Count(at=ONE + 40_000_000, output=90),
        Count(at=ONE + 101_000_000, output=95, prompt=121),
        Count(at=TWO, output=97, prompt=130),
    ]
    columns = (
        "output_tokens, border_output_tokens, beyond_output_tokens, border_prompt_tokens, border_cache_read_tokens"
    )

    assert counted(stepped, counts, columns, start=at("00:00")) == [
        (at("00:00"), "d", 30, 30, 60, 0, None),
        (ONE, "d", 67, 60, 30, 0, None),
    ]


def test_a_reading_on_the_hour_ends_the_hour_before(stepped) -> None:
    """Its increment is that hour's whole, and the next hour begins with it."""
    counts = [Count(at=ONE, output=5), Count(at=TWO, output=8), Count(at=TWO + MINUTE, output=9)]

    assert counted(stepped, counts, start=at("00:00"), end=at("03:00")) == [(ONE, "d", 3), (TWO, "d", 1)]


def test_a_counter_that_falls_began_again(stepped) -> None:
    """After a reset the reading itself is what was counted since, so that a restart loses nothing that was read."""
    counts = [
        Count(at=ONE + MINUTE, output=100),
        Count(at=ONE + 2 * MINUTE, output=30),
        Count(at=ONE + 3 * MINUTE, output=35),
    ]

    assert counted(stepped, counts, "output_tokens, resets") == [(ONE, "d", 35, 1)]


def test_a_start_after_the_reading_before_is_a_reset(stepped) -> None:
    """Though the counter has passed its old value already: counted from its start, and unknown before that."""
    counts = [
        Count(at=ONE + MINUTE, output=100, started=at("00:10")),
        Count(at=ONE + 11 * MINUTE, output=120, started=ONE + 3 * MINUTE),
        Count(at=ONE + 12 * MINUTE, output=121, started=ONE + 3 * MINUTE),
    ]
    found = counted(stepped, counts, "output_tokens, observed_us, resets", start=ONE)

    assert found == [(ONE, "d", 2 + 121, 10 * MINUTE, 1)]


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        (ONE - 24 * HOUR + 30 * MINUTE, [(ONE, "d", 50)]),
        (ONE - 24 * HOUR + 30 * MINUTE - 1, []),
        (ONE + 30 * MINUTE, []),
        (ONE + 40 * MINUTE, []),
    ],
)
def test_a_first_reading_counts_from_a_known_start(stepped, started: int, expected: list[object]) -> None:
    """If that is at most a day before, and before the reading at all; else nothing is known."""
    counts = [Count(at=ONE + 30 * MINUTE, output=2400, started=started)]

    assert counted(stepped, counts) == expected


def test_a_gap_of_a_day_is_bridged_and_no_longer_one(stepped) -> None:
    """Up to a day the growth is spread evenly; beyond it nobody knows when it was."""
    for gap, expected in ((24 * HOUR, [(ONE, "d", 100)]), (24 * HOUR + 1, [])):
        counts = [Count(at=ONE - 12 * HOUR, output=0), Count(at=ONE - 12 * HOUR + gap, output=2400)]

        assert counted(stepped, counts) == expected


def test_a_missing_engine_reading_is_absent_not_zero(stepped) -> None:
    """Counters that no engine tells are NULL; a reading without one of them does not end its interval; silence has no row."""
    counts = [
        Count(at=ONE + MINUTE, output=1, prompt=10),
        Count(at=ONE + 2 * MINUTE, prompt=12),
        Count(at=ONE + 3 * MINUTE, output=5, prompt=13),
    ]
    columns = "prompt_tokens, output_tokens, cache_read_tokens, requests, prefill_us, cache_split_known"

    assert counted(stepped, counts, columns, end=at("05:00")) == [(ONE, "d", 3, 4, None, None, None, False)]


def test_an_idle_engine_counts_zero(stepped) -> None:
    """What did not grow is known to be nothing."""
    counts = [Count(at=ONE - 1, output=7, requests=1), Count(at=TWO + 1, output=7, requests=1)]

    assert counted(stepped, counts, "output_tokens, requests, observed_us") == [(ONE, "d", 0, 0, HOUR)]


def test_engines_are_differenced_before_they_are_added(stepped) -> None:
    """One begins again while the other goes on; each counter is the sum of those that tell it."""
    counts = [
        *(Count(engine="a", at=ONE + n * MINUTE, output=v, prefill_us=v) for n, v in enumerate((90, 5, 6))),
        *(Count(engine="b", at=ONE + n * MINUTE, output=v, aborted=n) for n, v in enumerate((1000, 1100, 1300))),
    ]
    columns = "output_tokens, prefill_us, aborted_requests, engines, observed_us, resets"

    assert counted(stepped, counts, columns) == [(ONE, "d", 306, 6, 2, 2, 4 * MINUTE, 1)]


def test_time_of_both_phases_is_known_as_long_as_the_lesser_is(stepped) -> None:
    """Of engines that tell both; one phase alone is no time of both."""
    counts = [
        *(Count(engine="a", at=ONE + n * MINUTE, prefill_us=n, decode_us=n if n < 20 else None) for n in (0, 10, 30)),
        *(Count(engine="b", at=ONE + n * MINUTE, prefill_us=n) for n in (0, 40)),
    ]

    assert counted(stepped, counts, "phase_observed_us, prefill_us, decode_us") == [(ONE, "d", 10 * MINUTE, 70, 10)]
    assert counted(stepped, counts[3:], "phase_observed_us") == [(ONE, "d", None)]


def test_the_cache_split_is_known_where_all_of_it_is(stepped) -> None:
    """An engine that tells prompts and no cache reads, or not for as long, leaves the split unknown, and what is known is shown."""
    telling = [Count(engine="a", at=ONE + n * MINUTE, prompt=n * 10, cache_read=n) for n in (0, 2)]
    silent = [Count(engine="b", at=ONE + n * MINUTE, prompt=n * 10) for n in (0, 2)]
    late = [Count(engine="c", at=ONE + n * MINUTE, prompt=n * 10, cache_read=n or None) for n in (0, 1, 2)]
    columns = "prompt_tokens, cache_read_tokens, cache_split_known"

    assert counted(stepped, telling, columns) == [(ONE, "d", 20, 2, True)]
    assert counted(stepped, [*telling, *silent], columns) == [(ONE, "d", 40, 2, False)]
    assert counted(stepped, late, columns) == [(ONE, "d", 20, 1, False)]


SERVING = (Deployment(id="a", models=("m",)), Deployment(id="b", models=("n",)))
PATTERNS = (
    Deployment(id="a", models=("m",), match=(("node", "n1"),)),
    Deployment(id="b", models=("n",), match=(("node", "n1"), ("pod", "b-%"))),
)


@pytest.mark.parametrize(
    ("deployments", "where", "expected"),
    [
        (SERVING, {"deployment": "b"}, "b"),
        (SERVING, {"deployment": "gone"}, "a"),
        (SERVING, {"model": "alias"}, "b"),
        (SERVING, {"model": "other"}, ""),
        (SERVING, {"model": ""}, ""),
        ((*SERVING, Deployment(id="c", models=("m",))), {}, ""),
        (PATTERNS, {"node": "n1", "model": "n"}, "a"),
        (PATTERNS, {"node": "n1", "pod": "b-1", "model": "n"}, "b"),
        (PATTERNS, {"node": "n1", "pod": "b-1", "model": "other"}, ""),
        (PATTERNS, {"node": "n2", "model": "n"}, "b"),
        ((Deployment(id="a", end=ONE), Deployment(id="b", start=ONE)), {}, "b"),
        ((Deployment(id="a", end=ONE + 1), Deployment(id="b", start=ONE + 1)), {}, ""),
        ((), {}, ""),
    ],
)
def test_an_engine_is_where_its_names_say(stepped, deployments, where: dict[str, str], expected: str) -> None:
    """The deployment it names, else the one whose patterns fit, else the only one that serves its model; else none, in no pool."""
    counts = [Count(at=ONE + n * MINUTE, output=n, **where) for n in (1, 2)]
    aliases = (Alias(alias="alias", model="n"),)
    found = counted(stepped, counts, "pool_id, output_tokens", deployments=deployments, aliases=aliases)

    assert found == [(ONE, expected, "p" if expected else "", 1)]


def test_a_span_is_the_sum_of_its_hours(stepped) -> None:
    """Metered hour by hour, with only the readings next to each, every hour is what it is within the whole."""
    counts = [
        Count(at=at("00:00") + n * 37 * MINUTE + n * n, output=n * n * 1001 % 7001, prompt=None if n % 3 else n * 99, started=started)
        for n, started in enumerate([None, None, at("00:20"), None, at("02:00"), at("02:00"), None, at("04:10"), None, None])
    ]  # fmt: skip
    columns = "output_tokens, prompt_tokens, observed_us, resets, cache_split_known"
    hours = [at("00:00") + n * HOUR for n in range(-1, 8)]
    whole = counted(stepped, counts, columns, start=hours[0], end=hours[-1] + HOUR)
    alone = [row for hour in hours for row in counted(stepped, counts, columns, start=hour, end=hour + HOUR)]

    assert len(whole) > 5
    assert alone == whole


@settings(max_examples=25)
@given(
    steps=st.lists(st.tuples(st.integers(1, 24 * HOUR), st.integers(0, 2**60 // 30)), min_size=1, max_size=6),
    begins=st.integers(0, HOUR),
)
def test_hours_of_an_engine_add_up_to_its_growth(ledger: Ledger, steps: list[tuple[int, int]], begins: int) -> None:
    """However readings lie: nothing is lost or made at the boundaries of hours."""
    now, counter = ONE + begins, 0
    counts = [Count(at=now, output=0)]
    for gap, growth in steps:
        now, counter = now + gap, counter + growth
        counts.append(Count(at=now, output=counter))
    with ledger.transaction() as session:
        load(session, Facts(deployments=D, counts=tuple(counts)))
        period = Period(moment(ONE), moment(now - now % HOUR + HOUR))
        run(
            session,
            [step for step in STEPS if step.name in (*BEFORE, STEP)],
            period,
            {"sample_hold_us": 120_000_000},
            FrozenClock(),
        )
    found = ledger.session().row(
        "SELECT sum(output_tokens)::BIGINT, sum(observed_us)::BIGINT, min(output_tokens) >= 0 FROM metering.engine_usage_hourly"
    )

    assert found == (counter, now - ONE - begins, True)
