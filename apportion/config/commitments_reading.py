"""Read `[[commitments]]`, each row by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apportion.config import costs, values
from apportion.config.costs import Commitment
from apportion.config.rows import GPUS_MAX, currency_of, ending_of, pools_of
from apportion.config.tables import Table

_RESERVED: Final = ("gpus", "per_gpu_hour")
_SAVINGS: Final = ("per_hour", "recurring_per_hour", "rates")


def commitment(table: Table) -> Commitment:
    """A row of `[[commitments]]`: GPUs reserved, or spending promised, for a term."""
    kind = table.choice("kind", costs.COMMITMENT_KINDS)
    for key in _SAVINGS if kind == "reserved" else _RESERVED:
        if table.has(key):
            other = next(word for word in costs.COMMITMENT_KINDS if word != kind)
            table.raw(key)
            table.wrong(key, f'is only for kind = "{other}", and this is "{kind}"; remove it, or change the kind')
    reserved = kind == "reserved"
    if reserved and not (table.has("upfront") or table.has("per_gpu_hour")):
        table.wrong("", 'has no price; write upfront, per_gpu_hour or both ("0" where it is free)')
    pools = pools_of(table)
    per_hour, recurring = (0, 0) if reserved else _spend(table)
    return Commitment(
        id=table.name("id"),
        kind=kind,
        pools=pools,
        gpus=table.integer("gpus", 1, GPUS_MAX) if reserved else 0,
        upfront_nano=table.read("upfront", values.amount, 0),
        per_gpu_hour_nano=table.read("per_gpu_hour", values.amount, 0) if reserved else 0,
        per_hour_nano=per_hour,
        recurring_per_hour_nano=recurring,
        rates_nano={} if reserved else _savings_rates(table, pools),
        currency=currency_of(table),
        effective=ending_of(table, "a commitment has a term"),
    )


def _spend(table: Table) -> tuple[int, int]:
    """What a savings plan promises to spend in an hour, and what of it is paid in that hour."""
    promised = table.amount("per_hour")
    if table.has("upfront"):
        if not promised:
            table.wrong(
                "upfront", "is paid for a plan that promises to spend nothing; correct per_hour, or remove upfront"
            )
        return promised, table.amount("recurring_per_hour")
    if table.has("recurring_per_hour"):
        table.raw("recurring_per_hour")
        table.wrong(
            "recurring_per_hour", "is what an upfront payment leaves to be paid by the hour; add upfront, or remove it"
        )
    return promised, promised


def _savings_rates(table: Table, pools: tuple[str, ...]) -> Mapping[str, int]:
    if not table.has("rates"):
        table.wrong("rates", 'is missing; add rates = { POOL = "1.90" }, the discounted price of a GPU-hour')
        return {}
    rates = table.table("rates")
    found = {pool: rates.require(pool, _price, 1) for pool in rates.written()}
    for pool in sorted(set(found) - set(pools)):
        rates.wrong(pool, f"is not among pools; name it there, or remove it (pools are {', '.join(pools)})")
    for pool in pools:
        if pool not in found:
            table.wrong("rates", f'has no price for pool {pool!r}; add {pool} = "1.90", or remove it from pools')
    return found


def _price(value: object) -> int:
    price = values.amount(value)
    if not price:
        msg = "is 0, and a plan is used up in proportion to its price; write a price above zero"
        raise ValueError(msg)
    return price
