"""An hour's charges by hand: plain integers, standard library only, written from the design and from no SQL."""

from __future__ import annotations

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
    Deployment,
    Event,
    Facts,
    caller,
    moment,
)
from tests.steps.metering.pencil_places import (
    activity,
    downtime,
    lone_reader,
    meant,
    overlap,
    place,
    reader,
    told,
    was_asked,
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
            model = meant(facts, e, hour)
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


def _deployment(
    found: Charges, facts: Facts, hour: int, parts: list[Deployment], cost: int, paid: int, used: list[Any]
) -> None:
    weighed = {(*who, kind): weighs for _, who, kind, _, weighs in used}
    place, first = (parts[0].pool, parts[0].id, "self"), min(parts, key=lambda d: d.start)
    gone, alone = 0, lone_reader(facts, first.id, hour)
    observed, busy = activity(facts, parts, hour)
    for name, down in sorted(downtime(facts, parts, hour).items()):
        _system(found, hour, place, ("idle", name), cost * (gone + down) // paid - cost * gone // paid)
        gone += down
    states = told(facts, parts, hour, paid, paid - gone) if first.utilization == "active" else {}
    cost, paid = cost - cost * gone // paid, paid - gone
    measured, cause = cost, "inactive"
    if first.utilization == "active":
        measured = cost * min(observed, paid) // paid if paid else 0
        workload = measured * busy // (observed * 10**6) if observed else 0
    elif alone and not used and (busy or was_asked(facts, first.id, hour)):
        workload, cause = cost if busy else 0, "unplaced_prefill"
    elif first.utilization == "capacity":
        able = sum((d.capacity or 0) * d.gpus * overlap(d, hour) for d in parts)
        able -= sum((d.capacity or 0) * sum(downtime(facts, [d], hour).values()) for d in parts)
        able *= facts.weight_scale
        workload = cost * min(sum(weighed.values()) * HOUR, able) // able if able else 0
        cause = "below_capacity" if any(weighed.values()) else "no_requests"
    else:
        workload, cause = cost if used else 0, "no_requests"
    for name, nano in (split(measured - workload, states) or {cause: measured - workload}).items():
        _system(found, hour, place, ("idle", name), nano)
    _system(found, hour, place, ("unmeasured", ""), cost - measured)
    decode = {key: w for key, w in weighed.items() if key[3] in DECODE}
    prefill = {key: w for key, w in weighed.items() if key[3] in PREFILL}
    phases = split(workload, {"decode": sum(decode.values()), "prefill": sum(prefill.values())})
    if not phases:
        why = "zero_weight" if used else "unplaced_prefill" if alone else "busy_no_tokens"
        _system(found, hour, place, ("workload", why), workload)
    shares = split(phases.get("decode", 0), decode) | split(phases.get("prefill", 0), prefill)
    for _, who, kind, tokens, _ in used:
        found[hour, *place, *who, "workload", "", kind] = (tokens, shares.get((*who, kind), 0))


def _system(found: Charges, hour: int, place: tuple[str, str, str], reason: tuple[str, str], nano: int) -> None:
    if nano:
        found[hour, *place, "", "", "", *reason, ""] = (None, nano)


assert set(KINDS) == {*PREFILL, *DECODE}
