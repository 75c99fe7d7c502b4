"""OpenAI's shape and its speakers: whose counts are inside which, whose time it is, and what batches say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.formats.openai import OPENAI, OPENAI_BATCH
from tests.frozen import FrozenClock
from tests.shared_data import shared
from tests.unit.ingest.desk import NOON, Desk

CREATED = int(NOON.timestamp()) - 3600
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
USED: dict[str, Any] = {
    "prompt_tokens": 1200,
    "completion_tokens": 300,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 1024},
    "completion_tokens_details": {"reasoning_tokens": 100},
}


def answer(**fields: Any) -> dict[str, Any]:
    """A sound chat completion; fields given as None stay null."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": "llama",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "a secret answer"}}],
        "usage": USED,
        **fields,
    }


@pytest.fixture
def openai(desk: Desk) -> Desk:
    """A desk that reads answers in OpenAI's shape, and batches of them."""
    desk.formats |= {"openai": OPENAI, "openai-batch": OPENAI_BATCH}
    return desk


def landed(desk: Desk, *records: dict[str, Any], format_name: str = "openai") -> dict[str, Any]:
    """The one event that records become."""
    desk.hand_in(*records, format_name=format_name)
    (event,) = desk.events()
    return dict(event)


def counts(event: dict[str, Any]) -> list[Any]:
    """The five kinds of tokens, and how they are known."""
    return [*(event[name] for name in TOKENS), event["usage_quality"]]


def test_an_answer_becomes_an_event(openai: Desk) -> None:
    """What it says, and what the log says beside it."""
    said = {"principal": "key-7", "tags": {"team": "ads"}, "trace_id": "t-1", "session_id": "s-1", "namespace": "web"}
    event = landed(openai, answer(service_tier="flex", **said, replica="llama-0:8000", deployment="blue"))
    expected = {
        "source": "openai",
        "event_id": "chatcmpl-1",
        "occurred_at": "2026-10-15T11:00:00.000000Z",
        "model": "llama",
        "provider": "self",
        "deployment": "blue",
        "replica": "llama-0:8000",
        "principal": "key-7",
        "namespace": "web",
        "tags": '{"team":"ads"}',
        "trace_id": "t-1",
        "session_id": "s-1",
        "requests": 1,
        "ttft_us": None,
        "duration_us": None,
        "status": "success",
        "tier": "flex",
    }

    assert {name: event[name] for name in expected} == expected
    assert counts(event) == [176, 1024, 0, 200, 100, "reported"]


def test_the_answer_may_stand_inside_its_log_line(openai: Desk) -> None:
    """Then the log's time counts, which is when the answer was complete."""
    event = landed(openai, {"time": "2026-10-15T11:30:00.5+00:00", "principal": "k", "response": answer()})

    assert (event["occurred_at"], event["principal"]) == ("2026-10-15T11:30:00.500000Z", "k")


def test_what_an_answer_repeats_of_its_request_is_not_believed(openai: Desk) -> None:
    """Metadata, user and cache key were written by whoever called: attribution cannot be spoofed with them."""
    spoofed = {"metadata": {"team": "x"}, "user": "x", "prompt_cache_key": "x", "tags": {"team": "x"}, "principal": "x"}
    event = landed(openai, {"time": CREATED, "response": answer(**spoofed)})

    assert (event["tags"], event["principal"]) == ("{}", "")


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("openai_chat", [86, 1920, 0, 172, 128, "reported"]),
        ("openai_responses", [86, 1920, 0, 172, 128, "reported"]),
        ("openai_embeddings", [815, 0, 0, 0, 0, "reported"]),
        ("deepseek_chat", [86, 1920, 0, 300, 0, "reported"]),
        ("vllm_chat_prompt_tokens_details_on", [560, 2560, 0, 292, 120, "reported"]),
        ("vllm_chat_default_flags", [3120, 0, 0, 412, 0, "partial"]),
        ("sglang_chat", [560, 2560, 0, 292, 120, "reported"]),
    ],
)
def test_usage_as_each_speaker_writes_it(openai: Desk, sample: str, expected: list[Any]) -> None:
    """Of the samples: an engine that does not say what was cached leaves it unknown, which is not none."""
    used = json.loads(shared("samples", "usage_objects.json").read_text())[sample]

    assert counts(landed(openai, answer(usage=used))) == expected


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 24}}, [10, 24, 0, 0, 0, "partial"]),
        (
            {"completion_tokens": 5, "prompt_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 8}},
            [9, 0, 0, 5, 8, "partial"],
        ),
        (
            {"prompt_tokens": 50, "prompt_cache_hit_tokens": 100, "prompt_cache_miss_tokens": 50},
            [50, 100, 0, 0, 0, "partial"],
        ),
    ],
)
def test_counts_that_contradict_the_dialect_are_read_side_by_side_and_marked(
    openai: Desk, used: dict[str, Any], expected: list[Any]
) -> None:
    """More inside than the whole: nothing is negative, nothing is lost, and the event says so."""
    assert counts(landed(openai, answer(usage=used, model="gpt-5"))) == expected


