"""A continuous-batching engine, step by step: chunked prefill within a budget, decoding, prefix-cache hits, a KV limit.

Each step takes every decoding request first, one position of each (with speculation: the drafted ones and one), and fills what
is left of the budget with chunks of prompts, first come, first served. A request enters when its whole length fits into the
KV memory, which is never exceeded, so that nothing is preempted. The last chunk of a prompt makes the first output token.
What a step costs is the card's, exactly; who was in it is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.bench.simulator.cards import Card
from tests.bench.simulator.shapley import shares

US_FS: Final = 10**9
"""Femtoseconds in a microsecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of the engine.

    Attributes:
        team: who asks.
        arrival_us: when, from the start of the run.
        uncached: prompt tokens to compute; at least 1.
        cached: prompt tokens that the prefix cache holds.
        output: tokens to make; at least 1.
        accept_percent: chance of each drafted position to be accepted; means nothing without speculation.
    """

    team: str
    arrival_us: int
    uncached: int
    cached: int = 0
    output: int
    accept_percent: int = 70


@dataclass(slots=True)
class Served:
    """A request as it was served.

    Attributes:
        request: what was asked.
        admitted_us: when it left the queue.
        first_us: when its first token came.
        finished_us: when its last came.
        prefill_fs: its true share of the steps that read its prompt.
        decode_fs: its true share of the steps that decoded it.
        left: prompt tokens to compute still.
        made: output tokens so far.
    """

    request: Request
    admitted_us: int = 0
    first_us: int = 0
    finished_us: int = 0
    prefill_fs: int = 0
    decode_fs: int = 0
    left: int = 0
    made: int = 0

    @property
    def context(self) -> int:
        """Tokens whose keys and values are in memory."""
        return self.request.cached + self.request.uncached - self.left + self.made

    @property
    def reserved(self) -> int:
        """Tokens of KV memory that it holds from its admission to its end."""
        return self.request.cached + self.request.uncached + self.request.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what it cost, and who was in it.

    Attributes:
        started_fs: from the start of the run.
        cost_fs: fixed and all marginal parts.
        prefilling: numbers of requests of which a chunk was computed.
        decoding: numbers of requests that decoded.
        prompt_tokens: computed in it.
        cached_tokens: of the prompts that began in it.
        output_tokens: made by decoding requests.
        first_tokens: made by prompts that ended.
        context_tokens: that decoding requests had before them, a token of output each.
    """

    started_fs: int
    cost_fs: int
    prefilling: tuple[int, ...]
    decoding: tuple[int, ...]
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    first_tokens: int
    context_tokens: int

    @property
    def ended_fs(self) -> int:
        """When it was done."""
        return self.started_fs + self.cost_fs


@dataclass(slots=True)
class Run:
    """Everything that a run left behind.

    Attributes:
        card: what it ran on.
        served: the requests, in the order of their arrival.
        steps: in the order of time.
    """

    card: Card
    served: list[Served]
    steps: list[Step] = field(default_factory=list)

    @property
    def busy_fs(self) -> int:
        """Time in steps: all there is to share."""
        return sum(step.cost_fs for step in self.steps)


def simulate(card: Card, requests: Sequence[Request], seed: int) -> Run:
    """Serve requests, sorted by arrival, until the last is done. The seed draws what drafts are accepted, and nothing else."""
    run = Run(card, [Served(request) for request in requests])
    engine = _Engine(card, run, Random(seed))
    while engine.advance():
        pass
    return run


