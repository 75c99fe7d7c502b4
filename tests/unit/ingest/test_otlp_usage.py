"""Spans and log records: whose counts are believed, how they are named, and what is no usage event at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats.otlp_names import WANTED
from tests.frozen import FrozenClock
from tests.shared_data import shared
from tests.unit.ingest.desk import Desk
from tests.unit.ingest.telemetry import END_NS, JSON, PROTOBUF, attributes, decoded, land, logs, records, span, spans

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt",
    "gen_ai.response.id": "resp-1",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 300,
}
ODD = st.sampled_from(
    [None, True, "", " ", "x", "'; --", "\\", "é" * 600, "\x00", 0, -1, 2**63 - 1, 1.5, 1e308, -1e-300, [], [1, "a"]]
) | st.floats(allow_nan=False, allow_infinity=False)
BOTH = pytest.mark.parametrize("content_type", [JSON, PROTOBUF])


def one(said: dict[str, Any], resource: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The one record that a span becomes."""
    (record,) = records("traces", spans(span(said, **fields), resource=resource))
    return record


@BOTH
def test_a_span_becomes_an_event(desk: Desk, content_type: str) -> None:
    """Both encodings say the same."""
    said = CALL | {
        "gen_ai.usage.cache_read.input_tokens": 1000,
        "gen_ai.usage.cache_creation.input_tokens": 24,
        "gen_ai.usage.reasoning.output_tokens": 100,
        "gen_ai.response.model": "gpt-2026",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    land(
        desk, "traces", spans(span(said), resource={"service.name": "shop", "k8s.namespace.name": "web"}), content_type
    )
    (event,) = desk.events()

    expected = {
        "source": "otel",
        "event_id": "resp-1",
        "occurred_at": "2026-10-15T11:00:00.000000Z",
        "model": "gpt-2026",
        "provider": "openai",
        "replica": "",
        "namespace": "web",
        "principal": "",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "session_id": "s-1",
        "uncached_input_tokens": 176,
        "cache_read_tokens": 1000,
        "cache_write_tokens": 24,
        "output_tokens": 200,
        "reasoning_tokens": 100,
        "duration_us": 2_500_000,
        "status": "success",
        "usage_quality": "reported",
    }
    assert {name: event[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"), (5, 7)),
        (("llm.token_count.prompt", "llm.token_count.completion"), (5, 7)),
        (("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"), (5.0, "7")),
    ],
)
def test_older_names_and_shapes_of_counts_are_read(names: tuple[str, str], values: tuple[Any, Any]) -> None:
    """A whole number is a count, however it is written."""
    record = one({"gen_ai.request.model": "m", **dict(zip(names, values, strict=True))})

    assert (record["uncached_input_tokens"], record["output_tokens"]) == (5, 7)


def test_twins_of_one_count_are_never_added() -> None:
    """LiteLLM and others write old and new names on one span."""
    twins = {
        "gen_ai.usage.prompt_tokens": 1200,
        "gen_ai.usage.completion_tokens": 300,
        "llm.token_count.prompt": 1200,
        "gen_ai.usage.cache_read.input_tokens": 1000,
        "gen_ai.usage.cache_read_input_tokens": 1000,
        "llm.token_count.prompt_details.cache_read": 1000,
    }
    record = one(CALL | twins)

    assert (record["uncached_input_tokens"], record["cache_read_tokens"], record["output_tokens"]) == (200, 1000, 300)


def test_counts_beside_the_input_are_read_so_and_marked() -> None:
    """An emitter that breaks the convention loses nothing and charges nothing negative."""
    record = one(CALL | {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.cache_read.input_tokens": 1000})

    assert (record["uncached_input_tokens"], record["cache_read_tokens"], record["usage_quality"]) == (
        3,
        1000,
        "partial",
    )


def test_litellm_spans_carry_its_identity_and_not_their_resource(desk: Desk) -> None:
    """The resource is the gateway, the caller is whose key it was."""
    desk.allow("team", "service")
    said = CALL | {"litellm.call_id": "call-1", "litellm.team.id": "team-a", "litellm.api_key.hash": "ab" * 32}
    land(desk, "traces", spans(span(said, kind=2), resource={"service.name": "litellm", "team": "platform"}))

    assert desk.events("event_id", "principal", "tags") == [("resp-1", "ab" * 32, '{"team":"team-a"}')]


def test_a_raw_key_is_hashed() -> None:
    """It must never land, whoever wrote it."""
    record = one(CALL | {"litellm.call_id": "c", "litellm.api_key.hash": "sk-123"})

    assert "sk-123" not in json.dumps(record)
    assert len(record["principal"]) == 64


def test_only_a_caller_speaks_for_itself() -> None:
    """A client's resource says whose service it is; a server's does not say who called."""
    resource = {"team": "search", "service.name": "answers"}

    assert one(CALL, resource)["tags"] == {"team": "search", "service": "answers"}
    assert "tags" not in one(CALL, resource, kind=2)


def test_engine_spans_name_where_it_ran(desk: Desk) -> None:
    """vLLM tells no model, no caller and nothing about its cache: the service names the model, the counts are partial."""
    said = {
        "gen_ai.usage.prompt_tokens": 3120,
        "gen_ai.usage.completion_tokens": 412,
        "gen_ai.request.id": "chatcmpl-a1",
        "gen_ai.latency.time_to_first_token": 0.31,
        "gen_ai.latency.time_in_queue": 0.04,
        "gen_ai.latency.e2e": 9.07,
    }
    resource = {
        "service.name": "vllm-qwen",
        "k8s.pod.name": "vllm-0",
        "k8s.namespace.name": "llm",
        "k8s.cluster.name": "eu",
    }
    land(desk, "traces", spans(span(said, name="llm_request", kind=2), resource=resource))
    columns = (
        "event_id",
        "model",
        "provider",
        "replica",
        "namespace",
        "cluster",
        "tags",
        "ttft_us",
        "queue_us",
        "usage_quality",
    )

    assert desk.events(*columns) == [
        ("chatcmpl-a1", "vllm-qwen", "self", "vllm-0", "llm", "eu", "{}", 310_000, 40_000, "partial")
    ]


@pytest.mark.parametrize(
    ("said", "event_id"),
    [
        ({"litellm.call_id": "call-1", "gen_ai.request.id": "req-1"}, "resp-1"),
        ({"litellm.call_id": "call-1", "gen_ai.request.id": "req-1", "gen_ai.response.id": None}, "call-1"),
        ({"gen_ai.request.id": "req-1", "gen_ai.response.id": ""}, "req-1"),
        ({}, "resp-1"),
        ({"gen_ai.response.id": None}, "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331"),
    ],
)
def test_ids_are_the_most_stable_there_is(said: dict[str, Any], event_id: str) -> None:
    """The response, else the call (LiteLLM leaves the response out of some streams), else the request, else the span."""
    assert one(CALL | said)["event_id"] == event_id


def test_two_observers_of_one_kind_are_never_two_bills(desk: Desk) -> None:
    """The second is a conflict, which shows; the same span again is a duplicate."""
    mine = span(CALL)
    theirs = span(CALL, spanId="00f067aa0ba902b7", endTimeUnixNano=str(END_NS + 5_000_000))
    outcome = land(desk, "traces", spans(mine, theirs, mine))

    assert (outcome.landed, outcome.duplicates, outcome.conflicts) == (1, 1, 1)


def test_client_gateway_and_engine_tell_of_one_call(desk: Desk) -> None:
    """Each is a source of its own, and all of them land; what they share is the response's id, which the engine calls its request."""
    client = span(CALL)
    gateway = span(
        CALL | {"litellm.call_id": "call-1"}, spanId="00f067aa0ba902b7", endTimeUnixNano=str(END_NS + 5_000_000)
    )
    engine = span(
        CALL | {"gen_ai.response.id": None, "gen_ai.request.id": "resp-1"},
        name="llm_request",
        spanId="11f067aa0ba902b7",
    )
    for seen in (client, gateway, engine):
        land(desk, "traces", spans(seen))

    assert desk.events("source", "event_id") == [
        ("otel", "resp-1"),
        ("otel:engine", "resp-1"),
        ("otel:litellm", "resp-1"),
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"http.request.method": "POST"}, "no_usage"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, "no_usage"),
        ({"gen_ai.operation.name": "chat"}, "no_usage"),
        (CALL | {"gen_ai.operation.name": "invoke_agent"}, "sum_of_calls"),
        (CALL | {"gen_ai.operation.name": "execute_tool"}, "sum_of_calls"),
    ],
)
@BOTH
def test_spans_without_usage_are_counted_and_no_error(said: dict[str, Any], reason: str, content_type: str) -> None:
    """Traces are full of them; agents repeat what their calls say."""
    found = decoded("traces", spans(span(said)), content_type)

    assert (found.records, found.items, dict(found.ignored)) == (0, 1, {reason: 1})


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({}, {"traceState": "ot=th:8"}),
        ({}, {"traceState": "vendor=1, ot=rv:abc;th:c"}),
        ({}, {"traceState": "ot=p:3"}),
        ({"sampling.ratio": 0.1}, {}),
        ({"SampleRate": 10}, {}),
    ],
)
@BOTH
def test_a_sampled_span_is_rejected(
    desk: Desk, said: dict[str, Any], fields: dict[str, Any], content_type: str
) -> None:
    """One of ten that stands for ten would bill a tenth of what was used, silently."""
    outcome = land(desk, "traces", spans(span(CALL | said, **fields)), content_type)

    assert (outcome.landed, outcome.rejected) == (0, 1)
    assert desk.rejections("reason") == ["sampled"]


