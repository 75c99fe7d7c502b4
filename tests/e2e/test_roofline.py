"""The roofline of a model decides an hour's phases, from the config's file to the lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from apportion.catalog import hardware
from apportion.config.load import load
from apportion.domain.money import NANO, split
from apportion.pipeline import Pipeline
from metering.efficiency.coefficients import Serving, roofline
from tests.frozen import FrozenClock
from tests.unit.metering.models import document, model

CONFIG = """
[ledger]
path = "l.duckdb"
billing_currency = "USD"
[[pools]]
id = "p"
gpu = "H100_SXM"
gpus = 8
effective_from = 2026-10-01T00:00:00Z
effective_to = 2026-10-01T02:00:00Z
[[deployments]]
id = "d"
pool = "p"
gpus = 8
models = ["large", "small"]
utilization = "allocation"
phase_split = "auto"
effective_from = 2026-10-01T00:00:00Z
effective_to = 2026-10-01T02:00:00Z
[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "2.49"
effective_from = 2026-10-01T00:00:00Z
[[models]]
id = "large"
config = "large.json"
[[models]]
id = "small"
config = "small.json"
weights = "fp8"
"""
TOKENS = {"large": (9_000, 1_000, 400), "small": (300, 0, 500)}
"""Model -> uncached input, cache read, output of each request."""
REQUESTS = 50


def test_two_models_split_an_hour_by_their_rooflines(tmp_path: Path) -> None:
    """Every nano of the hour is in the phase that the models' GPU time puts it in."""
    for name, file in (("large", "llama_3_1_70b"), ("small", "llama_3_1_8b")):
        (tmp_path / f"{name}.json").write_text(json.dumps(document(file)), encoding="utf-8")
    (tmp_path / "apportion.toml").write_text(CONFIG, encoding="utf-8")
    usage = [
        {
            "event_id": f"{name}{number}", "source": "file:t", "occurred_at": "2026-10-01T00:30:00Z", "model": name, "deployment": "d",
            "uncached_input_tokens": read, "cache_read_tokens": cached, "output_tokens": made,
        }
        for name, (read, cached, made) in TOKENS.items()
        for number in range(REQUESTS)
    ]  # fmt: skip
    (tmp_path / "usage.ndjson").write_text("".join(json.dumps(one) + "\n" for one in usage), encoding="utf-8")
    clock = FrozenClock(datetime(2026, 10, 1, 3, tzinfo=UTC))
    with Pipeline.open(load(tmp_path / "apportion.toml"), clock) as pipeline:
        pipeline.sync()
        assert pipeline.ingest([tmp_path / "usage.ndjson"], "usage").outcome.landed == 2 * REQUESTS
        pipeline.meter()
        session = pipeline.ledger.session()
        lines = session.rows(
            "SELECT token_kind, effective_cost_nano, confidence FROM metering.charge_hourly WHERE cost_kind = 'workload'"
        )
        context = dict(
            session.rows(
                "SELECT model_id, context_tokens FROM metering.model_usage_hourly JOIN book.model USING (model_no)"
            )
        )
        (method,) = session.rows("SELECT DISTINCT phase_method FROM metering.phase_share_hourly")

    assert method == ("roofline/1",)
    assert {confidence for *_, confidence in lines} == {"modelled"}
    paid: Counter[str] = Counter()
    for kind, nano, _ in lines:
        paid["decode" if kind == "output" else "prefill"] += nano
    assert paid == split(8 * 249 * NANO // 100, gpu_time(context))


def gpu_time(context: Mapping[str, int]) -> dict[str, int]:
    """GPU-picoseconds of each phase, by the rooflines of both models."""
    time: Counter[str] = Counter()
    context_as = 0
    for name, file, weights in (("large", "llama_3_1_70b", "bf16"), ("small", "llama_3_1_8b", "fp8")):
        serving = Serving(weights=weights, kv="bf16", batch=32, mean_context=2048, tensor_parallel=8)
        made = roofline(model(file), hardware.hardware()["H100_SXM"], serving)
        read, cached, output = (count * REQUESTS for count in TOKENS[name])
        time["prefill"] += read * made.uncached_input_ps + cached * made.cache_read_ps
        time["decode"] += output * made.output_ps
        context_as += context[name] * made.context_as
    time["decode"] += context_as // 10**6
    return time
