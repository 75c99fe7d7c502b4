"""What hours say a token takes: fits that are believed, fits that are not, and what a fit changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from apportion.domain.errors import UsageError
from apportion.domain.period import FOREVER, HOUR, Period
from apportion.ledger.connection import Ledger, Session
from metering import calibration
from metering.calibration import Fit
from tests.steps.metering.facts import Coefficient, Deployment, Facts, load

START = datetime(2026, 10, 1, tzinfo=UTC)
NUMBER = 1
PS = {"prompt": 36_000_000, "cache_read": 3_600_000, "decode": 720_000_000, "context": 5_000_000}
"""The times that the hours below are made of: pico- and attoseconds."""

Tokens = tuple[int, int, int, int]
"""Prompt, cache read, decode, context."""


@pytest.fixture
def hours(ledger: Ledger) -> Callable[..., Session]:
    """Tokens by hour and the busy microseconds of each -> a ledger in which those hours are metered."""

    def answer(
        tokens: list[Tokens],
        busy_us: list[int],
        *,
        engines: bool = False,
        seen_ppm: int = 10**6,
        down_us: tuple[int, ...] = (),
    ) -> Session:
        with ledger.transaction() as session:
            load(session, Facts(deployments=(Deployment(),)))
            for number, ((prompt, cache, decode, context), busy) in enumerate(zip(tokens, busy_us, strict=True)):
                hour = START + HOUR * number
                seen = 3_600_000_000 * seen_ppm // 10**6
                put(session, "model_usage_hourly", charge_period_start=hour, pool_no=1, deployment_no=NUMBER, model_no=1,
                    uncached_input_tokens=prompt, cache_read_tokens=cache, cache_write_tokens=0, output_tokens=decode, reasoning_tokens=0,
                    context_tokens=context, prefill_weight=1, decode_weight=1, weight_max=1)  # fmt: skip
                put(session, "deployment_cost_hourly", charge_period_start=hour, pool_no=1, deployment_no=NUMBER, paid_us=3_600_000_000,
                    effective_cost_nano=1, utilization="active", capacity_token_us=0)  # fmt: skip
                put(session, "gpu_activity_hourly", charge_period_start=hour, pool_no=1, deployment_no=NUMBER, observed_us=seen,
                    active_ppm_us=busy * 10**6 * seen_ppm // 10**6)  # fmt: skip
                put(session, "metered_hour", charge_period_start=hour, metered_at=hour, policy_version=1)
                for cause, us in zip(("lost", "loading"), down_us[number * 2 : number * 2 + 2], strict=False):
                    put(session, "downtime_hourly", charge_period_start=hour, pool_no=1, deployment_no=NUMBER, cause=cause,
                        down_us=us, capacity_token_us=0)  # fmt: skip
                if engines:
                    put(session, "engine_usage_hourly", charge_period_start=hour, pool_no=1, deployment_no=NUMBER, model_no=0, engines=1,
                        observed_us=3_600_000_000, phase_observed_us=3_600_000_000, prefill_us=busy, decode_us=busy, resets=0,
                        cache_split_known=True)  # fmt: skip
        return ledger.session()

    return answer


def put(session: Session, table: str, **row: Any) -> None:
    """One row of a table of hours."""
    session.do(f"INSERT INTO metering.{table} ({', '.join(row)}) VALUES ({', '.join(f'${name}' for name in row)})", row)


def traffic(count: int = 48, *, cached: bool = True, context: bool = True, seed: int = 1) -> list[Tokens]:
    """Hours whose prompts, cache reads, output and context go their own ways."""
    r = Random(seed)
    found = []
    for _ in range(count):
        decode = r.randrange(10, 1000) * 1000
        found.append((
            r.randrange(10, 10_000) * 1000, r.randrange(10_000) * 1000 * cached, decode, decode * r.randrange(100, 50_000) * context
        ))  # fmt: skip
    return found


def busy(tokens: list[Tokens]) -> list[int]:
    """The microseconds that these hours took."""
    return [
        (p * PS["prompt"] + c * PS["cache_read"] + d * PS["decode"]) // 10**6 + x * PS["context"] // 10**12
        for p, c, d, x in tokens
    ]  # fmt: skip


def fitted(session: Session, count: int = 48, r2_min: float = 0.9) -> Fit:
    """The fit of the first hours."""
    return calibration.fit(session, NUMBER, Period(START, START + HOUR * count), r2_min=r2_min)


def test_known_times_are_found_again(hours) -> None:
    """Hours made of four known times give these times, and explain everything."""
    tokens = traffic()
    found = fitted(hours(tokens, busy(tokens)))

    assert (found.failure, found.source, found.hours, found.terms) == ("", "gpu", 48, calibration.TERMS)
    assert {term: round(found.picoseconds[term] / PS[term], 3) for term in PS} == dict.fromkeys(PS, 1.0)
    assert json.loads(found.inputs)["r2"] == 1.0


def test_what_has_no_tokens_has_no_part(hours) -> None:
    """Without cache reads and context only prompts and output are fitted; the others take no time."""
    tokens = traffic(cached=False, context=False)
    found = fitted(hours(tokens, busy(tokens)))

    assert (found.failure, found.terms) == ("", ("prompt", "decode"))
    assert found.picoseconds == {**PS, "cache_read": 0, "context": 0}


def test_a_part_that_was_seen_stands_for_the_whole(hours) -> None:
    """Telemetry of 95 % of the hour is scaled to what was paid; below min_coverage an hour says nothing."""
    tokens = traffic(cached=False, context=False)

    found = fitted(hours(tokens, busy(tokens), seen_ppm=950_000))
    assert {term: round(found.picoseconds[term] / PS[term], 3) for term in ("prompt", "decode")} == {
        "prompt": 1.0,
        "decode": 1.0,
    }
    assert fitted(hours(tokens, busy(tokens), seen_ppm=890_000)).failure == (
        "only 0 of 48 hours with usage have telemetry, and a fit needs 24"
    )


@pytest.mark.parametrize("engines", [False, True])
def test_gpu_time_that_was_down_took_no_part(hours, engines: bool) -> None:
    """Half of the hour's GPU time lost or loading, and the other half seen: tokens took half of what all of it would say."""
    tokens = traffic(cached=False, context=False)
    whole = fitted(hours(tokens, busy(tokens), engines=engines)).picoseconds
    half = fitted(
        hours(tokens, busy(tokens), engines=engines, seen_ppm=500_000, down_us=(600_000_000, 1_200_000_000) * 48)
    )

    assert (half.failure, half.hours) == ("", 48)
    assert {term: round(whole[term] / half.picoseconds[term], 3) for term in ("prompt", "decode")} == {
        "prompt": 2.0, "decode": 2.0}  # fmt: skip


