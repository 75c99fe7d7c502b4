"""What calls can be, and what each is here, whoever reports it: one test for each, over the formats that can say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ingest import registry
from tests.unit.ingest.desk import Desk
from tests.unit.ingest.telemetry import END_NS, land, span, spans
from tests.unit.ingest.test_gateways import log
from tests.unit.ingest.test_litellm import payload

AT = "2026-10-15T11:00:00Z"
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
SPAN = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.response.id": "call"}
NONE = (0, 0, 0, 0, 0)


def answer(used: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A logged answer in OpenAI's shape."""
    base = {"id": "call", "object": "chat.completion", "created": 1, "time": AT, "model": "m", "choices": []}
    return {**base, **({} if used is None else {"usage": used}), **fields}


@pytest.fixture
def calls(desk: Desk) -> Desk:
    """A desk that reads every built-in format."""
    desk.formats |= registry.BUILT_IN
    return desk


def landed(desk: Desk, records: Mapping[str, Mapping[str, Any]], *columns: str) -> dict[str, tuple[Any, ...]]:
    """What becomes of one record of each format, `otel` being the attributes of a span; one event each."""
    for name, record in records.items():
        outcome = (
            land(desk, "traces", spans(span(record)))
            if name == "otel"
            else desk.hand_in(record, format_name=name.partition("/")[0])
        )
        assert (outcome.received, outcome.landed) == (1, 1), name
    found = desk.events("source", *columns)
    assert len(found) == len(records)
    return {source: tuple(values) for source, *values in found}


def test_a_stream_without_usage_is_missing_usage(calls: Desk) -> None:
    """Nobody asked for it, so nobody knows it: an event that says so, with no tokens that look counted."""
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "metadata.usage_object": None}
    records = {
        "openai": answer(),
        "litellm": payload(nothing),
        "otel": SPAN,
        "kong": log("kong", {"ai.proxy.usage": {}}),
        "apisix": log("apisix", {"llm_summary": {"model": "m"}}),
        "portkey": log("portkey", {"req_units": 0, "res_units": 0}),
        "cloudflare": log("cloudflare", {"tokens_in": 0, "tokens_out": 0}),
        "langfuse": log("langfuse", {"usage_details": {}}),
    }

    assert set(landed(calls, records, *TOKENS, "usage_quality").values()) == {(*NONE, "missing")}


def test_an_aborted_call_counts_what_was_made_until_then(calls: Desk) -> None:
    """It is cancelled, and its counts are called partial or estimated, not whole."""
    used = {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 0}}
    records = {
        "openai": answer(used, status="cancelled"),
        "sglang": {"id": "r", "time": AT, "model": "m", "prompt_tokens": 30, "completion_tokens": 4, "cached_tokens": 0}
        | {"finish_reason": {"type": "abort"}},
        "kong": log("kong", {"response.status": 499, "ai.proxy.usage": {"prompt_tokens": 30, "completion_tokens": 4}}),
    }
    found = landed(calls, records, "status", "usage_quality", "uncached_input_tokens", "output_tokens")

    assert set(found.values()) == {("cancelled", "partial", 30, 4)}


def test_a_client_that_aborts_a_stream_is_cancelled_though_the_gateway_says_success(calls: Desk) -> None:
    """LiteLLM counts what it passed on, fewer than the engine made: estimated, and the rest is for the engine's counters to show."""
    hung_up = payload({"error_information": {"error_code": "499"}}, status="success")
    found = landed(calls, {"litellm": hung_up}, "status", "usage_quality", *TOKENS)

    assert found == {"litellm": ("cancelled", "estimated", 176, 1024, 0, 200, 100)}


def test_failed_and_retried_requests_are_attempts_of_one_trace(calls: Desk) -> None:
    """Each attempt is an event, its tokens count where an engine worked, and the trace tells that they are one request."""
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "metadata.usage_object": None, "status": "failure"}
    failed, retried = payload(nothing | {"litellm_call_id": "a"}), payload({"litellm_call_id": "b"})
    calls.hand_in(failed, retried, format_name="litellm")
    lost = span(SPAN | {"error.type": "timeout", "gen_ai.usage.input_tokens": 30, "gen_ai.usage.output_tokens": 4})
    land(calls, "traces", spans(lost))
    columns = ("event_id", "status", "usage_quality", "output_tokens", "requests", "trace_id")

    assert calls.events(*columns) == [
        ("a", "failed", "missing", 0, 1, "t-1"),
        ("b", "success", "reported", 200, 1, "t-1"),
        ("call", "failed", "reported", 4, 1, lost["traceId"]),
    ]


