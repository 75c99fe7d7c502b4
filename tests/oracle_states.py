"""What engines say they were doing, as the oracle sees it: readings of running requests, held as those of GPUs are.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from tests.oracle_engines import belongs
from tests.oracle_fleet import Fleet
from tests.oracle_units import HOUR_US, PPM, Range, hour_of, hour_range, instant, shared_us
from tests.oracle_usage import Record


class Told(NamedTuple):
    """What the engines of a deployment told of an hour.

    Attributes:
        states: microseconds of engines by what they were doing: `no_requests`, `below_saturation`.
        us: microseconds of the hour that any of them told.
    """

    states: Mapping[str, int]
    us: int


NOTHING = Told({}, 0)


def states(fleet: Fleet, readings: Iterable[Record]) -> dict[tuple[int, str], Told]:
    """By hour and deployment, with and without requests: a reading holds until its engine's next, but not for ever, and one that
    does not tell ends the one before it."""
    added: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    spans: dict[tuple[int, str], list[Range]] = defaultdict(list)
    for reading, held in _holds(fleet, readings):
        for hour in range(hour_of(held[0]), held[1], HOUR_US):
            where = hour, belongs(fleet, reading, hour).deployment
            for part in fleet.deployments:
                us = shared_us(held, hour_range(hour), part.during)
                if part.id == where[1] and us:
                    added[where]["below_saturation" if reading["requests_running"] else "no_requests"] += us
                    start = max(held[0], hour, part.during[0])
                    spans[where].append((start, start + us))
    return {where: Told(dict(us), _covered(spans[where])) for where, us in added.items()}


def is_told(fleet: Fleet, name: str, hour: int, told: Told, serving: tuple[int, int]) -> bool:
    """Whether engines told enough of an hour to say why GPUs were idle: `min_coverage` of the time that their deployment was there,
    or of as much of it as its GPU time could serve; `serving` is that GPU time, and all of it."""
    there = sum(shared_us(hour_range(hour), part.during) for part in fleet.deployments if part.id == name)
    up, paid = serving
    return told.us > 0 and told.us * paid * PPM >= there * up * fleet.min_coverage_ppm


def _holds(fleet: Fleet, readings: Iterable[Record]) -> Iterator[tuple[Record, Range]]:
    of_engine: dict[tuple[str, str, str], dict[int, Record]] = defaultdict(dict)
    for reading in readings:
        who = reading["instance"], reading.get("engine", ""), reading.get("model", "")
        of_engine[who][instant(reading["sampled_at"])] = reading
    for of_time in of_engine.values():
        times = sorted(of_time)
        for at, until in zip(times, [*times[1:], times[-1] + fleet.hold_us], strict=True):
            if of_time[at].get("requests_running") is not None:
                yield of_time[at], (at, min(until, at + fleet.hold_us))


def _covered(spans: Iterable[Range]) -> int:
    """Microseconds in any of these ranges: between two edges that follow each other a range covers all or nothing."""
    spans = list(spans)
    edges = sorted({edge for span in spans for edge in span})
    return sum(
        later - earlier
        for earlier, later in pairwise(edges)
        if any(start <= earlier and later <= end for start, end in spans)
    )
