"""The fleets that the traces are made to run on, as config documents: made up, priced so that nothing divides evenly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.e2e.traces import CC_START, Trace

Document = dict[str, Any]

UTILIZATIONS = ("active", "capacity", "allocation")
IDLE_POLICIES = ("separate", "proportional", "even", "entitlement")
HOLD_SECONDS = 3600
PRICE = "2.490000007"
VLLM_CAPACITY = 60_000_000
"""Weighted tokens per GPU-hour: somewhat more than the heavier of the two runs reached."""
AZURE_SERVICES = ("conv", "code")


def azure(trace: Trace) -> Document:
    """Both services on one deployment, a third GPU that nothing runs on, and each service a team."""
    return _fleet(
        trace,
        pools=[_pool("azure", 3, trace)],
        deployments=[_deployment("serving", "azure", 2, ["azure-conv", "azure-code"], trace, 40_000_000)],
        rates=[_rate("azure", "accelerator", PRICE, trace), _rate("azure", "energy", "0.111111111", trace)],
        directory={
            "rules": [{"namespace": name, "team": name, "cost_center": f"CC-{name}"} for name in AZURE_SERVICES]
        },
        entitlements=[_entitlement("azure", "code", 2, trace)],
        sources=[
            {
                "name": f"azure-{name}",
                "kind": "usage",
                "format": "csv",
                "columns": {"uncached_input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
                "time": {"column": "TIMESTAMP", "format": "iso", "zone": "UTC"},
                "event_id": "{file}:{line}",
                "constants": {"source": "azure", "namespace": name, "model": f"azure-{name}"},
            }
            for name in AZURE_SERVICES
        ],
    )


def agents(trace: Trace) -> Document:
    """Two pools, the smaller resized and re-priced in mid-month; eight teams; shared costs of all three policies."""
    change = CC_START + timedelta(days=14, minutes=20)
    opus = ["claude-opus-4-5-20251101", "claude-opus-4-6"]
    rest = ["claude-sonnet-4-5-20250929", "claude-sonnet-4-20250514", "claude-haiku-4-5-20251001"]
    return _fleet(
        trace,
        pools=[
            _pool("big", 2, trace),
            {**_pool("small", 1, trace), "effective_to": change},
            {**_pool("small", 3, trace), "effective_from": change},
        ],
        deployments=[
            _deployment("opus", "big", 1, opus, trace, 9_000_000),
            _deployment("rest", "small", 1, rest, trace, 5_000_000),
        ],
        rates=[
            _rate("big", "accelerator", PRICE, trace),
            _rate("big", "ops", "0.333333333", trace),
            {**_rate("small", "accelerator", "1.999999999", trace), "effective_to": change},
            {**_rate("small", "accelerator", "1.499999999", trace), "effective_from": change},
        ],
        shared_costs=[
            _shared("platform", "12000.00", "proportional", trace),
            _shared("tools", "999.999999999", "even", trace),
            {**_shared("office", "100.01", "fixed", trace), "shares": {"team-00": "60", "team-07": "39.5"}},
        ],
        directory={
            "rules": [
                {"principal": f"key-team-{n:02d}-*", "team": f"team-{n:02d}", "cost_center": f"CC-{n}"}
                for n in range(8)
            ]
        },
        entitlements=[_entitlement("big", "team-01", 1, trace), _entitlement("small", "team-02", 1, trace)],
    )


def tenants(trace: Trace) -> Document:
    """One GPU for everybody; the tenant's tag is the team."""
    return _fleet(
        trace,
        pools=[_pool("vtc", 1, trace)],
        deployments=[_deployment("llama", "vtc", 1, ["llama-7b"], trace, 10_000_000)],
        rates=[_rate("vtc", "accelerator", PRICE, trace)],
        directory={"rules": [{"tag": "tenant"}]},
        entitlements=[_entitlement("vtc", "dummy-lora-7b-rank-8-0", 1, trace)],
    )


def vllm(trace: Trace, capacity: int = VLLM_CAPACITY) -> Document:
    """One GPU, paid for from the run's first sample to its last."""
    return _fleet(
        trace,
        pools=[_pool("bench", 1, trace)],
        deployments=[_deployment("llama", "bench", 1, ["llama-3.2-1b"], trace, capacity)],
        rates=[_rate("bench", "accelerator", "0.44", trace)],
        directory={"rules": [{"principal": "burst", "team": "bench"}]},
        entitlements=[_entitlement("bench", "bench", 1, trace)],
    )


def with_policy(document: Document, **policy: Any) -> Document:
    """The same fleet under other policies."""
    return {**document, "policy": {**document["policy"], **policy}}


def _fleet(trace: Trace, **tables: Any) -> Document:
    ledger = {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": trace.start.replace(minute=0)}
    policy = {"utilization": "active", "idle": "separate", "over": "month", "sample_hold_seconds": HOLD_SECONDS}
    return {"ledger": ledger, "policy": policy, **tables}


def _dates(trace: Trace) -> dict[str, datetime]:
    return {"effective_from": trace.start, "effective_to": trace.end}


def _pool(name: str, gpus: int, trace: Trace) -> Document:
    return {"id": name, "gpu": "H100_SXM", "gpus": gpus, **_dates(trace)}


def _deployment(name: str, pool: str, gpus: int, models: list[str], trace: Trace, capacity: int) -> Document:
    return {
        "id": name,
        "pool": pool,
        "gpus": gpus,
        "models": models,
        "capacity_per_gpu_hour": capacity,
        **_dates(trace),
    }


def _rate(pool: str, component: str, amount: str, trace: Trace) -> Document:
    return {"pool": pool, "component": component, "per_gpu_hour": amount, **_dates(trace)}


def _shared(name: str, amount: str, policy: str, trace: Trace) -> Document:
    return {"id": name, "per_month": amount, "policy": policy, **_dates(trace)}


def _entitlement(pool: str, team: str, gpus: int, trace: Trace) -> Document:
    return {"pool": pool, "team": team, "gpus": gpus, **_dates(trace)}


def toml(document: Mapping[str, Any]) -> str:
    """A document as TOML: one table or list of tables per key, everything below inline."""
    lines: list[str] = []
    for name, content in document.items():
        for table in content if isinstance(content, list) else [content]:
            lines.append(f"[[{name}]]" if isinstance(content, list) else f"[{name}]")
            lines += [f"{_text(key)} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_text(key)} = {_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return _text(str(value))


def _text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
