"""An hour's charges by hand: plain integers, standard library only, written from the design and from no SQL."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC
from fractions import Fraction
from typing import Any

from tests.steps.metering.facts import (
    DECODE,
    EPOCH,
    HOUR,
    KINDS,
    PREFILL,
    Dated,
    Deployment,
    Event,
    Facts,
    Sample,
    caller,
    moment,
)

Charges = dict[tuple[Any, ...], tuple[int | None, int | None]]
"""(hour, pool, deployment, provider, model, caller, tier, cost kind, cause, token kind) -> (tokens, nano)."""


def charges(facts: Facts, hours: Iterable[int]) -> Charges:
    """Every charge of some hours."""
    found: Charges = {}
    for hour in hours:
        used = usage(facts, hour)
        for provider, who, kind, tokens, _ in used.pop("", []):
            reason = ("workload", "unplaced") if provider == "self" else ("external", "no_price")
            found[hour, "", "", provider, *who, *reason, kind] = (tokens, None)
        for s in facts.shared:
            if s.start <= hour < s.end:
                _system(found, hour, ("", "", ""), ("overhead", s.id), monthly(s.nano, hour))
        for pool in {p.id for p in facts.pools}:
            parts = {
                d.id: [e for e in facts.deployments if (e.id, e.pool) == (d.id, pool) and overlap(e, hour)]
                for d in facts.deployments
                if d.pool == pool
            }
            paid = {name: sum(d.gpus * overlap(d, hour) for d in rows) for name, rows in parts.items() if rows}
            free = sum(p.gpus * overlap(p, hour) for p in facts.pools if p.id == pool) - sum(paid.values())
            costs = split(origin(facts, pool, hour), {**paid, **({"": free} if free else {})})
            _system(found, hour, (pool, "", "self"), ("idle", "unscheduled"), costs.pop("", 0))
            for name, cost in costs.items():
                _deployment(found, facts, hour, parts[name], cost, paid[name], used.get(name, []))
    return found


def split(total: int, weights: dict[Any, int]) -> dict[Any, int]:
    """Largest remainder, ties by ascending key."""
    whole = sum(weights.values())
    parts = {key: total * weight // whole for key, weight in weights.items()} if whole else {}
    for key in sorted(parts, key=lambda k: (-(total * weights[k] % whole), k))[: total - sum(parts.values())]:
        parts[key] += 1
    return parts


def overlap(dated: Dated, hour: int, *others: Dated) -> int:
    """Microseconds that ranges share with an hour."""
    return max(
        0, min(hour + HOUR, dated.end, *(o.end for o in others)) - max(hour, dated.start, *(o.start for o in others))
    )


def origin(facts: Facts, pool: str, hour: int) -> int:
    """What a pool costs: one half-even rounding per component."""
    exact: dict[str, Fraction] = defaultdict(Fraction)
    for r in facts.rates:
        for p in facts.pools:
            if p.id == r.pool == pool:
                exact[r.component] += Fraction(r.nano * p.gpus * overlap(p, hour, r), HOUR)
    return sum(round(cost) for cost in exact.values())


def monthly(nano: int, hour: int) -> int:
    """An hour's part of a month: the first hours take what is left over."""
    first = moment(hour).replace(day=1, hour=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    hours = int((following - first).total_seconds()) // 3600
    before = (hour // 1_000_000 - int((first - EPOCH.astimezone(UTC)).total_seconds())) // 3600
    return nano // hours + (before < nano % hours)


def usage(facts: Facts, hour: int) -> dict[str, list[tuple[str, tuple[str, str, str], str, int, int]]]:
    """Tokens of an hour by deployment: (provider, (model, caller, tier), kind, tokens, their weight), zeros left out."""
    added: dict[tuple[str, str, tuple[str, str, str], str], list[int]] = defaultdict(lambda: [0, 0])
    for e in facts.events:
        if hour <= e.at < hour + HOUR:
            model = next((a.model for a in facts.aliases if a.alias == e.model and a.start <= hour < a.end), e.model)
            ran = place(facts, e, model, hour)
            for kind, tokens in e.tokens:
                there = reader(facts, ran, model, hour) if kind in PREFILL else ran
                sums = added[there, e.provider, (model, caller(e.principal, e.namespace), e.tier), kind]
                sums[0] += tokens
                sums[1] += weight(facts, e, model, kind)
    found: dict[str, list[tuple[str, tuple[str, str, str], str, int, int]]] = defaultdict(list)
    for (name, provider, who, kind), (tokens, weighs) in added.items():
        if tokens:
            found[name].append((provider, who, kind, tokens, weighs))
    return found


def weight(facts: Facts, event: Event, model: str, kind: str) -> int:
    """What the tokens of a kind of an event weigh."""
    counts, most = dict(event.tokens), 2**31 - 1
    context = sum(counts.get(k, 0) for k in PREFILL) + sum(counts.get(k, 0) for k in DECODE) // 2
    length = min(counts[kind], most) * min(context, most) if kind in DECODE else 0
    return (counts[kind] * facts.weights[kind] + length * facts.weighed.context) * facts.weighed.factor(
        model, event.tier
    )


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
        claims = [d for d in facts.deployments if d.id == s.deployment]
        claims = claims or [
            d for d in facts.deployments if fits(d, s, ("cluster", "node", "gpu_uuid", "namespace", "pod"))
        ]
        for d in parts:
            alone = not any(overlap(d, hour, o) for o in claims if o.id != d.id)
            if s.ppm is not None and d in claims and alone:
                observed += overlap(d, hour, held)
                busy += s.ppm * overlap(d, hour, held)
    return observed, busy


def downtime(facts: Facts, parts: list[Deployment], hour: int) -> dict[str, int]:
    """GPU-microseconds of a deployment's hour that could not serve, by cause."""
    found: dict[str, int] = defaultdict(int)
    for d in parts:
        for down in facts.downs:
            if down.deployment == d.id:
                found[down.cause] += down.gpus * overlap(d, hour, Dated(start=down.start, end=down.end))
    return found


def engine_states(facts: Facts, name: str, hour: int) -> dict[str, int]:
    """Engine-microseconds of an hour without requests and with some, of engines that name their deployment."""
    found = {"below_saturation": 0, "no_requests": 0}
    for c in facts.counts:
        if c.deployment == name and c.running is not None:
            later = min((o.at for o in facts.counts if o.who == c.who and o.at > c.at), default=c.at + facts.hold)
            held = Dated(start=c.at, end=min(later, c.at + facts.hold))
            found["below_saturation" if c.running else "no_requests"] += overlap(held, hour)
    return found


def _deployment(
    found: Charges, facts: Facts, hour: int, parts: list[Deployment], cost: int, paid: int, used: list[Any]
) -> None:
    weighed = {(*who, kind): weighs for _, who, kind, _, weighs in used}
    place, first = (parts[0].pool, parts[0].id, "self"), min(parts, key=lambda d: d.start)
    gone = 0
    for name, down in sorted(downtime(facts, parts, hour).items()):
        _system(found, hour, place, ("idle", name), cost * (gone + down) // paid - cost * gone // paid)
        gone += down
    cost, paid = cost - cost * gone // paid, paid - gone
    measured, cause = cost, "inactive"
    if first.utilization == "active":
        observed, busy = activity(facts, parts, hour)
        measured = cost * min(observed, paid) // paid if paid else 0
        workload = measured * busy // (observed * 10**6) if observed else 0
    elif first.utilization == "capacity":
        able = sum((d.capacity or 0) * d.gpus * overlap(d, hour) for d in parts)
        able -= sum((d.capacity or 0) * sum(downtime(facts, [d], hour).values()) for d in parts)
        able *= facts.weight_scale
        workload = cost * min(sum(weighed.values()) * HOUR, able) // able if able else 0
        cause = "below_capacity" if any(weighed.values()) else "no_requests"
    else:
        workload, cause = cost if used else 0, "no_requests"
    states = engine_states(facts, first.id, hour) if first.utilization == "active" else {}
    for name, nano in (split(measured - workload, states) or {cause: measured - workload}).items():
        _system(found, hour, place, ("idle", name), nano)
    _system(found, hour, place, ("unmeasured", ""), cost - measured)
    decode = {key: w for key, w in weighed.items() if key[3] in DECODE}
    prefill = {key: w for key, w in weighed.items() if key[3] in PREFILL}
    phases = split(workload, {"decode": sum(decode.values()), "prefill": sum(prefill.values())})
    if not phases:
        _system(found, hour, place, ("workload", "busy_no_tokens"), workload)
    shares = split(phases.get("decode", 0), decode) | split(phases.get("prefill", 0), prefill)
    for _, who, kind, tokens, _ in used:
        found[hour, *place, *who, "workload", "", kind] = (tokens, shares.get((*who, kind), 0))


def _system(found: Charges, hour: int, place: tuple[str, str, str], reason: tuple[str, str], nano: int) -> None:
    if nano:
        found[hour, *place, "", "", "", *reason, ""] = (None, nano)


assert set(KINDS) == {*PREFILL, *DECODE}
