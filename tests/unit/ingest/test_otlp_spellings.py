"""Spans, log records and metrics about generative AI as each library spells them: one truth, read once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.formats import otlp_names as names
from tests.shared_data import shared
from tests.unit.ingest.desk import Desk
from tests.unit.ingest.telemetry import (
    END_NS,
    JSON,
    PROTOBUF,
    attributes,
    decoded,
    gauge,
    land,
    logs,
    metrics,
    records,
    span,
    spans,
)

TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
BOTH = pytest.mark.parametrize("content_type", [JSON, PROTOBUF])
CALL: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.response.id": "resp-1"}
COUNTED = CALL | {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 300}
USAGE = [1200, 0, 0, 300, 0]


def one(said: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The one record that a span becomes."""
    (record,) = records("traces", spans(span(said, **fields)))
    return record


def tokens(record: dict[str, Any]) -> list[int]:
    """The five counts of a record, absent ones 0."""
    return [record.get(name, 0) for name in TOKENS]


@pytest.mark.parametrize("prompt", names.INPUT)
@pytest.mark.parametrize("output", names.OUTPUT)
def test_every_spelling_of_the_whole_counts_is_read(prompt: str, output: str) -> None:
    """In any mixture: a program, its framework and its instrumentation are of different years."""
    assert tokens(one({"llm.model_name": "m", prompt: 1200, output: 300})) == USAGE


@pytest.mark.parametrize("read", names.READ)
def test_every_spelling_of_cached_tokens_is_read(read: str) -> None:
    """They are inside the input."""
    assert tokens(one(COUNTED | {read: 1000})) == [200, 1000, 0, 300, 0]


@pytest.mark.parametrize("written", names.WRITE)
def test_every_spelling_of_newly_cached_tokens_is_read(written: str) -> None:
    """They are inside the input too."""
    assert tokens(one(COUNTED | {written: 1000})) == [200, 0, 1000, 300, 0]


@pytest.mark.parametrize("reasoned", names.REASONING)
def test_every_spelling_of_reasoning_is_read(reasoned: str) -> None:
    """It is inside the output."""
    assert tokens(one(COUNTED | {reasoned: 100})) == [1200, 0, 0, 200, 100]


def test_of_twins_the_one_that_is_filled_in_is_read() -> None:
    """Libraries leave the name that they do not fill in at zero."""
    said = COUNTED | {"gen_ai.usage.cache_read.input_tokens": 0, "gen_ai.usage.cache_read_input_tokens": 1000}

    assert tokens(one(said)) == [200, 1000, 0, 300, 0]


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ({"input": 176, "cache_read_input_tokens": 1000, "input_cache_creation": 24, "output": 200}, [176, 1000, 24, 200, 0]),
        ({"input": 200, "input_cached_tokens": 1000, "output": 200, "output_reasoning": 100, "total": 1500},
         [200, 1000, 0, 200, 100]),
        ({"input": 1200, "input_cached_tokens": 1000, "output": 300, "output_reasoning_tokens": 100, "total": 1500},
         [200, 1000, 0, 200, 100]),
        ({"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500}, USAGE),
    ],
)  # fmt: skip
def test_langfuse_writes_buckets_as_json(used: dict[str, int], expected: list[int]) -> None:
    """They stand beside one another, but where a total says that they are inside."""
    said = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "m",
        names.BUCKETS: json.dumps(used),
    }

    assert tokens(one(said)) == expected


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"input": "many"}', '{"input": true}', "[" * 100_000])
def test_buckets_that_are_none_say_nothing(text: str) -> None:
    """The call is one whose usage is missing."""
    record = one({"langfuse.observation.type": "generation", "gen_ai.request.model": "m", names.BUCKETS: text})

    assert (tokens(record), record["usage_quality"]) == ([0] * 5, "missing")


