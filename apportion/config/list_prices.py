"""`catalog = "PROVIDER/KIND[/REGION][/PRODUCT][@DATE]"` in a rate: a public list price of the pool's GPU, named and never silent."""

from __future__ import annotations

from typing import Final

from apportion.catalog import prices
from apportion.catalog.prices import ListPrice
from apportion.config import values
from apportion.config.tables import Table, listed
from apportion.domain.period import FOREVER, Period

AMOUNTS: Final = ("per_gpu_hour", "per_gpu_second", "per_month", "per_year", "per_kwh", "list")
"""Keys that say a price themselves."""

_PURCHASES: Final = {"spot": "spot", "serverless": "serverless", "reserved_1y": "reserved", "rental_3y": "reserved"}
"""Kind of a list price -> how a rate calls that; what is missing is on demand."""


def resolved(root: Table, rate: Table) -> Table:
    """The rate with the price in place of its `catalog`; without that key, the rate itself.

    A price that is found is a warning with its source, date and confidence, so that nobody bills by it unawares. What cannot be
    resolved is a problem, and stands as a price of zero so that it is told once.
    """
    if not rate.has("catalog"):
        return rate
    row = {key: rate.raw(key) for key in rate.written() if key != "catalog"}
    found = _price(root, rate)
    evidence = {"source": found.citation, "purchase": _PURCHASES.get(found.kind, "on_demand")} if found else {}
    price = {"per_gpu_hour": str(found.usd_per_gpu_hour) if found else "0"}
    return Table({**evidence, **row, **price}, rate.where, rate.problems)


def _price(root: Table, rate: Table) -> ListPrice | None:
    beside = [key for key in AMOUNTS if rate.has(key)]
    if beside:
        rate.wrong("catalog", f"stands beside {beside[0]}, which is a price too; keep one")
        return None
    if rate.raw("component") != "accelerator":
        rate.wrong(
            "component",
            'is not "accelerator", and catalog prices are of whole GPU-hours; correct it, or write an amount',
        )
        return None
    gpu = _gpu(root, rate)
    reference = rate.text("catalog")
    if gpu is None or not reference:
        return None
    found = _found(rate, gpu, reference)
    return found if found and _payable(root, rate, found) else None


def _found(rate: Table, gpu: str, reference: str) -> ListPrice | None:
    listed_for = [price for price in prices.prices() if price.gpu == gpu]
    try:
        found = prices.matching(reference, listed_for)
    except ValueError as error:
        rate.wrong("catalog", str(error))
        return None
    if len(found) == 1:
        return found[0]
    if found:
        named = [f"{price.reference} ({price.usd_per_gpu_hour})" for price in found]
        rate.wrong(
            "catalog", f"is {reference!r}, which names {len(found)} prices of {gpu}; write one of {listed(named, 12)}"
        )
    elif listed_for:
        rate.wrong(
            "catalog",
            f"is {reference!r}, and no such price of {gpu} is listed; known are {listed(prices.nearest(reference, listed_for))}",
        )
    else:
        rate.wrong(
            "catalog",
            f"is {reference!r}, and no price of {gpu} is listed; write per_gpu_hour, or see `apportion rates list`",
        )
    return None


def _payable(root: Table, rate: Table, found: ListPrice) -> bool:
    """List prices are in USD; in another ledger the rate has to say so, and an exchange rate does the rest."""
    ledger = root.raw("ledger")
    billing = ledger.get("billing_currency") if isinstance(ledger, dict) else None
    currency = rate.raw("currency") if rate.has("currency") else billing
    if currency != prices.CURRENCY and isinstance(currency, str):
        rate.wrong(
            "catalog",
            f'is a price in {prices.CURRENCY}, and this rate is in {currency}; add currency = "{prices.CURRENCY}" and an [[fx]] rate',
        )
        return False
    rate.problems.warning(
        rate.place("catalog"),
        f"pool {rate.raw('pool')!r} is charged a public list price: {found.citation}; write what you pay as per_gpu_hour",
    )
    return True


def _gpu(root: Table, rate: Table) -> str | None:
    """The one GPU of the rate's pool while it is in force; None where that is a problem, here or of the pool."""
    pools = root.raw("pools")
    rows = [row for row in pools if isinstance(row, dict)] if isinstance(pools, list) else []
    during = _range(rate.raw("effective_from"), rate.raw("effective_to"))
    mine = [row for row in rows if row.get("id") == rate.raw("pool")]
    gpus = {
        row["gpu"]
        for row in mine
        if isinstance(row.get("gpu"), str)
        and _range(row.get("effective_from"), row.get("effective_to")).overlaps(during)
    }
    if len(gpus) > 1:
        rate.wrong(
            "catalog",
            f"prices one GPU, and pool {rate.raw('pool')!r} has {listed(sorted(gpus))} in that time; write a rate for each range",
        )
    elif not gpus and mine:
        rate.wrong(
            "catalog",
            f"is for a time in which pool {rate.raw('pool')!r} has no GPU; correct the dates, or the gpu of the pool",
        )
    return gpus.pop() if len(gpus) == 1 else None


def _range(start: object, end: object) -> Period:
    """A range as far as it can be read; what is wrong with it is told where it is read itself."""
    try:
        first = values.BEGINNING if start is None else values.instant(start)
        last = FOREVER if end is None else values.instant(end)
    except ValueError:
        return Period(values.BEGINNING, FOREVER)
    return Period(first, max(first, last))
