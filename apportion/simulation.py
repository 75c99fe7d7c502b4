"""A small fleet that never was: a week of requests and GPU samples, the same on every machine.

It has what real fleets have: days and nights, a price cut, a deployment that starts mid-week, GPUs that nobody
scheduled, a key that nobody mapped, an exporter that was down, a log that was lost, API calls on the side, duplicates
and bad lines.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 10, 1, tzinfo=UTC)
HOURS = 7 * 24
SEED = 20261001
SAMPLE_EVERY = timedelta(seconds=60)

NIGHT_ENDS = 6
SATURDAY = 5
REDELIVERED = 0.002
TORN_EVERY, NEGATIVE_EVERY = 9_000, 11_000

EXPORTER_DOWN = range(60, 62)
LOG_LOST = 100
CODER_FROM = 48

CONFIG = """# A simulated fleet; see teams.csv for who pays.
[ledger]
path = "apportion.duckdb"
billing_currency = "USD"

[[pools]]
id = "h100-prod"
gpu = "H100_SXM"
gpus = 8
effective_from = 2026-10-01T00:00:00Z

[[pools]]
id = "l40s-batch"
gpu = "L40S"
gpus = 4
effective_from = 2026-10-01T00:00:00Z

[[deployments]]
id = "llama70b"
pool = "h100-prod"
gpus = 4
models = ["llama-3.1-70b"]
effective_from = 2026-10-01T00:00:00Z

[[deployments]]
id = "coder"
pool = "h100-prod"
gpus = 2
models = ["qwen-coder-32b"]
utilization = "capacity"
capacity_per_gpu_hour = 4_000_000
effective_from = 2026-10-03T00:00:00Z

[[deployments]]
id = "llama8b"
pool = "l40s-batch"
gpus = 4
models = ["llama-3.1-8b"]
effective_from = 2026-10-01T00:00:00Z

[[rates]]
pool = "h100-prod"
component = "accelerator"
per_gpu_hour = "2.49"
effective_from = 2026-10-01T00:00:00Z
effective_to = 2026-10-05T12:30:00Z

[[rates]]
pool = "h100-prod"
component = "accelerator"
per_gpu_hour = "2.19"
effective_from = 2026-10-05T12:30:00Z

[[rates]]
pool = "h100-prod"
component = "host"
per_gpu_hour = "0.35"
effective_from = 2026-10-01T00:00:00Z

[[rates]]
pool = "l40s-batch"
component = "accelerator"
per_gpu_hour = "0.86"
effective_from = 2026-10-01T00:00:00Z

[[shared_costs]]
id = "platform-team"
per_month = "3000.00"
policy = "proportional"
effective_from = 2026-10-01T00:00:00Z

[policy]
utilization = "active"
idle = "proportional"
over = "month"

