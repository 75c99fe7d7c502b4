"""What GPUs were bought for, as the oracle sees it: rate cards, discounts, currencies, commitments, assets and credits.

Part of the oracle (see `oracle.py`): the standard library only, nothing of the product. Amounts are integer nano of their own
currency, which is empty where it is the ledger's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from tests.oracle_units import NANO, PPM, Range, during, months_after, nano, scaled

UNITS = ("per_gpu_hour", "per_gpu_second", "per_month", "per_year", "per_kwh")
SECONDS_AN_HOUR = 3600
MONTHS_A_YEAR = 12
ANNUITY_DIGITS = 50


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A price of one component: of a GPU's hour, of the pool's calendar month or year, or of a kilowatt-hour."""

    pool: str
    component: str
    per: str
    price: int
    listed: int
    currency: str
    pue_ppm: int
    watts: int | None
    during: Range


@dataclass(frozen=True, kw_only=True)
class Discount:
    """What a negotiated discount leaves of the prices of pools and components."""

    pools: tuple[str, ...]
    components: tuple[str, ...]
    left: Fraction
    during: Range


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Billing units per unit of a currency."""

    currency: str
    rate: Fraction
    during: Range


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """GPUs reserved (`gpus`, `upfront`, `per_gpu_hour`) or spending promised (`per_hour`, `rates`, of which `upfront` and `recurring` are paid) for a term."""

    id: str
    kind: str
    pools: tuple[str, ...]
    gpus: int
    upfront: int
    per_gpu_hour: int
    per_hour: int
    recurring: int
    rates: tuple[tuple[str, int], ...]
    currency: str
    during: Range


@dataclass(frozen=True, kw_only=True)
class Asset:
    """Owned GPUs of a pool, from their start in service on; value and interest are written off over `life`."""

    id: str
    pool: str
    gpus: int
    depreciated: int
    interest: int
    maintenance_per_year: int
    colocation_per_month: int
    currency: str
    life: Range
    during: Range


@dataclass(frozen=True, kw_only=True)
class Credit:
    """An amount given for the costs of pools, spread over its range."""

    id: str
    amount: int
    pools: tuple[str, ...]
    during: Range


@dataclass(frozen=True, kw_only=True)
class Purchases:
    """All of it, each kind in the order written."""

    rates: tuple[Rate, ...]
    discounts: tuple[Discount, ...]
    exchanges: tuple[Exchange, ...]
    commitments: tuple[Commitment, ...]
    assets: tuple[Asset, ...]
    credits: tuple[Credit, ...]

    def edges(self) -> set[int]:
        """Every time at which one of them begins or ends to cost something else; credits are of whole hours."""
        tables = (self.rates, self.discounts, self.exchanges, self.commitments, self.assets)
        lives = {edge for asset in self.assets for edge in asset.life}
        return {edge for table in tables for entry in table for edge in entry.during} | lives


def purchases(document: Mapping[str, Any]) -> Purchases:
    """What a valid config document says was bought."""
    billing = document.get("ledger", {}).get("billing_currency", "USD")

    def tables(name: str) -> Iterable[Mapping[str, Any]]:
        found: Iterable[Mapping[str, Any]] = document.get(name, ())
        return found

    def currency(entry: Mapping[str, Any]) -> str:
        named = str(entry.get("currency", billing))
        return "" if named == billing else named

    return Purchases(
        rates=tuple(_rate(entry, currency(entry)) for entry in tables("rates")),
        discounts=tuple(_discount(entry) for entry in tables("discounts")),
        exchanges=tuple(
            Exchange(currency=entry["currency"], rate=Fraction(Decimal(entry["rate"])), during=during(entry))
            for entry in tables("fx")
        ),
        commitments=tuple(_commitment(entry, currency(entry)) for entry in tables("commitments")),
        assets=tuple(_asset(entry, currency(entry)) for entry in tables("assets")),
        credits=tuple(
            Credit(id=entry["id"], amount=nano(entry["amount"]), pools=tuple(entry["pools"]), during=during(entry))
            for entry in tables("credits")
        ),
    )


def _rate(entry: Mapping[str, Any], currency: str) -> Rate:
    (unit,) = (unit for unit in UNITS if unit in entry)
    scale = SECONDS_AN_HOUR if unit == "per_gpu_second" else 1
    price = entry[unit]
    return Rate(
        pool=entry["pool"],
        component=entry["component"],
        per="per_gpu_hour" if unit == "per_gpu_second" else unit,
        price=nano(price) * scale,
        listed=nano(entry.get("list", price)) * scale,
        currency=currency,
        pue_ppm=scaled(entry.get("pue", 1), PPM),
        watts=entry.get("watts_per_gpu"),
        during=during(entry),
    )


def _discount(entry: Mapping[str, Any]) -> Discount:
    return Discount(
        pools=tuple(entry["pools"]),
        components=tuple(entry.get("components", ["accelerator"])),
        left=1 - Fraction(Decimal(entry["percent"])) / 100,
        during=during(entry),
    )


def _commitment(entry: Mapping[str, Any], currency: str) -> Commitment:
    return Commitment(
        id=entry["id"],
        kind=entry["kind"],
        pools=tuple(entry["pools"]),
        gpus=entry.get("gpus", 0),
        upfront=nano(entry.get("upfront", 0)),
        per_gpu_hour=nano(entry.get("per_gpu_hour", 0)),
        per_hour=nano(entry.get("per_hour", 0)),
        recurring=nano(entry.get("recurring_per_hour", entry.get("per_hour", 0))),
        rates=tuple((pool, nano(price)) for pool, price in entry.get("rates", {}).items()),
        currency=currency,
        during=during(entry),
    )


def _asset(entry: Mapping[str, Any], currency: str) -> Asset:
    start, months = during(entry)[0], entry["life_months"]
    capex, residual = Decimal(entry["capex"]), Decimal(entry.get("residual", 0))
    lost = nano(capex) - nano(residual)
    annuity = entry.get("method", "straight_line") == "annuity"
    return Asset(
        id=entry["id"],
        pool=entry["pool"],
        gpus=entry["gpus"],
        depreciated=lost,
        interest=payments(capex, residual, Decimal(entry["annual_rate"]), months) - lost if annuity else 0,
        maintenance_per_year=nano(entry.get("maintenance_per_year", 0)),
        colocation_per_month=nano(entry.get("colocation_per_month", 0)),
        currency=currency,
        life=(start, months_after(start, months)),
        during=during(entry),
    )


def payments(capex: Decimal, residual: Decimal, annual_rate: Decimal, months: int) -> int:
    """All payments of an annuity in nano, half to even: monthly interest at a twelfth of the year's, paid at each month's end."""
    with localcontext() as context:
        context.prec = ANNUITY_DIGITS
        monthly = annual_rate / MONTHS_A_YEAR
        later = (1 + monthly) ** -months
        payment = (capex - residual * later) * monthly / (1 - later)
        return round(Fraction(payment * months) * NANO)
