"""A real engine's answers against its own counters, recorded once: what its aborted stream used is on nobody's log, and on one line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import GOLDEN
from tests.e2e import product

RECORDED = GOLDEN / "engines" / "llamacpp"
LOGS = ("answers.ndjson", "stream_usage.sse", "stream_plain.sse", "stream_aborted.sse")
HOUR, NOW = datetime(2026, 11, 21, 6, tzinfo=UTC), datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
READINGS = {"before": "06:49:00", "clean": "06:49:20", "aborted": "06:49:40", "restarted": "06:50:00"}
"""When each page was read; its answers were made at 06:49:10."""

DOCUMENT: dict[str, Any] = {
    "ledger": {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": HOUR},
    "policy": {"utilization": "allocation", "weights": {"uncached_input": 2, "cache_read": 1, "cache_write": 2, "output": 6, "reasoning": 6}},
    "pools": [{"id": "cpu", "gpu": "H100_SXM", "gpus": 1, "effective_from": HOUR}],
    "deployments": [{"id": "llama", "pool": "cpu", "gpus": 1, "models": ["tiny-random"], "effective_from": HOUR}],
    "rates": [{"pool": "cpu", "component": "accelerator", "per_gpu_hour": "3.60", "effective_from": HOUR}],
}  # fmt: skip
COMPARED = """
SELECT engine_input_tokens, engine_cache_read_tokens, engine_output_tokens, logged_input_tokens, logged_cache_read_tokens,
    logged_output_tokens, unlogged_uncached_input_tokens, unlogged_cache_read_tokens, unlogged_output_tokens
FROM export.reconciliation
"""
NOBODY = """
SELECT token_kind, sum(consumed_tokens)::BIGINT FROM metering.charge_hourly
WHERE caller_no = 0 AND consumed_tokens > 0 GROUP BY token_kind ORDER BY token_kind
"""


def sample(page: str) -> dict[str, Any]:
    """A page of the engine's counters as a canonical record."""
    families = text_string_to_metric_families((RECORDED / f"metrics_{page}.prom").read_text(encoding="utf-8"))
    said = {one.name.removeprefix("llamacpp:"): one.value for family in families for one in family.samples}
    cached = int(said["prompt_tokens_cached_total"])
    return {
        "sampled_at": f"2026-11-21T{READINGS[page]}Z",
        "instance": "llama-0:8080",
        "model": "tiny-random",
        "software": "llamacpp",
        "prompt_tokens": int(said["prompt_tokens_total"]) + cached,
        "cache_read_tokens": cached,
        "output_tokens": int(said["tokens_predicted_total"]),
    }


def answers(folder: Path) -> Path:
    """What was logged of the engine's answers, chunks of streams too."""
    lines = [line.removeprefix("data: ") for file in LOGS for line in (RECORDED / file).read_text(encoding="utf-8").splitlines()]  # fmt: skip
    path = folder / "answers.ndjson"
    path.write_text("".join(f"{line}\n" for line in lines if line.startswith("{")), encoding="utf-8")
    return path


def compared(folder: Path, pages: Iterable[str]) -> tuple[list[Any], list[Any]]:
    """Engine against logs, and what nobody is charged for, after these readings."""
    with product.opened(folder, DOCUMENT, NOW) as pipeline:
        pipeline.ingest([answers(folder)], "openai")
        engine = pipeline.ingest([product.write_lines(folder / "engine.ndjson", map(sample, pages))], "engine").outcome
        assert engine.landed == engine.received > 0
        pipeline.meter()
        return pipeline.ledger.session().rows(COMPARED), pipeline.ledger.session().rows(NOBODY)


def test_a_real_engine_and_its_logs_agree(tmp_path: Path) -> None:
    """Until somebody left, the engine counted what its answers say: no token is nobody's."""
    rows, nobody = compared(tmp_path, ["before", "clean"])

    assert rows == [(1101, 829, 56, 1101, 829, 56, 0, 0, 0)]
    assert nobody == []


def test_what_an_aborted_stream_used_is_found_by_the_counters(tmp_path: Path) -> None:
    """Its 16 tokens of prompt, 201 cached and 11 of output are in no log, and become nobody's consumption."""
    rows, nobody = compared(tmp_path, ["before", "clean", "aborted"])

    assert rows == [(1101 + 217, 829 + 201, 56 + 11, 1101, 829, 56, 16, 201, 11)]
    assert nobody == [("cache_read", 201), ("output", 11), ("uncached_input", 16)]


def test_a_restart_loses_no_tokens(tmp_path: Path) -> None:
    """The new process began at zero: all that it counted is added to what the old one had."""
    rows, _ = compared(tmp_path, READINGS)

    assert rows[0][:3] == (1101 + 217 + 217, 829 + 201, 56 + 11 + 8)
