"""The day that DeepSeek published: its cost, and what a token of input and of output took, through a real ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apportion.ledger.connection import Session
from tests.e2e import product
from tests.shared_data import shared

START = datetime(2025, 2, 27, tzinfo=UTC)
END = START + timedelta(days=1)
EVENTS = 240


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """What was published, and what follows from it."""
    return dict(
        json.loads(
            shared("samples", "golden_deepseek_2025_02_28.json").read_text(encoding="utf-8"), parse_float=Decimal
        )
    )


@pytest.fixture(scope="module")
def day(published: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """The day metered: one deployment of all nodes, its throughputs declared."""
    folder, given = tmp_path_factory.mktemp("deepseek"), published["inputs"]
    gpus = given["avg_nodes"] * given["gpus_per_node"]
    deployment = {
        "id": "v3-r1", "pool": "h800", "gpus": int(gpus), "models": ["deepseek-r1"], "effective_from": START,
        "phase_split": "throughput",
        "throughput": {
            "prefill": given["prefill_tokens_per_s_per_node_incl_cache"], "decode": given["decode_tokens_per_s_per_node"]
        },
    }  # fmt: skip
    document = {
        "ledger": {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": START},
        "policy": {"utilization": "allocation"},
        "pools": [{"id": "h800", "gpu": "H800", "gpus": int(gpus), "effective_from": START}],
        "deployments": [deployment],
        "rates": [
            {
                "pool": "h800",
                "component": "accelerator",
                "per_gpu_hour": str(given["usd_per_gpu_hour"]),
                "effective_from": START,
            }
        ],
    }
    cached, whole = int(given["input_cached_tokens"]), int(given["input_tokens"])
    tokens = {
        "uncached_input_tokens": whole - cached,
        "cache_read_tokens": cached,
        "output_tokens": int(given["output_tokens"]),
    }
    with product.opened(folder, document, END) as pipeline:
        pipeline.ingest(
            [product.write_lines(folder / "day.ndjson", (event(number, tokens) for number in range(EVENTS)))], "usage"
        )
        pipeline.meter()
        yield pipeline.ledger.session()


def event(number: int, tokens: dict[str, int]) -> dict[str, Any]:
    """An equal part of the day's tokens; parts add up."""
    parts = {kind: whole * (number + 1) // EVENTS - whole * number // EVENTS for kind, whole in tokens.items()}
    occurred_at = START + (END - START) / EVENTS * number
    return {
        "event_id": str(number),
        "source": "log",
        "occurred_at": occurred_at.isoformat(),
        "model": "deepseek-r1",
        **parts,
    }


def test_the_day_costs_what_was_published(day: Session, published: dict[str, Any]) -> None:
    """Both phases add up to 87,072 dollars, to the nano, and nothing is idle."""
    total, split = day.row(
        "SELECT sum(effective_cost_nano)::BIGINT, sum(prefill_nano + decode_nano)::BIGINT FROM metering.deployment_hourly"
    )

    assert total == split == published["published_outputs"]["daily_cost_usd"] * 10**9
    assert day.rows("SELECT DISTINCT allocation_method, confidence::VARCHAR FROM metering.deployment_hourly") == [
        ("allocation/1+throughput/1", "modelled")
    ]


@pytest.mark.parametrize(
    ("phase", "kinds", "dollars_per_million"),
    [
        ("prefill", ("uncached_input", "cache_read", "cache_write"), "0.0603"),
        ("decode", ("output", "reasoning"), "0.3001"),
    ],
)
def test_a_million_tokens_cost_what_follows(
    day: Session, phase: str, kinds: tuple[str, ...], dollars_per_million: str
) -> None:
    """Prefill cost over all input, decode cost over output: a cost that throughput tells apart."""
    nano = day.value(f"SELECT sum({phase}_nano)::BIGINT FROM metering.deployment_hourly")
    tokens, charged = day.row(
        "SELECT sum(consumed_tokens)::BIGINT, sum(effective_cost_nano)::BIGINT FROM metering.charge_hourly "
        "WHERE token_kind::VARCHAR IN (SELECT unnest($kinds::VARCHAR[]))",
        {"kinds": list(kinds)},
    )

    assert charged == nano
    assert (Decimal(nano) * 10**6 / tokens / 10**9).quantize(Decimal("0.0001")) == Decimal(dollars_per_million)


def test_the_share_of_prefill_is_the_published_one(day: Session, published: dict[str, Any]) -> None:
    """Node-hours of prefill over those of both phases."""
    prefill, both = day.row(
        "SELECT sum(prefill_nano)::BIGINT, sum(prefill_nano + decode_nano)::BIGINT FROM metering.deployment_hourly"
    )

    assert round(Decimal(prefill) / both, 5) == published["derived_checks"]["prefill_share"]
