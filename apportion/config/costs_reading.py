"""Read the rate card, and `[[fx]]`, `[[discounts]]`, `[[commitments]]`, `[[assets]]` and `[[credits]]`, each row by itself."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from apportion.config import costs, fleet, values
from apportion.config.commitments_reading import commitment
from apportion.config.costs import Asset, Commitment, Costs, Credit, Discount, Fx
from apportion.config.fleet import Rate
from apportion.config.rows import GPUS_MAX, currency_of, ending_of, pools_of
from apportion.config.tables import Placed, Table, each
from apportion.domain.money import nano

FX_MAX: Final = 1_000_000
"""Billing units for one unit: beyond any pair of currencies, and inside the arithmetic of 128 bits."""
LIFE_MONTHS_MAX: Final = 1200
RATE_MAX: Final = 1
"""100 % a year; "8" for 8 % is the usual slip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedCosts:
    """Every sound row with its place.

    Attributes:
        fx: exchange rates.
        discounts: on the rate card.
        commitments: reservations and savings plans.
        assets: owned hardware.
        credits: paid by others.
    """

    fx: list[Placed[Fx]]
    discounts: list[Placed[Discount]]
    commitments: list[Placed[Commitment]]
    assets: list[Placed[Asset]]
    credits: list[Placed[Credit]]

    def items(self) -> Costs:
        """The rows without their places."""
        return Costs(
            fx=tuple(row.item for row in self.fx),
            discounts=tuple(row.item for row in self.discounts),
            commitments=tuple(row.item for row in self.commitments),
            assets=tuple(row.item for row in self.assets),
            credits=tuple(row.item for row in self.credits),
        )


def read(root: Table) -> PlacedCosts:
    """The cost tables of a config, without the rate card."""
    return PlacedCosts(
        fx=each(root, "fx", _fx),
        discounts=each(root, "discounts", _discount),
        commitments=each(root, "commitments", commitment),
        assets=each(root, "assets", _asset),
        credits=each(root, "credits", _credit),
    )


def rate(table: Table) -> Rate:
    """A row of the rate card."""
    units = [unit for unit in fleet.RATE_UNITS if table.has(f"per_{unit}")]
    known = ", ".join(f"per_{unit}" for unit in fleet.RATE_UNITS)
    if len(units) != 1:
        written = f"has {' and '.join(f'per_{unit}' for unit in units)}" if units else "has no price"
        table.wrong("", f"{written}; write one of {known}")
    for unit in units[1:]:
        table.raw(f"per_{unit}")
    price = table.amount(f"per_{units[0]}") if units else 0
    return Rate(
        pool=table.name("pool"),
        component=table.choice("component", fleet.COMPONENTS),
        unit=units[0] if units else fleet.RATE_UNITS[0],
        price_nano=price,
        list_nano=table.read("list", values.amount, price),
        purchase=table.choice("purchase", fleet.PURCHASES, "on_demand"),
        currency=currency_of(table),
        source=table.text("source", ""),
        effective=table.period(),
    )


def _fx(table: Table) -> Fx:
    return Fx(
        currency=table.require("currency", values.currency, ""),
        rate=table.require("rate", _exchange, Decimal(1)),
        effective=table.period(),
    )


def _exchange(value: object) -> Decimal:
    number = values.exact(value, 9)
    if not 0 < number <= FX_MAX:
        msg = f"is {number}; write units of the billing currency for one unit of it, above 0 and up to {FX_MAX}"
        raise ValueError(msg)
    return number


def _discount(table: Table) -> Discount:
    components = table.names("components") or ("accelerator",)
    for component in components:
        if component not in fleet.COMPONENTS:
            table.wrong("components", f"holds {component!r}; write some of {', '.join(fleet.COMPONENTS)}")
    return Discount(
        pools=pools_of(table),
        components=components,
        percent=table.require("percent", _percent, Decimal(0)),
        effective=table.period(),
    )


def _percent(value: object) -> Decimal:
    number = values.exact(value, 6)
    if number > 100:  # noqa: PLR2004 - the whole
        msg = f"is {number}; write a percentage from 0 to 100"
        raise ValueError(msg)
    return number


def _asset(table: Table) -> Asset:
    capex = table.amount("capex")
    residual = table.read("residual", values.amount, 0)
    if residual > capex:
        table.wrong("residual", "is more than capex; write what the hardware is worth at the end of its life")
    method = table.choice("method", costs.DEPRECIATIONS, "straight_line")
    if method == "straight_line" and table.has("annual_rate"):
        table.wrong("annual_rate", 'is only for method = "annuity"; remove it, or change the method')
    annuity = method == "annuity"
    return Asset(
        id=table.name("id"),
        pool=table.name("pool"),
        gpus=table.integer("gpus", 1, GPUS_MAX),
        capex_nano=capex,
        residual_nano=residual,
        life_months=table.integer("life_months", 1, LIFE_MONTHS_MAX),
        method=method,
        annual_rate=table.require("annual_rate", _annual, Decimal(0)) if annuity else _unread(table, "annual_rate"),
        maintenance_per_year_nano=table.read("maintenance_per_year", values.amount, 0),
        colocation_per_month_nano=table.read("colocation_per_month", values.amount, 0),
        currency=currency_of(table),
        effective=table.period(),
    )


def _unread(table: Table, key: str) -> Decimal:
    table.raw(key)
    return Decimal(0)


def _annual(value: object) -> Decimal:
    number = values.exact(value, 9)
    if number > RATE_MAX:
        msg = f'is {number}; write a fraction of a year\'s cost of capital, such as "0.08" for 8 %'
        raise ValueError(msg)
    return number


def _credit(table: Table) -> Credit:
    return Credit(
        id=table.name("id"),
        amount_nano=table.amount("amount"),
        pools=pools_of(table),
        effective=ending_of(table, "a credit is spread over its range"),
    )


def percent_e8(percent: Decimal) -> int:
    """A percentage in 1e-8 of the whole, exactly."""
    return nano(percent) // 1000
