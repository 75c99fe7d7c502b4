"""The simulated logs, samples and readings through the real ledger and metering: one hour per workload, read back by team."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from apportion.config.load import load
from apportion.pipeline import Pipeline
from tests.bench.simulator.engine import Run
from tests.frozen import FrozenClock

START: Final = datetime(2026, 10, 1, tzinfo=UTC)
PRICE: Final = "2.49"

CONFIG: Final = """
[ledger]
path = "apportion.duckdb"
billing_currency = "USD"
metered_from = 2026-10-01T00:00:00Z
[[pools]]
id = "simulated"
gpu = "H100_SXM"
gpus = 4
effective_from = 2026-10-01T00:00:00Z
[[deployments]]
id = "simulated"
pool = "simulated"
gpus = 4
models = ["simulated"]
effective_from = 2026-10-01T00:00:00Z
[[rates]]
pool = "simulated"
component = "accelerator"
per_gpu_hour = "{price}"
effective_from = 2026-10-01T00:00:00Z
[policy]
utilization = "allocation"
phase_split = "{phase_split}"
weights = {{ uncached_input = 1, cache_write = 1, cache_read = 0.1, output = 6, reasoning = 6 }}
[directory]
rules = [ {{ tag = "team" }} ]
"""

HOURS: Final = """
SELECT charge_period_start, prefill_nano, decode_nano, allocation_method
FROM metering.deployment_hourly WHERE deployment_no > 0 ORDER BY charge_period_start
"""
LINES: Final = """
SELECT charge_period_start, json_extract_string(caller.tags, '$.team'), sum(effective_cost_nano)::BIGINT
FROM metering.charge_hourly JOIN raw.caller AS caller USING (caller_no)
WHERE cost_kind = 'workload' GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What the product said of a workload's hour.

    Attributes:
        prefill: nano of the phase.
        decode: likewise.
        teams: nano of each team.
        method: utilization and rung, as on the row.
    """

    prefill: int
    decode: int
    teams: dict[str, int]
    method: str


def metered(runs: Iterable[Run], folder: Path, *, phase_split: str = "weights") -> list[Metered]:
    """Meter each run as an hour of its own, in a ledger in the folder.

    Args:
        runs: each shorter than an hour.
        folder: empty; the ledger stays there.
        phase_split: of the policy, as far as the product has it.
    """
    runs = list(runs)
    config = folder / "apportion.toml"
    config.write_text(CONFIG.format(price=PRICE, phase_split=phase_split), encoding="utf-8")
    hours = [START + timedelta(hours=number) for number in range(len(runs))]
    with Pipeline.open(load(config), FrozenClock(START + timedelta(hours=len(runs))), threads=1) as pipeline:
        for kind, told in (("usage", events), ("gpu", samples), ("engine", readings)):
            path = folder / f"{kind}.ndjson"
            with path.open("w", encoding="utf-8") as file:
                for hour, run in zip(hours, runs, strict=True):
                    file.writelines(json.dumps(record, default=str) + "\n" for record in told(hour, run))
            outcome = pipeline.ingest([path], kind).outcome
            assert outcome.landed == outcome.received, outcome
        pipeline.meter()
        session = pipeline.ledger.session()
        teams: dict[datetime, dict[str, int]] = {}
        for hour, team, nano in session.rows(LINES):
            teams.setdefault(hour, {})[team] = nano
        return [
            Metered(prefill=prefill, decode=decode, teams=teams[hour], method=method)
            for hour, prefill, decode, method in session.rows(HOURS)
        ]


def events(hour: datetime, run: Run) -> Iterator[Mapping[str, Any]]:
    """The log of requests."""
    for number, one in enumerate(run.served):
        asked = one.request
        yield {
            "event_id": f"{hour:%H}-{number}",
            "source": "simulator",
            "model": "simulated",
            "tags": {"team": asked.team},
            "occurred_at": (hour + timedelta(microseconds=one.finished_us)).isoformat(),
            "uncached_input_tokens": asked.uncached,
            "cache_read_tokens": asked.cached,
            "output_tokens": asked.output,
            "queue_ms": (one.admitted_us - asked.arrival_us) / 1000,
            "ttft_ms": (one.first_us - asked.arrival_us) / 1000,
            "duration_ms": (one.finished_us - asked.arrival_us) / 1000,
        }


def samples(hour: datetime, run: Run) -> Iterator[Mapping[str, Any]]:
    """A busy counter's reading a minute: the part of it in steps, which under batching is nearly all."""
    minutes = Counter[int]()
    for step in run.steps:
        minutes[step.ended_fs // (60 * 10**15)] += step.cost_fs
    for gpu in range(4):
        for minute in range(60):
            yield {
                "gpu_uuid": f"GPU-{gpu}",
                "gpu": "H100_SXM",
                "node": "simulated",
                "deployment": "simulated",
                "sampled_at": (hour + timedelta(minutes=minute)).isoformat(),
                "active_ratio": min(minutes[minute] * 1000 // (60 * 10**15), 1000) / 1000,
            }


def readings(hour: datetime, run: Run) -> Iterator[Mapping[str, Any]]:
    """The engine's counters at both ends of the hour: tokens, and seconds by phase as SGLang tells them."""
    prefill = sum(s.cost_fs * s.prompt_tokens // (s.prompt_tokens + s.output_tokens) for s in run.steps)
    ends = {
        "prompt_tokens": sum(one.request.cached + one.request.uncached for one in run.served),
        "cache_read_tokens": sum(one.request.cached for one in run.served),
        "output_tokens": sum(one.request.output for one in run.served),
        "requests": len(run.served),
        "prefill_seconds": _seconds(prefill),
        "decode_seconds": _seconds(run.busy_fs - prefill),
    }
    for at, values in ((hour, dict.fromkeys(ends, 0)), (hour + timedelta(minutes=59, seconds=59), ends)):
        yield {
            "instance": f"engine-{hour:%H}",
            "software": "sglang",
            "deployment": "simulated",
            "model": "simulated",
            "started_at": hour.isoformat(),
            "sampled_at": at.isoformat(),
            **values,
        }


def _seconds(femtoseconds: int) -> float:
    """Whole microseconds, written as seconds."""
    return float(Decimal(femtoseconds // 10**9).scaleb(-6))
