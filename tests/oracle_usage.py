"""What happened, as the oracle sees it: canonical usage events by hour and deployment, GPU samples as held activity.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. Records are dictionaries as the
canonical formats write them, with numbers read exactly (`parse_float=Decimal`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from tests.oracle_fleet import KINDS, PREFILL, Deployment, Fleet
from tests.oracle_tokens import context_sums, fits, present, prompt_home, serves
from tests.oracle_units import HOUR_US, Range, hour_of, hour_range, instant, shared_us

Record = Mapping[str, Any]

GATEWAYS = ("litellm", "otel:litellm", "kong", "apisix", "envoy*", "portkey", "cloudflare")
ENGINES = ("vllm*", "sglang*", "otel:engine", "otel:server")
CLIENTS = ("openai", "anthropic", "gemini", "bedrock", "cohere", "langfuse", "otel")
OBSERVERS = GATEWAYS + ENGINES + CLIENTS
"""Where a policy does not say which source is believed first."""


class Consumer(NamedTuple):
    """Whose tokens: the parts of a usage event that a charge keeps; `caller` is compact JSON."""

    provider: str
    model: str
    caller: str
    tier: str


class Activity(NamedTuple):
    """How long GPUs were observed, and the sum of parts per million active x microseconds."""

    observed_us: int
    active_ppm_us: int


Usage = dict[Consumer, dict[str, int]]


def landed(events: Iterable[Record]) -> list[Record]:
    """One event per source and id: the highest revision, and the first that came with it."""
    kept: dict[tuple[str, str], Record] = {}
    for event in events:
        key = event["source"], event["event_id"]
        if key not in kept or event.get("revision", 0) > kept[key].get("revision", 0):
            kept[key] = event
    return list(kept.values())


def usage(fleet: Fleet, events: Iterable[Record]) -> dict[tuple[int, str], Usage]:
    """Tokens by hour and deployment (empty: in none of ours), then consumer and token kind; and the sums of `CONTEXT`."""
    found: dict[tuple[int, str], Usage] = defaultdict(dict)
    for event in metered(fleet, landed(events)):
        hour = hour_of(instant(event["occurred_at"]))
        model = served_model(fleet, event["model"], hour)
        who = Consumer(event.get("provider", "self"), model, caller(fleet, event), event.get("tier", ""))
        ran = placed(fleet, event, model, hour)
        read = prompt_home(fleet, ran, model, hour) if ran else ""
        counts = {kind: event.get(f"{kind}_tokens", 0) for kind in KINDS} | context_sums(event)
        for name, count in counts.items():
            kinds = found[hour, read if name in PREFILL else ran].setdefault(who, dict.fromkeys(counts, 0))
            kinds[name] += count
    return dict(found)


def metered(fleet: Fleet, events: Iterable[Record]) -> list[Record]:
    """Events without those that tell of a call about which another source is believed.

    A call is known by either of its names, within an hour and the hours beside it. Who knows the counts comes before
    who does not, then the policy's order decides, then the name of the source.
    """
    told = list(events)
    voices: dict[tuple[str, int], list[tuple[bool, int, str]]] = defaultdict(list)
    for event in told:
        for name in names(event):
            voices[name, hour_of(instant(event["occurred_at"]))].append(voice(fleet, event))
    return [event for event in told if believed(voices, event)]


def names(event: Record) -> set[str]:
    """What a call is known by."""
    return {event[name] for name in ("response_id", "call_id") if event.get(name)}


def voice(fleet: Fleet, event: Record) -> tuple[bool, int, str]:
    """How early an event is believed, ending in its source."""
    source, globs = event["source"], fleet.observers or OBSERVERS
    place = next((n for n, glob in enumerate(globs) if fits(glob, source)), len(globs))
    return event.get("usage_quality") == "missing", place, source


def believed(voices: Mapping[tuple[str, int], list[tuple[bool, int, str]]], event: Record) -> bool:
    """Whether the first voice about each of an event's names is its own source's."""
    hour = hour_of(instant(event["occurred_at"]))
    near = (hour - HOUR_US, hour, hour + HOUR_US)
    firsts = [min(voice for at in near for voice in voices.get((name, at), ())) for name in names(event)]
    return all(source == event["source"] for _, _, source in firsts)


def caller(fleet: Fleet, event: Record) -> str:
    """Who a request says it is: compact JSON, tags on the allow-list only and in order."""
    tags = {key: value for key, value in sorted(event.get("tags", {}).items()) if key in fleet.tag_keys}
    parts = [event["source"], event.get("principal", ""), event.get("namespace", ""), tags]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def served_model(fleet: Fleet, reported: str, hour: int) -> str:
    """The model that a reported name stands for at the start of an hour."""
    known = (a.model for a in fleet.aliases if a.alias == reported and a.during[0] <= hour < a.during[1])
    return next(known, reported)


def placed(fleet: Fleet, event: Record, model: str, hour: int) -> str:
    """The deployment that took an event: the one it names, or the only one of that hour that can be meant.

    One that only prefills is never meant, since a request ends where it is decoded.
    """
    if event.get("provider", "self") != "self":
        return ""
    there = present(fleet, hour)
    named = event.get("deployment", "")
    if any(d.id == named for d in there):
        return str(named)
    serving = [d for d in there if serves(fleet, d, model) and d.role != "prefill"]
    matching = [d for d in serving if matches(d, event, ("cluster", "replica", "namespace"))]
    for able in ({d.id for d in serving}, {d.id for d in matching}):
        if len(able) == 1:
            return able.pop()
    return ""


def matches(deployment: Deployment, record: Record, fields: tuple[str, ...]) -> bool:
    """Whether a deployment has any of these selectors, and all it has fit the record."""
    patterns = [(pattern, record.get(field, "")) for field, pattern in deployment.match if field in fields]
    return bool(patterns) and all(fits(pattern, text) for pattern, text in patterns)


def activity(fleet: Fleet, samples: Iterable[Record]) -> dict[tuple[int, str], Activity]:
    """Observed and active time by hour and deployment: each reading holds until its GPU's next, but not for ever.

    A reading without a ratio ends the one before it and says nothing itself.
    """
    readings: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)
    for sample in samples:
        gpu = sample["gpu_uuid"], sample.get("mig_profile", "")
        readings[gpu].setdefault(instant(sample["sampled_at"]), sample)
    found: dict[tuple[int, str], Activity] = defaultdict(lambda: Activity(0, 0))
    for of_gpu in readings.values():
        times = sorted(of_gpu)
        for at, until in zip(times, [*times[1:], times[-1] + fleet.hold_us], strict=True):
            if of_gpu[at].get("active_ratio") is None:
                continue
            ppm = parts_per_million(of_gpu[at]["active_ratio"])
            for where, us in _held(fleet, of_gpu[at], (at, min(until, at + fleet.hold_us))).items():
                found[where] = Activity(found[where].observed_us + us, found[where].active_ppm_us + ppm * us)
    return dict(found)


def parts_per_million(ratio: str | int | Decimal) -> int:
    """A ratio in whole millionths, half to even."""
    return round(Fraction(Decimal(ratio)) * 10**6)


def _held(fleet: Fleet, sample: Record, held: Range) -> dict[tuple[int, str], int]:
    """Microseconds of a reading by hour and deployment, inside the deployment's own ranges."""
    found: dict[tuple[int, str], int] = defaultdict(int)
    for deployment, claimed in claims(fleet, sample):
        start, end = max(held[0], claimed[0]), min(held[1], claimed[1])
        for hour in range(hour_of(start), end, HOUR_US):
            found[hour, deployment.id] += shared_us((start, end), hour_range(hour))
    return {where: us for where, us in found.items() if us}


def claims(fleet: Fleet, sample: Record) -> list[tuple[Deployment, Range]]:
    """When a GPU is of which part of a deployment: of the one it names while that is in force, else of all whose patterns fit."""
    named = sorted((d for d in fleet.deployments if d.id == sample.get("deployment")), key=lambda d: d.during)
    found = [(part, part.during) for part in named]
    for part in fleet.deployments:
        if matches(part, sample, ("cluster", "node", "gpu_uuid", "namespace", "pod")):
            free = part.during[0]
            for start, end in [*(other.during for other in named), (part.during[1], part.during[1])]:
                if free < min(start, part.during[1]):
                    found.append((part, (free, min(start, part.during[1]))))
                free = max(free, end)
    return found
