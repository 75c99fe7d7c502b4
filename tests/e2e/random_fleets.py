"""Fleets, usage and telemetry at random, valid and as awkward as valid can be, the same for the same seed.

Pools come, go, grow and change price within hours; deployments hand over, share models and name their own policies;
events repeat, are revised, tell of one another's calls, come from nowhere, take hours and cost nothing; samples have gaps, holes
and odd decimals; engines restart, fall silent and know what no log says; the hours cross from one month into the next.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

from tests.e2e.random_engines import readings
from tests.e2e.traces import Event, Sample, Trace

Document = dict[str, Any]

START = datetime(2026, 10, 31, 19, tzinfo=UTC)
HOURS = 10
END = START + timedelta(hours=HOURS)
MODELS = ("m", "müller/ß", "Z'quote\"", "llama-3.1:70b")
ALIASES = ("alias-a", "alias-b")
TEAMS = ("ads", "search", "zoo")
HOLDS = ("0.5", "119", "120", "900.000001", "3600")


def random_trace(seed: int) -> tuple[Trace, Document]:
    """Events and samples, and the config of the fleet they ran on."""
    random = Random(seed)
    document = _document(random)
    trace = Trace(
        name=f"random-{seed}",
        events=_events(random, document),
        samples=_samples(random, document),
        start=START,
        end=END,
        readings=readings(random, document, (*MODELS, *ALIASES), START, END),
    )
    return trace, document


def shuffled(trace: Trace, seed: int) -> Trace:
    """The same trace with events, samples and readings in another order."""
    random = Random(seed)
    return replace(
        trace,
        events=random.sample(trace.events, len(trace.events)),
        samples=random.sample(trace.samples, len(trace.samples)),
        readings=random.sample(trace.readings, len(trace.readings)),
    )


def moment(random: Random, start: datetime = START, end: datetime = END) -> datetime:
    """Any microsecond of a range, and whole hours and their last microseconds more often than by chance."""
    found = start + timedelta(microseconds=random.randrange((end - start) // timedelta(microseconds=1)))
    if random.random() < 0.2:
        edge = found.replace(minute=0, second=0, microsecond=0) + timedelta(microseconds=random.choice([-1, 0]))
        return min(max(edge, start), end - timedelta(microseconds=1))
    return found


def cut(random: Random, start: datetime, end: datetime, parts: int) -> list[Document]:
    """A range as that many ranges that follow one another."""
    cuts = sorted({moment(random, start, end) for _ in range(parts - 1)} - {start})
    edges = [start, *cuts, end]
    return [{"effective_from": a, "effective_to": b} for a, b in pairwise(edges)]


def _document(random: Random) -> Document:
    pools: list[Document] = []
    rates: list[Document] = []
    deployments: list[Document] = []
    for name in ("alpha", "beta", "ωmega")[: random.randint(1, 3)]:
        start, end = sorted((moment(random), moment(random)))
        start, end = (START, END) if random.random() < 0.5 or start == end else (start, end)
        sizes = [
            {**dates, "id": name, "gpu": "H100_SXM", "gpus": random.randint(2, 6)}
            for dates in cut(random, start, end, random.randint(1, 3))
        ]
        pools += sizes
        rates += [
            {**dates, "pool": name, "component": component, "per_gpu_hour": _amount(random)}
            for component in ("accelerator", "energy")[: random.randint(1, 2)]
            for dates in cut(random, start, end, random.randint(1, 3))
        ]
        free = min(size["gpus"] for size in sizes)
        for number in range(random.randint(0, 2)):
            gpus = random.randint(1, free) if number == 0 else free - deployments[-1]["gpus"] if deployments else 0
            if gpus > 0 and not (number and deployments[-1]["pool"] != name):
                deployments += _rows_of_deployment(random, f"{name}-{number}", name, gpus, start, end)
    shared = [
        {
            "id": f"shared-{policy}",
            "per_month": _amount(random, 10**6),
            "policy": policy,
            "effective_from": moment(random),
            **({"shares": {"ads": "33.3", "nobody-else": "0.000000001", "zoo": "1"}} if policy == "fixed" else {}),
        }
        for policy in ("proportional", "even", "fixed")
        if random.random() < 0.6
    ]
    entitlements = [
        {"pool": pool["id"], "team": random.choice(TEAMS), "gpus": 1, "effective_from": moment(random)}
        for pool in {pool["id"]: pool for pool in pools}.values()
        if random.random() < 0.7
    ]
    return {
        "ledger": {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": START},
        "policy": _policy(random),
        "pools": pools,
        "deployments": deployments,
        "rates": rates,
        "shared_costs": shared,
        "entitlements": entitlements,
        "directory": _directory(random),
        "model_aliases": [
            {"alias": alias, "model": random.choice(MODELS), "effective_from": random.choice([START, moment(random)])}
            for alias in ALIASES
        ],
    }


def _rows_of_deployment(
    random: Random, name: str, pool: str, gpus: int, start: datetime, end: datetime
) -> list[Document]:
    owner = {"owner": "search", "charge_to": "owner"} if random.random() < 0.2 else {}
    match = random.choice([{}, {"namespace": f"{name[0]}*"}, {"node": f"node-{name}", "replica": "r?"}])
    rows = [
        {
            **dates,
            "id": name,
            "pool": pool,
            "gpus": gpus,
            "models": random.sample(MODELS, random.randint(1, 3)),
            "capacity_per_gpu_hour": random.choice([1, 50_000, 3_000_000, 10**9]),
            "match": match,
            **owner,
            **({"utilization": random.choice(["active", "capacity", "allocation"])} if random.random() < 0.5 else {}),
        }
        for dates in cut(random, start, end, random.randint(1, 3))
    ]
    return rows[random.randrange(len(rows)) :] if random.random() < 0.3 else rows


def _policy(random: Random) -> Document:
    weight = {
        kind: Decimal(random.randrange(10**4)).scaleb(-random.randrange(4))
        for kind in ("uncached_input", "cache_read", "cache_write", "reasoning")
    }
    return {
        "utilization": random.choice(["active", "capacity", "allocation"]),
        "over": random.choice(["month", "hour"]),
        "idle": random.choice(["separate", "proportional", "even", "entitlement"]),
        "sample_hold_seconds": Decimal(random.choice(HOLDS)),
        "unlogged_tolerance": Decimal(random.choice(["0", "0.01", "0.5", "1"])),
        **({"observers": random.choice([["otel", "gate*"], ["v?lm", "*"]])} if random.random() < 0.5 else {}),
        "weights": random.choice(
            [{}, {**weight, "output": Decimal(6)}, {"cache_read": 0, "output": Decimal("0.000000001")}]
        ),
    }


def _directory(random: Random) -> Document:
    rules: list[Document] = [
        {
            "principal": "key-1*",
            "team": "ads",
            "team_name": "Ads",
            "cost_center": "C-1",
            "effective_to": moment(random),
        },
        {"principal": "key-1?", "namespace": "a*", "team": "zoo", "project": "p"},
        {"tag": {"env": "prod"}, "team": "search", "cost_center": "C-2", "effective_from": moment(random)},
        {"tag": "team"},
        {"source": "gate*", "principal": "key-2", "team": "ads", "cost_center": "C-3"},
    ]
    return {
        "rules": random.sample(rules, random.randint(1, len(rules))),
        "cost_centers": {"__unmapped__": "C-0", "zoo": "C-9"},
    }


def _events(random: Random, document: Document) -> list[Event]:
    names = [row["id"] for row in document["deployments"]] + ["nowhere"]
    events = [_event(random, number, names) for number in range(random.randint(0, 150))]
    revised = [{**event, "revision": 1, "output_tokens": 0} for event in events if random.random() < 0.05]
    revised += [{**event, "revision": 2, "response_id": "call-1"} for event in events if random.random() < 0.05]
    repeated = [event for event in events if random.random() < 0.05]
    return events + revised + repeated


def _event(random: Random, number: int, deployments: list[str]) -> Event:
    event: Event = {
        "event_id": f"e{number}",
        "source": random.choice(["gateway", "vllm", "otel"]),
        "occurred_at": moment(random).isoformat(),
        "model": random.choice([*MODELS, *MODELS, *ALIASES, "unknown"]),
        "principal": random.choice(["key-1", "key-12", "key-2", "ключ", ""]),
    }
    for kind in ("uncached_input", "cache_read", "cache_write", "output", "reasoning"):
        if random.random() < 0.6:
            event[f"{kind}_tokens"] = random.choice([0, 1, random.randrange(2000), random.randrange(10**9)])
    if random.random() < 0.5:
        event["deployment"] = random.choice(deployments)
    if random.random() < 0.1:
        event["provider"] = "openai"
    if random.random() < 0.5:
        event |= {"namespace": random.choice(["alpha-x", "beta-x"]), "replica": random.choice(["r1", "r22"])}
    if random.random() < 0.5:
        event["duration_ms"] = random.choice(
            [0, 0.001, random.randrange(10**4), random.randrange(4 * 3600 * 10**3), 10**9]
        )
    event |= _names(random)
    if random.random() < 0.3:
        event["tier"] = random.choice(["gold", "batch"])
    if random.random() < 0.5:
        event["tags"] = random.choice(
            [{"env": "prod"}, {"team": "by-tag"}, {"team": "__idle__", "other": "x"}, {"project": "q", "env": "x"}]
        )
    return event


def _names(random: Random) -> Document:
    """What other events may know the same call by, and whether its counts are known at all."""
    found = {name: f"call-{random.randrange(40)}" for name in ("response_id", "call_id") if random.random() < 0.4}
    return found | ({"usage_quality": "missing"} if random.random() < 0.1 else {})


def _samples(random: Random, document: Document) -> list[Sample]:
    samples: list[Sample] = []
    for row in {row["id"]: row for row in document["deployments"]}.values():
        for gpu in range(random.randint(0, row["gpus"])):
            at = START - timedelta(minutes=30)
            while at < END:
                at += timedelta(microseconds=random.choice([30_000_000, 60_000_001, random.randrange(1, 4 * 10**9)]))
                samples.append(_sample(random, row, gpu, at))
    return samples


def _sample(random: Random, row: Document, gpu: int, at: datetime) -> Sample:
    named = random.random() < 0.5 or "node" not in row["match"]
    sample: Sample = {"gpu_uuid": f"GPU-{row['id']}-{gpu}", "sampled_at": at.isoformat(), "node": f"node-{row['id']}"}
    if named:
        sample["deployment"] = row["id"]
    if random.random() < 0.9:
        sample["active_ratio"] = random.choice(
            [Decimal(0), Decimal(1), Decimal(random.randrange(10**7)).scaleb(-7), Decimal("0.0000005")]
        )
    return sample


def _amount(random: Random, most: int = 100) -> str:
    return str(Decimal(random.randrange(most * 10**9)).scaleb(-9))