[directory]
file = "teams.csv"
"""

TEAMS = """principal,team,team_name,project,cost_center,effective_from,effective_to
key-search-*,search,Search,,CC-100,,
key-ads-*,ads,Advertising,,CC-200,,
key-support-*,support,Customer Support,,CC-300,,
key-research-*,research,Research,,CC-400,,
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone who sends requests.

    Attributes:
        principal: the key.
        model: what it asks for.
        requests_per_hour: at the busiest hour.
        prompt: usual prompt tokens.
        answer: usual output tokens.
        cached: share of the prompt that is read from cache.
        nightly: true for batch work at night.
    """

    principal: str
    model: str
    requests_per_hour: int
    prompt: int
    answer: int
    cached: float
    nightly: bool = False


CALLERS = (
    Caller("key-search-web", "llama-3.1-70b", 160, 1_900, 120, 0.55),
    Caller("key-search-app", "llama-3.1-70b", 70, 1_400, 90, 0.50),
    Caller("key-ads-copy", "llama-3.1-70b", 45, 700, 650, 0.10),
    Caller("key-support-chat", "llama-3.1-70b", 80, 2_600, 240, 0.70),
    Caller("key-research-eval", "llama-3.1-8b", 220, 3_100, 400, 0.05, nightly=True),
    Caller("key-ads-tagging", "llama-3.1-8b", 140, 420, 30, 0.20),
    Caller("key-research-code", "qwen-coder-32b", 60, 9_000, 700, 0.85),
    Caller("key-intern-laptop", "llama-3.1-70b", 6, 500, 300, 0.0),
    Caller("key-support-fallback", "gpt-4o", 4, 2_000, 250, 0.0),
)

GPUS = {"llama70b": ("gpu-a", 4), "coder": ("gpu-b", 2), "llama8b": ("gpu-c", 4)}
DEPLOYMENT_OF = {"llama-3.1-70b": "llama70b", "qwen-coder-32b": "coder", "llama-3.1-8b": "llama8b"}


def write(directory: Path) -> tuple[Path, Path, Path]:
    """Write the config, the usage log and the GPU samples. Returns: their paths, in this order."""
    directory.mkdir(parents=True, exist_ok=True)
    config, usage, gpu = directory / "apportion.toml", directory / "usage.ndjson", directory / "gpu.ndjson"
    config.write_text(CONFIG, encoding="utf-8")
    (directory / "teams.csv").write_text(TEAMS, encoding="utf-8")
    with usage.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in usage_lines())
    with gpu.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(sample) + "\n" for sample in samples())
    return config, usage, gpu


def usage_lines() -> Iterator[str]:
    """The gateway's log: a few lines arrive twice, a few are damaged."""
    chance = random.Random(SEED)  # noqa: S311 - a simulation
    for number, event in enumerate(events()):
        line = json.dumps(event)
        yield line
        if chance.random() < REDELIVERED:
            yield line
        if number % TORN_EVERY == TORN_EVERY // 2:
            yield line[: len(line) // 2]
        if number % NEGATIVE_EVERY == NEGATIVE_EVERY // 2:
            yield json.dumps({**event, "event_id": f"bad-{number}", "output_tokens": -1})


def events() -> Iterator[dict[str, object]]:
    """Every request, in order of time."""
    chance = random.Random(SEED)  # noqa: S311 - a simulation
    for number in range(HOURS):
        start = START + timedelta(hours=number)
        found = [event for caller in CALLERS for event in _of_hour(chance, caller, number, start)]
        if number != LOG_LOST:
            yield from sorted(found, key=lambda event: str(event["occurred_at"]))


def _of_hour(chance: random.Random, caller: Caller, number: int, start: datetime) -> Iterator[dict[str, object]]:
    if caller.model == "qwen-coder-32b" and number < CODER_FROM:
        return
    for nth in range(round(caller.requests_per_hour * load(number, nightly=caller.nightly))):
        prompt = max(1, round(chance.lognormvariate(math.log(caller.prompt), 0.5)))
        cached = round(prompt * caller.cached * chance.random())
        yield {
            "event_id": f"{caller.principal}-{number:03d}-{nth:04d}",
            "source": "gateway",
            "occurred_at": (start + timedelta(milliseconds=chance.randrange(3_600_000))).isoformat(
                timespec="milliseconds"
            ),
            "model": caller.model,
            "provider": "self" if caller.model in DEPLOYMENT_OF else "openai",
            "principal": caller.principal,
            "uncached_input_tokens": prompt - cached,
            "cache_read_tokens": cached,
            "output_tokens": max(1, round(chance.lognormvariate(math.log(caller.answer), 0.6))),
            "duration_ms": round(chance.lognormvariate(7.5, 0.6), 1),
        }


def load(number: int, *, nightly: bool) -> float:
    """Share of the busiest hour, from the hour of the day and the day of the week."""
    hour, day = number % 24, (START + timedelta(hours=number)).weekday()
    if nightly:
        return 1.0 if hour < NIGHT_ENDS else 0.0
    daily = 0.12 + 0.88 * max(0.0, math.sin((hour - 5) / 16 * math.pi)) ** 2
    return daily * (0.35 if day >= SATURDAY else 1.0)


def samples() -> Iterator[dict[str, object]]:
    """Every GPU sample, in order of time; the exporter is down for a while, and unscheduled GPUs have none."""
    chance = random.Random(SEED + 1)  # noqa: S311 - a simulation
    per_hour = timedelta(hours=1) // SAMPLE_EVERY
    for tick in range(HOURS * per_hour):
        number, at = tick // per_hour, START + tick * SAMPLE_EVERY
        if number in EXPORTER_DOWN:
            continue
        for deployment, (prefix, count) in GPUS.items():
            if deployment == "coder" and number < CODER_FROM:
                continue
            busy = load(number, nightly=deployment == "llama8b")
            for gpu in range(count):
                active = min(1.0, max(0.0, 0.22 + 0.75 * busy + chance.gauss(0, 0.04)))
                yield {
                    "sampled_at": at.isoformat(timespec="seconds"),
                    "gpu_uuid": f"{prefix}{gpu}",
                    "deployment": deployment,
                    "node": f"node-{prefix[-1]}",
                    "active_ratio": round(active, 2),
                    "power_watts": round(120 + 560 * active, 1),
                }
