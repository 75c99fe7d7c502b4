"""metering.prefill_place_hourly and prefill_unplaced_hourly: deployments that read prompts for others, requests whose phases ran apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, Pool, Rate, Sample, at, caller
from tests.steps.metering.reading import charges
from tests.steps.metering.weight_facts import Weighed

NOON = at("12:00")
READS = Deployment(id="reads", pool="p", role="prefill", utilization="allocation")
WRITES = Deployment(id="writes", pool="q", role="decode", utilization="allocation")
PROMPT, ANSWER = (("uncached_input", 600), ("cache_read", 300)), (("output", 100), ("reasoning", 50))
APART = Facts(
    pools=(Pool(id="p"), Pool(id="q")), rates=(Rate(pool="p", nano=3000), Rate(pool="q", nano=1000)), tolerance_ppm=0,
    deployments=(READS, WRITES), events=(Event(at=NOON, tokens=PROMPT + ANSWER),))  # fmt: skip
PLACES = """
SELECT own.deployment_id, model_id, reads.deployment_id
FROM metering.prefill_place_hourly AS place
JOIN book.deployment_key AS own USING (deployment_no) JOIN book.model USING (model_no)
JOIN book.deployment_key AS reads ON reads.deployment_no = place.prefill_deployment_no ORDER BY ALL
"""
COMPARED = """
SELECT deployment_id, engine_input_tokens, engine_output_tokens, logged_input_tokens, logged_output_tokens, logged_requests,
    unlogged_uncached_input_tokens + unlogged_cache_read_tokens, unlogged_output_tokens, cause
FROM metering.reconciliation_hourly JOIN book.deployment_key USING (deployment_no) ORDER BY ALL
"""


def lines(session) -> dict[tuple[str, str], tuple[int | None, int | None]]:
    """Tokens and nano of lines with tokens, by deployment and token kind."""
    return {(key[2], key[9]): measure for key, measure in charges(session).items() if measure[0] is not None}


def test_a_request_reaches_both_deployments(metered) -> None:
    """Its prompt is on the lines of the one that read it, its output on those of the one that made it; both pools conserve."""
    session = metered(APART, NOON, NOON + HOUR)

    assert lines(session) == {
        ("reads", "uncached_input"): (600, 2857), ("reads", "cache_read"): (300, 143),
        ("writes", "output"): (100, 667), ("writes", "reasoning"): (50, 333)}  # fmt: skip
    assert session.rows("SELECT deployment_id, requests FROM metering.placed_usage_hourly JOIN book.deployment_key USING (deployment_no)") == [("writes", 1)]  # fmt: skip
    assert session.rows("SELECT pool_id, SUM(effective_cost_nano)::BIGINT FROM metering.charge_hourly JOIN book.pool_key USING (pool_no) GROUP BY ALL ORDER BY ALL") == [("p", 3000), ("q", 1000)]  # fmt: skip


def test_prompts_stay_where_none_or_several_read_them(metered) -> None:
    """A deployment that reads for another model does not count; of two that read for this one neither is it."""
    stay = {
        ("writes", kind): tokens for kind, tokens in PROMPT + ANSWER
    }  # fmt: skip
    for readers in ((), (replace(READS, models=("n",)),), (READS, replace(READS, id="more"))):
        facts = replace(APART, pools=(Pool(id="p", gpus=2), Pool(id="q")), deployments=(*readers, WRITES))
        found = lines(metered(facts, NOON, NOON + HOUR))
        assert {key: tokens for key, (tokens, _) in found.items()} == stay


def test_a_prefill_deployment_takes_whole_requests_only_by_name(metered) -> None:
    """Named, it has all of them; its own prompts and those that it read for others are one line each."""
    events = (
        Event(at=NOON, tokens=PROMPT + ANSWER), Event(at=NOON, deployment="reads", tokens=(("uncached_input", 5), ("output", 7))),
    )  # fmt: skip
    found = lines(metered(replace(APART, events=events), NOON, NOON + HOUR))
    assert {key: tokens for key, (tokens, _) in found.items()} == {
        ("reads", "uncached_input"): 605, ("reads", "cache_read"): 300, ("reads", "output"): 7,
        ("writes", "output"): 100, ("writes", "reasoning"): 50}  # fmt: skip

    alone = replace(APART, deployments=(READS,), pools=(Pool(id="p"),))
    assert set(lines(metered(alone, NOON, NOON + HOUR))) == {("", kind) for kind, _ in PROMPT + ANSWER}


def test_several_that_decode_share_one_that_reads(metered) -> None:
    """Prompts of one caller from two deployments are one line of the third; adapters read where their model does."""
    events = tuple(
        Event(at=NOON, model=model, deployment=name, tokens=PROMPT + ANSWER)
        for name in ("writes", "types")
        for model in ("m", "lora-1")
    )
    facts = replace(
        APART, pools=(Pool(id="p"), Pool(id="q", gpus=2)), deployments=(READS, WRITES, replace(WRITES, id="types")), events=events,
        weighed=Weighed(adapters=(("m", "lora-%"),)))  # fmt: skip
    session = metered(facts, NOON, NOON + HOUR)
    found = {(key[2], key[4], key[9]): tokens for key, (tokens, _) in charges(session).items() if tokens}

    assert found["reads", "m", "uncached_input"] == found["reads", "lora-1", "uncached_input"] == 1200
    assert found["writes", "lora-1", "output"] == found["types", "m", "output"] == 100
    assert {key[0] for key in found if key[2] in ("uncached_input", "cache_read")} == {"reads"}
    assert session.rows(PLACES) == [
        (name, model, "reads") for name in ("reads", "types", "writes") for model in ("lora-1", "m")
    ]


def test_roles_are_those_that_the_hour_begins_with(metered) -> None:
    """A deployment that begins to read for others at half past twelve does so from one o'clock on."""
    half = NOON + HOUR // 2
    deployments = (replace(READS, role="both", models=("n",), end=half), replace(READS, start=half), WRITES)
    events = tuple(Event(at=NOON + after, deployment="writes", tokens=PROMPT) for after in (HOUR - 1, HOUR))
    found = charges(metered(replace(APART, deployments=deployments, events=events), NOON, NOON + 2 * HOUR))

    assert {(key[0], key[2]) for key, (tokens, _) in found.items() if tokens} == {
        (NOON, "writes"), (NOON + HOUR, "reads")}  # fmt: skip