@pytest.mark.parametrize("state", ["ot=th:0", "ot=p:0", "other=th:8", ""])
def test_a_span_that_was_kept_for_certain_lands(state: str) -> None:
    """A threshold of zero drops nothing."""
    assert "usage_quality" not in one(CALL, traceState=state)


@pytest.mark.parametrize(
    ("said", "fields", "reason"),
    [
        ({"gen_ai.usage.input_tokens": -1}, {}, "negative"),
        ({"gen_ai.usage.input_tokens": "many"}, {}, "wrong_type"),
        ({"gen_ai.usage.output_tokens": 1.5}, {}, "wrong_type"),
        ({"gen_ai.request.model": None}, {}, "missing_field"),
        ({}, {"endTimeUnixNano": "0"}, "missing_field"),
        ({}, {"endTimeUnixNano": str(2**64 - 1)}, "too_far_ahead"),
        ({"gen_ai.response.id": None}, {"spanId": ""}, "missing_field"),
    ],
)
@BOTH
def test_a_bad_span_is_rejected_beside_good_ones(
    desk: Desk, said: dict[str, Any], fields: dict[str, Any], reason: str, content_type: str
) -> None:
    """With its reason; the request's others land."""
    good = span(CALL | {"gen_ai.response.id": "good"})
    outcome = land(desk, "traces", spans(good, span(CALL | said, **fields)), content_type)

    assert (outcome.landed, dict(outcome.rejections)) == (1, {reason: 1})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from(sorted(WANTED)), ODD, min_size=1, max_size=4), min_size=1, max_size=8))
