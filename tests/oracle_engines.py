"""What engines counted and no log explains, as the oracle sees it: cumulative readings, one engine and counter at a time.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. Readings are dictionaries as the
canonical format of engine samples writes them, with numbers read exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tests.oracle_fleet import Fleet
from tests.oracle_tokens import present, prompt_home, reads_with_others, role, serves
from tests.oracle_units import DAY_US, HOUR_US, hour_of, hour_range, instant, shared_us, spread
from tests.oracle_usage import Record, landed, matches, metered, placed, served_model

TOKENS = ("prompt_tokens", "cache_read_tokens", "output_tokens")
SECONDS = ("prefill_seconds", "decode_seconds", "idle_seconds")
TIERS = ("cache_read_host_tokens", "cache_read_storage_tokens")
COUNTERS = (*TOKENS, "requests", "aborted_requests", *SECONDS, *TIERS)


class Segment(NamedTuple):
    """What a counter grew by between two times, and whether it began again in between."""

    start: int
    end: int
    growth: int
    is_reset: bool


class Growth(NamedTuple):
    """What the engines of one model on one deployment did in an hour; None is unknown. Of its tokens those at its `border` may
    be of the hours beside it, as those `beyond` it (of prompts and output) may be its own."""

    engines: int
    observed_us: int
    counters: tuple[int | None, ...]
    cache_split_known: bool
    resets: int
    border: tuple[int | None, ...] = ()
    beyond: tuple[int | None, ...] = ()


class Place(NamedTuple):
    """Hour, deployment (empty: none takes the engine) and model."""

    hour: int
    deployment: str
    model: str


class Part(NamedTuple):
    """What is known of one counter of one engine in one hour; of the growth what is at its border, and what is beyond it."""

    growth: int
    observed_us: int
    resets: int
    border: int
    beyond: int

    def plus(self, other: Part) -> Part:
        """Both."""
        return Part(*(a + b for a, b in zip(self, other, strict=True)))


NONE = Part(0, 0, 0, 0, 0)

Unlogged = dict[tuple[int, str], tuple[str, dict[str, int]]]
"""Hour and deployment -> model and tokens by kind that no log explains."""


def growth(fleet: Fleet, readings: Iterable[Record]) -> dict[Place, Growth]:
    """What engines did by hour, deployment and model; hours of which nothing is known are left out."""
    return {place: _together(engines) for place, engines in by_engine(fleet, readings).items()}


def phase_us(fleet: Fleet, readings: Iterable[Record]) -> dict[tuple[int, str], int]:
    """Engine-microseconds by hour and deployment of which the time of both phases is known."""
    found: dict[tuple[int, str], int] = defaultdict(int)
    for place, engines in by_engine(fleet, readings).items():
        for parts in engines:
            known = (parts.get(phase, NONE).observed_us for phase in ("prefill_seconds", "decode_seconds"))
            found[place.hour, place.deployment] += min(known)
    return found


def by_engine(fleet: Fleet, readings: Iterable[Record]) -> dict[Place, list[dict[str, Part]]]:
    """What is known of each engine's counters."""
    of_engine: dict[tuple[str, str, str], dict[int, Record]] = defaultdict(dict)
    for reading in readings:
        who = reading["instance"], reading.get("engine", ""), reading.get("model", "")
        of_engine[who][instant(reading["sampled_at"])] = reading
    found: dict[Place, list[dict[str, Part]]] = defaultdict(list)
    for of_time in of_engine.values():
        of_place: dict[Place, dict[str, Part]] = defaultdict(dict)
        for counter in COUNTERS:
            for time, segment in _segments(of_time, counter):
                for hour, part in _hours(segment, fleet.hold_us):
                    known = of_place[belongs(fleet, of_time[time], hour)]
                    known[counter] = part.plus(known.get(counter, NONE))
        for place, parts in of_place.items():
            found[place].append(parts)
    return found


def _segments(of_time: Mapping[int, Record], counter: str) -> Iterator[tuple[int, Segment]]:
    """Growth of a counter, with the time of the reading that ends it."""
    before: tuple[int, int] | None = None
    for time in sorted(of_time):
        reading = of_time[time]
        if reading.get(counter) is None:
            continue
        value = _whole(reading[counter], counter)
        started = instant(reading["started_at"]) if reading.get("started_at") else time
        began = started < time and (before is None or started > before[0])
        fell = before is not None and value < before[1]
        start = started if began else before[0] if before else None
        if start is not None and time - start <= DAY_US:
            grown = value if began or fell or before is None else value - before[1]
            recent = before is not None and time - before[0] <= DAY_US
            yield time, Segment(start, time, grown, recent and (began or fell))
        before = time, value


def _whole(value: str | int | Decimal, counter: str) -> int:
    return round(Fraction(Decimal(value)) * 10**6) if counter in SECONDS else int(value)


def _hours(segment: Segment, hold_us: int) -> Iterator[tuple[int, Part]]:
    """Parts of a growth by hour; where two readings that close lie in two hours, nobody knows in which it grew."""
    is_close = segment.end - segment.start <= hold_us
    for hour in range(hour_of(segment.start), segment.end, HOUR_US):
        here = shared_us((segment.start, segment.end), hour_range(hour))
        tokens = spread(segment.growth, segment.start, segment.end, hour_range(hour))
        resets = int(segment.is_reset and segment.end <= hour + HOUR_US)
        doubt = is_close and (segment.start < hour or hour + HOUR_US < segment.end)
        yield hour, Part(tokens, here, resets, tokens if doubt else 0, segment.growth - tokens if doubt else 0)


