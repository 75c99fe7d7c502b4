"""Real public traces as canonical events and samples, each with the fleet it is made to run on.

The records are the sources' own but for what the reference says is a convention (anchors of relative times, team names
of the agent sessions) and two things made up here: prices and inventory, and, where a trace has no telemetry of its own,
a regular GPU reading. Everything is read exactly: JSON numbers as Decimal, times to the microsecond, half to even.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.oracle_units import split
from tests.shared_data import shared

Event = dict[str, Any]
Sample = dict[str, Any]
Request = Mapping[str, Any]

CC_BLOCK_TOKENS = 64
CC_START = datetime(2026, 1, 1, tzinfo=UTC)
CC_EXTERNAL_MODEL = "claude-opus-4-1-20250805"
"""Taken to be bought elsewhere, so that unpriced usage is part of the trace."""
VTC_START = datetime(2023, 10, 19, tzinfo=UTC)
RUN_START = datetime(2024, 10, 27, 11, 57, tzinfo=UTC)
"""Where the first GPU sample of a vLLM run is put: three minutes before an hour ends, so that the run crosses it."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A trace ready to be metered.

    Attributes:
        name: its key in the reference totals, where it has one.
        events: canonical usage events.
        samples: canonical GPU samples.
        start: first hour of the fleet.
        end: end of the fleet's last hour.
        readings: canonical engine samples.
    """

    name: str
    events: list[Event]
    samples: list[Sample]
    start: datetime
    end: datetime
    readings: list[Sample] = field(default_factory=list)


def reference(name: str) -> dict[str, Any]:
    """The reference totals of a trace, numbers exact."""
    totals = json.loads(shared("traces", "reference_totals_dev.json").read_text(encoding="utf-8"), parse_float=Decimal)
    found: dict[str, Any] = totals["traces"][name]
    return found


def azure_file(name: str) -> Path:
    """The source's own CSV of `conv` or `code`."""
    return shared("traces", "azure_llm_2023", f"AzureLLMInferenceTrace_{name}.csv")


@cache
def azure() -> Trace:
    """Both services of the Azure 2023 trace: no zone (UTC), seven decimals of a second of which the last is zero."""
    events = [event for name in ("conv", "code") for event in _azure(name)]
    start = datetime(2023, 11, 16, 18, tzinfo=UTC)
    return Trace(
        name="azure23",
        events=events,
        samples=list(_readings(start, 2, ["azure-0", "azure-1"], "serving")),
        start=start,
        end=start + timedelta(hours=2),
    )


def _azure(name: str) -> Iterator[Event]:
    path = azure_file(name)
    with path.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            assert row["TIMESTAMP"].endswith("0")
            yield {
                "event_id": f"{path.name}:{line}",
                "source": "azure",
                "namespace": name,
                "model": f"azure-{name}",
                "occurred_at": row["TIMESTAMP"][:-1].replace(" ", "T") + "Z",
                "uncached_input_tokens": int(row["ContextTokens"]),
                "output_tokens": int(row["GeneratedTokens"]),
            }


@cache
def agent_sessions() -> Trace:
    """The 43 agent sessions: sub-agents inside, cached input by strict-prefix reuse, eight made-up teams."""
    files = sorted(shared("traces", "cc_traces_weka", "traces").glob("trace_*.json"))
    events = [event for path in files for event in _session(path)]
    start, hours = CC_START, 31 * 24 + 2
    samples = [
        s
        for gpu, deployment in (("big-0", "opus"), ("small-0", "rest"))
        for s in _readings(start, hours, [gpu], deployment)
    ]
    return Trace(
        name="cc_traces_weka_dev_subset",
        events=events,
        samples=samples,
        start=start,
        end=start + timedelta(hours=hours),
    )


def _session(path: Path) -> Iterator[Event]:
    number = int(path.stem.removeprefix("trace_"))
    start = CC_START + timedelta(hours=number - 1)
    seen: set[int] = set()
    session = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    for position, at, request in _requests(session["requests"], "", Decimal(0)):
        cached = min(_known_prefix(request["hash_ids"], seen) * CC_BLOCK_TOKENS, request["in"])
        seen.update(request["hash_ids"])
        yield {
            "event_id": f"{path.stem}{position}",
            "source": "agents",
            "session_id": path.stem,
            "model": request["model"],
            "principal": f"key-team-{(number - 1) % 8:02d}-{path.stem}",
            "occurred_at": _later(start, at),
            "uncached_input_tokens": request["in"] - cached,
            "cache_read_tokens": cached,
            "output_tokens": request["out"],
            **({"provider": "anthropic"} if request["model"] == CC_EXTERNAL_MODEL else {}),
            **({"duration_ms": request["api_time"] * 1000} if "api_time" in request else {}),
        }


