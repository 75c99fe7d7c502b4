"""What a deployment sustains at its service level: which hours count, and what is said where too few do."""

from __future__ import annotations

from typing import Any

import pytest

from apportion.config.phases import ServiceLevel
from apportion.domain.period import Period
from metering.capacity import Capacity, learn
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, Pool, Rate, at, moment
from tests.steps.metering.weight_facts import Down

LEVEL = ServiceLevel(ttft_us=1000, tpot_us=10, quantile_ppm=900_000)
START = at("2026-10-01 00:00")
GOOD, MADE = (1000, 1090), 10
"""Microseconds to the first token and to the last of ten: exactly at the level."""


@pytest.fixture
def learned(metered: Any) -> Any:
    """Hours, each a list of requests as (first token, last token) in microseconds -> what they say."""

    def answer(
        hours: list[list[tuple[int | None, int | None]]],
        *,
        made: int = MADE,
        status: str = "success",
        downs: tuple[Down, ...] = (),
    ) -> Capacity:
        requests = [
            (START + HOUR * number + part, times)
            for number, hour in enumerate(hours)
            for part, times in enumerate(hour)
        ]
        events = [
            Event(at=when, deployment="d", status=status, duration=last, tokens=(("output", made),))
            for when, (_, last) in requests
        ]
        elsewhere = Event(at=START, deployment="other", tokens=(("output", 10**6),))
        session = metered(
            Facts(
                pools=(Pool(gpus=3),), rates=(Rate(),),
                deployments=(Deployment(gpus=2, utilization="allocation"), Deployment(id="other", utilization="allocation")),
                events=(*events, elsewhere), downs=downs,
            ),
            START, START + HOUR * len(hours),
        )  # fmt: skip
        for number, (_, (first, _)) in enumerate(requests):
            session.do(
                "UPDATE raw.usage_event SET ttft_us = $first WHERE event_id = $id", {"first": first, "id": f"e{number}"}
            )
        number = session.value("SELECT deployment_no FROM book.deployment_key WHERE deployment_id = 'd'")
        return learn(session, number, Period(moment(START), moment(START + HOUR * len(hours))), LEVEL)

    return answer


def test_the_best_hour_at_the_level_is_the_capacity(learned: Any) -> None:
    """Exactly at both limits is met; weighted tokens per GPU-hour, and a busier hour that was too slow is no capacity."""
    found = learned([[GOOD] * 10] * 22 + [[GOOD] * 30] + [[(1001, 1090)] * 40])

    assert (found.failure, found.hours_met, found.hours_missed) == ("", 23, 1)
    assert (found.best, found.best_at) == (30 * MADE * 6 // 2, moment(START + 22 * HOUR))
    assert found.missed_least == 40 * MADE * 6 // 2


def test_capacity_is_that_of_gpu_time_that_could_serve(learned: Any) -> None:
    """With one of two GPUs lost, half-way loading besides, ten requests are those of half a GPU-hour; a wholly lost hour is none."""
    down = (
        Down(start=START, end=START + HOUR, cause="lost"),
        Down(start=START, end=START + HOUR // 2),
        Down(start=START + HOUR, end=START + 2 * HOUR, gpus=2, cause="lost"),
    )
    found = learned([[GOOD] * 10] * 25, downs=down)

    assert (found.failure, found.hours_met) == ("", 24)
    assert (found.best, found.best_at) == (10 * MADE * 6 * 2, moment(START))


@pytest.mark.parametrize(("bad", "met"), [(1, 24), (2, 23)])
def test_the_quantile_of_requests_must_meet_both_limits(learned: Any, bad: int, met: int) -> None:
    """Nine of ten are enough at 0.9; eight are not. A token too slow counts as a first token too late does."""
    found = learned([[GOOD] * 10] * 23 + [[GOOD] * (10 - bad) + [(1000, 1091)] * bad])

    assert (found.hours_met, found.hours_missed) == (met, 24 - met)


@pytest.mark.parametrize("times", [(None, 1090), (1000, None)])
def test_an_hour_that_does_not_tell_its_times_is_neither(learned: Any, times: tuple[int | None, int | None]) -> None:
    """Below min_coverage of the requests nothing is known of the hour."""
    found = learned([[GOOD] * 10] * 24 + [[GOOD] * 8 + [times] * 2])

    assert (found.hours_met, found.hours_missed, found.hours_unknown) == (24, 0, 1)
    assert found.missed_least is None


def test_one_token_has_no_time_per_further_token(learned: Any) -> None:
    """Only its first token can be late."""
    assert learned([[(1000, None)] * 3] * 24, made=1).hours_met == 24


def test_requests_that_failed_tell_no_latency(learned: Any) -> None:
    """They are no measure of what is sustained."""
    assert (
        learned([[GOOD]] * 24, status="failed").failure
        == "only 0 of 0 hours with requests tell their times, and 24 are needed"
    )


def test_where_too_little_is_known_nothing_is_said(learned: Any) -> None:
    """Fewer than a day of hours, or none that met the level."""
    assert learned([[GOOD]] * 23).failure == "only 23 of 23 hours with requests tell their times, and 24 are needed"
    missed = learned([[(2000, 2010)]] * 24)
    assert (missed.failure, missed.best, missed.best_at) == ("no hour met the service level", 0, None)
