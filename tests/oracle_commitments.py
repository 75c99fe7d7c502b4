"""What commitments and assets cost in an hour, as the oracle sees it: used and unused, and what the card would have asked.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from tests.oracle_coverage import covered, exchange, in_force, segments, spent
from tests.oracle_fleet import Fleet
from tests.oracle_purchases import Asset, Commitment, Rate
from tests.oracle_units import HOUR_US, Range, hour_range, month_range, shared_us, split, spread, year_range

UNUSED = "unused_commitment"
UNUSED_ASSET = "unused_asset"


class Charge(NamedTuple):
    """What tells one origin charge of an hour from another."""

    pool: str
    component: str
    evidence: str
    currency: str
    cause: str


class Amounts(NamedTuple):
    """Nano of the billing currency, and of the row's own where it has another."""

    effective: int
    billed: int
    listed: int
    contracted: int
    in_currency: int | None


Rows = dict[Charge, Amounts]


def calendar_part(amount: int, per: str, segment: Range) -> int:
    """The part of a monthly or yearly amount in a segment, so that all parts of the month or year add up to it."""
    whole = month_range(segment[0]) if per == "per_month" else year_range(segment[0])
    return spread(amount, *whole, segment)


def left_of_price(fleet: Fleet, rate: Rate, at: int) -> Fraction:
    """What a discount leaves of a price."""
    left = [
        discount.left
        for discount in fleet.bought.discounts
        if rate.pool in discount.pools and rate.component in discount.components and in_force(discount.during, at)
    ]
    assert len(left) <= 1, "discounts overlap"
    return left[0] if left else Fraction(1)


class CardPrice(NamedTuple):
    """Of a GPU-hour, in the billing currency."""

    listed: Fraction
    contracted: Fraction


def card_price(fleet: Fleet, pool: str, at: int) -> CardPrice | None:
    """What the pool's card asks for a GPU-hour, publicly and after what was negotiated; None without a card."""
    for rate in fleet.bought.rates:
        of_gpus = rate.component == "accelerator" and rate.per == "per_gpu_hour"
        if of_gpus and rate.pool == pool and in_force(rate.during, at):
            fx = exchange(fleet, rate.currency, at)
            return CardPrice(rate.listed * fx, rate.price * left_of_price(fleet, rate, at) * fx)
    return None


def by_the_card(fleet: Fleet, pool: str, taken: Iterable[tuple[Range, Fraction]], effective: int) -> tuple[int, int]:
    """List and contracted cost of GPU-microseconds by segment: the card's, or the effective one where a part has no card."""
    listed, contracted, total = Fraction(0), Fraction(0), Fraction(0)
    for segment, gpu_us in taken:
        if not gpu_us:
            continue
        price = card_price(fleet, pool, segment[0])
        if price is None:
            return effective, effective
        total += gpu_us
        listed += price.listed * gpu_us / HOUR_US
        contracted += price.contracted * gpu_us / HOUR_US
    return (round(listed), round(contracted)) if total else (effective, effective)


def reserved(fleet: Fleet, hour: int) -> Rows:
    rows: Rows = {}
    for commitment in fleet.bought.commitments:
        if commitment.kind == "reserved" and shared_us(hour_range(hour), commitment.during):
            rows |= _of_reserved(fleet, hour, commitment)
    return rows


def _of_reserved(fleet: Fleet, hour: int, commitment: Commitment) -> Rows:
    upfront, upfront_own, recurring, recurring_own = 0, 0, Fraction(0), Fraction(0)
    paid = at_the_start(fleet, commitment, commitment.upfront)
    taken: dict[str, list[tuple[Range, Fraction]]] = defaultdict(list)
    term_us = 0
    for segment in segments(fleet, hour):
        if not in_force(commitment.during, segment[0]):
            continue
        us = segment[1] - segment[0]
        fee = Fraction(commitment.per_gpu_hour * commitment.gpus * us, HOUR_US)
        upfront += spread(paid, *commitment.during, segment)
        upfront_own += spread(commitment.upfront, *commitment.during, segment)
        recurring, recurring_own = recurring + in_billing(fleet, commitment, fee, segment), recurring_own + fee
        term_us += commitment.gpus * us
        for pool, gpus in covered(fleet, segment)[f"commitment/{commitment.id}"].items():
            taken[pool].append((segment, Fraction(gpus * us)))
    used = {pool: sum(int(us) for _, us in parts) for pool, parts in taken.items()}
    weights = {**used, "": term_us - sum(used.values())}
    effective = split(upfront + round(recurring), weights)
    own = split(upfront_own + round(recurring_own), weights)
    billed = split(round(recurring), weights)
    if in_force(hour_range(hour), commitment.during[0]):
        billed[commitment.pools[0] if commitment.pools[0] in used else ""] += paid
    return _commitment_rows(fleet, commitment, (effective, billed, own), taken)


