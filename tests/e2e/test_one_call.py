"""One call that a webhook, a gateway's spans, a client's spans and an engine's spans tell of: tokens count once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from apportion.pipeline import Pipeline
from tests.e2e import product
from tests.frozen import FrozenClock
from tests.oracle import Charges
from tests.unit.ingest.door import Door, opened
from tests.unit.ingest.telemetry import END_NS, JSON, PROTOBUF, encoded, span, spans

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
START = datetime(2026, 10, 15, 9, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "ledger": {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": START},
    "policy": {"utilization": "allocation"},
    "pools": [{"id": "p", "gpu": "H100_SXM", "gpus": 2, "effective_from": START}],
    "deployments": [{"id": "d", "pool": "p", "gpus": 2, "models": ["llama"], "effective_from": START}],
    "rates": [{"pool": "p", "component": "accelerator", "per_gpu_hour": "3.00", "effective_from": START}],
    "directory": {"rules": [{"tag": "team"}]},
}
SECOND = 1_000_000_000
CALLS = {"search": ("chatcmpl-7f3a", "call-1", 900, 300), "ads": ("chatcmpl-91bc", "call-2", 500, 40)}
"""Whose calls they are: the answer's id, LiteLLM's id, prompt and completion."""

Body = tuple[str, bytes, str]


def webhook() -> Body:
    """LiteLLM's payloads; they end just after eleven."""
    payloads = [
        {
            "id": answer, "litellm_call_id": call, "status": "success", "custom_llm_provider": "hosted_vllm", "model": "llama",
            "prompt_tokens": prompt, "completion_tokens": completion, "startTime": END_NS / SECOND - 9, "endTime": END_NS / SECOND + 1,
            "response_cost": 0.1, "metadata": {"user_api_key_hash": "ab" * 32, "user_api_key_team_id": team},
        }
        for team, (answer, call, prompt, completion) in CALLS.items()
    ]  # fmt: skip
    return "/v1/litellm", json.dumps(payloads).encode(), JSON


def gateway() -> Body:
    """LiteLLM's spans. One is of a stream, whose answer's id it left out; they know one cached token, as nobody else does."""
    made = [
        span(
            {
                "gen_ai.request.model": "llama", "gen_ai.response.id": answer if team == "ads" else None, "litellm.call_id": call,
                "gen_ai.usage.input_tokens": prompt, "gen_ai.usage.output_tokens": completion, "litellm.team.id": f"{team}-spans",
                "gen_ai.usage.cache_read.input_tokens": 1,
            },
            spanId=f"00f067aa0ba902b{number}", endTimeUnixNano=str(END_NS + SECOND),
        )
        for number, (team, (answer, call, prompt, completion)) in enumerate(CALLS.items())
    ]  # fmt: skip
    return "/v1/traces", encoded("traces", spans(*made, resource={"service.name": "litellm"}), PROTOBUF), PROTOBUF


def client() -> Body:
    """An OpenAI client's spans, which say whose service it is."""
    made = [
        span(
            {
                "gen_ai.request.model": "llama", "gen_ai.response.id": answer, "gen_ai.usage.input_tokens": prompt,
                "gen_ai.usage.output_tokens": completion, "server.address": "gateway.internal",
            },
            spanId=f"10f067aa0ba902b{number}", endTimeUnixNano=str(END_NS + 2 * SECOND),
        )
        for number, (answer, _, prompt, completion) in enumerate(CALLS.values())
    ]  # fmt: skip
    return "/v1/traces", encoded("traces", spans(*made, resource={"team": "said-by-client"}), JSON), JSON


def engine() -> Body:
    """vLLM's spans: they end before eleven, in another hour than everything else."""
    made = [
        span(
            {"gen_ai.request.id": answer, "gen_ai.usage.prompt_tokens": prompt, "gen_ai.usage.completion_tokens": completion},
            name="llm_request", kind=2, spanId=f"20f067aa0ba902b{number}", endTimeUnixNano=str(END_NS - SECOND),
        )
        for number, (answer, _, prompt, completion) in enumerate(CALLS.values())
    ]  # fmt: skip
    return "/v1/traces", encoded("traces", spans(*made, resource={"service.name": "llama"}), PROTOBUF), PROTOBUF


OBSERVERS = {"webhook": webhook, "gateway": gateway, "client": client, "engine": engine}


@contextmanager
def ledger(folder: Path) -> Iterator[tuple[Pipeline, Door]]:
    """A pipeline whose clock stands at noon, and the door to it."""
    folder.mkdir()
    with (
        product.opened(folder, DOCUMENT, NOW) as pipeline,
        opened(pipeline.ledger, FrozenClock(NOW), rules=pipeline.rules) as door,
    ):
        yield pipeline, door


def post(door: Door, name: str) -> None:
    """Send what one observer says; all of it lands."""
    path, body, content_type = OBSERVERS[name]()
    assert door.post(path, body, Content_Type=content_type).status == 200


def charges_of(folder: Path, names: Sequence[str]) -> tuple[Charges, list[tuple[Any, ...]], int]:
    """Charges after these observers came one by one, metered after each; observed events by source, and events in all."""
    with ledger(folder) as (pipeline, door):
        for name in names:
            post(door, name)
            pipeline.meter()
        session = pipeline.ledger.session()
        observed = session.rows(
            "SELECT source, believed_source, events, consumed_tokens::BIGINT FROM export.observed_usage ORDER BY ALL"
        )
        return product.hour_charges(session), observed, session.value("SELECT count(*) FROM raw.usage_event")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Charges:
    """What the webhook alone comes to."""
    found, observed, _ = charges_of(tmp_path_factory.mktemp("alone") / "ledger", ["webhook"])
    assert observed == []
    return found


@pytest.mark.parametrize("order", list(permutations(OBSERVERS))[::4], ids="-".join)
def test_four_observers_of_a_call_are_one_bill(tmp_path: Path, alone: Charges, order: tuple[str, ...]) -> None:
    """To the nano what the webhook alone comes to, with its identity, in any order; the others are counted, and lose nothing."""
    found, observed, events = charges_of(tmp_path / "ledger", order)

    assert found == alone
    assert events == 8
    assert observed == [(f"otel{role}", "litellm", 2, 1740) for role in ("", ":engine", ":litellm")]


def test_without_the_webhook_the_next_one_is_believed(tmp_path: Path) -> None:
    """LiteLLM's spans come before an engine's and a client's; the stream whose answer nobody named there stays apart."""
    found, observed, _ = charges_of(tmp_path / "ledger", ["client", "engine", "gateway"])

    assert observed == [
        ("otel", "otel:engine", 1, 1200),
        ("otel", "otel:litellm", 1, 540),
        ("otel:engine", "otel:litellm", 1, 540),
    ]
    assert sum(measure.tokens or 0 for measure in found.values()) == 1200 + 540 + 1200
