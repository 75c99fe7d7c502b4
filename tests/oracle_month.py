"""Who pays for a month: hour charges by team, and what the policies then move.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. Every move adds up to zero, so
the month costs what its hours cost.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import lcm
from typing import NamedTuple

from tests.oracle import Charges, Key, Measure, paid_us
from tests.oracle_fleet import Entitlement, Fleet, Rule
from tests.oracle_tokens import fits
from tests.oracle_units import hour_range, month_of, shared_us, split

UNMAPPED = "__unmapped__"
UNUSED = {"unused_commitment", "unused_asset"}
SYSTEM_TEAMS = {
    "idle": "__idle__",
    "unmeasured": "__unmeasured__",
    "overhead": "__overhead__",
    "workload": "__unattributed__",
}


class Payer(NamedTuple):
    """Who a line is charged to."""

    team: str
    team_name: str
    project: str
    cost_center: str


class Line(NamedTuple):
    """What tells one charge of a team from another; `period` is the start of its hour or month."""

    period: int
    payer: Payer
    provider: str
    model: str
    pool: str
    deployment: str
    tier: str
    cost_kind: str
    cause: str
    token_kind: str


class Move(NamedTuple):
    """What tells one row of a settlement from another; `period` is the start of the hour or month that was weighed."""

    period: int
    team: str
    pool: str
    cost_kind: str
    shared_cost: str


Lines = dict[Line, Measure]
Moves = dict[Move, int]


def attributed(fleet: Fleet, charges: Charges) -> Lines:
    """Hour charges by who pays for them instead of by who called; same sums."""
    found: Lines = {}
    for key, measure in charges.items():
        line = Line(
            key.hour,
            payer(fleet, key),
            key.provider,
            key.model,
            key.pool,
            key.deployment,
            key.tier,
            key.cost_kind,
            key.cause,
            key.token_kind,
        )
        found[line] = plus(found.get(line), measure)
    return found


def payer(fleet: Fleet, key: Key) -> Payer:
    """The owner of a deployment that is charged for everything, else the caller's team, else the system's."""
    owners = [
        d.payer
        for d in fleet.deployments
        if d.id == key.deployment and d.payer and shared_us(hour_range(key.hour), d.during)
    ]
    if owners and (key.caller or key.cost_kind == "idle"):
        return team_payer(fleet, owners[0], [rule for rule in fleet.rules if _in_force(rule, key.hour)])
    if key.caller:
        return caller_payer(fleet, key.caller, key.hour)
    team = SYSTEM_TEAMS[key.cost_kind]
    return Payer(team, "", "", dict(fleet.cost_centers).get(team, ""))


def caller_payer(fleet: Fleet, caller: str, hour: int) -> Payer:
    """Who the first rule in force at the start of the hour says."""
    source, principal, namespace, tags = json.loads(caller)
    asked = {"source": source, "principal": principal, "namespace": namespace}
    given = dict(fleet.cost_centers)
    for rule in fleet.rules:
        team = tags.get(rule.team_tag, "") if rule.team_tag else rule.team
        if (
            team
            and _in_force(rule, hour)
            and all(fits(pattern, asked[field]) for field, pattern in rule.patterns)
            and all(key in tags and fits(pattern, tags[key]) for key, pattern in rule.tags)
        ):
            team = UNMAPPED if team.startswith("__") else team
            project = rule.project or tags.get("project", "")
            if team == UNMAPPED:
                return Payer(team, "", project, given.get(team, ""))
            return Payer(team, rule.team_name, project, rule.cost_center or given.get(team, ""))
    return Payer(UNMAPPED, "", tags.get("project", ""), given.get(UNMAPPED, ""))


def team_payer(fleet: Fleet, team: str, rules: Iterable[Rule]) -> Payer:
    """A team by itself: name and cost center where rules agree on one."""
    known = [rule for rule in rules if rule.team == team]
    names, centers = {rule.team_name for rule in known}, {rule.cost_center for rule in known}
    name = names.pop() if len(names) == 1 else ""
    center = centers.pop() if len(centers) == 1 else ""
    return Payer(team, name, "", center or dict(fleet.cost_centers).get(team, ""))


def _in_force(rule: Rule, hour: int) -> bool:
    return rule.during[0] <= hour < rule.during[1]


def bears(team: str) -> bool:
    """Whether a team can be made to share a cost: the system's cannot, but the callers that nobody knows can."""
    return not team.startswith("__") or team == UNMAPPED