def test_no_value_of_any_attribute_stops_a_batch(desk: Desk, changes: list[dict[str, Any]]) -> None:
    """Whatever stands where: the span lands, is rejected or is no event, and the sound one beside it lands."""
    made = [span(CALL | {"gen_ai.response.id": f"odd-{n}"} | change) for n, change in enumerate(changes)]
    resource = {name: value for change in changes for name, value in change.items()}
    land(desk, "traces", spans(span(CALL | {"gen_ai.response.id": f"sound-{len(changes)}"})))
    outcome = land(desk, "traces", spans(*made, resource=resource), PROTOBUF)

    assert outcome.received <= len(changes)
    assert f"sound-{len(changes)}" in desk.events("event_id")


def test_a_span_that_started_before_time_has_no_duration(desk: Desk) -> None:
    """An unset or absurd start is unknown, and never stops a batch."""
    early = span(CALL, startTimeUnixNano="1")
    land(desk, "traces", spans(early, span(CALL | {"gen_ai.response.id": "b"}, startTimeUnixNano="0")))

    assert desk.events("duration_us") == [None, None]


@pytest.mark.parametrize(("said", "fields"), [({"error.type": "timeout"}, {}), ({}, {"status": {"code": 2}})])
@BOTH
def test_tokens_of_failed_calls_count(said: dict[str, Any], fields: dict[str, Any], content_type: str) -> None:
    """The engine worked for them."""
    (record,) = records("traces", spans(span(CALL | said, **fields)), content_type)

    assert (record["status"], record["output_tokens"]) == ("failed", 300)


