"""What tokens weigh, where they count and what was down, at random over a random fleet, valid and as awkward as valid can be.

A document of `random_fleets.py` goes in, one with more in it comes out; the same seed gives the same.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random

from tests.e2e.random_costs import TIERS, decimal
from tests.e2e.random_fleets import MODELS, Document, cut
from tests.e2e.traces import Event, Sample

ADAPTERS = ("lora-1", "lora-ü", "lora-own")
SPLITS = ("auto", "weights", "measured", "regression", "roofline", "throughput", "blended")


def with_weights(random: Random, document: Document) -> Document:
    """Models and tiers that weigh more or less, context, adapters, roles, phases by every method, and downtime."""
    deployments = [dict(row) for row in document["deployments"]]
    for name in {row["id"]: row for row in deployments}:
        role = random.choice(["both", "both", "prefill", "decode"])
        throughput = {"prefill": random.randint(1, 10**5), "decode": random.randint(1, 10**5)}
        for row in deployments:
            if row["id"] == name:
                row["role"] = role
                row.update({"throughput": throughput} if random.random() < 0.5 else {})
                row.update({"phase_split": random.choice(SPLITS)} if random.random() < 0.5 else {})
    if random.random() < 0.7:
        _pair(random, deployments)
    policy = {
        **document["policy"],
        "phase_split": random.choice(SPLITS),
        "min_coverage": Decimal(random.choice(["0", "0.3", "0.9"])),
        "tiers": {tier: decimal(random, 1, 50) for tier in TIERS if random.random() < 0.7},
        "weights": random.choice(
            [
                {},
                {"context": "0.0001"},
                {"uncached_input": "0.5", "output": 3, "context": Decimal("0.003")},
                {"cache_read_host": "0.25", "cache_read_storage": 2},
                {"cache_read": 0, "cache_read_storage": "0.0001"},
                {"cache_read": 7, "cache_read_host": 0},
            ]
        ),
    }
    models = [
        {"id": MODELS[0], "weight": decimal(random, 2, 300), "adapters": ["lora-1", "lora-[x]*"]},
        {"id": MODELS[1], "adapters": ["lora-ü*", "lora-o*"]},
        {"id": MODELS[2], "weight": "0"},
        {"id": "lora-own", "weight": "2.5"},
    ]
    return {
        **document,
        "policy": policy,
        "deployments": deployments,
        "models": random.sample(models, random.randint(0, len(models))),
        "downtime": _downtime(random, deployments),
    }


def _pair(random: Random, deployments: list[Document]) -> None:
    """Two of the deployments serve the same models, one their prompts and the other their answers."""
    names = list({row["id"]: row for row in deployments})
    if len(names) > 1:
        reader, writer = random.sample(names, 2)
        models = random.sample(MODELS, 2)
        for row in deployments:
            if row["id"] in {reader, writer}:
                row.update({"role": "prefill" if row["id"] == reader else "decode", "models": models})


def _downtime(random: Random, deployments: list[Document]) -> list[Document]:
    found = []
    for row in deployments:
        if random.random() < 0.4:
            start, end = row["effective_from"], row["effective_to"]
            gpus = random.randint(1, row["gpus"])
            found += [
                {
                    "deployment": row["id"],
                    "gpus": gpus,
                    "cause": random.choice(["loading", "draining", "lost"]),
                    **dates,
                }
                for dates in cut(random, start, end, random.randint(1, 4))
                if random.random() < 0.5
            ]
    return found


def with_adapters(random: Random, events: list[Event]) -> list[Event]:
    """Some of the requests asked of adapters."""
    asked = {event["event_id"] for event in events if random.random() < 0.15}
    models = {name: random.choice(ADAPTERS) for name in sorted(asked)}
    return [{**event, "model": models.get(event["event_id"], event["model"])} for event in events]


def with_gauges(random: Random, readings: list[Sample]) -> list[Sample]:
    """Readings of which some tell how many requests were running."""
    return [
        {**reading, "requests_running": random.choice([0, 0, 1, 7])} if random.random() < 0.7 else reading
        for reading in readings
    ]


def with_tiers(random: Random, readings: list[Sample]) -> list[Sample]:
    """Readings of which some tell where cached tokens came from, one tier or both, and some more from there than there were."""
    told: dict[str, dict[str, int | None]] = {}
    found = []
    for reading in readings:
        tiers = {"host": random.choice([None, 0, 33, 70]), "storage": random.choice([None, 0, 1, 60])}
        percent, cached = told.setdefault(reading["instance"], tiers), reading.get("cache_read_tokens")
        parts = {
            f"cache_read_{tier}_tokens": cached * part // 100
            for tier, part in percent.items()
            if part is not None and cached is not None and random.random() < 0.9
        }
        found.append({**reading, **parts})
    return found