def test_fallbacks_share_a_trace_and_keep_their_models(calls: Desk) -> None:
    """The model that failed and the one that answered are two events: each is priced as what it is."""
    first = payload({"litellm_call_id": "a"}, model="big", status="failure")
    second = payload({"litellm_call_id": "b"}, model="small")
    steps = [log("portkey", {"id": f"p{n}", "ai_model": model}) for n, model in enumerate(("big", "small"))]
    calls.hand_in(first, second, format_name="litellm")
    calls.hand_in(*steps, format_name="portkey")

    assert calls.events("source", "trace_id", "model") == [
        ("litellm", "t-1", "big"),
        ("litellm", "t-1", "small"),
        ("portkey", "t-1", "big"),
        ("portkey", "t-1", "small"),
    ]


def test_several_choices_count_the_prompt_once(calls: Desk) -> None:
    """n > 1 is one request; the engine's own counters see the prompt once per choice, a log does not."""
    used = {"prompt_tokens": 30, "completion_tokens": 60, "prompt_tokens_details": {"cached_tokens": 0}}
    choices = [{"index": number, "message": {}} for number in range(3)]
    found = landed(calls, {"openai": answer(used, choices=choices)}, *TOKENS, "requests")

    assert found == {"openai": (30, 0, 0, 60, 0, 1)}


def test_a_response_cache_hit_is_a_request_without_tokens(calls: Desk) -> None:
    """It repeats the usage of the call that was cached, but no GPU worked; that is known, and not missing."""
    records = {
        "litellm": payload(cache_hit=True),
        "litellm-spend": {
            "request_id": "r_cache_hit1",
            "api_key": "k",
            "model": "m",
            "endTime": AT,
            "cache_hit": "True",
            "prompt_tokens": 9,
            "completion_tokens": 9,
        },
        "kong": log("kong", {"ai.proxy.cache": {"cache_status": "Hit"}}),
        "portkey": log("portkey", {"cache_status": "HIT"}),
        "cloudflare": log("cloudflare", {"cached": True}),
    }
    for name, record in records.items():
        calls.hand_in(record, format_name=name)

    assert calls.events(*TOKENS, "requests", "usage_quality") == [(*NONE, 1, "reported")] * len(records)


def test_lines_of_a_batch_have_its_tier_and_its_team(calls: Desk) -> None:
    """Half the price: tier `batch`. Whose line it is, the author of the batch wrote into its id."""
    calls.allow("team")
    used = {"prompt_tokens": 30, "completion_tokens": 4}
    line = {"id": "l", "custom_id": "team=ads|n=1", "time": AT, "model": "gpt-5"}
    message = {"id": "m", "model": "claude", "usage": {"input_tokens": 30, "output_tokens": 4}}
    records = {
        "openai-batch": line | {"response": {"status_code": 200, "body": answer(used)}},
        "anthropic": {"custom_id": "1", "time": AT, "result": {"type": "succeeded", "message": message}}
        | {"tags": {"team": "ads"}},
    }
    found = landed(calls, records, "tier", "uncached_input_tokens", "output_tokens", "tags")

    assert found["openai"] == ("batch", 30, 4, '{"team":"ads"}')
    assert found["anthropic"][1:] == (30, 4, '{"team":"ads"}')


def test_embeddings_are_input_only_and_whole(calls: Desk) -> None:
    """No output is what they have, and nothing that somebody forgot to count."""
    used = {"prompt_tokens": 40, "total_tokens": 40}
    records = {
        "openai": {"id": "e", "object": "list", "time": AT, "model": "bge", "usage": used},
        "cohere": {"id": "e", "time": AT, "model": "embed-v4", "meta": {"billed_units": {"input_tokens": 40}}},
        "litellm": payload({"metadata.usage_object": used | {"completion_tokens": 0}}, prompt_tokens=40)
        | {"completion_tokens": 0, "call_type": "aembedding", "stream": False},
        "otel": {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "bge", "gen_ai.usage.input_tokens": 40},
    }

    assert set(landed(calls, records, *TOKENS, "usage_quality").values()) == {(40, 0, 0, 0, 0, "reported")}


