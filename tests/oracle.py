"""What each hour costs and which tokens caused it, in plain integers: the yardstick the product is measured by.

Written from the design's arithmetic, with the standard library only and nothing of the product: no SQL, no floats, no
cleverness, every hour on its own. `oracle_fleet.py` reads the config, `oracle_usage.py` what happened, and
`oracle_month.py` says who pays. Input must be valid: what the product rejects or refuses is not the oracle's business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple, TypeVar

from tests.oracle_engines import unlogged
from tests.oracle_fleet import (
    DECODE,
    HOUR_US,
    PREFILL,
    WEIGHT_SCALE,
    Deployment,
    Fleet,
    hour_range,
    month_hours,
    month_of,
    shared_us,
)
from tests.oracle_usage import Activity, Consumer, Record, Usage, activity, usage

PPM = 10**6
Part = TypeVar("Part", bound=Any)


class Key(NamedTuple):
    """What tells one hour charge from another; `hour` is its start in microseconds, absent parts are empty."""

    hour: int
    pool: str
    deployment: str
    provider: str
    model: str
    caller: str
    tier: str
    cost_kind: str
    cause: str
    token_kind: str


class Measure(NamedTuple):
    """Tokens (None on lines without any) and nano (None where nothing has a price)."""

    tokens: int | None
    nano: int | None


class Verdict(NamedTuple):
    """How the cost of a deployment's hour divides before anybody's share: the three add up to it."""

    workload: int
    idle: int
    idle_cause: str
    unmeasured: int


Charges = dict[Key, Measure]
NOBODY = Consumer("self", "", "", "")


def charges(
    fleet: Fleet,
    events: Iterable[Record],
    samples: Iterable[Record],
    hours: Iterable[int],
    readings: Iterable[Record] = (),
) -> Charges:
    """Every charge of the given hours, whose starts are in microseconds; readings are of engines."""
    events = list(events)
    used = usage(fleet, events)
    for where, (model, tokens) in unlogged(fleet, events, readings).items():
        used.setdefault(where, {})[Consumer("self", model, "", "")] = tokens
    active = activity(fleet, samples)
    found: Charges = {}
    for hour in hours:
        found |= _unpriced(hour, used.get((hour, ""), {}))
        found |= _overhead(fleet, hour)
        for pool in sorted({p.id for p in fleet.pools}):
            costs = deployment_costs(fleet, pool, hour)
            unscheduled = costs.pop("", 0)
            found |= _system(hour, pool, "", "idle", "unscheduled", unscheduled)
            for deployment in costs:
                found |= _deployment(
                    fleet,
                    deployment,
                    hour,
                    costs[deployment],
                    used.get((hour, deployment), {}),
                    active.get((hour, deployment), Activity(0, 0)),
                )
    return found


def split(total: int, weights: Mapping[Part, int]) -> dict[Part, int]:
    """Shares of a total, each within one of its exact value and together the total; nothing where nothing weighs."""
    whole = sum(weights.values())
    if not whole:
        return {}
    exact = {part: Fraction(abs(total) * weight, whole) for part, weight in weights.items()}
    shares = {part: int(share) for part, share in exact.items()}
    missing = abs(total) - sum(shares.values())
    for part in sorted(weights, key=lambda part: (shares[part] - exact[part], part))[:missing]:
        shares[part] += 1
    return {part: -share if total < 0 else share for part, share in shares.items()}


def origin(fleet: Fleet, pool: str, hour: int) -> int:
    """What a pool costs in an hour: each component rounded once, half to even."""
    exact: dict[str, Fraction] = defaultdict(Fraction)
    for rate in fleet.rates:
        for bought in fleet.pools:
            if rate.pool == bought.id == pool:
                held = shared_us(hour_range(hour), bought.during, rate.during)
                exact[rate.component] += Fraction(rate.per_gpu_hour * bought.gpus * held, HOUR_US)
    return sum(round(cost) for cost in exact.values())


def paid_us(fleet: Fleet, pool: str, hour: int) -> int:
    """GPU-microseconds of a pool in an hour."""
    return sum(p.gpus * shared_us(hour_range(hour), p.during) for p in fleet.pools if p.id == pool)


def deployed_us(fleet: Fleet, pool: str, hour: int) -> dict[str, int]:
    """GPU-microseconds of each deployment of a pool in an hour; those that have none are left out."""
    found: dict[str, int] = defaultdict(int)
    for part in fleet.deployments:
        held = part.gpus * shared_us(hour_range(hour), part.during)
        if part.pool == pool and held:
            found[part.id] += held
    return dict(found)


def deployment_costs(fleet: Fleet, pool: str, hour: int) -> dict[str, int]:
    """The pool's cost by deployment, the empty name standing for GPUs in none."""
    deployed = deployed_us(fleet, pool, hour)
    unscheduled = paid_us(fleet, pool, hour) - sum(deployed.values())
    assert unscheduled >= 0, f"more GPUs deployed than bought in {pool}"
    return split(origin(fleet, pool, hour), {**deployed, "": unscheduled})


