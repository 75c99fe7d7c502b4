"""The simulated engine keeps the rules of one: a budget, a memory, an order; and its costs are its card's, to the femtosecond."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.simulator.cards import H100_70B, SPECULATIVE_70B
from tests.bench.simulator.engine import Request, simulate
from tests.bench.simulator.workloads import WORKLOADS, Workload

ALONE = Request(team="one", arrival_us=5, uncached=100, cached=30, output=3)
TIGHT = replace(H100_70B, kv_tokens=3000, chunk_tokens=256, batch_max=8)


def test_a_request_alone_costs_what_the_card_says() -> None:
    """A prompt of one chunk, then two decoded tokens: each step reads the weights, each token the context before it."""
    card = H100_70B
    run = simulate(card, [ALONE], 1)

    pairs = 100 * 30 + 100 * 101 // 2
    prompt = card.step_fs + 100 * card.prefill_fs + pairs * card.attention_fs + 30 * card.context_fs
    decoding = 2 * card.step_fs + 2 * card.decode_fs + (131 + 132) * card.context_fs
    (one,) = run.served
    assert (one.prefill_fs, one.decode_fs) == (prompt, decoding)
    assert one.finished_us == (5 * 10**9 + prompt + decoding) // 10**9
    assert [step.output_tokens + step.first_tokens for step in run.steps] == [1, 1, 1]


def test_two_requests_share_the_weights_of_their_steps() -> None:
    """The same request twice at once: each bears half of the weights, and all of what it adds."""
    run = simulate(H100_70B, [ALONE, replace(ALONE, team="two")], 1)
    alone = simulate(H100_70B, [ALONE], 1)

    first, second = run.served
    assert first.prefill_fs + first.decode_fs == second.prefill_fs + second.decode_fs + len(run.steps) * (
        H100_70B.step_fs % 2
    )
    assert len(run.steps) == len(alone.steps)
    assert run.busy_fs == 2 * alone.busy_fs - len(run.steps) * H100_70B.step_fs


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_every_token_and_femtosecond_is_accounted_for(workload: Workload) -> None:
    """Whatever the mixture: all tokens are made, all cost is on requests, and no step is over its budget."""
    card = replace(workload.card, chunk_tokens=min(workload.card.chunk_tokens, 1024))
    requests = workload.requests(0.3)
    run = simulate(card, requests, 1)

    assert requests
    assert 3 <= len(workload.teams) <= 6
    assert sum(one.prefill_fs + one.decode_fs for one in run.served) == run.busy_fs
    assert sum(step.prompt_tokens for step in run.steps) == sum(one.uncached for one in requests)
    assert sum(step.cached_tokens for step in run.steps) == sum(one.cached for one in requests)
    assert sum(step.output_tokens + step.first_tokens for step in run.steps) == sum(one.output for one in requests)
    for step in run.steps:
        assert step.prompt_tokens + len(step.decoding) * (1 + card.drafted) <= max(
            card.chunk_tokens, card.batch_max * 5
        )


def test_memory_and_batch_are_never_exceeded() -> None:
    """Requests wait until their whole length fits, in the order of their arrival."""
    requests = [Request(team="x", arrival_us=number, uncached=900, output=50) for number in range(30)]
    run = simulate(TIGHT, requests, 1)

    for step in run.steps:
        held = {*step.prefilling, *step.decoding}
        assert len(held) <= TIGHT.batch_max
        assert sum(run.served[number].reserved for number in held) <= TIGHT.kv_tokens
    admitted = [one.admitted_us for one in run.served]
    assert admitted == sorted(admitted)
    assert admitted[-1] > admitted[0]


def test_drafts_that_are_accepted_save_steps() -> None:
    """A request whose drafts all hold takes a step for five tokens; one whose drafts all fail takes one for each."""
    asked = replace(ALONE, output=51)
    good = simulate(SPECULATIVE_70B, [replace(asked, accept_percent=100)], 1)
    bad = simulate(SPECULATIVE_70B, [replace(asked, accept_percent=0)], 1)

    assert (len(good.steps), len(bad.steps)) == (1 + 10, 1 + 50)


def test_a_seed_decides_a_run() -> None:
    """The same requests and seed give the same steps."""
    workload = next(one for one in WORKLOADS if one.card.drafted)

    first, again, other = (simulate(workload.card, workload.requests(0.1), seed) for seed in (1, 1, 2))
    assert first.steps == again.steps
    assert first.steps != other.steps
