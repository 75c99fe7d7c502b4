"""Energy of pools' GPUs by hour, as the oracle sees it: what meters grew by, and power that is held where no meter tells.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from tests.oracle_costs import Energy
from tests.oracle_fleet import Deployment, Fleet
from tests.oracle_units import DAY_US, HOUR_US, Range, hour_of, instant, shared_us, spread
from tests.oracle_usage import Record, claims

Part = tuple[tuple[int, str], int, Fraction]
"""Hour and pool, microseconds of a device, and millijoules."""
Slices = dict[tuple[str, int], list[Record]]
"""By GPU and hour."""


def pool_energy(fleet: Fleet, samples: Iterable[Record]) -> dict[tuple[int, str], Energy]:
    """What telemetry says of each hour and pool, in whole millijoules; hours of which it says nothing are left out.

    Power counts where the device's own meter does not cover the time.
    """
    of_device: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)
    for sample in samples:
        of_device[sample["gpu_uuid"], sample.get("mig_profile", "")].setdefault(instant(sample["sampled_at"]), sample)
    found: dict[tuple[int, str], tuple[int, Fraction]] = defaultdict(lambda: (0, Fraction(0)))
    slices = sliced(fleet, of_device)
    for of_time in (of_time for (_, profile), of_time in of_device.items() if not profile):
        grown = list(growths(of_time))
        parts = [*metered(fleet, slices, of_time, grown), *powered(fleet, slices, of_time, [told for told, _ in grown])]
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


def sliced(fleet: Fleet, of_device: Mapping[tuple[str, str], Mapping[int, Record]]) -> Slices:
    """Readings of the slices of each GPU that tell of an hour: each holds until its slice's next, but not for ever."""
    found: Slices = defaultdict(list)
    for (gpu, profile), of_time in of_device.items():
        times = sorted(of_time)
        for at, until in zip(times, [*times[1:], times[-1] + fleet.hold_us], strict=True):
            for hour in range(hour_of(at), min(until, at + fleet.hold_us), HOUR_US) if profile else ():
                found[gpu, hour].append(of_time[at])
    return found


def metered(
    fleet: Fleet, slices: Slices, of_time: Mapping[int, Record], grown: Iterable[tuple[Range, int]]
) -> Iterator[Part]:
    """Growth by hour and pool, which is that of the later reading."""
    for told, growth in grown:
        for where, part in _parts(fleet, slices, of_time[told[1]], told):
            yield where, part[1] - part[0], Fraction(spread(growth, *told, part))


def powered(fleet: Fleet, slices: Slices, of_time: Mapping[int, Record], known: Iterable[Range]) -> Iterator[Part]:
    """What a device drew where its meter does not tell, each reading held until the next but not for ever."""
    times = sorted(of_time)
    for at, until in zip(times, [*times[1:], times[-1] + fleet.hold_us], strict=True):
        if of_time[at].get("power_watts") is not None:
            milliwatts = thousandths(of_time[at]["power_watts"])
            for where, part in _parts(fleet, slices, of_time[at], (at, min(until, at + fleet.hold_us))):
                held = part[1] - part[0] - sum(shared_us(part, told) for told in known)
                if held:
                    yield where, held, Fraction(milliwatts * held, 10**6)


def thousandths(amount: str | int | Decimal) -> int:
    """An amount in thousandths of its unit, half to even."""
    return round(Fraction(Decimal(amount)) * 1000)


def _parts(fleet: Fleet, slices: Slices, sample: Record, told: Range) -> Iterator[tuple[tuple[int, str], Range]]:
    """A range by hour and pool: of the device's own, or of its slices' in that hour where it has none; of none where they disagree."""
    own = claims(fleet, sample)
    for hour in range(hour_of(told[0]), told[1], HOUR_US):
        others = [claim for part in slices.get((sample["gpu_uuid"], hour), ()) for claim in claims(fleet, part)]
        first, last = max(told[0], hour), min(told[1], hour + HOUR_US)
        edges = {min(max(edge, first), last) for _, during in (*own, *others) for edge in during}
        for start, end in pairwise(sorted({first, last, *edges})):
            pools = _pools(own, start) or _pools(others, start)
            if len(pools) == 1:
                yield (hour, pools.pop()), (start, end)


def _pools(claimed: Iterable[tuple[Deployment, Range]], at: int) -> set[str]:
    return {deployment.pool for deployment, (start, end) in claimed if start <= at < end}