def test_reasoning_stands_beside_the_completion_where_the_total_says_so(openai: Desk) -> None:
    """As xAI counts: prompt, completion and reasoning make the total, which settles how to read them."""
    used = {
        "prompt_tokens": 687,
        "completion_tokens": 240,
        "total_tokens": 1092,
        "prompt_tokens_details": {"cached_tokens": 682},
        "completion_tokens_details": {"reasoning_tokens": 165},
    }

    assert counts(landed(openai, answer(usage=used))) == [5, 682, 0, 240, 165, "reported"]


def test_a_total_that_holds_more_than_is_told_is_partial(openai: Desk) -> None:
    """A compatible API of a thinking model hid its thoughts: what they were is not guessed."""
    used = {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}

    assert counts(landed(openai, answer(usage=used, provider="google"))) == [35, 0, 0, 12, 0, "partial"]


def test_new_tokens_of_the_cache_are_inside_the_prompt(openai: Desk) -> None:
    """OpenAI writes `cache_write_tokens`, vLLM `created_cache_tokens`."""
    written = [
        {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 10, name: 60}}
        for name in ("cache_write_tokens", "created_cache_tokens")
    ]
    openai.hand_in(*(answer(id=str(n), usage=used) for n, used in enumerate(written)), format_name="openai")

    assert openai.events(*TOKENS) == [(30, 10, 60, 0, 0)] * 2


def test_llamacpp_says_in_timings_what_came_from_its_cache(openai: Desk) -> None:
    """Its usage does not; drafted tokens of speculative decoding are work without tokens."""
    sample = json.loads(shared("samples", "llamacpp_response_timings.json").read_text())
    event = landed(openai, answer(**sample))

    assert counts(event) == [24, 96, 0, 48, 0, "reported"]


def test_vllm_tells_how_long_it_took(openai: Desk) -> None:
    """Time to first token counts from scheduling there, and generation from the first token: the wait comes first."""
    openai.clock = FrozenClock(NOON.replace(year=2027))
    event = landed(openai, json.loads(shared("samples", "vllm_chat_response_per_request_metrics.json").read_text()))

    assert counts(event) == [560, 2560, 0, 292, 120, "reported"]
    assert (event["ttft_us"], event["duration_us"], event["queue_us"]) == (310_000, 9_070_000, 40_000)


def test_multimodal_tokens_are_part_of_the_prompt(openai: Desk) -> None:
    """They are inside the count already, and no sixth kind."""
    used = {
        "prompt_tokens": 64,
        "completion_tokens": 9,
        "prompt_tokens_details": {"audio_tokens": 44, "cached_tokens": 0},
    }

    assert counts(landed(openai, answer(usage=used))) == [64, 0, 0, 9, 0, "reported"]


def test_several_choices_are_one_request(openai: Desk) -> None:
    """n > 1: the prompt counts once, the completions together, as reported."""
    event = landed(openai, answer(choices=[{"index": n} for n in range(4)]))

    assert (event["requests"], event["uncached_input_tokens"]) == (1, 176)


def test_an_adapter_keeps_its_name(openai: Desk) -> None:
    """A LoRA adapter is asked for by a name of its own; an alias in the config joins it to its model."""
    assert landed(openai, answer(model="llama-sql-adapter"))["model"] == "llama-sql-adapter"


def test_an_answer_without_usage_is_missing_usage(openai: Desk) -> None:
    """Absent is unknown, and not 0: the event says that nobody counted."""
    assert counts(landed(openai, answer(usage=None))) == [0, 0, 0, 0, 0, "missing"]


