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
from typing import NamedTuple

from tests.oracle_commitments import Rows
from tests.oracle_costs import Energy, origin_rows
from tests.oracle_energy import pool_energy
from tests.oracle_engines import Growth, growth, phase_us, unlogged
from tests.oracle_fleet import KINDS, Fleet
from tests.oracle_idle import Verdict, nobodys, reader, verdict
from tests.oracle_phases import Coefficient, Phases, Shares, chosen, rungs, shares
from tests.oracle_prices import priced
from tests.oracle_states import NOTHING, Told, states
from tests.oracle_tiers import cache_reads
from tests.oracle_tokens import present, weighted
from tests.oracle_units import hour_range, month_hours, month_of, shared_us, split
from tests.oracle_usage import Activity, Consumer, Record, Usage, activity, usage


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


Charges = dict[Key, Measure]
Weights = Mapping[tuple[Consumer, str], int]
NOBODY = Consumer("self", "", "", "")


class Seen(NamedTuple):
    """What was told of all hours, by hour and place."""

    used: Mapping[tuple[int, str], Usage]
    active: Mapping[tuple[int, str], Activity]
    states: Mapping[tuple[int, str], Told]
    engines: Mapping[tuple[int, str], Sequence[Growth]]
    phase_us: Mapping[tuple[int, str], int]
    energy: Mapping[tuple[int, str], Energy]
    cache_reads: Mapping[tuple[int, str], Fraction]
    coefficients: Sequence[Coefficient]


def charges(
    fleet: Fleet,
    events: Iterable[Record],
    samples: Iterable[Record],
    hours: Iterable[int],
    readings: Iterable[Record] = (),
    coefficients: Iterable[Coefficient] = (),
) -> Charges:
    """Every charge of the given hours, whose starts are in microseconds; readings are of engines."""
    events, hours = list(events), list(hours)
    seen = told(fleet, events, samples, readings, coefficients)
    found: Charges = {
        Key(line.hour, "", "", *line.who, "external", line.cause, line.kind): Measure(*cost)
        for line, cost in priced(fleet, events).items()
        if line.hour in hours
    }
    for hour in hours:
        found |= _unplaced(hour, seen.used.get((hour, ""), {}))
        found |= _overhead(fleet, hour)
        rows = origin_rows(fleet, hour, energy_of(seen.energy, hour))
        for pool in sorted({p.id for p in fleet.pools} | {row.pool for row in rows}):
            for cause in {row.cause for row in rows if row.pool == pool and row.cause}:
                found |= _system(hour, pool, "", "idle", cause, cost_of(rows, pool, cause))
            costs = deployment_costs(fleet, pool, hour, cost_of(rows, pool, ""))
            found |= _system(hour, pool, "", "idle", "unscheduled", costs.pop("", 0))
            for deployment, cost in costs.items():
                found |= _deployment(fleet, deployment, hour, cost, seen)
    return found


def ladder(fleet: Fleet, seen: Seen, hours: Iterable[int]) -> dict[tuple[int, str], dict[str, Shares | None]]:
    """What every rung says of each deployment's hour with tokens that weigh anything."""
    found = {}
    for (hour, name), used in seen.used.items():
        weights = weighted(fleet, used, seen.cache_reads.get((hour, name)))
        if name and hour in hours and any(weights.values()):
            found[hour, name] = rungs(fleet, phases(fleet, hour, name, weights, seen))
    return found


def phases(fleet: Fleet, hour: int, name: str, weights: Weights, seen: Seen) -> Phases:
    """What the phases of a deployment's hour are told by; of several dated parts the first counts."""
    where = hour, name
    part = next(part for part in present(fleet, hour) if part.id == name)
    engines, phase_time = seen.engines.get(where, ()), seen.phase_us.get(where, 0)
    return Phases(part, hour, seen.used[where], weights, engines, phase_time, seen.coefficients)


def told(
    fleet: Fleet,
    events: Iterable[Record],
    samples: Iterable[Record],
    readings: Iterable[Record],
    coefficients: Iterable[Coefficient],
) -> Seen:
    """All that happened, put where and when it did."""
    events, samples, readings = list(events), list(samples), list(readings)
    used = usage(fleet, events)
    for where, (model, tokens) in unlogged(fleet, events, readings).items():
        used.setdefault(where, {})[Consumer("self", model, "", "")] = tokens
    engines: dict[tuple[int, str], list[Growth]] = defaultdict(list)
    for place, grown in growth(fleet, readings).items():
        engines[place.hour, place.deployment].append(grown)
    moved, phase_time = states(fleet, readings), phase_us(fleet, readings)
    energy, reads = pool_energy(fleet, samples), cache_reads(fleet, readings)
    return Seen(used, activity(fleet, samples), moved, engines, phase_time, energy, reads, tuple(coefficients))


