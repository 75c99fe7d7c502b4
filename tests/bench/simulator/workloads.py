"""Workloads: three to six teams each, drawn from a seed, each small enough for a minute of simulated load or a few.

Lengths are log-normal around a median, arrivals are Poisson, sessions of agents reuse what they sent before. Shapes follow
public traces (chat and code of Azure 2023, agent sessions of WEKA, tool calls of Mooncake) in magnitude only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from tests.bench.simulator.cards import A10G_7B, H100_8B, H100_70B, SPECULATIVE_70B, Card
from tests.bench.simulator.engine import Request

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """How a team uses the engine.

    Attributes:
        name: the team.
        per_second: requests on average.
        prompt: median prompt tokens, cached ones included.
        output: median output tokens.
        spread: sigma of the logarithm of both lengths.
        cached_percent: part of each prompt that the cache has.
        from_s: when the team begins.
        to_s: when it sends no more.
        burst: requests that come at once.
        accept_percent: drafted positions accepted.
    """

    name: str
    per_second: float
    prompt: int
    output: int
    spread: float = 0.5
    cached_percent: int = 0
    from_s: int = 0
    to_s: int = 180
    burst: int = 1
    accept_percent: int = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A named mixture on a card.

    Attributes:
        name: short, as in the table.
        what: in words.
        card: what it runs on.
        teams: who uses it.
        longest: tokens of a prompt or an answer at most.
    """

    name: str
    what: str
    card: Card
    teams: tuple[Team, ...]
    longest: int = 120_000

    def requests(self, scale: float = 1.0) -> list[Request]:
        """What the teams send, by arrival; a smaller scale is a shorter time of the same load."""
        drawn = [one for team in self.teams for one in _drawn(team, Random(f"{self.name}/{team.name}"), scale)]
        capped = [replace(one, output=min(one.output, self.longest)) for one in drawn]
        return sorted(capped, key=lambda one: (one.arrival_us, one.team))


def _drawn(team: Team, random: Random, scale: float) -> Iterator[Request]:
    start, end = team.from_s * scale, team.to_s * scale
    at = start
    while True:
        at += random.expovariate(team.per_second / team.burst)
        if at >= end:
            return
        for _ in range(team.burst):
            prompt = _length(random, team.prompt, team.spread)
            cached = prompt * team.cached_percent // 100
            yield Request(
                team=team.name,
                arrival_us=round(at * SECOND_US),
                uncached=max(prompt - cached, 1),
                cached=cached,
                output=_length(random, team.output, team.spread),
                accept_percent=team.accept_percent,
            )


def _length(random: Random, median: int, spread: float) -> int:
    return max(round(median * math.exp(random.gauss(0, spread))), 1) if median > 1 else 1


def _team(name: str, per_second: float, prompt: int, output: int, **more: float) -> Team:
    return Team(name=name, per_second=per_second, prompt=prompt, output=output, **more)  # type: ignore[arg-type]


def _of(name: str, what: str, teams: Sequence[Team], card: Card = H100_70B) -> Workload:
    return Workload(name=name, what=what, card=card, teams=tuple(teams))