@BOTH
def test_log_records_of_calls_are_events_too(content_type: str) -> None:
    """The same attributes on an event; beside a span of the same response it is one call."""
    event = {
        "eventName": "gen_ai.client.inference.operation.details",
        "timeUnixNano": str(END_NS),
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "attributes": attributes(CALL),
        "body": {"stringValue": "a secret prompt"},
    }
    plain = {"observedTimeUnixNano": str(END_NS), "body": {"stringValue": "GET /"}}
    found = decoded("logs", logs(event, plain), content_type)
    record = json.loads(found.lines)

    assert (record["event_id"], record["occurred_at"]) == ("resp-1", "2026-10-15T11:00:00.000000Z")
    assert dict(found.ignored) == {"no_usage": 1}
    assert b"secret" not in found.lines


def test_no_message_content_is_taken() -> None:
    """Prompts stand in attributes as well; only attributes that are read get in."""
    record = one(CALL | {"gen_ai.input.messages": "a secret prompt", "gen_ai.prompt.0.content": "a secret prompt"})

    assert "secret" not in json.dumps(record)


@pytest.mark.parametrize(
    ("sample", "tokens", "quality"),
    [
        ("otel_genai_span.json", [3, 0, 12304, 340, 210], "reported"),
        ("vllm_otel_span.json", [3120, 0, 0, 412, 0], "partial"),
    ],
)
@BOTH
def test_spans_as_they_are_really_written(
    desk: Desk, sample: str, tokens: list[int], quality: str, content_type: str
) -> None:
    """A client library's and an engine's."""
    desk.clock = FrozenClock(datetime(2026, 11, 14, tzinfo=UTC))
    request = json.loads(shared("samples", sample).read_text())
    land(desk, "traces", request, content_type)
    (event,) = desk.events()

    assert [event[name] for name in TOKENS] == tokens
    assert event["usage_quality"] == quality


def test_legacy_attributes_as_they_are_really_written() -> None:
    """Older and alternative spellings, all on one span."""
    said = json.loads(shared("samples", "otel_genai_span_legacy_attrs.json").read_text())["attributes"]
    record = one(said | {"gen_ai.request.model": "m"})

    assert [record.get(name, 0) for name in TOKENS] == [86, 1920, 0, 172, 128]


@BOTH
def test_golden_spans(content_type: str, golden: Callable[[str, str], None]) -> None:
    """What becomes of each golden span; the review of a change is the diff of this file."""
    request = json.loads((GOLDEN / "otlp_traces.json").read_text())

    golden("formats/otlp_traces_usage.ndjson", decoded("traces", request, content_type).lines.decode())