def _requests(requests: list[Request], position: str, offset: Decimal) -> Iterator[tuple[str, Decimal, Request]]:
    """Requests in file order with their place and seconds; those of a sub-agent count from its marker."""
    for index, request in enumerate(requests):
        here, at = f"{position}.{index}", offset + Decimal(request["t"])
        if "requests" in request:
            yield from _requests(request["requests"], here, at)
        else:
            yield here, at, request


def _known_prefix(blocks: list[int], seen: set[int]) -> int:
    for length, block in enumerate(blocks):
        if block not in seen:
            return length
    return len(blocks)


@cache
def tenants() -> Trace:
    """The fair-serving run: 27 tenants, told apart by a tag."""
    path = shared("traces", "vtc_fair_serving", "fair_bench", "FCFS", "all_results_real.jsonl")
    run = json.loads(path.read_text(encoding="utf-8").splitlines()[0], parse_float=Decimal)
    events = [
        {
            "event_id": str(number),
            "source": "vtc",
            "model": "llama-7b",
            "tags": {"tenant": row["adapter_dir"]},
            "occurred_at": _later(VTC_START, Decimal(row["req_time"])),
            "uncached_input_tokens": row["prompt_len"],
            "output_tokens": row["output_len"],
            "duration_ms": row["request_latency"] * 1000,
            "ttft_ms": row["first_token_latency"] * 1000,
        }
        for number, row in enumerate(run["result"]["responses"])
    ]
    return Trace(
        name="vtc_real_FCFS",
        events=events,
        samples=list(_readings(VTC_START, 1, ["vtc-0"], "llama")),
        start=VTC_START,
        end=VTC_START + timedelta(hours=1),
    )


@cache
def vllm_run(scale: int) -> Trace:
    """A vLLM run with GPU samples on the same clock. Output is what the engine generated in all, shared by characters."""
    logs = shared("traces", "burstgpt_vllm_runs", "logs")
    readings = _ordered(logs / "gpu_log" / f"gpu_log_scale{scale}_prompt500.json")
    requests = _ordered(logs / "detail_log" / f"detail_log_scale{scale}_prompt500.json")
    zero = readings[0]["record_time"]
    outputs = split(
        _generated(logs / "vllm_log" / f"vllm_log_scale{scale}_prompt500.csv"),
        {request["event_id"]: request["out_len"] for request in requests},
    )
    events = [
        {
            "event_id": str(request["event_id"]),
            "source": f"scale{scale}",
            "model": "llama-3.2-1b",
            "principal": "burst",
            "occurred_at": _later(RUN_START, request["record_time"] - zero),
            "uncached_input_tokens": request["in_len"],
            "output_tokens": outputs[request["event_id"]],
            "usage_quality": "estimated",
        }
        for request in requests
    ]
    samples: list[Sample] = [
        {
            "gpu_uuid": "GPU-run",
            "gpu": "RTX_4090",
            "node": "bench",
            "deployment": "llama",
            "sampled_at": _later(RUN_START, reading["record_time"] - zero),
            "active_ratio": Decimal(reading["GPU_utilization"]).scaleb(-2),
        }
        for reading in readings
    ]
    end = datetime.fromisoformat(samples[-1]["sampled_at"])
    return Trace(name=f"scale{scale}", events=events, samples=samples, start=RUN_START, end=end)


def _ordered(path: Path) -> list[dict[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal).values()
    return sorted(rows, key=lambda row: Decimal(row["record_time"]))


def _generated(path: Path) -> int:
    """Tokens that the engine generated: its throughput, each reading held until the next."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(Decimal(row["timestamp"]), Decimal(row["generation_throughput"])) for row in csv.DictReader(file)]
    return round(sum(rate * (after - at) for (at, rate), (after, _) in pairwise(rows)))


def _later(start: datetime, seconds: Decimal) -> str:
    us = int((seconds * 1_000_000).to_integral_value(ROUND_HALF_EVEN))
    return (start + timedelta(microseconds=us)).isoformat()


def _readings(start: datetime, hours: int, gpus: list[str], deployment: str) -> Iterator[Sample]:
    """Made-up telemetry: a reading every half hour that runs through all levels, with one gap a day."""
    for number in range(hours * 2):
        for index, gpu in enumerate(gpus):
            if number % 48 != 7:
                ratio = Decimal((number * 37 + index * 11) % 101).scaleb(-2)
                yield {
                    "gpu_uuid": gpu,
                    "gpu": "H100_SXM",
                    "node": "n1",
                    "deployment": deployment,
                    "active_ratio": ratio,
                    "sampled_at": (start + timedelta(minutes=30 * number)).isoformat(),
                }