def test_an_hour_that_was_wholly_down_says_nothing(hours) -> None:
    """It has no time that could serve, so it is no hour of the fit, whatever was logged or seen in it."""
    tokens = traffic(cached=False, context=False)
    found = fitted(hours(tokens, busy(tokens), down_us=(1_800_000_000, 1_800_000_000) * 2))

    assert (found.failure, found.hours) == ("", 46)


def test_time_of_engines_goes_before_activity_of_gpus(hours) -> None:
    """A busy counter is not a load: what engines tell of both phases is taken where there is enough of it."""
    tokens = traffic(cached=False, context=False)
    found = fitted(hours(tokens, busy(tokens), engines=True))

    assert found.source == "engine"
    assert round(found.picoseconds["prompt"] / PS["prompt"], 3) == 2.0  # as much prefill as decode time, each the whole


def test_too_few_hours_say_nothing(hours) -> None:
    """A fit of 23 hours is refused, and nothing is guessed."""
    tokens = traffic(23)
    found = fitted(hours(tokens, busy(tokens)))

    assert found.failure == "only 23 of 23 hours with usage have telemetry, and a fit needs 24"
    assert set(found.picoseconds.values()) == {0}


def test_tokens_that_come_together_are_refused(hours) -> None:
    """Where output is always a tenth of the prompts, any split between them fits as well."""
    tokens = [(prompt, 0, prompt // 10, 0) for prompt, *_ in traffic()]
    found = fitted(hours(tokens, busy(tokens)))

    assert found.failure.startswith("tokens of its kinds come together (condition number ")
    assert found.failure.endswith(", at most 30), so their times cannot be told apart")
    assert found.solution is not None
    assert found.solution.r2 > 0.999


def test_context_that_follows_output_is_left_out(hours) -> None:
    """A steady context cannot be told from its output, which then takes its time too."""
    tokens = [(p, c, d, d * 2000) for p, c, d, _ in traffic()]
    found = fitted(hours(tokens, busy(tokens)))

    assert (found.failure, found.terms) == ("", ("prompt", "cache_read", "decode"))
    assert found.picoseconds["context"] == 0
    assert round(found.picoseconds["decode"] / (PS["decode"] + 2000 * PS["context"] // 10**6), 3) == 1.0


def test_what_explains_little_is_refused(hours) -> None:
    """Below the R2 that is asked for the fit fails; asked for less, it does not."""
    tokens, r = traffic(), Random(2)
    noisy = [us // 2 + r.randrange(us + 1) + r.randrange(200_000_000) for us in busy(tokens)]
    session = hours(tokens, noisy)
    found = fitted(session, r2_min=0.99)

    assert found.solution is not None
    assert found.failure == f"R2 is {found.solution.r2:.3f}, and 0.99 is asked for"
    assert not fitted(session, r2_min=0.1).failure


def test_a_busy_counter_that_does_not_move_is_refused(hours) -> None:
    """GPUs that are active all the time tell nothing of tokens."""
    tokens = traffic()
    found = fitted(hours(tokens, [3_600_000_000] * 48))

    assert found.failure == "every hour took the same time, so nothing tells what their tokens took"


@pytest.mark.parametrize(("tokens", "lacking"), [((1000, 0, 0, 0), "output"), ((0, 0, 1000, 0), "input")])
def test_one_phase_alone_is_refused(hours, tokens, lacking) -> None:
    """Hours of one phase say nothing of the other."""
    assert (
        fitted(hours([tokens] * 48, list(range(48)))).failure
        == f"no hour has {lacking} tokens, so the phases cannot be told apart"
    )


def test_a_phase_that_takes_no_time_is_refused(hours) -> None:
    """Where time falls as prompts grow, they get none, and nobody believes that."""
    tokens = traffic(cached=False, context=False)
    found = fitted(hours(tokens, [d * 720 for _, _, d, _ in tokens]))

    assert found.failure == "the fit gives input no time"


def test_a_fit_is_in_force_from_its_time_on(hours, ledger) -> None:
    """Earlier coefficients end there, later ones become history, and metered hours that it reaches are dirty."""
    tokens = traffic()
    found = fitted(hours(tokens, busy(tokens)))
    for effective_from in (START, START + HOUR * 40, START + HOUR * 20):
        with ledger.transaction() as session:
            assert calibration.record(session, found, effective_from, START)

    rows = ledger.session().rows(
        "SELECT effective_from, effective_to, output_ps, confidence::VARCHAR FROM metering.phase_coefficient ORDER BY ALL"
    )
    assert [row[:2] for row in rows] == [
        (START, START + HOUR * 20), (START + HOUR * 20, FOREVER), (START + HOUR * 40, START + HOUR * 40),
    ]  # fmt: skip
    assert {row[2:] for row in rows} == {(found.picoseconds["decode"], "calibrated")}
    assert ledger.session().value("SELECT count(*) FROM book.dirty_hour") == 48


def test_only_hours_it_reaches_are_dirty(hours, ledger) -> None:
    """A fit in force from the end of its hours on reaches none of them."""
    tokens = traffic()
    found = fitted(hours(tokens, busy(tokens)))
    with ledger.transaction() as session:
        calibration.record(session, found, START + HOUR * 46, START)

    assert ledger.session().value("SELECT count(*) FROM book.dirty_hour") == 2


def test_a_failed_fit_says_why_unless_there_is_a_better_one(hours, ledger) -> None:
    """It is kept as the reason of the rung, and never takes usable coefficients away."""
    tokens = traffic(23)
    failed = fitted(hours(tokens, busy(tokens)))
    with ledger.transaction() as session:
        assert calibration.record(session, failed, START, START)
    assert ledger.session().value("SELECT failure FROM metering.phase_coefficient") == failed.failure

    session = hours(traffic(), busy(traffic()))
    with ledger.transaction() as writing:
        assert calibration.record(writing, fitted(session), START, START)
        assert not calibration.record(writing, failed, START + timedelta(days=1), START)


def test_a_deployment_that_is_not_there_is_named(ledger) -> None:
    """With those that are."""
    with ledger.transaction() as session:
        load(
            session,
            Facts(deployments=(Deployment(id="a"), Deployment(id="b")), coefficients=(Coefficient(deployment="a"),)),
        )

        with pytest.raises(UsageError, match=r"'c' is not known to the ledger; there are a, b"):
            calibration.numbered(session, "c")