def energy_of(energy: Mapping[tuple[int, str], Energy], hour: int) -> dict[str, Energy]:
    """What was measured in an hour, by pool."""
    return {pool: measured for (at, pool), measured in energy.items() if at == hour}


def cost_of(rows: Rows, pool: str, cause: str) -> int:
    """Effective cost of the rows of a pool and cause."""
    return sum(amounts.effective for row, amounts in rows.items() if (row.pool, row.cause) == (pool, cause))


def origin(fleet: Fleet, pool: str, hour: int, energy: Mapping[str, Energy] | None = None) -> int:
    """What a pool costs in an hour, what of it nobody used included."""
    rows = origin_rows(fleet, hour, energy)
    return sum(amounts.effective for row, amounts in rows.items() if row.pool == pool)


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


def deployment_costs(fleet: Fleet, pool: str, hour: int, cost: int) -> dict[str, int]:
    """The pool's cost by deployment, the empty name standing for GPUs in none."""
    deployed = deployed_us(fleet, pool, hour)
    unscheduled = paid_us(fleet, pool, hour) - sum(deployed.values())
    assert unscheduled >= 0, f"more GPUs deployed than bought in {pool}"
    return split(cost, {**deployed, "": unscheduled})


def divided(fleet: Fleet, name: str, hour: int, cost: int, seen: Seen) -> tuple[Verdict, Weights, str]:
    """What of a deployment's hour, at a cost, is work, idle or unseen; by what work is shared, or why it is nobody's."""
    parts, where = [part for part in present(fleet, hour) if part.id == name], (hour, name)
    weights = weighted(fleet, seen.used.get(where, {}), seen.cache_reads.get(where))
    active = seen.active.get(where, Activity(0, 0))
    reads = reader(fleet, where, seen.used, active, seen.engines.get(where, ()))
    found = verdict(fleet, parts, hour, cost, weights, active, seen.states.get(where, NOTHING), reads)
    return found, weights, nobodys(weights, reads)


def _deployment(fleet: Fleet, name: str, hour: int, cost: int, seen: Seen) -> Charges:
    pool, used = next(p.pool for p in present(fleet, hour) if p.id == name), seen.used.get((hour, name), {})
    found, weights, why = divided(fleet, name, hour, cost, seen)
    rows = _system(hour, pool, name, "unmeasured", "", found.unmeasured)
    for cause, idle in found.idle.items():
        rows |= _system(hour, pool, name, "idle", cause, idle)
    if any(weights.values()):
        costs = shares(found.workload, weights, chosen(fleet, phases(fleet, hour, name, weights, seen))[1])
    else:
        rows |= _system(hour, pool, name, "workload", why, found.workload)
        costs = dict.fromkeys(weights, 0)
    for (who, kind), share in costs.items():
        cause = "" if who.caller else "unlogged"
        rows[Key(hour, pool, name, *who, "workload", cause, kind)] = Measure(used[who][kind], share)
    return rows


def _unplaced(hour: int, used: Usage) -> Charges:
    """Tokens of ours that no deployment took."""
    return {
        Key(hour, "", "", *who, "workload", "unplaced", kind): Measure(kinds[kind], None)
        for who, kinds in used.items()
        for kind in KINDS
        if kinds[kind] and who.provider == "self"
    }


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
    """The sum of every priced charge of our own fleet."""
    return sum(measure.nano or 0 for key, measure in found.items() if key.cost_kind != "external")


def origin_total(fleet: Fleet, hours: Iterable[int], samples: Iterable[Record] = ()) -> int:
    """What the fleet cost in these hours, before anything is divided."""
    energy = pool_energy(fleet, list(samples))
    found = 0
    for hour in hours:
        found += sum(amounts.effective for amounts in origin_rows(fleet, hour, energy_of(energy, hour)).values())
        found += sum(measure.nano or 0 for measure in _overhead(fleet, hour).values())
    return found
