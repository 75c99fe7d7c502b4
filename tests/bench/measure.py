"""How things are timed: every case of a benchmark in turn, round after round, so that a busy neighbour slows them alike.

A ratio is the median of the rounds' own ratios: both of its parts were measured within the same few seconds.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

THREADS = 2
"""For both sides of every ratio."""

P = ParamSpec("P")
T = TypeVar("T")
Seconds = Sequence[float]
Case = Callable[[], float]
"""Runs once and says how many seconds count; what it prepares and clears away does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a run goes.

    Attributes:
        scale: full is what the targets are about; small only shows that a benchmark works.
        rounds: how often each case is timed, after one round that is not.
        work: directory for what a benchmark makes; benchmarks of one run share generated data in it.
    """

    scale: Literal["small", "full"]
    rounds: int
    work: Path

    def size(self, *, small: int, full: int) -> int:
        """How much of something, at this scale."""
        return full if self.scale == "full" else small


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table.

    Attributes:
        key: what the history calls it, unique within a benchmark.
        name: what was measured, in words.
        floor: seconds of what it is held against; empty where there is no such thing.
        ours: seconds of it; empty where the figure is no time.
        figure: what the target is about: a ratio, or a quantity of `unit`.
        unit: x for ratios.
        target: the target in words; empty where there is none.
        met: None where there is no target.
    """

    key: str
    name: str
    floor: Seconds = ()
    ours: Seconds = ()
    figure: float
    unit: str = "x"
    target: str = ""
    met: bool | None = None


def rounds(cases: Mapping[str, Case], count: int) -> dict[str, list[float]]:
    """Seconds of each case in each round. Who begins changes from round to round; the first round is thrown away."""
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(count + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            taken = cases[name]()
            if number:
                seconds[name].append(taken)
    return seconds


def clocked(action: Callable[[], Any]) -> float:
    """Seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def ratio(ours: Seconds, floor: Seconds) -> float:
    """Median over the rounds of ours / floor."""
    return statistics.median(mine / its for mine, its in zip(ours, floor, strict=True))


def cost(key: str, name: str, ours: Seconds, floor: Seconds, most: float | None = None) -> Result:
    """How many times the floor's time something takes, and whether that is within `most`."""
    figure = ratio(ours, floor)
    return Result(
        key=key,
        name=name,
        floor=floor,
        ours=ours,
        figure=figure,
        target="" if most is None else f"≤ {most:g} x",
        met=None if most is None else figure <= most,
    )


def speed(key: str, name: str, ours: Seconds, floor: Seconds, least: float | None = None) -> Result:
    """How many times as fast as the floor something is, and whether that is at least `least`."""
    figure = ratio(floor, ours)
    return Result(
        key=key,
        name=name,
        floor=floor,
        ours=ours,
        figure=figure,
        target="" if least is None else f"≥ {least:g} x as fast",
        met=None if least is None else figure >= least,
    )


def isolated(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same call in a process of its own, so that memory and caches of one measurement are not another's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *args, **kwargs).result()


def memory(name: str, gib: float, most: float) -> Result:
    """The most memory that a process held."""
    return Result(key="memory", name=name, figure=gib, unit="GiB", target=f"≤ {most:g} GiB", met=gib <= most)


def peak_gib() -> float:
    """The most memory that this process ever held, in GiB. A process begins with its parent's figure: keep parents small."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
