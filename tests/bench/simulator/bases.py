"""Bases that know nothing of phases or of tokens' weights: equal parts of each instant, one price, and two that are wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction

from apportion.domain.money import split
from tests.bench.simulator.engine import Run
from tests.bench.simulator.recorded import Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What a method says of a run.

    Attributes:
        prefill: its share of the busy time, in whatever unit `decode` has.
        decode: likewise; both 0 where the method knows no phases.
        teams: nano of the whole by team, adding up to it.
        inputs: the numbers it used, for the page.
    """

    prefill: int
    decode: int
    teams: dict[str, int]
    inputs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """A rung's answer: shares, and what it used."""

    prefill: int
    decode: int
    inputs: str = ""


def per_token(total: int, record: Recorded) -> Split:
    """One price for every token, whatever it is: cost by tokens, the calculator's way."""
    tokens: Counter[str] = Counter()
    for (team, _), count in record.tokens.items():
        tokens[team] += count
    output = record.by_kind()["output"]
    return Split(prefill=tokens.total() - output, decode=output, teams=split(total, tokens))


def processor_sharing(total: int, record: Recorded) -> Split:
    """Each instant's cost in equal parts to the requests that run: the integral of 1 / N(t) over each one's life."""
    edges = Counter[int]()
    for life in record.lives:
        edges[life.start_us] += 1
        edges[life.end_us] -= 1
    price, running, until = {}, 0, None
    paid = Fraction(0)
    for at in sorted(edges):
        if running and until is not None:
            paid += Fraction(at - until, running)
        price[at] = paid
        running += edges[at]
        until = at
    teams: dict[str, Fraction] = defaultdict(Fraction)
    for life in record.lives:
        teams[life.team] += price[life.end_us] - price[life.start_us]
    scale = max(edges, default=1) * 10**9
    return Split(prefill=0, decode=0, teams=split(total, {t: int(v * scale) for t, v in teams.items()}))


def summed_wall_time(total: int, record: Recorded) -> Split:
    """The first wrong basis: seconds of requests added up as if each had the accelerators to itself."""
    prefill, decode = Counter[str](), Counter[str]()
    for life in record.lives:
        prefill[life.team] += life.first_us - life.start_us
        decode[life.team] += life.end_us - life.first_us
    teams = split(total, {team: prefill[team] + decode[team] for team in prefill})
    return Split(prefill=prefill.total(), decode=decode.total(), teams=teams)


def mean_as_sum(run: Run, record: Recorded) -> Phases:
    """The second wrong basis: the mean decode time of a request taken for the decode time of all; the rest is prefill."""
    return Phases(prefill=max(run.busy_fs // 10**9 - record.mean_decode_us, 0), decode=record.mean_decode_us)
