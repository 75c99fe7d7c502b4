"""Prices of external providers in the notation of `facts`, and an independent reckoning of what usage costs by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from apportion.ledger.connection import Session
from tests.steps.metering.facts import FOREVER, HOUR, KINDS, PREFILL, Event, moment

DAY = 24 * HOUR
STANDARD = {"", "standard", "default", "on_demand"}

Line = tuple[int, str, str, str, str, str, str]
"""Hour, provider, model, principal, tier, token kind, cause."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """A row of the book; `pico` are 1e-12 of the currency per token by kind, and a kind that is left out has no price."""

    pico: tuple[tuple[str, int], ...]
    provider: str = "openai"
    model: str = "m"
    tier: str = ""
    above: int = 0
    daily: tuple[int, int] = (0, DAY)
    currency: str = ""
    confidence: str = "measured"
    source: str = "override"
    version: str = ""
    rank: int = 1
    start: int = 0
    end: int = FOREVER


@dataclass(frozen=True, kw_only=True)
class Fx:
    """Billing currency in nano for one unit of another."""

    currency: str
    nano: int
    start: int = 0
    end: int = FOREVER


def write(session: Session, prices: Iterable[Price], fx: Iterable[Fx]) -> None:
    """Put prices and rates in the book; patterns are names here, but where a test writes one."""
    for number, price in enumerate(prices, 1):
        pico = [dict(price.pico).get(kind) for kind in KINDS]
        row = [
            number, price.provider, price.model, price.tier, price.above, *price.daily, *pico, "", price.currency, price.source,
            price.version, price.confidence, price.rank, moment(price.start), moment(price.end),
        ]  # fmt: skip
        session.do(f"INSERT INTO book.price VALUES ({', '.join('?' * len(row))})", row)
    for rate in fx:
        session.do(
            "INSERT INTO book.fx (currency, fx_nano, effective_from, effective_to) VALUES (?, ?, ?, ?)",
            [rate.currency, rate.nano, moment(rate.start), moment(rate.end)],
        )


def reckoned(
    events: Sequence[Event], prices: Sequence[Price], fx: Sequence[Fx]
) -> dict[Line, tuple[int, Fraction | None]]:
    """Tokens of every line, and its exact cost in nano; None where it has no price."""
    tokens: defaultdict[Line, int] = defaultdict(int)
    nano: defaultdict[Line, Fraction] = defaultdict(Fraction)
    for e in (e for e in events if e.provider != "self"):
        for kind, count in e.tokens:
            cause, price = _price(e, kind, prices, fx)
            line = (e.at - e.at % HOUR, e.provider, e.model, e.principal, e.tier, kind, cause)
            if count:
                tokens[line] += count
                nano[line] += count * price / 1000
    return {line: (count, None if line[6] else nano[line]) for line, count in tokens.items()}


def _price(e: Event, kind: str, prices: Sequence[Price], fx: Sequence[Fx]) -> tuple[str, Fraction]:
    nothing = Fraction(0)
    prompt = sum(count for other, count in e.tokens if other in PREFILL)
    known = [
        row for row in prices if (row.provider, row.model) == (e.provider, e.model) and row.start <= e.at < row.end
    ]
    speaking = [
        (price.rank, price.tier == "*", -price.above, price.daily == (0, DAY), number, price)
        for number, price in enumerate(prices)
        if (price.provider, price.model) == (e.provider, e.model)
        and price.start <= e.at < price.end
        and (not price.above or prompt > price.above)
        and _of_day(e.at % DAY, *price.daily)
    ]
    tier = "" if e.tier in STANDARD else e.tier
    fitting = sorted(found[:5] for found in speaking if found[5].tier in {"*", tier})
    if not fitting:
        of_tier = any(row.tier in {"*", tier} for row in known)
        return ("no_condition" if of_tier else "no_tier" if known else "no_price"), nothing
    chosen = prices[fitting[0][4]]
    pico = dict(chosen.pico).get(kind)
    if pico is None:
        return "no_kind", nothing
    if not chosen.currency:
        return "", Fraction(pico)
    rates = [rate.nano for rate in fx if rate.currency == chosen.currency and rate.start <= e.at < rate.end]
    return ("", Fraction(pico * rates[0], 10**9)) if rates else ("no_fx", nothing)


def _of_day(us: int, start: int, end: int) -> bool:
    return start <= us < end if start < end else us >= start or us < end