@pytest.mark.parametrize(
    ("fields", "status", "quality"),
    [
        ({"status": "completed"}, "success", "reported"),
        ({"status": "incomplete"}, "success", "reported"),
        ({"status": "failed", "usage": None}, "failed", "missing"),
        ({"status": "cancelled"}, "cancelled", "partial"),
        ({"error": {"code": "server_error", "message": "a secret"}, "usage": None}, "failed", "missing"),
        ({"object": "error", "message": "a secret", "usage": None}, "failed", "missing"),
        ({"status": "failed"}, "failed", "reported"),
    ],
)
def test_failed_and_aborted_calls_are_events(openai: Desk, fields: dict[str, Any], status: str, quality: str) -> None:
    """What was counted until then counts."""
    event = landed(openai, answer(**fields))

    assert (event["status"], event["usage_quality"]) == (status, quality)


def test_the_last_chunk_of_a_stream_wins(openai: Desk) -> None:
    """With continuous_usage_stats each chunk has the sum so far, so that an aborted stream is known up to its end."""
    chunks = [
        answer(object="chat.completion.chunk", usage={"prompt_tokens": 10, "completion_tokens": n}, created=CREATED)
        for n in (3, 1, 2)
    ]
    event = landed(openai, *chunks)

    assert (event["output_tokens"], event["uncached_input_tokens"], event["revision"]) == (3, 10, 3)


def test_a_stream_as_it_is_logged(openai: Desk) -> None:
    """Chunks without usage say nothing and are rejected; the one with usage is the event."""
    openai.clock = FrozenClock(NOON.replace(year=2027))
    lines = shared("samples", "openai_stream_with_usage.sse").read_text().splitlines()
    outcome = openai.hand_in(
        *(line.removeprefix("data: ") for line in lines if line.startswith("data: {")), format_name="openai"
    )

    assert (outcome.landed, dict(outcome.rejections)) == (1, {"unknown_value": 2})
    assert openai.events(*TOKENS) == [(3120, 0, 0, 412, 0)]


def test_a_response_in_the_making_is_no_event_yet(openai: Desk) -> None:
    """A background response is polled under one id: only what came of it counts."""
    outcome = openai.hand_in(
        answer(status="queued", usage=None), answer(status="in_progress", usage=None), answer(status="completed"),
        format_name="openai",
    )  # fmt: skip

    assert (outcome.landed, dict(outcome.rejections)) == (1, {"unknown_value": 2})


def test_when_the_server_completed_it_counts_most(openai: Desk) -> None:
    """Responses have `completed_at`; the log's time comes next, the second of creation last."""
    times = [{"completed_at": CREATED + 60, "time": CREATED + 90}, {"time": CREATED + 90}, {}]
    openai.hand_in(*(answer(id=str(n), **at) for n, at in enumerate(times)), format_name="openai")

    assert [at[14:19] for at in openai.events("occurred_at")] == ["01:00", "01:30", "00:00"]


@pytest.mark.parametrize(
    ("written", "at"),
    [
        (f"{CREATED}.123456", "11:00:00.123456Z"),
        (f"{CREATED}123", "11:00:00.123000Z"),
        ('"2026-10-15T13:00:00+02:00"', "11:00:00.000000Z"),
        (f'"{CREATED}"', "11:00:00.000000Z"),
    ],
)
def test_a_log_writes_its_time_in_one_of_three_ways(openai: Desk, written: str, at: str) -> None:
    """RFC 3339 with a zone, epoch seconds, or milliseconds."""
    line = json.dumps(answer(time="T")).replace('"T"', written)
    openai.hand_in(line, format_name="openai")

    assert openai.events("occurred_at") == [f"2026-10-15T{at}"]


def test_a_completion_without_a_time_is_rejected_and_told_what_to_add(openai: Desk) -> None:
    """When it arrived says nothing about when it was made: no time is invented."""
    openai.hand_in(answer(created=None), answer(id="g"), format_name="openai")
    ((reason, detail),) = openai.rejections("reason", "detail")

    assert (openai.events("event_id"), reason) == (["g"], "bad_time")
    assert "send RFC 3339 text or epoch seconds as `time` beside the answer, or {'time': …, 'response': …}" in detail