def settled(fleet: Fleet, lines: Lines, hours: Iterable[int]) -> Moves:
    """What the policies move between teams; the negative rows are those of the system's teams."""
    found: Moves = {}
    of_period: dict[int, Lines] = defaultdict(dict)
    hours_of: dict[int, list[int]] = defaultdict(list)
    for hour in hours:
        hours_of[_weighed(fleet, hour)].append(hour)
    for line, measure in lines.items():
        of_period[_weighed(fleet, line.period)][line] = measure
    for period, its_lines in of_period.items():
        idle = _settled_idle(fleet, period, its_lines, hours_of[period])
        found |= idle | _settled_shared(fleet, period, its_lines, idle)
    return {move: cost for move, cost in found.items() if cost}


def _weighed(fleet: Fleet, hour: int) -> int:
    return month_of(hour) if fleet.over == "month" else hour


def _settled_idle(fleet: Fleet, period: int, lines: Lines, hours: list[int]) -> Moves:
    found: Moves = {}
    for pool in {line.pool for line in lines if line.pool}:
        here = {line: measure for line, measure in lines.items() if line.pool == pool}
        idle = sum(measure.nano or 0 for line, measure in here.items() if line.payer.team == "__idle__")
        workload = _by_team(here, "workload")
        if fleet.idle == "proportional":
            parts = split(idle, _positive(workload))
        elif fleet.idle == "even":
            parts = split(idle, dict.fromkeys(_users(here), 1))
        elif fleet.idle == "entitlement":
            cost = sum(measure.nano or 0 for line, measure in here.items() if line.cause not in UNUSED)
            parts = entitled(fleet, pool, hours, workload, cost=cost, idle=idle)
        else:
            parts = {}
        found |= _moves(period, "__idle__", pool, "idle", "", parts)
    return found


def entitled(
    fleet: Fleet, pool: str, hours: list[int], workload: Mapping[str, int], *, cost: int, idle: int
) -> dict[str, int]:
    """What holders of reservations bear: what they reserved of the pool's cost and did not use, as far as there is idle."""
    paid = sum(paid_us(fleet, pool, hour) for hour in hours)
    reserved: dict[str, int] = defaultdict(int)
    for entry in fleet.entitlements:
        if entry.pool == pool:
            reserved[entry.team] += sum(entitled_us(fleet, entry, hour) for hour in hours)
    unused = {team: max(0, cost * us // paid - workload.get(team, 0)) for team, us in reserved.items()} if paid else {}
    return split(idle, unused) if sum(unused.values()) > idle else unused


def entitled_us(fleet: Fleet, entry: Entitlement, hour: int) -> int:
    """GPU-microseconds of a reservation in an hour, while the pool is there."""
    return sum(
        entry.gpus * shared_us(hour_range(hour), entry.during, p.during) for p in fleet.pools if p.id == entry.pool
    )


def _settled_shared(fleet: Fleet, period: int, lines: Lines, idle: Moves) -> Moves:
    charged = _by_team(lines, None)
    for move, cost in idle.items():
        charged[move.team] = charged.get(move.team, 0) + cost
    found: Moves = {}
    for shared in {shared.id: shared for shared in fleet.shared_costs}.values():
        amount = sum(
            measure.nano or 0
            for line, measure in lines.items()
            if line.payer.team == "__overhead__" and line.cause == shared.id
        )
        if shared.policy == "proportional":
            weights = _positive(charged)
        elif shared.policy == "even":
            weights = dict.fromkeys(_users(lines), 1)
        else:
            scale = lcm(*(share.denominator for _, share in shared.shares))
            weights = {team: int(share * scale) for team, share in shared.shares}
        found |= _moves(period, "__overhead__", "", "overhead", shared.id, split(amount, weights))
    return found


def _moves(period: int, source: str, pool: str, cost_kind: str, shared_cost: str, parts: Mapping[str, int]) -> Moves:
    rows = {Move(period, team, pool, cost_kind, shared_cost): cost for team, cost in parts.items()}
    return {**rows, Move(period, source, pool, cost_kind, shared_cost): -sum(parts.values())}


def _by_team(lines: Lines, cost_kind: str | None) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for line, measure in lines.items():
        if bears(line.payer.team) and cost_kind in {None, line.cost_kind}:
            found[line.payer.team] += measure.nano or 0
    return dict(found)


def _users(lines: Lines) -> set[str]:
    return {line.payer.team for line, measure in lines.items() if measure.tokens and bears(line.payer.team)}


def _positive(weights: Mapping[str, int]) -> dict[str, int]:
    return {team: weight for team, weight in weights.items() if weight > 0 and bears(team)}


def plus(before: Measure | None, added: Measure) -> Measure:
    """Two measures of one line; what is unknown or unpriced stays so."""
    if before is None:
        return added
    tokens = None if before.tokens is None else before.tokens + (added.tokens or 0)
    nano = None if before.nano is None else before.nano + (added.nano or 0)
    return Measure(tokens, nano)
