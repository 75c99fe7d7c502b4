"""How the cost of a deployment's hour divides into workload, idle by cause and unmeasured.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.oracle_fleet import Deployment, Fleet
from tests.oracle_tokens import BIG_SCALE
from tests.oracle_units import HOUR_US, PPM, hour_range, shared_us, split, spread
from tests.oracle_usage import Activity

States = Mapping[str, int]
"""Microseconds of engines by what they were doing: `no_requests`, `below_saturation`."""


class Verdict(NamedTuple):
    """How the cost of a deployment's hour divides before anybody's share: all of it adds up to the cost."""

    workload: int
    idle: Mapping[str, int]
    unmeasured: int


def verdict(
    fleet: Fleet,
    parts: Sequence[Deployment],
    hour: int,
    cost: int,
    weights: Mapping[Any, int],
    seen: Activity,
    states: States,
) -> Verdict:
    """Divide the cost of a deployment's hour by its utilization policy; weights are of tokens and stand over `BIG_SCALE`.

    What was down is idle first, floors of the sum of causes in order of name, and is no paid time after. Of several dated parts in one hour, the first says what the policy is.
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
        return Verdict(workload, _plus(idle, idle_by_state(measured - workload, states)), rest - measured)
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


def idle_by_state(idle: int, states: States) -> dict[str, int]:
    """What was measured to be idle, by what engines say they were doing meanwhile."""
    return split(idle, states) or {"inactive": idle}


def _plus(idle: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {cause: idle.get(cause, 0) + more.get(cause, 0) for cause in {**idle, **more}}
