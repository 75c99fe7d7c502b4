"""metering.reconciliation_hourly: what engines counted against what logs say, and why they differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, at

STEP = "metering.reconciliation_hourly"
QUERY = """
SELECT epoch_us(charge_period_start), {} FROM metering.reconciliation_hourly
JOIN book.deployment_key USING (deployment_no) JOIN book.model USING (model_no) ORDER BY ALL
"""
MINUTE = 60_000_000
ONE, TWO = at("01:00"), at("02:00")
D = (Deployment(),)
UNLOGGED = "unlogged_uncached_input_tokens, unlogged_cache_read_tokens, unlogged_output_tokens"


def grown(start: int = ONE, end: int = TWO, **counters: int) -> tuple[Count, Count]:
    """An engine that grew by this much within a time; `engine`, `model` and places may be named too."""
    numbers = {name: value for name, value in counters.items() if isinstance(value, int)}
    return Count(at=start, **{**counters, **dict.fromkeys(numbers, 0)}), Count(at=end, **counters)


def logged(
    moment: int = at("01:30"),
    *,
    duration: int | None = None,
    quality: str = "reported",
    status: str = "success",
    **tokens: int,
) -> Event:
    """A request that ended at a time."""
    return Event(at=moment, duration=duration, quality=quality, status=status, tokens=tuple(tokens.items()))


def compared(stepped, counts, events, columns=f"{UNLOGGED}, cause", start=ONE, end=TWO, **facts):
    """Rows of a window: hour and the columns asked for."""
    whole = Facts(**{"deployments": D, "counts": tuple(counts), "events": tuple(events), **facts})
    return stepped(whole, STEP, start, end, QUERY.format(columns))


def test_logs_that_say_what_engines_counted_agree(stepped) -> None:
    """Cache writes are prompt tokens too, reasoning is output; both sides stand beside each other."""
    counts = grown(prompt=600, cache_read=200, output=50, requests=2, aborted=0)
    events = [logged(uncached_input=300, cache_read=200, cache_write=100, output=20), logged(reasoning=30)]
    columns = f"""deployment_id, model_id, engines, observed_us, engine_input_tokens, engine_cache_read_tokens, engine_output_tokens,
        engine_requests, engine_aborted_requests, logged_input_tokens, logged_cache_read_tokens, logged_output_tokens,
        logged_requests, crossing_input_tokens, crossing_output_tokens, {UNLOGGED}, cause"""

    assert compared(stepped, counts, events, columns) == [
        (ONE, "d", "m", 1, HOUR, 600, 200, 50, 2, 0, 600, 200, 50, 2, 0, 0, 0, 0, 0, "agreed")
    ]


@pytest.mark.parametrize(
    ("tolerance_ppm", "output", "expected"),
    [(10_000, 1010, 0), (10_000, 1011, 11), (0, 1000, 0), (0, 1001, 1), (1_000_000, 10**15, 0)],
)
def test_within_the_tolerance_nothing_is_unlogged(stepped, tolerance_ppm: int, output: int, expected: int) -> None:
    """It is a part of what the engines counted; what goes beyond it counts whole."""
    found = compared(
        stepped, grown(output=output), [logged(output=1000)], "unlogged_output_tokens", tolerance_ppm=tolerance_ppm
    )

    assert found == [(ONE, expected)]


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({"prompt": 1000}, (900, 0, 0)),
        ({"prompt": 1000, "cache_read": 300}, (640, 260, 0)),
        ({"prompt": 1000, "cache_read": 1000}, (0, 900, 0)),
        ({"prompt": 1000, "cache_read": 30}, (900, 0, 0)),
        ({"prompt": 100, "cache_read": 90}, (0, 0, 0)),
        ({"cache_read": 90}, (0, 0, 0)),
        ({"prompt": 1000, "cache_read": 300, "output": 7}, (640, 260, 7)),
    ],
)
def test_unlogged_input_is_split_where_the_engines_tell(
    stepped, counters: dict[str, int], expected: tuple[int, ...]
) -> None:
    """By what they read from caches beyond the logs, never more than is unlogged at all; untold, all of it is uncached."""
    found = compared(stepped, grown(**counters), [logged(uncached_input=60, cache_read=40)], UNLOGGED)

    assert found == [(ONE, *expected)]


def test_a_split_that_one_engine_keeps_to_itself_is_unknown(stepped) -> None:
    """Then unlogged input is uncached, and what is known of cache reads is shown."""
    counts = (*grown(engine="a", prompt=500, cache_read=500), *grown(engine="b", prompt=500))

    assert compared(stepped, counts, [], f"engine_cache_read_tokens, {UNLOGGED}") == [(ONE, 500, 1000, 0, 0)]


def test_output_is_spread_over_the_time_it_took(stepped) -> None:
    """A request of two hours and a half that ends at 03:15 is logged in four hours, and its tokens add up."""
    counts = [Count(at=at("00:00") + n * HOUR, output=n) for n in range(6)]
    events = [logged(at("03:15"), duration=150 * MINUTE, output=1001, uncached_input=8)]
    columns = "logged_output_tokens, logged_input_tokens, crossing_input_tokens, crossing_output_tokens"
    found = compared(stepped, counts, events, columns, start=at("00:00"), end=at("05:00"))

    assert found == [
        (at("00:00"), 100, 0, 8, 0), (at("01:00"), 400, 0, 8, 0), (at("02:00"), 400, 0, 8, 0), (at("03:00"), 101, 8, 0, 900),
        (at("04:00"), 0, 0, 0, 0),
    ]  # fmt: skip


def test_each_hour_alone_sees_what_runs_through_it(stepped) -> None:
    """Requests that end after the window are known in it, and in every window of the same hour alike."""
    counts = [Count(at=at("00:00") + n * HOUR, output=n) for n in range(9)]
    events = [
        *(
            logged(at("00:50") + n * 47 * MINUTE, duration=n * 31 * MINUTE + n, output=977 * n, cache_read=n)
            for n in range(9)
        ),
        logged(at("07:00"), duration=HOUR, output=5),
        logged(at("2026-10-02 03:59"), duration=48 * HOUR, output=24 * 60),
    ]
    columns = "logged_output_tokens, logged_input_tokens, crossing_input_tokens, crossing_output_tokens, cause"
    hours = [at("00:00") + n * HOUR for n in range(8)]
    whole = compared(stepped, counts, events, columns, start=hours[0], end=hours[-1] + HOUR)

    assert [
        row for hour in hours for row in compared(stepped, counts, events, columns, start=hour, end=hour + HOUR)
    ] == whole
    assert len(whole) == len(hours)


def test_a_request_takes_a_day_at_most(stepped) -> None:
    """A duration beyond that is taken for one day."""
    events = [logged(at("2026-10-02 01:30"), duration=48 * HOUR, output=24)]

    assert compared(stepped, grown(output=1), events, "logged_output_tokens") == [(ONE, 0)]
    assert compared(
        stepped, grown(start=TWO, end=at("03:00"), output=1), events, "logged_output_tokens", start=TWO, end=at("03:00")
    ) == [(TWO, 1)]


def test_a_request_of_unknown_duration_counts_where_it_ended(stepped) -> None:
    """Unknown is not spread."""
    found = compared(stepped, grown(output=9), [logged(ONE, output=9)], "logged_output_tokens, cause")

    assert found == [(ONE, 9, "agreed")]


def test_a_prompt_read_before_the_hour_ended_is_not_unlogged(stepped) -> None:
    """Its request ends in the next hour, whose logs are then ahead: both say that a request crosses them."""
    counts = [Count(at=ONE, prompt=0), Count(at=TWO, prompt=1000), Count(at=at("03:00"), prompt=1000)]
    events = [logged(at("02:01"), duration=2 * MINUTE, uncached_input=1000)]

    assert compared(stepped, counts, events, end=at("03:00")) == [
        (ONE, 0, 0, 0, "crossing"),
        (TWO, 0, 0, 0, "crossing"),
    ]


def test_an_engine_may_count_a_request_as_it_ends(stepped) -> None:
    """Or while it runs: whichever it does, a request of the logs is not lost in any hour that it ran in."""
    events = [logged(at("02:30"), duration=HOUR, output=1000)]
    as_it_ends = [Count(at=ONE, output=0), Count(at=TWO, output=0), Count(at=at("03:00"), output=1000)]
    as_it_runs = [Count(at=ONE, output=0), Count(at=TWO, output=500), Count(at=at("03:00"), output=1000)]
    beyond = [*as_it_ends[:2], Count(at=at("03:00"), output=1300)]

    assert compared(stepped, as_it_ends, events, end=at("03:00")) == [
        (ONE, 0, 0, 0, "crossing"),
        (TWO, 0, 0, 0, "crossing"),
    ]
    assert compared(stepped, as_it_runs, events, end=at("03:00")) == [
        (ONE, 0, 0, 0, "agreed"),
        (TWO, 0, 0, 0, "agreed"),
    ]
    assert compared(stepped, beyond, events, end=at("03:00")) == [
        (ONE, 0, 0, 0, "crossing"),
        (TWO, 0, 0, 300, "unlogged"),
    ]


LOST = logged(output=10)


@pytest.mark.parametrize(
    ("counts", "events", "cause"),
    [
        (grown(output=100), [LOST], "unlogged"),
        (grown(output=100), [], "no_logs"),
        (grown(output=100), [LOST, logged(quality="missing")], "missing_usage"),
        (grown(output=100, aborted=1), [LOST, logged(quality="partial")], "missing_usage"),
        (grown(output=100, aborted=1), [LOST, logged(status="failed")], "aborted"),
        (grown(output=100, aborted=0), [LOST, logged(status="cancelled")], "failed"),
        (grown(output=5), [LOST], "engine_behind"),
        (grown(end=TWO - 1, output=5), [LOST], "telemetry_gap"),
        (grown(idle_us=5), [LOST], "no_telemetry"),
        (grown(model="other", output=5), [], "unplaced"),
        (grown(output=0), [], "agreed"),
    ],
)
def test_a_difference_has_a_likely_cause(stepped, counts, events, cause: str) -> None:
    """One word of a bounded list, by what the logs and the engines admit."""
    assert compared(stepped, counts, events, "cause") == [(ONE, cause)]


@pytest.mark.parametrize(
    ("counts", "deployments", "cause"),
    [
        ((*grown(engine="a", output=5), *grown(engine="b", start=TWO - 20 * MINUTE, output=0)), D, "engine_behind"),
        (grown(start=TWO - 20 * MINUTE, output=5), (Deployment(start=TWO - 20 * MINUTE),), "engine_behind"),
        (grown(start=TWO - 20 * MINUTE, output=5), D, "telemetry_gap"),
        (grown(start=TWO - 20 * MINUTE, output=5), (Deployment(end=TWO - 40 * MINUTE), Deployment(start=TWO - 20 * MINUTE)), "telemetry_gap"),
    ],
)  # fmt: skip
def test_a_replica_that_was_there_for_a_part_is_no_gap(stepped, counts, deployments, cause: str) -> None:
    """A gap is time that the deployment was in force and no engine told, not time that one of them was not there."""
    event = replace(LOST, at=TWO - 10 * MINUTE)

    assert compared(stepped, counts, [event], "cause", deployments=deployments) == [(ONE, cause)]


def test_an_hour_without_readings_has_no_row(stepped) -> None:
    """Logs are compared with engines, never with nothing; nor is usage that no deployment took, or others served."""
    events = [LOST, replace(LOST, model="other"), replace(LOST, provider="openai")]
    columns = "deployment_id, logged_output_tokens"

    assert compared(stepped, (), events, columns) == []
    assert compared(stepped, grown(output=10), events, columns) == [(ONE, "d", 10)]


def test_engines_nobody_takes_cost_nothing(stepped) -> None:
    """They are shown, with nothing of theirs unlogged."""
    found = compared(
        stepped,
        grown(model="other", output=5, prompt=9),
        [LOST],
        f"deployment_id, engine_output_tokens, {UNLOGGED}, cause",
    )

    assert found == [(ONE, "", 5, 0, 0, 0, "unplaced")]


def test_engines_of_several_models_are_of_none(stepped) -> None:
    """A deployment that serves two models is compared as a whole, and its unlogged tokens are of no model."""
    counts = (*grown(model="m", output=5), *grown(model="n", output=7))
    deployments = (Deployment(models=("m", "n")),)

    assert compared(stepped, counts, [], "model_id, engines, unlogged_output_tokens", deployments=deployments) == [
        (ONE, "", 2, 12)
    ]
