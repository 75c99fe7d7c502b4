"""Where things were in an hour, by hand: deployments and their roles, what they did, what was down and what engines told."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from tests.steps.metering.facts import FOREVER, HOUR, PREFILL, Dated, Deployment, Event, Facts, Sample


def overlap(dated: Dated, hour: int, *others: Dated) -> int:
    """Microseconds that ranges share with an hour."""
    return max(
        0, min(hour + HOUR, dated.end, *(o.end for o in others)) - max(hour, dated.start, *(o.start for o in others))
    )


def meant(facts: Facts, event: Event, hour: int) -> str:
    """The model that an event's name stands for at the start of an hour."""
    return next((a.model for a in facts.aliases if a.alias == event.model and a.start <= hour < a.end), event.model)


def role(facts: Facts, name: str, hour: int) -> str:
    """What a deployment does, as the hour finds it."""
    return min((d for d in facts.deployments if d.id == name and overlap(d, hour)), key=lambda d: d.start).role


def serves(facts: Facts, deployment: Deployment, model: str) -> bool:
    """Whether a deployment serves a model, or the model that this is an adapter of."""
    return bool({model, *facts.weighed.base(model)} & {*deployment.models})


def reader(facts: Facts, ran: str, model: str, hour: int) -> str:
    """The deployment that read the prompt of a request that ran on another."""
    if not ran or role(facts, ran, hour) != "decode":
        return ran
    there = {d.id for d in facts.deployments if overlap(d, hour) and serves(facts, d, model)}
    readers = {name for name in there if role(facts, name, hour) == "prefill"}
    return readers.pop() if len(readers) == 1 else ran


def place(facts: Facts, event: Event, model: str, hour: int) -> str:
    """The deployment that took an event; empty when none did."""
    there = [d for d in facts.deployments if overlap(d, hour)] if event.provider == "self" else []
    if event.deployment in {d.id for d in there}:
        return event.deployment
    serving = [d for d in there if serves(facts, d, model) and d.role != "prefill"]
    matched = {d.id for d in serving if fits(d, event, ("cluster", "replica", "namespace"))}
    for able in (matched, {d.id for d in serving}):
        if len(able) == 1:
            return able.pop()
    return ""


def fits(deployment: Deployment, record: Event | Sample, fields: Iterable[str]) -> bool:
    """Whether all of a deployment's patterns on these fields match, and it has one."""
    patterns = [(name, re.escape(like).replace("%", ".*")) for name, like in deployment.match if name in fields]
    said = {"gpu_uuid": getattr(record, "gpu", ""), **vars(record)}
    return bool(patterns) and all(re.fullmatch(pattern, said[name]) for name, pattern in patterns)


def activity(facts: Facts, parts: list[Deployment], hour: int) -> tuple[int, int]:
    """Observed microseconds of a deployment's hour, and their sum weighed by parts per million."""
    observed = busy = 0
    for s in facts.samples:
        later = min((o.at for o in facts.samples if o.gpu == s.gpu and o.at > s.at), default=s.at + facts.hold)
        held = Dated(start=s.at, end=min(later, s.at + facts.hold))
        claimed = claims(facts, s)
        for d in claimed:
            alone = not any(overlap(d, hour, o) for o in claimed if o.id != d.id)
            if s.ppm is not None and d.id in {part.id for part in parts} and alone:
                observed += overlap(d, hour, held)
                busy += s.ppm * overlap(d, hour, held)
    return observed, busy


def claims(facts: Facts, s: Sample) -> list[Deployment]:
    """Whose a GPU is and when: of the deployment it names while that is in force; at other times of all whose patterns fit."""
    named = sorted((d for d in facts.deployments if d.id == s.deployment), key=lambda d: d.start)
    edges = [0, *(edge for d in named for edge in (d.start, d.end)), FOREVER]
    return named + [
        replace(d, start=max(d.start, start), end=min(d.end, end))
        for d in facts.deployments
        if fits(d, s, ("cluster", "node", "gpu_uuid", "namespace", "pod"))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if max(d.start, start) < min(d.end, end)
    ]


def downtime(facts: Facts, parts: list[Deployment], hour: int) -> dict[str, int]:
    """GPU-microseconds of a deployment's hour that could not serve, by cause."""
    found: dict[str, int] = defaultdict(int)
    for d in parts:
        for down in facts.downs:
            if down.deployment == d.id:
                found[down.cause] += down.gpus * overlap(d, hour, Dated(start=down.start, end=down.end))
    return found


def told(facts: Facts, parts: list[Deployment], hour: int, paid: int, up: int) -> dict[str, int]:
    """What engines say of idle time, where they tell enough of it: any of them, of the time that could serve."""
    states, marks = engine_states(facts, parts[0].id, hour)
    known = sum(later - now for now, later in pairwise(sorted(marks)) if sum(n for at, n in marks.items() if at <= now))
    there = sum(overlap(d, hour) for d in parts)
    return states if known and known * paid * 10**6 >= there * up * facts.min_coverage_ppm else {}


def lone_reader(facts: Facts, name: str, hour: int) -> bool:
    """Whether a deployment prefills and, of any of its models, is not the only one that does; or lists none."""
    there = [d for d in facts.deployments if overlap(d, hour)]
    mine = {m for d in there if d.id == name for m in d.models}
    others = {
        m for d in there if d.id != name and role(facts, d.id, hour) == "prefill" for m in mine if serves(facts, d, m)
    }
    return role(facts, name, hour) == "prefill" and (not mine or bool(mine & others))


def was_asked(facts: Facts, name: str, hour: int) -> bool:
    """Whether prompts of its models came to deployments that decode, and stayed there."""
    mine = [d for d in facts.deployments if d.id == name and overlap(d, hour)]
    for e in facts.events:
        if hour <= e.at < hour + HOUR and any(dict(e.tokens).get(kind) for kind in PREFILL):
            model = meant(facts, e, hour)
            ran = place(facts, e, model, hour)
            stayed = ran and role(facts, ran, hour) == "decode" and reader(facts, ran, model, hour) == ran
            if stayed and any(serves(facts, d, model) for d in mine):
                return True
    return False


def engine_states(facts: Facts, name: str, hour: int) -> tuple[dict[str, int], dict[int, int]]:
    """Engine-microseconds of an hour without requests and with some, of engines that name their deployment; and when holds begin
    (+1) and end (-1)."""
    found, marks = {"below_saturation": 0, "no_requests": 0}, defaultdict[int, int](int)
    for c in facts.counts:
        if c.deployment == name and c.running is not None:
            later = min((o.at for o in facts.counts if o.who == c.who and o.at > c.at), default=c.at + facts.hold)
            held = Dated(start=c.at, end=min(later, c.at + facts.hold))
            for d in facts.deployments:
                if d.id == name and (us := overlap(d, hour, held)):
                    found["below_saturation" if c.running else "no_requests"] += us
                    start = max(hour, held.start, d.start)
                    marks[start], marks[start + us] = marks[start] + 1, marks[start + us] - 1
    return found, marks
