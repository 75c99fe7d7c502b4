"""What usage of others' models cost: tokens x the price in force when it happened, or why there is none.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from tests.oracle_coverage import in_force
from tests.oracle_fleet import KINDS, PREFILL, Fleet
from tests.oracle_price_list import Price, in_part_of_day
from tests.oracle_tokens import fits
from tests.oracle_units import DAY_US, hour_of, instant
from tests.oracle_usage import Consumer, Record, caller, landed, metered, served_model

PICO_A_NANO = 1000
ANY_TIER = "*"
ALL_DAY = (0, DAY_US)


class External(NamedTuple):
    """What tells one line of external usage from another."""

    hour: int
    who: Consumer
    cause: str
    kind: str


def priced(fleet: Fleet, events: Iterable[Record]) -> dict[External, tuple[int, int | None]]:
    """Tokens and nano of every line; the nano of a line are rounded once, half to even, and None where a cause is named."""
    tokens: dict[External, int] = defaultdict(int)
    exact: dict[External, Fraction] = defaultdict(Fraction)
    for event in metered(fleet, landed(events)):
        if event.get("provider", "self") == "self":
            continue
        at = instant(event["occurred_at"])
        model = served_model(fleet, event["model"], hour_of(at))
        who = Consumer(event["provider"], model, caller(fleet, event), event.get("tier", ""))
        for kind in KINDS:
            count = event.get(f"{kind}_tokens", 0)
            if count:
                found = price(fleet, event, model, kind, at)
                line = External(hour_of(at), who, found if isinstance(found, str) else "", kind)
                tokens[line] += count
                exact[line] += 0 if isinstance(found, str) else count * found / PICO_A_NANO
    return {line: (count, None if line.cause else round(exact[line])) for line, count in tokens.items()}


def price(fleet: Fleet, event: Record, model: str, kind: str, at: int) -> Fraction | str:
    """Pico-units of the billing currency for a token, or the cause of there being no price."""
    known = [
        row
        for row in fleet.prices
        if fits(row.provider, event["provider"]) and fits(row.model, model) and in_force(row.during, at)
    ]
    if not known:
        return "no_price"
    of_tier = [row for row in known if row.tier in {event.get("tier", ""), ANY_TIER}]
    if not of_tier:
        return "no_tier"
    prompt = sum(event.get(f"{name}_tokens", 0) for name in PREFILL)
    fitting = [row for row in of_tier if prompt_fits(row, prompt) and in_part_of_day(row.daily, at)]
    if not fitting:
        return "no_condition"
    row = best(fitting)
    if kind not in dict(row.pico):
        return "no_kind"
    rates = [
        rate.rate for rate in fleet.bought.exchanges if rate.currency == row.currency and in_force(rate.during, at)
    ]
    if row.currency and not rates:
        return "no_fx"
    return dict(row.pico)[kind] * (rates[0] if row.currency else Fraction(1))


def prompt_fits(row: Price, prompt: int) -> bool:
    """Whether a row prices requests of this length: above its threshold, which is not part of it; 0 prices any."""
    return row.above == 0 or prompt > row.above


def best(fitting: list[Price]) -> Price:
    """Of rows that fit a request: those written for the models of the first, then its own tier before any tier, the highest
    threshold, a part of the day before all day, and the first written."""
    alike = [row for row in fitting if (row.provider, row.model) == (fitting[0].provider, fitting[0].model)]
    return min(alike, key=lambda row: (row.tier == ANY_TIER, -row.above, row.daily == ALL_DAY))