WORKLOADS: Final = (
    _of(
        "chat",
        "four products that chat alike",
        [
            _team("app", 2.0, 600, 220),
            _team("help", 1.0, 900, 180),
            _team("mail", 0.7, 400, 260),
            _team("wiki", 0.3, 700, 200),
        ],
    ),
    _of(
        "short prompts",
        "questions of a line, answers of a page",
        [_team("draft", 1.0, 60, 500), _team("story", 0.5, 120, 900), _team("tips", 1.5, 40, 250)],
    ),
    _of(
        "long prompts",
        "documents in, a paragraph out",
        [_team("legal", 0.25, 9000, 150), _team("press", 0.5, 3500, 120), _team("rag", 0.6, 2500, 80)],
    ),
    _of(
        "agents",
        "agents whose input is to 95 % in the prefix cache, beside one that begins anew",
        [
            _team("coder", 0.8, 32_000, 220, cached_percent=95),
            _team("ops", 0.8, 14_000, 160, cached_percent=95),
            _team("review", 0.2, 18_000, 300, cached_percent=95),
            _team("fresh", 0.15, 6000, 250),
        ],
    ),
    _of(
        "mixed tenants",
        "chat, documents, agents, labels and reasoning on one deployment",
        [
            _team("agent", 0.4, 24_000, 200, cached_percent=95),
            _team("chat", 1.2, 600, 220),
            _team("docs", 0.2, 7000, 150),
            _team("label", 2.0, 350, 4),
            _team("think", 0.15, 300, 1500),
        ],
    ),
    _of(
        "batch",
        "three jobs sent at once: as many requests as fit at a time",
        [
            _team("clean", 8.0, 1200, 150, to_s=40, burst=40),
            _team("judge", 6.0, 2200, 40, to_s=40, burst=40),
            _team("write", 3.0, 300, 500, to_s=40, burst=20),
        ],
    ),
    _of(
        "bursty",
        "quiet but for bursts of one team",
        [
            _team("burst", 1.0, 800, 200, burst=60),
            _team("desk", 0.5, 600, 250),
            _team("search", 0.8, 1500, 60),
        ],
    ),
    _of(
        "long decode",
        "answers over 40,000 tokens of context beside answers over 500",
        [
            _team("book", 0.12, 40_000, 600, spread=0.3, cached_percent=90),
            _team("chat", 1.2, 500, 300),
            _team("memo", 0.3, 6000, 400, spread=0.3),
        ],
    ),
    _of(
        "embeddings",
        "prompts only: one token out",
        [
            _team("catalog", 20.0, 400, 1, spread=0.3, to_s=60),
            _team("crawl", 12.0, 1500, 1, to_s=60),
            _team("query", 25.0, 30, 1, to_s=60),
        ],
        H100_8B,
    ),
    _of(
        "labels",
        "a word or two out of each prompt",
        [_team("fraud", 4.0, 900, 6), _team("route", 6.0, 250, 3), _team("toxic", 2.0, 500, 5)],
    ),
    _of(
        "reasoning",
        "thousands of tokens before the answer, beside short chat",
        [_team("chat", 0.8, 500, 200), _team("maths", 0.12, 250, 3500, spread=0.4), _team("plan", 0.08, 1500, 2200)],
    ),
    _of(
        "light load",
        "seldom more than two requests at once",
        [
            _team("desk", 0.12, 700, 200, to_s=900),
            _team("night", 0.05, 3000, 300, to_s=900),
            _team("tests", 0.04, 200, 60, to_s=900),
        ],
    ),
    _of(
        "day and night",
        "a job alone, then the same job in the crowd",
        [
            _team("crowd", 3.0, 700, 220, from_s=240, to_s=330),
            _team("job", 0.35, 700, 220, to_s=330),
            _team("owl", 0.25, 700, 220, to_s=240),
        ],
    ),
    _of(
        "speculative",
        "a draft model: code is guessed well, poems are not",
        [
            _team("code", 1.0, 900, 300, accept_percent=88),
            _team("poem", 1.0, 300, 300, accept_percent=35),
            _team("talk", 1.0, 600, 200, accept_percent=65),
        ],
        SPECULATIVE_70B,
    ),
    _of(
        "7B chat",
        "chat on VTC's measured costs",
        [
            _team("app", 0.5, 300, 150, to_s=240),
            _team("help", 0.3, 500, 100, to_s=240),
            _team("wiki", 0.2, 150, 200, to_s=240),
        ],
        A10G_7B,
    ),
    _of(
        "7B mixed",
        "short, long and wordy tenants on VTC's measured costs",
        [
            _team("long", 0.1, 1800, 120, to_s=240, spread=0.3),
            _team("short", 0.8, 80, 60, to_s=240),
            _team("wordy", 0.15, 100, 500, to_s=240),
        ],
        A10G_7B,
    ),
)