def weighted(fleet: Fleet, used: Usage) -> dict[tuple[Consumer, str], int]:
    """Tokens x scaled weight by consumer and token kind, zero counts left out."""
    weights = dict(fleet.weights)
    return {
        (who, kind): weights[kind] * tokens for who, kinds in used.items() for kind, tokens in kinds.items() if tokens
    }


def verdict(parts: Sequence[Deployment], hour: int, cost: int, used: Mapping[Any, int], seen: Activity) -> Verdict:
    """Divide the cost of a deployment's hour by its utilization policy; `used` is weighted tokens.

    Of several dated parts in one hour, the first says what the policy is.
    """
    total = sum(used.values())
    held = {part: part.gpus * shared_us(hour_range(hour), part.during) for part in parts}
    paid = sum(held.values())
    utilization = min(parts, key=lambda part: part.during).utilization
    if utilization == "active":
        measured = cost * min(seen.observed_us, paid) // paid
        workload = measured * seen.active_ppm_us // (seen.observed_us * PPM) if seen.observed_us else 0
        return Verdict(workload, measured - workload, "inactive", cost - measured)
    if utilization == "capacity":
        able = sum(part.capacity_per_gpu_hour * us for part, us in held.items()) * WEIGHT_SCALE
        workload = cost * min(total * HOUR_US, able) // able
        return Verdict(workload, cost - workload, "below_capacity" if total else "no_requests", 0)
    return Verdict(cost, 0, "", 0) if used else Verdict(0, cost, "no_requests", 0)


def shares(workload: int, used: Mapping[tuple[Consumer, str], int]) -> dict[tuple[Consumer, str], int]:
    """Divide a workload over phases, and each phase over who used what kind of token. Some token must weigh something."""
    phases = {
        "decode": {k: w for k, w in used.items() if k[1] in DECODE},
        "prefill": {k: w for k, w in used.items() if k[1] in PREFILL},
    }
    costs = split(workload, {phase: sum(weights.values()) for phase, weights in phases.items()})
    found = dict.fromkeys(used, 0)
    for phase, weights in phases.items():
        ordered = {(who.model, who.caller, who.tier, kind): weight for (who, kind), weight in weights.items()}
        for (model, caller, tier, kind), cost in split(costs[phase], ordered).items():
            found[Consumer("self", model, caller, tier), kind] = cost
    return found


def _deployment(fleet: Fleet, name: str, hour: int, cost: int, used: Usage, seen: Activity) -> Charges:
    parts = [d for d in fleet.deployments if d.id == name and shared_us(hour_range(hour), d.during)]
    pool = parts[0].pool
    weights = weighted(fleet, used)
    found = verdict(parts, hour, cost, weights, seen)
    rows = _system(hour, pool, name, "idle", found.idle_cause, found.idle)
    rows |= _system(hour, pool, name, "unmeasured", "", found.unmeasured)
    if any(weights.values()):
        costs = shares(found.workload, weights)
    else:
        rows |= _system(hour, pool, name, "workload", "busy_no_tokens", found.workload)
        costs = dict.fromkeys(weights, 0)
    for (who, kind), share in costs.items():
        cause = "" if who.caller else "unlogged"
        rows[Key(hour, pool, name, *who, "workload", cause, kind)] = Measure(used[who][kind], share)
    return rows


def _unpriced(hour: int, used: Usage) -> Charges:
    """Tokens that no deployment took: placed nowhere, or served by somebody whose prices are not known."""
    rows: Charges = {}
    for who, kinds in used.items():
        cost_kind, cause = ("workload", "unplaced") if who.provider == "self" else ("external", "no_price")
        for kind, tokens in kinds.items():
            if tokens:
                rows[Key(hour, "", "", *who, cost_kind, cause, kind)] = Measure(tokens, None)
    return rows


def _overhead(fleet: Fleet, hour: int) -> Charges:
    """This hour's part of each monthly amount, which is spread over every hour of the month."""
    rows: Charges = {}
    for shared in fleet.shared_costs:
        if shared_us((hour, hour + 1), shared.during):
            rows |= _system(hour, "", "", "overhead", shared.id, _spread(shared.per_month, month_of(hour))[hour])
    return rows


@cache
def _spread(per_month: int, month: int) -> dict[int, int]:
    return split(per_month, dict.fromkeys(month_hours(month), 1))


def _system(hour: int, pool: str, deployment: str, cost_kind: str, cause: str, cost: int) -> Charges:
    nobody = NOBODY if pool else Consumer("", "", "", "")
    key = Key(hour, pool, deployment, *nobody, cost_kind, cause, "")
    return {key: Measure(None, cost)} if cost else {}


def total(found: Charges) -> int:
    """The sum of every priced charge."""
    return sum(measure.nano or 0 for measure in found.values())


def origin_total(fleet: Fleet, hours: Iterable[int]) -> int:
    """What the fleet cost in these hours, before anything is divided."""
    pools = {p.id for p in fleet.pools}
    return sum(
        sum(origin(fleet, pool, hour) for pool in pools) + sum(m.nano or 0 for m in _overhead(fleet, hour).values())
        for hour in hours
    )