class _Engine:
    """The state between two steps."""

    def __init__(self, card: Card, run: Run, random: Random) -> None:
        self.card, self.run, self.random = card, run, random
        self.waiting = deque(range(len(run.served)))
        self.prefilling: list[int] = []
        self.decoding: list[int] = []
        self.free, self.now_fs = card.kv_tokens, 0

    def advance(self) -> bool:
        """Make one step. Returns: whether there was one to make."""
        if not self.prefilling and not self.decoding and self.waiting:
            self.now_fs = max(self.now_fs, self.run.served[self.waiting[0]].request.arrival_us * US_FS)
        cached = self._admit()
        if not self.prefilling and not self.decoding:
            return False
        decoding = list(self.decoding)
        marginals = [self._position(self.run.served[number]) for number in decoding]
        contexts = [self.run.served[number].context for number in decoding]
        chunks = self._chunks(self.card.chunk_tokens - len(decoding) * (1 + self.card.drafted))
        marginals += [self._chunk(self.run.served[number], tokens) for number, tokens in chunks]
        cost = self.card.step_fs + sum(marginals)
        parts = shares(self.card.step_fs, marginals)
        started, self.now_fs = self.now_fs, self.now_fs + cost
        made = [self._decoded(number, part) for number, part in zip(decoding, parts, strict=False)]
        first = sum(self._computed(*chunk, part) for chunk, part in zip(chunks, parts[len(decoding) :], strict=True))
        self.run.steps.append(
            Step(
                started_fs=started,
                cost_fs=cost,
                prefilling=tuple(number for number, _ in chunks),
                decoding=tuple(decoding),
                prompt_tokens=sum(tokens for _, tokens in chunks),
                cached_tokens=cached,
                output_tokens=sum(made),
                first_tokens=first,
                context_tokens=sum(tokens * context for tokens, context in zip(made, contexts, strict=True)),
            )
        )
        return True

    def _admit(self) -> int:
        """Let in what fits, in order. Returns: the prompt tokens of it that the cache had."""
        cached = 0
        while self.waiting and len(self.prefilling) + len(self.decoding) < self.card.batch_max:
            one = self.run.served[self.waiting[0]]
            if one.request.arrival_us * US_FS > self.now_fs or one.reserved > self.free:
                break
            one.admitted_us, one.left = self.now_fs // US_FS, one.request.uncached
            self.free -= one.reserved
            self.prefilling.append(self.waiting.popleft())
            cached += one.request.cached
        return cached

    def _chunks(self, budget: int) -> list[tuple[int, int]]:
        found = []
        for number in self.prefilling:
            tokens = min(self.run.served[number].left, budget)
            if tokens <= 0:
                break
            found.append((number, tokens))
            budget -= tokens
        return found

    def _position(self, one: Served) -> int:
        return self.card.decode_fs * (1 + self.card.drafted) + self.card.context_fs * one.context

    def _chunk(self, one: Served, tokens: int) -> int:
        """A chunk attends to all before it and, within it, to half of it."""
        pairs = tokens * one.context + tokens * (tokens + 1) // 2
        return tokens * self.card.prefill_fs + pairs * self.card.attention_fs + one.context * self.card.context_fs

    def _computed(self, number: int, tokens: int, part_fs: int) -> bool:
        """Book a chunk. Returns: whether it was the prompt's last, which makes the first token."""
        one = self.run.served[number]
        one.prefill_fs += part_fs
        one.left -= tokens
        if one.left:
            return False
        self.prefilling.remove(number)
        one.made, one.first_us = 1, self.now_fs // US_FS
        self._rest(number, one)
        return True

    def _decoded(self, number: int, part_fs: int) -> int:
        """Book a decoding. Returns: tokens made."""
        one = self.run.served[number]
        one.decode_fs += part_fs
        made = 1
        while made <= self.card.drafted and self.random.randrange(100) < one.request.accept_percent:
            made += 1
        made = min(made, one.request.output - one.made)
        one.made += made
        if one.made == one.request.output:
            self.decoding.remove(number)
            one.finished_us = self.now_fs // US_FS
            self.free += one.reserved
        return made

    def _rest(self, number: int, one: Served) -> None:
        if one.request.output > 1:
            self.decoding.append(number)
            return
        one.finished_us = self.now_fs // US_FS
        self.free += one.reserved
