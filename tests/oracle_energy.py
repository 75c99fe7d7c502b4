"""Energy of pools' GPUs by hour, as the oracle sees it: what meters grew by, and power that is held where no meter tells.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from tests.oracle_costs import Energy
from tests.oracle_fleet import Deployment, Fleet
from tests.oracle_units import DAY_US, HOUR_US, Range, hour_of, hour_range, instant, shared_us, spread
from tests.oracle_usage import Record, sampled

Parts = dict[tuple[int, str], tuple[int, Fraction]]
"""Microseconds and millijoules of one device by hour and pool."""


def pool_energy(fleet: Fleet, samples: Iterable[Record]) -> dict[tuple[int, str], Energy]:
    """What telemetry says of each hour and pool; hours of which it says nothing are left out.

    A device's meter comes before its power in an hour and pool of which it tells anything.
    """
    of_device: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)
    for sample in samples:
        of_device[sample["gpu_uuid"], sample.get("mig_profile", "")].setdefault(instant(sample["sampled_at"]), sample)
    found: dict[tuple[int, str], tuple[int, Fraction]] = defaultdict(lambda: (0, Fraction(0)))
    for of_time in of_device.values():
        for where, (us, millijoules) in {**powered(fleet, of_time), **metered(fleet, of_time)}.items():
            found[where] = found[where][0] + us, found[where][1] + millijoules
    return {where: Energy(us, int(millijoules)) for where, (us, millijoules) in found.items()}


def metered(fleet: Fleet, of_time: Mapping[int, Record]) -> Parts:
    """What a device's cumulative meter grew by: the later reading alone where it fell; more than a day is not bridged."""
    found: Parts = {}
    before: tuple[int, int] | None = None
    for at in sorted(of_time):
        if of_time[at].get("energy_joules") is None:
            continue
        value = thousandths(of_time[at]["energy_joules"])
        if before and at - before[0] <= DAY_US:
            growth = value - before[1] if value >= before[1] else value
            for where, part in _parts(fleet, of_time[at], (before[0], at)):
                us, millijoules = found.get(where, (0, Fraction(0)))
                found[where] = us + part[1] - part[0], millijoules + spread(growth, before[0], at, part)
        before = at, value
    return found


def powered(fleet: Fleet, of_time: Mapping[int, Record]) -> Parts:
    """What a device drew, each reading held until the next but not for ever."""
    found: Parts = {}
    times = sorted(of_time)
    for at, until in zip(times, [*times[1:], times[-1] + fleet.hold_us], strict=True):
        if of_time[at].get("power_watts") is not None:
            milliwatts = thousandths(of_time[at]["power_watts"])
            for where, part in _parts(fleet, of_time[at], (at, min(until, at + fleet.hold_us))):
                us, millijoules = found.get(where, (0, Fraction(0)))
                held = part[1] - part[0]
                found[where] = us + held, millijoules + Fraction(milliwatts * held, 10**6)
    return found


def thousandths(amount: str | int | Decimal) -> int:
    """An amount in thousandths of its unit, half to even."""
    return round(Fraction(Decimal(amount)) * 1000)


def _parts(fleet: Fleet, sample: Record, told: Range) -> Iterator[tuple[tuple[int, str], Range]]:
    """A range by hour and pool, inside the ranges of the deployment that the device belongs to."""
    able: list[Deployment] = [part for part in fleet.deployments if sampled(part, sample)]
    for part in able:
        start, end = max(told[0], part.during[0]), min(told[1], part.during[1])
        for hour in range(hour_of(start), end, HOUR_US):
            if shared_us((start, end), hour_range(hour)):
                yield (hour, part.pool), (max(start, hour), min(end, hour + HOUR_US))
