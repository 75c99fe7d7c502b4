"""What a storm is about: a small fleet, what ran on it, and what is no event at all. The same for the same seed and first hour.

Everything happened in whole hours that passed more than an hour ago: each of them is metered, also by a clock that is set back by
less than that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

Document = dict[str, Any]
Event = dict[str, Any]

HOURS = 3
MODELS = ("llama", "müller/ß", "qwen")
KINDS = ("uncached_input", "cache_read", "cache_write", "output", "reasoning")
TRUSTED = ("gateway", "vllm-1")
STRANGER = "mallory"
"""Claims to be a source that is believed from nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A record that has to be rejected, and why. No two have the same bytes."""

    data: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is true, whatever becomes of the processes that hear of it.

    Attributes:
        document: the config, but for ports, topics and sources.
        versions: every revision of each event that is sent, by source and id; the highest counts.
        twins: by source and id, what claims to be the same event and revision, and comes later.
        samples: of GPUs.
        bad: what is no event.
    """

    document: Document
    versions: Mapping[tuple[str, str], list[Event]]
    twins: Mapping[tuple[str, str], Event]
    samples: list[Event]
    bad: list[Bad]

    @property
    def live(self) -> list[Event]:
        """What counts in the end."""
        return [max(known, key=revision) for known in self.versions.values()]


def revision(event: Event) -> int:
    """Which version of an event it is."""
    return int(event.get("revision", 0))


def line(record: Mapping[str, Any]) -> bytes:
    """A record as its sender writes it."""
    return json.dumps(record, default=float, ensure_ascii=False).encode()


def world(random: Random, first: datetime) -> World:
    """A world that began at the start of an hour, HOURS and two more before now: its last sample holds into a further hour."""
    document = _document(random, first)
    names = [row["id"] for row in document["deployments"]]
    events = [_event(random, number, names, first) for number in range(random.randint(150, 400))]
    versions = {(event["source"], event["event_id"]): [event] for event in events}
    twins: dict[tuple[str, str], Event] = {}
    for key, known in versions.items():
        if random.random() < 0.15:
            for number in range(1, random.randint(2, 3)):
                known.append(_revised(random, known[0], number))
        elif random.random() < 0.05:
            twins[key] = {**known[0], "output_tokens": known[0].get("output_tokens", 0) + 1}
    return World(
        document=document,
        versions=versions,
        twins=twins,
        samples=_samples(random, document, first),
        bad=[_bad(random, number, first) for number in range(random.randint(8, 20))],
    )


def _instant(random: Random, first: datetime) -> datetime:
    return first + timedelta(microseconds=random.randrange(HOURS * 3_600_000_000))


def _event(random: Random, number: int, deployments: list[str], first: datetime) -> Event:
    event: Event = {
        "event_id": f"e{number // 2 if random.random() < 0.1 else number}",
        "source": random.choice(TRUSTED),
        "occurred_at": _instant(random, first).isoformat(),
        "model": random.choice(MODELS),
        "principal": random.choice(["key-1", "key-2", "ключ", ""]),
    }
    for kind in KINDS:
        if random.random() < 0.6:
            event[f"{kind}_tokens"] = random.choice([0, 1, random.randrange(2_000), random.randrange(10**6)])
    if random.random() < 0.6:
        event["deployment"] = random.choice(deployments)
    if random.random() < 0.3:
        event["tags"] = random.choice([{"team": "ads"}, {"team": "zoo", "dropped": "x"}, {"project": "p"}])
    if random.random() < 0.2:
        event["namespace"], event["tier"] = random.choice(["a", "b"]), "batch"
    if random.random() < 0.05:
        event["provider"] = "openai"
    return event


def _revised(random: Random, event: Event, number: int) -> Event:
    """A correction, or a void: the same with no tokens."""
    if random.random() < 0.3:
        return {**event, "revision": number, **{f"{kind}_tokens": 0 for kind in KINDS}}
    return {**event, "revision": number, "output_tokens": random.randrange(10**5)}


def _bad(random: Random, number: int, first: datetime) -> Bad:
    sound = {"event_id": f"bad{number}", "source": "gateway", "occurred_at": first.isoformat(), "model": "llama"}
    reason = random.choice(["malformed", "negative", "missing_field", "too_old", "foreign_source"])
    if reason == "malformed":
        return Bad(data=b'{"event_id": "bad%d", "source": "gate' % number, reason=reason)
    wrong = {
        "negative": {"output_tokens": -1},
        "missing_field": {"model": None},
        "too_old": {"occurred_at": "1969-07-20T20:17:40Z"},
        "foreign_source": {"source": STRANGER},
    }[reason]
    return Bad(
        data=line({name: value for name, value in {**sound, **wrong}.items() if value is not None}), reason=reason
    )


def _samples(random: Random, document: Document, first: datetime) -> list[Event]:
    samples: list[Event] = []
    for row in document["deployments"]:
        for gpu in range(random.randint(0, row["gpus"])):
            at = first - timedelta(minutes=10)
            while at < first + timedelta(hours=HOURS):
                at += timedelta(microseconds=random.randrange(60 * 10**6, 1_500 * 10**6))
                samples.append(
                    {
                        "gpu_uuid": f"GPU-{row['id']}-{gpu}",
                        "sampled_at": at.isoformat(),
                        "deployment": row["id"],
                        "active_ratio": Decimal(random.randrange(10**6)).scaleb(-6),
                    }
                )
    return samples


def _document(random: Random, first: datetime) -> Document:
    since = {"effective_from": first}
    pools = [{"id": name, "gpu": "H100_SXM", "gpus": random.randint(2, 5), **since} for name in ("alpha", "beta")]
    deployments = [
        {
            "id": f"{pool['id']}-{number}",
            "pool": pool["id"],
            "gpus": 1,
            "models": random.sample(MODELS, 2),
            "utilization": random.choice(["active", "capacity", "allocation"]),
            "capacity_per_gpu_hour": random.choice([50_000, 3_000_000]),
            **since,
        }
        for pool in pools
        for number in range(random.randint(1, 2))
    ]
    rates = [
        {
            "pool": pool["id"],
            "component": component,
            "per_gpu_hour": str(Decimal(random.randrange(10**10)).scaleb(-9)),
            **since,
        }
        for pool in pools
        for component in ("accelerator", "energy")
    ]
    return {
        "ledger": {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": first},
        "policy": {
            "idle": random.choice(["separate", "proportional", "even"]),
            "over": random.choice(["month", "hour"]),
            "sample_hold_seconds": 900,
        },
        "pools": pools,
        "deployments": deployments,
        "rates": rates,
        "shared_costs": [{"id": "people", "per_month": "12000.000000001", "policy": "proportional", **since}],
        "directory": {
            "rules": [
                {"principal": "key-1", "team": "search", "cost_center": "C-1"},
                {"tag": "team"},
                {"namespace": "a*", "team": "zoo"},
            ]
        },
    }
