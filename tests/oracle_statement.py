"""A month as it is charged: its hours' lines added up, what was settled, and what a token costs.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tests.oracle import Measure
from tests.oracle_fleet import DECODE, Fleet
from tests.oracle_month import Line, Lines, Moves, Payer, bears, plus, team_payer
from tests.oracle_units import month_hours, month_of, split

Priced = tuple[int, str, str, str]
"""Month, team, model and token kind."""


def statement(fleet: Fleet, lines: Lines, moves: Moves) -> Lines:
    """Every line of every month: hour charges of teams added up, and one line for what each was made to bear."""
    found: Lines = {}
    for line, measure in lines.items():
        month = line._replace(period=month_of(line.period))
        found[month] = plus(found.get(month), measure)
    known = _known_payers(found)
    for move, cost in moves.items():
        month_start = month_of(move.period)
        payer = known.get((month_start, move.team)) or _unseen_payer(fleet, month_start, move.team)
        settled = Line(
            month_start, payer, "self" if move.pool else "", "", move.pool, "", "", move.cost_kind, "settled", ""
        )
        found[settled] = plus(found.get(settled), Measure(None, cost))
    return found


def _known_payers(lines: Lines) -> dict[tuple[int, str], Payer]:
    """Each team of a month as a whole: its name and cost center where its lines agree on one, and no project."""
    names: dict[tuple[int, str], set[str]] = defaultdict(set)
    centers: dict[tuple[int, str], set[str]] = defaultdict(set)
    for line in lines:
        names[line.period, line.payer.team].add(line.payer.team_name)
        centers[line.period, line.payer.team].add(line.payer.cost_center)
    return {key: Payer(key[1], _only(names[key]), "", _only(centers[key])) for key in names}


def _unseen_payer(fleet: Fleet, month: int, team: str) -> Payer:
    """A team that was charged nothing by the hours: as the directory knows it in that month."""
    start, end = month, month_hours(month).stop
    return team_payer(fleet, team, [rule for rule in fleet.rules if rule.during[0] < end and start < rule.during[1]])


def _only(found: set[str]) -> str:
    return next(iter(found)) if len(found) == 1 else ""


def unit_costs(month_lines: Lines) -> dict[tuple[int, str, str, str, str], tuple[int, int]]:
    """Cost and tokens by month, team, model, token kind and basis, of tokens that have a price.

    Basis `usage` is what tokens cost, `allocation` adds what the team bears beside them in proportion to what of that is workload, and
    `fully_loaded_output` puts all of that over output alone. Unlogged tokens have a price too; nobody bears anything beside them.
    """
    usage: dict[Priced, tuple[int, int]] = defaultdict(lambda: (0, 0))
    worked: dict[Priced, int] = defaultdict(int)
    beside: dict[tuple[int, str], int] = defaultdict(int)
    for line, measure in month_lines.items():
        if measure.nano is None:
            continue
        if measure.tokens:
            key = line.period, line.payer.team, line.model, line.token_kind
            usage[key] = usage[key][0] + measure.nano, usage[key][1] + measure.tokens
            worked[key] += measure.nano if line.cost_kind == "workload" else 0
        elif bears(line.payer.team):
            beside[line.period, line.payer.team] += measure.nano
    spread: dict[Priced, int] = {}
    for owner, cost in beside.items():
        spread |= split(cost, {key: nano for key, nano in worked.items() if key[:2] == owner})
    loaded = {key: (nano + spread.get(key, 0), tokens) for key, (nano, tokens) in usage.items()}
    return {
        **{(*key, "usage"): parts for key, parts in usage.items()},
        **{(*key, "allocation"): parts for key, parts in loaded.items()},
        **_over_output(loaded),
    }


def _over_output(loaded: Mapping[Priced, tuple[int, int]]) -> dict[tuple[int, str, str, str, str], tuple[int, int]]:
    found: dict[tuple[int, str, str, str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (month, team, model, kind), (nano, tokens) in loaded.items():
        key = month, team, model, "output", "fully_loaded_output"
        found[key] = found[key][0] + nano, found[key][1] + (tokens if kind in DECODE else 0)
    return {key: parts for key, parts in found.items() if parts[1]}