def _together(engines: list[dict[str, Part]]) -> Growth:
    told = [
        [parts[name] for parts in engines if name in parts and (name not in TIERS or TOKENS[1] in parts)]
        for name in COUNTERS
    ]
    return Growth(
        engines=len(engines),
        observed_us=sum(max(part.observed_us for part in parts.values()) for parts in engines),
        counters=tuple(sum(part.growth for part in parts) if parts else None for parts in told),
        cache_split_known=all(
            parts.get("prompt_tokens", NONE).observed_us <= parts.get("cache_read_tokens", NONE).observed_us
            for parts in engines
        ),
        resets=sum(max(part.resets for part in parts.values()) for parts in engines),
        border=tuple(sum(part.border for part in parts) if parts else None for parts in told[:3]),
        beyond=tuple(sum(part.beyond for part in parts) if parts else None for parts in told[:3:2]),
    )


def belongs(fleet: Fleet, reading: Record, hour: int) -> Place:
    """Where an engine belongs in an hour: to the only deployment that its reading names, matches, or is served by."""
    model = served_model(fleet, reading.get("model", ""), hour)
    there = present(fleet, hour)
    named = {d.id for d in there if d.id == reading.get("deployment", "")}
    matched = {d.id for d in there if matches(d, reading, ("cluster", "node", "namespace", "pod", "replica"))}
    serving = {d.id for d in there if serves(fleet, d, model)}
    for able in (named, matched, matched & serving, serving):
        if len(able) == 1:
            return Place(hour, able.pop(), model)
    return Place(hour, "", model)


def unlogged(fleet: Fleet, events: Iterable[Record], readings: Iterable[Record]) -> Unlogged:
    """Tokens that engines counted beyond what logs explain, where that is more than is uncertain and the tolerance."""
    counted: dict[tuple[int, str], list[tuple[str, Growth]]] = defaultdict(list)
    for place, grown in growth(fleet, readings).items():
        if place.deployment:
            counted[place.hour, place.deployment].append((place.model, grown))
    logged = _logged(fleet, events) if counted else {}
    found: Unlogged = {}
    for where, engines in counted.items():
        models = {model for model, _ in engines}
        said = [grown._replace(counters=_asked(fleet, *where, grown)) for _, grown in engines]
        tokens = _beyond(fleet, said, logged.get(where, {}))
        if any(tokens.values()):
            found[where] = models.pop() if len(models) == 1 else "", tokens
    return found


def _asked(fleet: Fleet, hour: int, name: str, grown: Growth) -> tuple[int | None, ...]:
    """What engines are asked: not those that only decode about prompts, nor those that only prefill about output, nor about
    prompts if they are the only ones to prefill of no model: such prompts count with the rest of their requests."""
    does = role(fleet, name, hour)
    silent = {"output_tokens"} if does == "prefill" else set()
    if does == "decode" or reads_with_others(fleet, name, hour):
        silent |= {"prompt_tokens", "cache_read_tokens"}
    told = zip(COUNTERS, grown.counters, strict=True)
    return tuple(None if counter in silent else value for counter, value in told)


def _beyond(fleet: Fleet, engines: list[Growth], logged: Mapping[str, int]) -> dict[str, int]:
    def ahead(counter: str, explained: int) -> int:
        at = COUNTERS.index(counter)
        told = [(value, grown.border[at] or 0) for grown in engines if (value := grown.counters[at]) is not None]
        count = sum(value for value, _ in told)
        certain = count - explained - sum(border for _, border in told)
        return count - explained if certain * 10**6 > fleet.tolerance_ppm * count else 0

    inputs = max(0, ahead("prompt_tokens", logged.get("input", 0) + logged.get("later", 0)))
    cached = max(0, ahead("cache_read_tokens", logged.get("cache_read", 0)))
    cached = min(inputs, cached) if all(grown.cache_split_known for grown in engines) else 0
    outputs = max(0, ahead("output_tokens", logged.get("output", 0) + logged.get("earlier", 0)))
    return {"uncached_input": inputs - cached, "cache_read": cached, "output": outputs}


def _logged(fleet: Fleet, events: Iterable[Record]) -> dict[tuple[int, str], dict[str, int]]:
    """Logged tokens by hour and deployment, output where it was made; `later` is input of requests that ran in the hour and
    ended in a later one, `earlier` output made in earlier hours by requests that ended in this one."""
    found: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in metered(fleet, landed(events)):
        end = instant(event["occurred_at"])
        start = end - min(round(Fraction(Decimal(event.get("duration_ms") or 0)) * 1000), DAY_US)
        inputs = sum(event.get(f"{kind}_tokens", 0) for kind in ("uncached_input", "cache_read", "cache_write"))
        outputs = sum(event.get(f"{kind}_tokens", 0) for kind in ("output", "reasoning"))
        for hour in range(hour_of(start), end + 1, HOUR_US):
            model = served_model(fleet, event["model"], hour)
            ran = placed(fleet, event, model, hour)
            here = found[hour, ran]
            read = found[hour, prompt_home(fleet, ran, model, hour) if ran else ""]
            made = spread(outputs, start, end, hour_range(hour)) if start < end else outputs
            here["output"] += made
            if hour == hour_of(end):
                read["input"] += inputs
                here["earlier"] += outputs - made
                read["cache_read"] += event.get("cache_read_tokens", 0)
            else:
                read["later"] += inputs
    return found
