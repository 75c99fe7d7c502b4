"""What engines of a random fleet say of themselves: pods that come and go, restarts, silence, lost and odd readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

Reading = dict[str, Any]
TOKENS = ("prompt_tokens", "cache_read_tokens", "output_tokens", "requests", "aborted_requests")
SECONDS = ("prefill_seconds", "decode_seconds", "idle_seconds")


def readings(
    random: Random, document: Mapping[str, Any], models: tuple[str, ...], start: datetime, end: datetime
) -> list[Reading]:
    """Readings of up to three pods of each deployment, from a day and more before the fleet's first hour to its last."""
    found: list[Reading] = []
    for row in {row["id"]: row for row in document["deployments"]}.values():
        for pod in range(random.randint(0, 3)):
            found += _pod(random, row, f"{row['id']}-{pod}", models, start, end)
    return found


def _pod(
    random: Random, row: Mapping[str, Any], name: str, models: tuple[str, ...], start: datetime, end: datetime
) -> Iterator[Reading]:
    told = [counter for counter in (*TOKENS, *SECONDS) if random.random() < 0.7]
    engine: Reading = {"instance": f"{name}:8000", "software": "vllm", **_where(random, row, name)}
    if random.random() < 0.8:
        engine["model"] = random.choice([*row["models"], random.choice(models)])
    if random.random() < 0.2:
        engine["engine"] = "1"
    at = began = start - timedelta(microseconds=random.randrange(1, 26 * 3600 * 10**6))
    values = dict.fromkeys(told, 0)
    knows_start, most = random.random() < 0.6, random.choice([10, 10**9, 10**11])
    while True:
        at += timedelta(
            microseconds=random.choice([60_000_001, 15 * 60 * 10**6, random.randrange(1, 4 * 3600 * 10**6)])
        )
        if random.random() < 0.02:
            at += timedelta(hours=random.choice([12, 24]))
        if random.random() < 0.2:
            at = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if at >= end:
            return
        if random.random() < 0.15:
            began = at - timedelta(microseconds=random.randrange(1, 2 * 3600 * 10**6))
            values = dict.fromkeys(told, 0)
        for counter in told:
            values[counter] += random.choice([0, 1, random.randrange(most)])
        yield {
            **engine,
            "sampled_at": at.isoformat(),
            **({"started_at": began.isoformat()} if knows_start or random.random() < 0.1 else {}),
            **{counter: _said(counter, value) for counter, value in values.items() if random.random() < 0.9},
        }


def _where(random: Random, row: Mapping[str, Any], name: str) -> Reading:
    where: Reading = {"node": f"node-{row['id']}", "pod": name} if random.random() < 0.8 else {}
    if random.random() < 0.5:
        where |= {"replica": random.choice(["r1", "r22"]), "namespace": f"{row['id'][0]}-x"}
    if random.random() < 0.6:
        where["deployment"] = random.choice([row["id"], row["id"], row["id"], "nowhere"])
    return where


def _said(counter: str, value: int) -> int | Decimal:
    return Decimal(value).scaleb(-6) if counter in SECONDS else value
