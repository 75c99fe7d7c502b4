"""How the cost of a deployment's hour divides into workload, idle by cause and unmeasured.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.oracle_engines import COUNTERS, Growth
from tests.oracle_fleet import PREFILL, Deployment, Fleet
from tests.oracle_states import Told, is_told
from tests.oracle_tokens import BIG_SCALE, present, reads_with_others, role, serves
from tests.oracle_units import HOUR_US, PPM, hour_range, shared_us, split, spread
from tests.oracle_usage import Activity, Usage


class Verdict(NamedTuple):
    """How the cost of a deployment's hour divides before anybody's share: all of it adds up to the cost."""

    workload: int
    idle: Mapping[str, int]
    unmeasured: int


class Reader(NamedTuple):
    """A deployment that prefills beside others, so that no prompt of others counts there: whether there were any that it may
    have read, and whether its GPUs or engines show that it did anything."""

    is_asked: bool
    is_busy: bool


def verdict(
    fleet: Fleet,
    parts: Sequence[Deployment],
    hour: int,
    cost: int,
    weights: Mapping[Any, int],
    seen: Activity,
    told: Told,
    reader: Reader | None,
) -> Verdict:
    """Divide the cost of a deployment's hour by its utilization policy; weights are of tokens and stand over `BIG_SCALE`.

    What was down is idle first, floors of the sum of causes in order of name, and is no paid time after. Of several dated parts in one hour, the first says what the policy is. A
    reader without tokens of its own is all work if it is seen to work, since neither capacity nor allocation can say how much.
    """
    held = {part: part.gpus * shared_us(hour_range(hour), part.during) for part in parts}
    paid = sum(held.values())
    down = {part: down_us(fleet, part, hour) for part in parts}
    lost: dict[str, int] = defaultdict(int)
    for causes in down.values():
        for cause, us in causes.items():
            lost[cause] += us
    idle, before = {}, 0
    for cause in sorted(lost):
        idle[cause] = spread(cost, 0, paid, (before, before + lost[cause]))
        before += lost[cause]
    rest, up = cost - sum(idle.values()), paid - sum(lost.values())
    utilization = min(parts, key=lambda part: part.during).utilization
    if utilization == "active":
        measured = rest * min(seen.observed_us, up) // up if up else 0
        workload = measured * seen.active_ppm_us // (seen.observed_us * PPM) if seen.observed_us else 0
        states = told.states if is_told(fleet, parts[0].id, hour, told, (up, paid)) else {}
        return Verdict(
            workload,
            _plus(idle, split(measured - workload, states) or {"inactive": measured - workload}),
            rest - measured,
        )
    if reader and not weights and any(reader):
        return Verdict(rest, idle, 0) if reader.is_busy else Verdict(0, _plus(idle, {"unplaced_prefill": rest}), 0)
    if utilization == "capacity":
        able = (
            sum(part.capacity_per_gpu_hour * (us - sum(down[part].values())) for part, us in held.items()) * BIG_SCALE
        )
        used = sum(weights.values())
        workload = rest * min(used * HOUR_US, able) // able if able else 0
        return Verdict(workload, _plus(idle, {"below_capacity" if used else "no_requests": rest - workload}), 0)
    return Verdict(rest, idle, 0) if weights else Verdict(0, _plus(idle, {"no_requests": rest}), 0)


def down_us(fleet: Fleet, part: Deployment, hour: int) -> dict[str, int]:
    """GPU-microseconds of a dated part in an hour that were down, by cause."""
    found: dict[str, int] = defaultdict(int)
    for row in fleet.downtimes:
        us = row.gpus * shared_us(hour_range(hour), part.during, row.during)
        if row.deployment == part.id and us:
            found[row.cause] += us
    return dict(found)


def reader(
    fleet: Fleet,
    where: tuple[int, str],
    used: Mapping[tuple[int, str], Usage],
    active: Activity,
    engines: Sequence[Growth],
) -> Reader | None:
    """What is known of a deployment that prefills beside others; None of any other. What it may have read stayed on deployments
    that decode."""
    hour, name = where
    if not reads_with_others(fleet, name, hour):
        return None
    parts = [part for part in present(fleet, hour) if part.id == name]
    stayed = {
        who.model
        for (at, other), usage in used.items()
        if at == hour and other and role(fleet, other, hour) == "decode"
        for who, kinds in usage.items()
        if any(kinds.get(kind) for kind in PREFILL)
    }
    counted = [grown.counters[COUNTERS.index("prompt_tokens")] or 0 for grown in engines]
    return Reader(
        any(serves(fleet, part, model) for part in parts for model in stayed), active.active_ppm_us > 0 or any(counted)
    )


def nobodys(weights: Mapping[Any, int], reader: Reader | None) -> str:
    """Why work is nobody's, where no token weighs anything."""
    return "zero_weight" if weights else "unplaced_prefill" if reader else "busy_no_tokens"


def _plus(idle: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {cause: idle.get(cause, 0) + more.get(cause, 0) for cause in {**idle, **more}}
