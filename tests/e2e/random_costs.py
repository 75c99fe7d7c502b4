"""Purchases and price lists at random over a random fleet, valid and as awkward as valid can be.

Each function takes a document of `random_fleets.py` and gives one with more in it; the same seed gives the same.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

from tests.e2e.random_fleets import END, MODELS, START, Document, cut, moment
from tests.e2e.traces import Event, Sample

BEFORE = START - timedelta(days=400)
AFTER = END + timedelta(days=400)
CURRENCIES = ("EUR", "JPY")
PROVIDERS = ("openai", "anthropic", "nobody")
TIERS = ("gold", "batch")


def with_purchases(random: Random, document: Document) -> Document:
    """Cards in every unit and in other currencies, discounts, commitments, assets and credits."""
    pools = sorted({pool["id"] for pool in document["pools"]})
    saving = {pool for pool in pools if random.random() < 0.3}
    return {
        **document,
        "rates": [rate for row in document["rates"] for rate in _card(random, row, document)],
        "fx": exchanges(random),
        "discounts": _discounts(random, pools),
        "commitments": _commitments(random, document, pools) + _savings(random, sorted(saving)),
        "assets": _assets(random, document, pools),
        "credits": [_credit(random, number, pools) for number in range(random.randint(0, 3))],
    }


def exchanges(random: Random) -> list[Document]:
    """Rates of every currency, without a gap."""
    return [
        {"currency": currency, "rate": decimal(random, 9, 2 * 10**9) or "1", **dates}
        for currency in CURRENCIES
        for dates in [
            {"effective_from": BEFORE, "effective_to": START},
            *cut(random, START, END, random.randint(1, 3)),
            {"effective_from": END, "effective_to": AFTER},
        ]
    ]


def _card(random: Random, row: Document, document: Document) -> list[Document]:
    """A row of the card in another unit, currency and list price; and sometimes another component beside it."""
    dates = {key: row[key] for key in ("pool", "effective_from", "effective_to")}
    found = [{**row, **_money(random), "purchase": random.choice(["on_demand", "spot", "serverless"])}]
    if random.random() < 0.3:
        found = [
            {**dates, **_money(random), "component": row["component"], "per_gpu_second": decimal(random, 9, 10**7)}
        ]
    unit = "per_gpu_second" if "per_gpu_second" in found[0] else "per_gpu_hour"
    if random.random() < 0.5:
        found[0]["list"] = decimal(random, 9, 10**11)
    first = next(rate for rate in document["rates"] if rate["pool"] == row["pool"])
    if row is first and random.random() < 0.7:
        whole = {key: value for key, value in dates.items() if key != "effective_to"}
        for component, per in (("colocation", "per_month"), ("licence", "per_year"), ("host", unit)):
            if random.random() < 0.6:
                found.append({**whole, **_money(random), "component": component, per: decimal(random, 9, 10**15)})
                if per == unit:
                    found[-1][per] = decimal(random, 9, 10**8)
    return found


def _money(random: Random) -> Document:
    return {"currency": random.choice([*CURRENCIES, "USD"])} if random.random() < 0.4 else {}


def _discounts(random: Random, pools: list[str]) -> list[Document]:
    return [
        {"pools": pools, "percent": decimal(random, 6, 10**8), **components, **dates}
        for components in ({}, {"components": ["host", "colocation"]})
        for dates in cut(random, START, END, random.randint(1, 4))
        if random.random() < 0.4
    ]


def _commitments(random: Random, document: Document, pools: list[str]) -> list[Document]:
    return [
        {
            "id": f"reserved-{number}",
            "kind": "reserved",
            "pools": random.sample(pools, random.randint(1, len(pools))),
            "gpus": random.randint(1, 5),
            "upfront": decimal(random, 9, 10**15),
            "per_gpu_hour": decimal(random, 9, 10**10),
            **_money(random),
            **_term(random),
        }
        for number in range(random.randint(0, 3))
        if document["pools"]
    ]


def _savings(random: Random, pools: list[str]) -> list[Document]:
    if not pools:
        return []
    prices = {pool: decimal(random, 9, 10**10) for pool in pools}
    plan = {"pools": random.sample(pools, len(pools)), "per_hour": decimal(random, 9, 5 * 10**10)}
    if random.random() < 0.5 and Decimal(plan["per_hour"]):
        plan |= {"upfront": decimal(random, 9, 10**12), "recurring_per_hour": decimal(random, 9, 5 * 10**10)}
    return [
        {"id": f"plan-{number}", "kind": "savings", **plan, "rates": prices, **_money(random), **dates}
        for number, dates in enumerate(cut(random, START, END, 2))
    ][: random.randint(1, 2)]


def _assets(random: Random, document: Document, pools: list[str]) -> list[Document]:
    found = []
    for number in range(random.randint(0, 2)):
        pool = random.choice(pools)
        first = min(row["effective_from"] for row in document["pools"] if row["id"] == pool)
        annuity = {"method": "annuity", "annual_rate": decimal(random, 4, 3000)} if random.random() < 0.5 else {}
        found.append(
            {
                "id": f"asset-{number}",
                "pool": pool,
                "gpus": random.randint(1, 3),
                "capex": decimal(random, 9, 10**14, 10**13),
                "residual": decimal(random, 9, 10**13),
                "life_months": random.choice([1, 12, 37]),
                "effective_from": random.choice([first, moment(random), first - timedelta(days=30, minutes=50)]),
                **({"maintenance_per_year": decimal(random, 9, 10**15)} if random.random() < 0.5 else {}),
                **({"colocation_per_month": decimal(random, 9, 10**14)} if random.random() < 0.5 else {}),
                **annuity,
                **_money(random),
            }
        )
        if random.random() < 0.3:
            found[-1]["effective_to"] = max(moment(random), found[-1]["effective_from"] + timedelta(microseconds=1))
    return found


def _credit(random: Random, number: int, pools: list[str]) -> Document:
    amount = decimal(random, 9, random.choice([10**9, 10**12, 10**15]))
    term = _term(random)
    return {
        "id": f"credit-{number}",
        "amount": amount,
        "pools": random.sample(pools, random.randint(1, len(pools))),
        **term,
    }


def _term(random: Random) -> Document:
    """A range that may begin before the fleet and end after it."""
    start, end = sorted((moment(random), moment(random)))
    start = random.choice([start, start, BEFORE + timedelta(days=random.randrange(300))])
    end = random.choice([end, end, END + timedelta(days=random.randrange(1, 300))])
    return {"effective_from": start, "effective_to": max(end, start + timedelta(microseconds=1))}


def with_prices(random: Random, document: Document) -> Document:
    """Price lists of others' models: dated, by tier, by length of the prompt and by time of day; some kinds have no price."""
    rows = []
    for provider in PROVIDERS[:2]:
        for model in (*MODELS[:2], "unknown"):
            if random.random() < 0.8:
                for tier in ("", *TIERS[: random.randint(0, 2)]):
                    of = {"provider": provider, "model": model}
                    rows += _price_rows(random, {**of, "tier": tier} if tier else of)
    return {**document, "prices": {"overrides": rows}, "fx": document.get("fx") or exchanges(random)[1:]}