def engine(name: str, prompt: int | None, output: int | None) -> tuple[Count, Count]:
    """An engine of a deployment that counted this much in the hour, from zero."""
    return (
        Count(at=NOON, engine=name, deployment=name, prompt=None if prompt is None else 0, output=None if output is None else 0),
        Count(at=NOON + HOUR, engine=name, deployment=name, prompt=prompt, output=output),
    )  # fmt: skip


def test_engines_are_asked_about_their_own_phase_only(metered) -> None:
    """Both count prompts and the reader a token of each answer; only the reader's prompts and the writer's output are compared."""
    facts = replace(APART, counts=engine("reads", 900, 1) + engine("writes", 900, 150))
    session = metered(facts, NOON, NOON + HOUR)

    assert session.rows(COMPARED) == [
        ("reads", 900, None, 900, 0, 0, 0, 0, "agreed"),
        ("writes", None, 150, 0, 150, 1, 0, 0, "agreed"),
    ]


def test_what_a_reader_is_ahead_by_is_nobodys_there(metered) -> None:
    """A prompt that no log explains is work of the deployment that read it."""
    session = metered(replace(APART, counts=engine("reads", 1000, 1) + engine("writes", 900, 150)), NOON, NOON + HOUR)
    found = charges(session)

    assert session.rows(COMPARED)[0] == ("reads", 1000, None, 900, 0, 0, 100, 0, "unlogged")
    assert found[NOON, "p", "reads", "self", "m", "", "", "workload", "unlogged", "uncached_input"][0] == 100
    assert found[NOON, "p", "reads", "self", "m", caller("key"), "", "workload", "", "uncached_input"][0] == 600


def test_prompts_of_several_readers_are_compared_with_nothing(metered) -> None:
    """They stay with the rest of their requests, so that the readers' own counts would double them."""
    facts = replace(
        APART, pools=(Pool(id="p", gpus=2), Pool(id="q")), deployments=(READS, replace(READS, id="more"), WRITES),
        counts=engine("reads", 450, 0) + engine("more", 450, 0) + engine("writes", None, 150))  # fmt: skip
    found = metered(facts, NOON, NOON + HOUR).rows(COMPARED)

    assert [(row[0], row[1], row[6], row[8]) for row in found] == [
        ("more", None, 0, "no_telemetry"), ("reads", None, 0, "no_telemetry"), ("writes", None, 0, "agreed")]  # fmt: skip


def test_a_prompt_read_before_the_hour_its_request_ended_in_is_not_lost(metered) -> None:
    """The reader counts it in one hour, the log in the next: the request explains it, on the reader's side."""
    event = Event(at=NOON + HOUR + 60_000_000, duration=120_000_000, tokens=PROMPT + ANSWER)
    facts = replace(APART, events=(event,), counts=engine("reads", 900, 1))
    session = metered(facts, NOON, NOON + HOUR)

    assert session.rows(COMPARED) == [("reads", 900, None, 0, 0, 0, 0, 0, "crossing")]


TWO = replace(
    APART, pools=(Pool(id="p", gpus=2), Pool(id="q")), rates=(Rate(pool="p", nano=1000), Rate(pool="q", nano=1000)),
    deployments=(READS, replace(READS, id="more"), WRITES))  # fmt: skip