@pytest.mark.parametrize(
    "kind",
    [
        {"gen_ai.operation.name": "invoke_agent"},
        {"openinference.span.kind": "AGENT"},
        {"openinference.span.kind": "CHAIN"},
        {"traceloop.span.kind": "workflow"},
        {"langfuse.observation.type": "span"},
        {"langsmith.span.kind": "chain"},
        {"gen_ai.agent.name": "planner", "gen_ai.request.model": None},
    ],
)
def test_what_repeats_the_sum_of_its_calls_is_no_call(kind: dict[str, str]) -> None:
    """In the words of each convention; an agent of Pydantic AI's is told by its name and the lack of a model."""
    said = {name: value for name, value in COUNTED.items() if name != names.OPERATION}

    assert dict(decoded("traces", spans(span(said | kind))).ignored) == {"sum_of_calls": 1}


@pytest.mark.parametrize("total", names.TOTAL)
def test_a_total_alone_is_an_embeddings_input(total: str) -> None:
    """Of any other call it does not say what was input and what output: its usage is missing, and not guessed."""
    embedded = one(CALL | {"gen_ai.operation.name": "embeddings", total: 40})
    answered = one(CALL | {total: 40})

    assert (tokens(embedded), "usage_quality" in embedded) == ([40, 0, 0, 0, 0], False)
    assert (tokens(answered), answered["usage_quality"]) == ([0] * 5, "missing")


def test_half_a_call_is_partial() -> None:
    """Input without output, but for embeddings, which have none."""
    assert one(CALL | {"gen_ai.usage.input_tokens": 5})["usage_quality"] == "partial"
    assert "usage_quality" not in one(CALL | {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 5})


@BOTH
def test_a_call_without_counts_gives_way_to_who_counted(desk: Desk, content_type: str) -> None:
    """A program whose span has no counts, and its client library's that has: one call, whichever comes first."""
    program, library = span(CALL), span(COUNTED, spanId="00f067aa0ba902b7")
    for name, order in (("a", (program, library)), ("b", (library, program))):
        told = [one | {"attributes": [*one["attributes"], *attributes({"gen_ai.response.id": name})]} for one in order]
        for seen in told:
            seen["attributes"] = [pair for pair in seen["attributes"] if pair["value"] != {"stringValue": "resp-1"}]
            land(desk, "traces", spans(seen), content_type)

    assert desk.events("event_id", "usage_quality", *TOKENS) == [("a", "reported", *USAGE), ("b", "reported", *USAGE)]


@BOTH
def test_events_of_calls_in_the_logs_are_read(desk: Desk, content_type: str) -> None:
    """The event of an inference's details; messages and choices are events of their own, and say nothing about usage."""
    told = {"timeUnixNano": str(END_NS), "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"}
    details = told | {"eventName": "gen_ai.client.inference.operation.details", "attributes": attributes(COUNTED)}
    others = [
        told | {"eventName": name, "attributes": attributes({"gen_ai.system": "openai"})}
        for name in ("gen_ai.user.message", "gen_ai.choice", "gen_ai.evaluation.result")
    ]
    outcome = land(desk, "logs", logs(*others, details, details), content_type)

    assert (outcome.received, outcome.landed, outcome.duplicates) == (2, 1, 1)
    assert [list(found) for found in desk.events(*TOKENS)] == [USAGE]


@BOTH
def test_metrics_of_tokens_never_become_events_beside_the_spans(content_type: str) -> None:
    """Sums over calls, whose token types overlap: as usage they would count every call again. They are counted as ignored."""
    sample: Any = json.loads(shared("samples", "otel_genai_metrics.json").read_text())
    added = metrics(
        gauge("gen_ai.client.inference.usage.output_tokens", 300, {}, shape="sum"),
        gauge("gen_ai.usage.input_tokens", 1200, {}, shape="sum"),
        gauge("http.client.request.count", 1, {}, shape="sum"),
    )
    found, more = (decoded("metrics", request, content_type) for request in (sample, added))

    assert (found.records, dict(found.ignored)) == (0, {"sum_of_usage": 3})
    assert (more.records, dict(more.ignored)) == (0, {"sum_of_usage": 2, "other_metric": 1})
