"""What GPUs were doing, whatever they cost, as the oracle sees it.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.oracle import Seen, deployed_us, divided, paid_us
from tests.oracle_fleet import Fleet


def gpu_time(fleet: Fleet, seen: Seen, hours: Iterable[int]) -> dict[tuple[str, str], int]:
    """GPU-microseconds by pool and state: `workload`, `idle`, `unmeasured`, `unscheduled`.

    Time divides as a cost of one nano for each microsecond would.
    """
    found: dict[tuple[str, str], int] = defaultdict(int)
    for hour in hours:
        for pool in {pool.id for pool in fleet.pools}:
            held = deployed_us(fleet, pool, hour)
            found[pool, "unscheduled"] += paid_us(fleet, pool, hour) - sum(held.values())
            for name, us in held.items():
                parts, *_ = divided(fleet, name, hour, us, seen)
                found[pool, "workload"] += parts.workload
                found[pool, "idle"] += sum(parts.idle.values())
                found[pool, "unmeasured"] += parts.unmeasured
    return {key: us for key, us in found.items() if us}
