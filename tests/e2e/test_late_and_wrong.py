"""What comes late, twice or wrong changes what it should, and holds up nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from apportion.pipeline import Pipeline
from tests.e2e import product

START = datetime(2026, 10, 15, tzinfo=UTC)
END = datetime(2026, 10, 15, 6, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "ledger": {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": START},
    "policy": {"utilization": "allocation"},
    "pools": [{"id": "p", "gpu": "H100_SXM", "gpus": 2, "effective_from": START}],
    "deployments": [{"id": "d", "pool": "p", "gpus": 2, "models": ["llama"], "effective_from": START}],
    "rates": [{"pool": "p", "component": "accelerator", "per_gpu_hour": "3.00", "effective_from": START}],
}


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """One deployment of two GPUs, six hours of it past."""
    with product.opened(tmp_path, DOCUMENT, END) as opened:
        yield opened


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    """A new path each time it is asked."""
    return (tmp_path / f"{number}.ndjson" for number in count())


def reading(at: str, instance: str = "e", **counters: object) -> dict[str, Any]:
    """What an engine counted."""
    return {"sampled_at": at, "instance": instance, "model": "llama", "software": "vllm", **counters}


@pytest.mark.parametrize("wrong", [10**15, 10**15 + 1, 2**63 - 1])
def test_wrong_counters_hold_up_no_hour(pipeline: Pipeline, files: Iterator[Path], wrong: int) -> None:
    """However far beyond belief the counters of many engines jump, hour after hour, the hours meter."""
    names = [f"e{number}" for number in range(20)]
    readings = [
        reading(
            f"2026-10-15T0{hour}:{minute}0:00Z",
            name,
            output_tokens=counted,
            decode_seconds=min(counted // 10**4, 10**12),
        )
        for name in names
        for hour in range(4)
        for minute, counted in enumerate((5, wrong, 5, wrong))
    ]
    pipeline.ingest([product.write_lines(next(files), readings)], "engine")

    assert pipeline.meter().hours == 6
