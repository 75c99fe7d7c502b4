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

Part = tuple[tuple[int, str], int, Fraction]
"""Hour and pool, microseconds of a device, and millijoules."""


def pool_energy(fleet: Fleet, samples: Iterable[Record]) -> dict[tuple[int, str], Energy]:
    """What telemetry says of each hour and pool, in whole millijoules; hours of which it says nothing are left out.

    Power counts where the device's own meter does not cover the time.
    """
    of_device: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)
    for sample in samples:
        of_device[sample["gpu_uuid"], sample.get("mig_profile", "")].setdefault(instant(sample["sampled_at"]), sample)
    found: dict[tuple[int, str], tuple[int, Fraction]] = defaultdict(lambda: (0, Fraction(0)))
    for of_time in of_device.values():
        grown = list(growths(of_time))
        parts = [*metered(fleet, of_time, grown), *powered(fleet, of_time, [told for told, _ in grown])]
        for where, us, millijoules in parts:
            found[where] = found[where][0] + us, found[where][1] + millijoules
    return {where: Energy(us, int(millijoules)) for where, (us, millijoules) in found.items()}


def growths(of_time: Mapping[int, Record]) -> Iterator[tuple[Range, int]]:
    """What a device's cumulative meter grew by between two readings: the later one alone where it fell; over a day is not bridged."""
    before: tuple[int, int] | None = None
    for at in sorted(of_time):
        if of_time[at].get("energy_joules") is not None:
            value = thousandths(of_time[at]["energy_joules"])
            if before and at - before[0] <= DAY_US:
                yield (before[0], at), value - before[1] if value >= before[1] else value
            before = at, value


def metered(fleet: Fleet, of_time: Mapping[int, Record], grown: Iterable[tuple[Range, int]]) -> Iterator[Part]:
    """Growth by hour and pool, which is that of the later reading."""
    for told, growth in grown:
        for where, part in _parts(fleet, of_time[told[1]], told):
            yield where, part[1] - part[0], Fraction(spread(growth, *told, part))


def powered(fleet: Fleet, of_time: Mapping[int, Record], known: Iterable[Range]) -> Iterator[Part]:
    """What a device drew where its meter does not tell, each reading held until the next but not for ever."""
    times = sorted(of_time)
    for at, until in zip(times, [*times[1:], times[-1] + fleet.hold_us], strict=True):
        if of_time[at].get("power_watts") is not None:
            milliwatts = thousandths(of_time[at]["power_watts"])
            for where, part in _parts(fleet, of_time[at], (at, min(until, at + fleet.hold_us))):
                held = part[1] - part[0] - sum(shared_us(part, told) for told in known)
                if held:
                    yield where, held, Fraction(milliwatts * held, 10**6)


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