"""Two that read the prompts of one model, at 1000 each."""
BUSY = (Sample(at=NOON, ppm=1, deployment="reads"),)
LAZY = (Sample(at=NOON, ppm=0, deployment="reads"),)
QUIET = (Event(at=NOON, tokens=ANSWER),)


def nobodys(session, name: str = "reads") -> dict[tuple[str, str], int | None]:
    """Nano of a deployment's lines without tokens, by cost kind and cause."""
    return {key[7:9]: nano for key, (tokens, nano) in charges(session).items() if key[2] == name and tokens is None}


@pytest.mark.parametrize("utilization", ["capacity", "allocation"])
@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"samples": BUSY}, ("workload", "unplaced_prefill")),
        ({"counts": engine("reads", 900, 0)}, ("workload", "unplaced_prefill")),
        ({"samples": BUSY, "events": ()}, ("workload", "unplaced_prefill")),
        ({}, ("idle", "unplaced_prefill")),
        ({"samples": LAZY}, ("idle", "unplaced_prefill")),
        ({"counts": engine("reads", 0, 0)}, ("idle", "unplaced_prefill")),
        ({"events": ()}, ("idle", "no_requests")),
        ({"events": QUIET}, ("idle", "no_requests")),
        ({"samples": LAZY, "events": QUIET}, ("idle", "no_requests")),
    ],
)
def test_a_reader_without_prompts_of_its_own_is_not_idle_for_want_of_them(
    metered, facts: dict[str, Any], line: tuple[str, str], utilization: str
) -> None:
    """Seen to work, all of it is work of nobody; not seen, it is idle because prompts have no place, if there were any."""
    reads = replace(READS, utilization=utilization, capacity=10)
    session = metered(replace(TWO, **facts, deployments=(reads, *TWO.deployments[1:])), NOON, NOON + HOUR)

    assert nobodys(session) == {line: 1000}


def test_what_a_reader_was_active_is_work_without_a_place(metered) -> None:
    """By its GPUs it is as busy as any; only the cause of the work says that its prompts cannot be placed."""
    reads = replace(READS, utilization="active")
    samples = (Sample(at=NOON, ppm=250_000, deployment="reads"),)
    session = metered(
        replace(TWO, deployments=(reads, *TWO.deployments[1:]), samples=samples, hold=HOUR), NOON, NOON + HOUR
    )

    assert nobodys(session) == {("workload", "unplaced_prefill"): 250, ("idle", "inactive"): 750}


def test_a_reader_that_took_requests_by_name_bears_these(metered) -> None:
    """What it can be known to have read carries its cost; the other reader's tokens have no place still."""
    named = Event(at=NOON, deployment="reads", tokens=(("uncached_input", 5),))
    session = metered(replace(TWO, events=(*APART.events, named), samples=BUSY), NOON, NOON + HOUR)

    assert nobodys(session) == {}
    assert nobodys(session, "more") == {("idle", "unplaced_prefill"): 1000}


@pytest.mark.parametrize(
    ("model", "samples", "line"),
    [
        ("m", BUSY, ("workload", "unplaced_prefill")),
        ("m", LAZY, ("idle", "unplaced_prefill")),
        ("n", LAZY, None),
        ("other", BUSY, ("workload", "unplaced_prefill")),
        ("other", LAZY, ("idle", "no_requests")),
    ],
)
def test_a_reader_that_shares_one_model_is_unplaced_for_that_one(
    metered, model: str, samples: tuple[Sample, ...], line: tuple[str, str] | None
) -> None:
    """It alone reads `n`, whose prompts are its own; prompts of `m`, which others read too, may have been read by it."""
    reads, more, writes = (replace(d, models=("m", "n")) for d in TWO.deployments)
    event = Event(at=NOON, model=model, tokens=PROMPT + ANSWER)
    facts = replace(TWO, deployments=(reads, replace(more, models=("m",)), writes), events=(event,), samples=samples)

    assert nobodys(metered(facts, NOON, NOON + HOUR)) == ({line: 1000} if line else {})


def test_the_only_reader_has_every_prompt_and_lost_logs_are_lost(metered) -> None:
    """It is no reader without a place: without tokens it is idle or busy as any other."""
    alone = replace(APART, events=QUIET, samples=BUSY, hold=HOUR)
    active = replace(
        alone, deployments=(replace(READS, utilization="active"), WRITES), samples=(replace(BUSY[0], ppm=10**6),)
    )

    assert nobodys(metered(alone, NOON, NOON + HOUR)) == {("idle", "no_requests"): 3000}
    session = metered(active, NOON, NOON + HOUR)
    assert nobodys(session) == {("workload", "busy_no_tokens"): 3000}
    assert session.rows("SELECT * FROM metering.prefill_unplaced_hourly") == []