def _price_rows(random: Random, of: Document) -> list[Document]:
    found = []
    for dates in cut(random, START, END, random.randint(1, 3)):
        if random.random() < 0.9:
            found.append({**of, **dates, **_kinds(random), **_money(random)})
            if random.random() < 0.4:
                found.append({**of, **dates, **_kinds(random), "above_input_tokens": random.choice([1, 1000, 10**8])})
            if random.random() < 0.4:
                daily = random.choice(["20:30-23:15", "23:00-02:00", "00:00-24:00"][:2])
                found.append({**of, **dates, **_kinds(random), "daily": daily})
    return found


def _kinds(random: Random) -> Document:
    found: Document = {"input": decimal(random, 6, 10**8), "output": decimal(random, 6, 10**8)}
    if random.random() < 0.7:
        found["cache_read"] = random.choice(["input", decimal(random, 6, 10**7)])
    if random.random() < 0.5:
        found["cache_write"] = random.choice(["input", decimal(random, 6, 10**8)])
    if random.random() < 0.7:
        found["reasoning"] = random.choice(["output", decimal(random, 6, 10**8)])
    return found


def external(random: Random, events: list[Event]) -> list[Event]:
    """The events, and as many again of other providers."""
    more = {
        event["event_id"]: {**event, "event_id": f"x-{event['event_id']}", "provider": random.choice(PROVIDERS)}
        for event in events
        if not event.keys() & {"revision", "response_id", "call_id"}
    }
    return events + list(more.values())


def decimal(random: Random, decimals: int, most: int, least: int = 1) -> str:
    """An amount of so many decimals, from `least` to `most` of the last of them."""
    return str(Decimal(random.randint(least, most)).scaleb(-decimals))


def with_tariffs(random: Random, document: Document) -> Document:
    """A price of the kilowatt-hour for pools that pay for energy in no other way."""
    paying = {rate["pool"] for rate in document["rates"] if rate["component"] == "energy"}
    tariffs = [
        {
            "pool": pool,
            "component": "energy",
            "per_kwh": decimal(random, 9, 10**9),
            "pue": decimal(random, 3, 2000, 1000),
            "watts_per_gpu": random.randint(1, 1000),
            "effective_from": BEFORE,
        }
        for pool in sorted({row["id"] for row in document["pools"]} - paying)
    ]
    return {**document, "rates": [*document["rates"], *tariffs]}


def with_meters(random: Random, samples: list[Sample]) -> list[Sample]:
    """Samples of which some tell power and some a meter, which sometimes begins again."""
    joules: dict[str, int] = {}
    found = []
    for sample in samples:
        gpu, told = sample["gpu_uuid"], dict(sample)
        joules[gpu] = 0 if random.random() < 0.05 else joules.get(gpu, 10**6) + random.randrange(2000)
        if random.random() < 0.5:
            told["power_watts"] = Decimal(random.randrange(700_000)).scaleb(-3)
        if random.random() < 0.4:
            told["energy_joules"] = Decimal(joules[gpu])
        found.append(told)
    return found
