"""What an operator would have of a run: request logs and calibration runs, nothing of the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Final

from tests.bench.simulator.engine import Run, Step, simulate

INTERVAL_FS: Final = 15 * 10**15
"""What the regression takes as one observation: a scrape interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A request in the log.

    Attributes:
        team: who asked.
        start_us: when it left the queue.
        first_us: when its first token came.
        end_us: when it was done.
    """

    team: str
    start_us: int
    first_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The log, added up.

    Attributes:
        tokens: by (team, token kind).
        context: by team, sum over its requests of output tokens x the mean context that they had, as the product counts it.
        lives: of all requests.
        chunks: that the prompts took at least, each of the budget of a step.
        calibration_ps: replica-picoseconds per uncached prompt token and per output token, each phase run alone.
        intervals: what the engine counted in each scrape interval of this and of lighter load, busy femtoseconds among it.
    """

    tokens: dict[tuple[str, str], int]
    context: dict[str, int]
    lives: tuple[Life, ...]
    chunks: int
    calibration_ps: tuple[int, int]
    intervals: tuple[Counter[str], ...]

    def by_kind(self) -> Counter[str]:
        """Tokens of all teams by kind."""
        sums: Counter[str] = Counter()
        for (_, kind), tokens in self.tokens.items():
            sums[kind] += tokens
        return sums

    @property
    def mean_decode_us(self) -> int:
        """Mean over requests of the time from the first token to the last."""
        return sum(life.end_us - life.first_us for life in self.lives) // max(len(self.lives), 1)


def single_phase_ps(run: Run) -> tuple[int, int]:
    """Replica-picoseconds per uncached prompt token and per output token, from two calibration runs of the same requests.

    Prompts that stop at their first token, and answers whose prompts are all cached but for one.
    """
    requests = [one.request for one in run.served]
    prompts = simulate(run.card, [replace(one, output=1) for one in requests], 0)
    answers = simulate(
        run.card, [replace(one, cached=one.cached + one.uncached - 1, uncached=1) for one in requests], 0
    )
    computed, made = sum(one.uncached for one in requests), sum(one.output for one in requests)
    return prompts.busy_fs // (computed * 1000), answers.busy_fs // (made * 1000)


def lighter(run: Run) -> list[Run]:
    """The same time with every eighth, fourth and second request only: load that varies, as a day's does.

    An engine that is always busy tells a regression nothing: every interval is as busy as the next.
    """
    requests = [one.request for one in run.served]
    return [simulate(run.card, requests[:: 2**power], power) for power in (3, 2, 1)]


def recorded(run: Run) -> Recorded:
    """The log of a run."""
    tokens: Counter[tuple[str, str]] = Counter()
    context: Counter[str] = Counter()
    lives, chunks = [], 0
    for one in run.served:
        asked = one.request
        tokens[asked.team, "uncached_input"] += asked.uncached
        tokens[asked.team, "cache_read"] += asked.cached
        tokens[asked.team, "output"] += asked.output
        chunks += -(-asked.uncached // run.card.chunk_tokens)
        context[asked.team] += asked.output * (asked.uncached + asked.cached + asked.output // 2)
        lives.append(Life(team=asked.team, start_us=one.admitted_us, first_us=one.first_us, end_us=one.finished_us))
    return Recorded(
        tokens=dict(tokens),
        context=dict(context),
        lives=tuple(lives),
        chunks=chunks,
        calibration_ps=single_phase_ps(run),
        intervals=tuple(row for other in (*lighter(run), run) for row in _intervals(other)),
    )


def _intervals(run: Run) -> list[Counter[str]]:
    """Of each interval in which a step ended."""
    rows: dict[int, Counter[str]] = defaultdict(Counter)
    for step in run.steps:
        rows[step.ended_fs // INTERVAL_FS].update(_counted(step))
    return [rows[number] for number in sorted(rows)]


def _counted(step: Step) -> dict[str, int]:
    return {
        "uncached_input": step.prompt_tokens,
        "cache_read": step.cached_tokens,
        "output": step.output_tokens + step.first_tokens,
        "context": step.context_tokens,
        "steps": 1,
        "busy": step.cost_fs,
    }