def promised_spending(fleet: Fleet, hour: int) -> Rows:
    rows: Rows = {}
    for commitment in fleet.bought.commitments:
        if commitment.kind != "savings" or not shared_us(hour_range(hour), commitment.during):
            continue
        weights: dict[str, int] = defaultdict(int)
        taken: dict[str, list[tuple[Range, Fraction]]] = defaultdict(list)
        upfront, upfront_own, recurring, recurring_own = 0, 0, Fraction(0), Fraction(0)
        paid = at_the_start(fleet, commitment, commitment.upfront)
        for segment in segments(fleet, hour):
            if in_force(commitment.during, segment[0]):
                due = Fraction(commitment.recurring * (segment[1] - segment[0]), HOUR_US)
                upfront += spread(paid, *commitment.during, segment)
                upfront_own += spread(commitment.upfront, *commitment.during, segment)
                recurring, recurring_own = recurring + in_billing(fleet, commitment, due, segment), recurring_own + due
                weights[""] += spent(fleet, segment).left[commitment.id]
                for pool, nano_us in spent(fleet, segment).used[commitment.id].items():
                    weights[pool] += nano_us
                    taken[pool].append((segment, Fraction(nano_us, dict(commitment.rates)[pool])))
        effective, billed = split(upfront + round(recurring), weights), split(round(recurring), weights)
        if in_force(hour_range(hour), commitment.during[0]):
            billed[commitment.pools[0] if weights.get(commitment.pools[0]) else ""] += paid
        own = split(upfront_own + round(recurring_own), weights)
        rows |= _commitment_rows(fleet, commitment, (effective, billed, own), taken)
    return rows


def _commitment_rows(
    fleet: Fleet,
    commitment: Commitment,
    parts: tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]],
    taken: Mapping[str, list[tuple[Range, Fraction]]],
) -> Rows:
    """Rows of effective, billed and own amounts by pool; what nobody used is the first pool's."""
    effective, billed, own = parts
    rows: Rows = {}
    for pool, cost in effective.items():
        where, cause = (pool, "") if pool else (commitment.pools[0], UNUSED)
        listed, contracted = by_the_card(fleet, pool, taken[pool], cost) if pool else (cost, cost)
        row = Charge(where, "accelerator", f"commitment/{commitment.id}", commitment.currency, cause)
        rows[row] = Amounts(cost, billed[pool], listed, contracted, own[pool] if commitment.currency else None)
    return rows


def owned(fleet: Fleet, hour: int) -> Rows:
    """What assets cost in service: value, interest, maintenance and floor space, each for GPUs that the pool has and those it has not."""
    rows: Rows = {}
    for asset in fleet.bought.assets:
        exact: dict[str, tuple[Fraction, int]] = defaultdict(lambda: (Fraction(0), 0))
        taken: list[tuple[Range, Fraction]] = []
        weights = {asset.pool: 0, "": 0}
        for segment in segments(fleet, hour):
            if not in_force(asset.during, segment[0]):
                continue
            for component, (amount, own) in _asset_parts(fleet, asset, segment).items():
                exact[component] = exact[component][0] + amount, exact[component][1] + own
            us, gpus = segment[1] - segment[0], covered(fleet, segment)[f"asset/{asset.id}"].get(asset.pool, 0)
            taken.append((segment, Fraction(gpus * us)))
            weights[asset.pool] += gpus * us
            weights[""] += (asset.gpus - gpus) * us
        for component, (amount, own) in exact.items():
            costs, owns = split(round(amount), weights), split(own, weights)
            for pool, cost in costs.items():
                of_card = pool and component == "accelerator"
                listed, contracted = by_the_card(fleet, pool, taken, cost) if of_card else (cost, cost)
                row = Charge(asset.pool, component, f"asset/{asset.id}", asset.currency, "" if pool else UNUSED_ASSET)
                rows[row] = Amounts(cost, cost, listed, contracted, owns[pool] if asset.currency else None)
    return rows


def _asset_parts(fleet: Fleet, asset: Asset, segment: Range) -> dict[str, tuple[Fraction, int]]:
    """Nano of the billing currency and of the asset's own, by component."""
    found: dict[str, tuple[Fraction, int]] = {}
    for component, amount in (("accelerator", asset.depreciated), ("financing", asset.interest)):
        paid = at_the_start(fleet, asset, amount)
        found[component] = Fraction(spread(paid, *asset.life, segment)), spread(amount, *asset.life, segment)
    for component, amount, per in (
        ("maintenance", asset.maintenance_per_year, "per_year"),
        ("colocation", asset.colocation_per_month, "per_month"),
    ):
        part = calendar_part(amount, per, segment)
        found[component] = in_billing(fleet, asset, part, segment), part
    return found


def at_the_start(fleet: Fleet, bought: Commitment | Asset, amount: int) -> int:
    """What is paid once, in the billing currency: at the rate of the day on which the term or the service began."""
    return round(amount * exchange(fleet, bought.currency, bought.during[0])) if amount else 0


def in_billing(fleet: Fleet, bought: Commitment | Asset, amount: int | Fraction, segment: Range) -> Fraction:
    """What is due as time passes, in the billing currency."""
    return Fraction(amount) * exchange(fleet, bought.currency, segment[0]) if amount else Fraction(0)