def test_reasoning_stands_beside_the_output_wherever_it_was_counted(calls: Desk) -> None:
    """Inside the output for OpenAI, Anthropic, SGLang, LiteLLM and OpenTelemetry; beside it for Gemini: the same figures here."""
    told = {"id": "call", "time": AT, "model": "m"}
    records = {
        "openai": answer({"prompt_tokens": 9, "completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 20}}),
        "anthropic": told | {"usage": {"input_tokens": 9, "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 20}}},
        "sglang": told | {"prompt_tokens": 9, "completion_tokens": 30, "reasoning_tokens": 20, "cached_tokens": 0},
        "gemini": told | {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 10, "thoughtsTokenCount": 20}},
        "otel": SPAN | {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 30, "gen_ai.usage.reasoning.output_tokens": 20},
    }  # fmt: skip

    assert set(landed(calls, records, "output_tokens", "reasoning_tokens").values()) == {(10, 20)}


def test_multimodal_counts_are_inside_the_input_and_output(calls: Desk) -> None:
    """Images and sound are tokens of the same kinds, and never added to them; where buckets stand apart, they are."""
    details = {"cached_tokens": 0, "audio_tokens": 44, "image_tokens": 9, "multimodal_tokens": {"image": 9}}
    used = {"prompt_tokens": 64, "completion_tokens": 9, "prompt_tokens_details": details}
    gemini = {
        "promptTokenCount": 64,
        "candidatesTokenCount": 9,
        "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 55}],
    }
    records = {
        "openai": answer(used | {"completion_tokens_details": {"audio_tokens": 5}}),
        "gemini": {"id": "g", "time": AT, "model": "m", "usageMetadata": gemini},
        "langfuse": log("langfuse", {"usage_details": {"input": 20, "input_audio_tokens": 44, "output": 4, "output_audio_tokens": 5}}),
        "otel": SPAN | {"gen_ai.usage.input_tokens": 64, "gen_ai.usage.output_tokens": 9, "gen_ai.usage.image.input_tokens": 9},
    }  # fmt: skip

    assert set(landed(calls, records, *TOKENS).values()) == {(64, 0, 0, 9, 0)}


def test_drafts_of_speculative_decoding_are_no_tokens(calls: Desk) -> None:
    """What was emitted counts; drafts are work of the GPU that its hours pay for."""
    used = {"prompt_tokens": 24, "completion_tokens": 48, "prompt_tokens_details": {"cached_tokens": 0}}
    timings = {"cache_n": 0, "prompt_n": 24, "predicted_n": 48, "draft_n": 60, "draft_n_accepted": 31}
    accepted = {"accepted_prediction_tokens": 31, "rejected_prediction_tokens": 0}
    drafted = {"speculative_decoding": {"num_draft_tokens": 60, "num_accepted_tokens": 31}}
    told = {"time": AT, "model": "m", "prompt_tokens": 24, "completion_tokens": 48, "cached_tokens": 0}
    calls.hand_in(
        answer(used, id="llamacpp", timings=timings),
        answer(used, id="vllm", metrics=drafted),
        answer({**used, "completion_tokens_details": accepted}, id="predicted"),
        format_name="openai",
    )
    calls.hand_in({"id": "s", "spec_accept_token_num": 31, "spec_verify_ct": 17, **told}, format_name="sglang")

    assert calls.events(*TOKENS) == [(24, 0, 0, 48, 0)] * 4


def test_sampled_traces_are_never_billed_from(calls: Desk) -> None:
    """One span that stands for ten would bill a tenth: it is rejected by name, whole ones beside it land."""
    whole = span(SPAN | {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 9})
    sampled = {**whole, "spanId": "00f067aa0ba902b7", "traceState": "ot=th:e", "endTimeUnixNano": str(END_NS + 1)}
    outcome = land(calls, "traces", spans(sampled, whole))

    assert (outcome.landed, dict(outcome.rejections)) == (1, {"sampled": 1})