@pytest.mark.parametrize(
    ("fields", "provider"),
    [
        ({"model": "Qwen/Qwen3-32B"}, "self"),
        ({"model": "openai/gpt-oss-120b"}, "self"),
        ({"model": "gpt-oss-20b"}, "self"),
        ({"model": "gpt-5-mini-2025-08-07"}, "openai"),
        ({"model": "text-embedding-3-small"}, "openai"),
        ({"model": "gpt-5", "provider": "azure"}, "azure"),
        ({"model": "llama", "provider": "vllm"}, "self"),
        ({"model": "llama", "provider": "groq"}, "groq"),
        ({"model": "llama", "provider": "openai", "replica": "vllm-0:8000"}, "self"),
        ({"usage": {"prompt_tokens": 5, "prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 5}}, "deepseek"),
    ],
)
def test_who_served_a_call(openai: Desk, fields: dict[str, Any], provider: str) -> None:
    """The log says it, or the model or the counts can be only one provider's; else it ran on own GPUs."""
    assert landed(openai, answer(**fields))["provider"] == provider


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": None}, "missing_field"),
        ({"model": None}, "missing_field"),
        ({"created": "yesterday"}, "bad_time"),
        ({"usage": {"prompt_tokens": -5}}, "negative"),
        ({"usage": {"prompt_tokens": "many"}}, "wrong_type"),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 1.5}}, "wrong_type"),
        ({"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": "x"}}}, "wrong_type"),
        ({"status": "maybe"}, "unknown_value"),
    ],
)
def test_a_bad_answer_is_rejected_beside_good_ones(openai: Desk, fields: dict[str, Any], reason: str) -> None:
    """With its reason; the others land."""
    outcome = openai.hand_in(answer(id="g"), answer(**fields), format_name="openai")

    assert (outcome.landed, dict(outcome.rejections)) == (1, {reason: 1})


def test_the_same_answer_again_is_a_duplicate(openai: Desk) -> None:
    """Its id is the provider's own."""
    openai.hand_in(answer(), format_name="openai")

    assert openai.hand_in(answer(), format_name="openai").duplicates == 1


def line(**fields: Any) -> dict[str, Any]:
    """A line of a batch's output."""
    reply = {"status_code": 200, "request_id": "r", "body": answer(model="gpt-5", service_tier="default")}
    return {"id": "batch_req_1", "custom_id": "team=ads|doc=17", "response": reply, "error": None, **fields}


def test_a_batch_as_openai_writes_it(openai: Desk) -> None:
    """Half the price: tier `batch`. A line that failed before it reached a model has neither model nor time, nor tokens."""
    openai.clock = FrozenClock(NOON.replace(year=2027))
    openai.formats["batch"] = OPENAI_BATCH
    outcome = openai.read(shared("samples", "openai_batch_output.jsonl"), "batch")
    (event,) = openai.events()

    assert (outcome.landed, dict(outcome.rejections)) == (1, {"bad_time": 1})
    assert counts(event) == [1500, 0, 0, 80, 0, "reported"]
    assert [event[name] for name in ("event_id", "provider", "tier", "tags", "status")] == [
        "batch_req_1",
        "openai",
        "batch",
        '{"team":"ads"}',
        "success",
    ]


@pytest.mark.parametrize(
    ("custom", "tags", "expected"),
    [
        ("team=ads|doc=17", None, '{"team":"ads"}'),
        ("project=rag; team = search", None, '{"project":"rag","team":"search"}'),
        ("request-17", None, "{}"),
        (None, None, "{}"),
        ("team=ads", {"team": "really"}, '{"team":"really"}'),
        ('team=a"b\\', None, '{"team":"a\\"b\\\\"}'),
        ("team=a=b", None, '{"team":"a=b"}'),
    ],
)
def test_whose_line_of_a_batch_it_is(openai: Desk, custom: str | None, tags: object, expected: str) -> None:
    """The id that the batch's author chose says it where it holds pairs; what the log adds is believed before it."""
    event = landed(openai, line(custom_id=custom, tags=tags), format_name="openai-batch")

    assert event["tags"] == expected


def test_a_failed_line_of_a_batch_lands_where_the_log_says_when_and_what(openai: Desk) -> None:
    """With time and model beside it, it is a failed request without usage."""
    failed = {"status_code": 400, "body": {"error": {"code": "context_length_exceeded"}}}
    event = landed(openai, line(response=failed, time=CREATED, model="gpt-5"), format_name="openai-batch")

    assert (event["status"], event["usage_quality"], event["provider"]) == ("failed", "missing", "openai")
