"""What GPUs cost beyond plain prices, as rows of `book`: coverage is worked out, and what is fixed at purchase converted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

from apportion.config.costs import Asset, Commitment, Credit
from apportion.config.costs_reading import percent_e8
from apportion.config.model import Config
from apportion.domain.coverage import cover
from apportion.domain.effective import in_force
from apportion.domain.money import NANO, half_even, nano
from apportion.domain.ownership import financing, months_after
from apportion.domain.period import Period
from apportion.ledger.book_tables import RANGE, BookTable
from apportion.ledger.connection import Row

RATE: Final = BookTable(
    name="book.rate",
    columns={
        "pool_id": "VARCHAR", "component": "VARCHAR", "unit": "VARCHAR", "price_nano": "BIGINT", "list_nano": "BIGINT",
        "purchase": "VARCHAR", "currency": "VARCHAR", "source": "VARCHAR", **RANGE,
    },
    metered=("pool_id", "component", "unit", "price_nano", "list_nano", "currency"),
)  # fmt: skip
FX: Final = BookTable(
    name="book.fx", columns={"currency": "VARCHAR", "fx_nano": "BIGINT", **RANGE}, metered=("currency", "fx_nano")
)
DISCOUNT: Final = BookTable(
    name="book.discount",
    columns={"pool_id": "VARCHAR", "component": "VARCHAR", "discount_e8": "BIGINT", **RANGE},
    metered=("pool_id", "component", "discount_e8"),
)
# A life, and a range that an amount is spread over, are part of what an hour of it costs.
COMMITMENT: Final = BookTable(
    name="book.commitment",
    columns={
        "commitment_id": "VARCHAR", "kind": "VARCHAR", "pool_id": "VARCHAR", "gpus": "INTEGER", "upfront_nano": "BIGINT",
        "upfront_in_currency_nano": "BIGINT", "per_gpu_hour_nano": "BIGINT", "per_hour_nano": "BIGINT",
        "recurring_per_hour_nano": "BIGINT", "currency": "VARCHAR", **RANGE,
    },
    metered=(
        "commitment_id", "kind", "pool_id", "gpus", "upfront_nano", "upfront_in_currency_nano", "per_gpu_hour_nano",
        "per_hour_nano", "recurring_per_hour_nano", "currency",
    ),
    spread=("upfront_nano", "upfront_in_currency_nano"),
)  # fmt: skip
COVERAGE: Final = BookTable(
    name="book.coverage",
    columns={"evidence": "VARCHAR", "pool_id": "VARCHAR", "gpus": "INTEGER", **RANGE},
    metered=("evidence", "pool_id", "gpus"),
)
SAVINGS: Final = BookTable(
    name="book.savings",
    columns={
        "commitment_id": "VARCHAR", "pool_id": "VARCHAR", "gpus": "INTEGER", "rate_nano": "BIGINT",
        "used_per_hour_nano": "BIGINT", "rest_per_hour_nano": "BIGINT", **RANGE,
    },
    metered=("commitment_id", "pool_id", "gpus", "rate_nano", "used_per_hour_nano", "rest_per_hour_nano"),
)  # fmt: skip
ASSET: Final = BookTable(
    name="book.asset",
    columns={
        "asset_id": "VARCHAR", "pool_id": "VARCHAR", "gpus": "INTEGER", "depreciation_nano": "BIGINT",
        "depreciation_in_currency_nano": "BIGINT", "financing_nano": "BIGINT", "financing_in_currency_nano": "BIGINT",
        "maintenance_per_year_nano": "BIGINT", "colocation_per_month_nano": "BIGINT", "currency": "VARCHAR",
        "life_to": "TIMESTAMP", **RANGE,
    },
    metered=(
        "asset_id", "pool_id", "gpus", "depreciation_nano", "depreciation_in_currency_nano", "financing_nano",
        "financing_in_currency_nano", "maintenance_per_year_nano", "colocation_per_month_nano", "currency", "life_to",
        "effective_from",
    ),
)  # fmt: skip
CREDIT: Final = BookTable(
    name="book.credit",
    columns={
        "credit_id": "VARCHAR", "round_no": "INTEGER", "pool_id": "VARCHAR", "pool_order": "INTEGER",
        "amount_nano": "BIGINT", **RANGE,
    },
    metered=("credit_id", "round_no", "pool_id", "pool_order", "amount_nano"),
    spread=("amount_nano",),
)  # fmt: skip

TABLES: Final = (RATE, FX, DISCOUNT, COMMITMENT, COVERAGE, SAVINGS, ASSET, CREDIT)


def rows(config: Config) -> dict[str, list[Row]]:
    """Rows of every table of this module by its name, in no order."""
    costs = config.costs
    covered, saved = cover(config.pools, costs.covers(), costs.plans())
    return {
        RATE.name: [
            (
                rate.pool, rate.component, rate.unit, rate.price_nano, rate.list_nano, rate.purchase,
                _foreign(config, rate.currency), rate.source, *_range(rate.effective),
            )
            for rate in config.rates
        ],
        FX.name: [(fx.currency, nano(fx.rate), *_range(fx.effective)) for fx in costs.fx],
        DISCOUNT.name: [
            (pool, component, percent_e8(discount.percent), *_range(discount.effective))
            for discount in costs.discounts
            for pool in discount.pools
            for component in discount.components
        ],
        COMMITMENT.name: [_commitment(config, commitment) for commitment in costs.commitments],
        COVERAGE.name: [(row.evidence, row.pool, row.gpus, *_range(row.effective)) for row in covered],
        SAVINGS.name: [
            (row.id, row.pool, row.gpus, row.rate, row.used, row.rest, *_range(row.effective)) for row in saved
        ],
        ASSET.name: [_asset(config, asset) for asset in costs.assets],
        CREDIT.name: [
            (credit.id, number, pool, place, credit.amount_nano, *_range(credit.effective))
            for credit, number in zip(costs.credits, _rounds(costs.credits), strict=True)
            for place, pool in enumerate(credit.pools, 1)
        ],
    }  # fmt: skip


def _rounds(ordered: Sequence[Credit]) -> list[int]:
    """A number for each credit: above those of all before it that may pay for the same pool."""
    last: dict[str, int] = {}
    found = []
    for credit in ordered:
        found.append(1 + max(last.get(pool, 0) for pool in credit.pools))
        last |= dict.fromkeys(credit.pools, found[-1])
    return found


def _commitment(config: Config, row: Commitment) -> Row:
    convert = _at_start(config, row.currency, row.effective)
    return (
        row.id, row.kind, row.pools[0], row.gpus, convert(row.upfront_nano), row.upfront_nano, row.per_gpu_hour_nano,
        row.per_hour_nano, row.recurring_per_hour_nano, _foreign(config, row.currency), *_range(row.effective),
    )  # fmt: skip


def _asset(config: Config, row: Asset) -> Row:
    convert = _at_start(config, row.currency, row.effective)
    depreciation = row.capex_nano - row.residual_nano
    capital = financing(row.capex_nano, row.residual_nano, row.life_months, row.annual_rate)
    return (
        row.id, row.pool, row.gpus, convert(depreciation), depreciation, convert(capital), capital,
        row.maintenance_per_year_nano, row.colocation_per_month_nano, _foreign(config, row.currency),
        months_after(row.effective.start, row.life_months), *_range(row.effective),
    )  # fmt: skip


def _foreign(config: Config, currency: str | None) -> str:
    return "" if currency in {None, config.ledger.billing_currency} else str(currency)


def _at_start(config: Config, currency: str | None, effective: Period) -> Callable[[int], int]:
    """Converts what is fixed at purchase: it stays what it cost then, so that a term adds up whatever rates do later."""
    code = _foreign(config, currency)
    fx = in_force([fx for fx in config.costs.fx if fx.currency == code], effective.start) if code else None
    rate = nano(fx.rate) if fx else NANO
    return lambda amount: half_even(Fraction(amount * rate, NANO))


def _range(effective: Period) -> Row:
    return effective.start, effective.end
