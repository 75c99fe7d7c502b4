"""LiteLLM's payloads: its dialect of tokens, whose identity is believed, and what is kept of a record that is rejected."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats.litellm import LITELLM
from tests.frozen import FrozenClock
from tests.shared_data import shared
from tests.unit.ingest.desk import NOON, Desk

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
END = NOON.timestamp() - 3600
KEY = "a1" * 32
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
BASE: dict[str, Any] = {
    "id": "chatcmpl-1",
    "trace_id": "t-1",
    "session_id": "s-1",
    "litellm_call_id": "call-1",
    "stream": True,
    "status": "success",
    "custom_llm_provider": "hosted_vllm",
    "prompt_tokens": 1200,
    "completion_tokens": 300,
    "startTime": END - 2.5,
    "completionStartTime": END - 2.25,
    "endTime": END,
    "model": "llama",
    "model_group": "chat",
    "api_base": "http://llama.llm.svc:8000/v1",
    "cache_hit": False,
    "error_information": None,
    "request_tags": ["team:somebody-else", "project:other"],
    "end_user": "user@example.com",
    "messages": [{"role": "user", "content": "a secret prompt"}],
    "response": {"choices": [{"message": {"content": "a secret answer"}}]},
    "metadata": {
        "user_api_key_hash": KEY,
        "user_api_key_alias": "search-prod",
        "user_api_key_team_id": "team-search",
        "user_api_key_project_id": "rag",
        "spend_logs_metadata": {"team": "somebody-else"},
        "requester_metadata": {"team": "somebody-else"},
        "usage_object": {
            "prompt_tokens": 1200,
            "completion_tokens": 300,
            "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 1024},
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
    },
}


def payload(changes: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A sound payload; `changes` are by dotted path, and None stays null."""
    made = copy.deepcopy(BASE)
    for path, value in {**(changes or {}), **fields}.items():
        *above, last = path.split(".")
        inner = made
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return made


@pytest.fixture
def litellm(desk: Desk) -> Desk:
    """A desk that reads LiteLLM."""
    desk.formats["litellm"] = LITELLM
    return desk


def landed(desk: Desk, *payloads: dict[str, Any]) -> dict[str, Any]:
    """The one event that payloads become."""
    desk.hand_in(*payloads, format_name="litellm")
    (event,) = desk.events()
    return dict(event)


def test_a_payload_becomes_an_event(litellm: Desk) -> None:
    """Every field that LiteLLM knows; cached and reasoning tokens are taken out of the counts that hold them."""
    event = landed(litellm, payload())

    expected = {
        "source": "litellm",
        "event_id": "call-1",
        "occurred_at": "2026-10-15T11:00:00.000000Z",
        "model": "llama",
        "provider": "self",
        "replica": "llama.llm.svc:8000",
        "principal": KEY,
        "tags": '{"project":"rag","team":"team-search"}',
        "trace_id": "t-1",
        "session_id": "s-1",
        "uncached_input_tokens": 176,
        "cache_read_tokens": 1024,
        "cache_write_tokens": 0,
        "output_tokens": 200,
        "reasoning_tokens": 100,
        "requests": 1,
        "ttft_us": 250_000,
        "duration_us": 2_500_000,
        "queue_us": None,
        "status": "success",
        "usage_quality": "reported",
    }
    assert {name: event[name] for name in expected} == expected


def test_anthropic_through_litellm_is_inclusive_too(litellm: Desk) -> None:
    """LiteLLM adds reads and writes to the prompt for every provider: they are inside it here, though not at Anthropic."""
    used = {"cache_creation_input_tokens": 12304, "cache_read_input_tokens": 0, "total_tokens": 12857}
    event = landed(
        litellm,
        payload(
            {"metadata.usage_object": used}, custom_llm_provider="anthropic", prompt_tokens=12307, completion_tokens=550
        ),
    )

    assert [event[name] for name in TOKENS] == [3, 0, 12304, 550, 0]
    assert (event["provider"], event["replica"], event["usage_quality"]) == ("anthropic", "", "reported")


@pytest.mark.parametrize(
    ("prompt", "cached", "completion", "reasoning", "tokens"),
    [
        (10, 1024, 300, 100, [10, 1024, 0, 200, 100]),
        (1200, 1024, 50, 100, [176, 1024, 0, 50, 100]),
    ],
)
def test_counts_that_contradict_the_dialect_are_read_side_by_side_and_marked(
    litellm: Desk, prompt: int, cached: int, completion: int, reasoning: int, tokens: list[int]
) -> None:
    """More inside than the whole: nothing is negative, nothing is lost, and the event says that its counts are partial."""
    changes = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "metadata.usage_object.prompt_tokens_details.cached_tokens": cached,
        "metadata.usage_object.completion_tokens_details.reasoning_tokens": reasoning,
    }
    event = landed(litellm, payload(changes))

    assert [event[name] for name in TOKENS] == tokens
    assert event["usage_quality"] == "partial"


def test_a_hit_in_the_response_cache_used_no_tokens(litellm: Desk) -> None:
    """It repeats the cached call's usage, but no GPU worked: a request without tokens."""
    event = landed(litellm, payload(cache_hit=True))

    assert [event[name] for name in TOKENS] == [0, 0, 0, 0, 0]
    assert (event["requests"], event["usage_quality"], event["ttft_us"]) == (1, "reported", None)


def test_a_client_that_hung_up_is_cancelled_and_estimated(litellm: Desk) -> None:
    """LiteLLM reports it as a success with the counts of its own tokenizer."""
    event = landed(litellm, payload({"error_information": {"error_code": "499"}}))

    assert (event["status"], event["usage_quality"], event["output_tokens"]) == ("cancelled", "estimated", 200)


def test_a_failed_attempt_is_an_event_without_counts(litellm: Desk) -> None:
    """It may have cost GPU time that nobody counted, so its usage is missing, and its times to nothing are unknown."""
    event = landed(
        litellm,
        payload(
            {"metadata.usage_object": None, "error_information": {"error_code": "503"}},
            status="failure",
            prompt_tokens=0,
            completion_tokens=0,
            completionStartTime=END - 2.5,
        ),
    )

    assert (event["status"], event["usage_quality"], event["ttft_us"]) == ("failed", "missing", None)


@pytest.mark.parametrize(("prompt", "quality"), [(0, "missing"), (1200, "estimated")])
def test_a_stream_without_usage_says_so(litellm: Desk, prompt: int, quality: str) -> None:
    """Without counts from upstream there are none, or LiteLLM's own."""
    event = landed(litellm, payload({"metadata.usage_object": None}, prompt_tokens=prompt, completion_tokens=0))

    assert event["usage_quality"] == quality


def test_attempts_of_one_request_are_events_of_their_own(litellm: Desk) -> None:
    """Retries share the trace; each has its call id. The same payload again is a duplicate."""
    outcome = litellm.hand_in(
        payload(litellm_call_id="a"), payload(litellm_call_id="b"), payload(litellm_call_id="a"), format_name="litellm"
    )

    assert (outcome.landed, outcome.duplicates) == (2, 1)
    assert litellm.events("event_id", "trace_id") == [("a", "t-1"), ("b", "t-1")]


def test_without_a_call_id_the_response_and_its_start_name_the_event(litellm: Desk) -> None:
    """Older payloads have none; a response id alone may come back in a later call."""
    event = landed(litellm, payload(litellm_call_id=None, startTime=1792062000.25))

    assert event["event_id"] == "chatcmpl-1@1792062000.25"


@pytest.mark.parametrize(
    ("seconds", "instant"),
    [
        ("1792062000.123456", "2026-10-15T11:00:00.123456Z"),
        ("1792062000.1234567", "2026-10-15T11:00:00.123456Z"),
        ("1792062000", "2026-10-15T11:00:00.000000Z"),
        ("1.792062e9", "2026-10-15T11:00:00.000000Z"),
    ],
)
def test_times_are_exact_to_the_microsecond(litellm: Desk, seconds: str, instant: str) -> None:
    """Epoch seconds are read from their decimal text; a binary float would miss by one."""
    line = json.dumps(payload(startTime=None, completionStartTime=None)).replace(
        f'"endTime": {END}', f'"endTime": {seconds}'
    )
    litellm.hand_in(line, format_name="litellm")

    assert litellm.events("occurred_at") == [instant]


@pytest.mark.parametrize(
    ("provider", "base", "expected"),
    [
        ("hosted_vllm", "http://v:8000/v1", "self"),
        ("ollama", None, "self"),
        ("openai", "http://127.0.0.1:9801/v1", "self"),
        ("openai", "https://user:word@llm.example.com/v1?key=1", "self"),
        ("openai", "https://api.openai.com/v1", "openai"),
        ("openai", None, "openai"),
        ("azure", "https://mine.openai.azure.com", "azure"),
        ("bedrock", None, "bedrock"),
        (None, None, "self"),
    ],
)
def test_engines_on_own_gpus_are_self(litellm: Desk, provider: str | None, base: str | None, expected: str) -> None:
    """Engines, and OpenAI's protocol spoken at an address that is not OpenAI's."""
    event = landed(litellm, payload(custom_llm_provider=provider, api_base=base))

    assert event["provider"] == expected


@pytest.mark.parametrize(
    ("written", "provider", "model"),
    [
        ("hosted_vllm/llama", "hosted_vllm", "llama"),
        ("hosted_vllm/Qwen/Qwen3-32B", "hosted_vllm", "Qwen/Qwen3-32B"),
        ("Qwen/Qwen3-32B", "hosted_vllm", "Qwen/Qwen3-32B"),
        ("openai/openai/gpt-oss-20b", "openai", "openai/gpt-oss-20b"),
        ("openai", "openai", "openai"),
        ("openai/llama", None, "openai/llama"),
    ],
)
def test_the_provider_s_name_before_a_model_is_taken_away(
    litellm: Desk, written: str, provider: str | None, model: str
) -> None:
    """A router's deployment is written with its provider since 1.106: the engine and the price lists know it without."""
    assert landed(litellm, payload(model=written, custom_llm_provider=provider))["model"] == model


def test_the_public_name_helps_out_where_there_is_no_model(litellm: Desk) -> None:
    """What ran is what is priced; the group's name can stand for several models."""
    assert landed(litellm, payload(model=""))["model"] == "chat"


def test_what_a_caller_writes_is_not_believed(litellm: Desk) -> None:
    """Tags of the request, of its body and its end user never become identity; the key's own metadata does."""
    litellm.allow("team", "project", "cost_center", "end_user", "env")
    event = landed(
        litellm,
        payload(
            {
                "request_tags": ["team:x", "cost_center:CC-9"],
                "metadata.spend_logs_metadata": {"cost_center": "CC-42", "env": "x"},
                "metadata.user_api_key_auth_metadata": {"cost_center": "CC-7", "team": "not-the-keys"},
            }
        ),
    )

    assert event["tags"] == '{"cost_center":"CC-7","project":"rag","team":"team-search"}'


def test_team_and_project_fall_back_to_their_names(litellm: Desk) -> None:
    """Ids are stable, names can be changed; a key without a hash is known by its alias."""
    event = landed(
        litellm,
        payload(
            {
                "metadata.user_api_key_hash": None,
                "metadata.user_api_key_team_id": None,
                "metadata.user_api_key_team_alias": "Search",
            }
        ),
    )

    assert (event["tags"], event["principal"]) == ('{"project":"rag","team":"Search"}', "search-prod")


def test_a_raw_key_never_lands_and_is_never_kept(litellm: Desk) -> None:
    """It becomes the hash that LiteLLM would have made of it, in the ledger and in the quarantine."""
    raw = "sk-1234567890"
    hashed = hashlib.sha256(raw.encode()).hexdigest()
    good = payload({"metadata.user_api_key_hash": raw})
    bad = payload(
        {"metadata.user_api_key_hash": raw, "api_base": "http://u:pw@h:1/v1?k=pw"},
        litellm_call_id="b",
        prompt_tokens=-1,
    )
    litellm.hand_in(good, bad, format_name="litellm")
    (kept,) = litellm.rejections("bytes")

    assert litellm.events("principal") == [hashed]
    assert hashed.encode() in bytes(kept)
    assert raw.encode() not in bytes(kept)
    assert b"pw" not in bytes(kept)


def test_the_quarantine_keeps_no_prompt_and_no_person(litellm: Desk) -> None:
    """Of a rejected payload only the values that are read are kept; after a fix they land as the payload would have."""
    litellm.hand_in(payload(endTime=END + 1e9), format_name="litellm")
    ((reason, kept),) = litellm.rejections("reason", "bytes")
    found = json.loads(bytes(kept))

    assert reason == "too_far_ahead"
    assert {"messages", "response", "end_user", "request_tags"} & set(found) == set()
    assert "spend_logs_metadata" not in found["metadata"]
    assert LITELLM.kept(bytes(kept), b"", litellm.rules.tags) == bytes(kept)


def test_what_is_kept_of_a_rejected_payload_lands_once_it_may(litellm: Desk) -> None:
    """Everything that is read was kept: the replayed event is the one that the payload would have been."""
    labels = {
        "metadata.user_api_key_auth_metadata": {"project": "x", "team": "y"},
        "metadata.user_api_key_project_id": None,
    }
    made = payload(labels, endTime=END + 200_000)
    litellm.hand_in(made, format_name="litellm")
    litellm.clock = FrozenClock(NOON + timedelta(days=3))
    litellm.replay()
    replayed = litellm.events()
    again = litellm.hand_in(made, format_name="litellm")

    assert [row["tags"] for row in replayed] == ['{"project":"x","team":"team-search"}']
    assert (again.duplicates, litellm.events()) == (1, replayed)


ODD = st.sampled_from(
    [
        None,
        True,
        "",
        " ",
        "x",
        "'; --",
        "\\",
        "\ud800",
        "é" * 600,
        "1e5",
        "-0",
        0,
        -1,
        10**20,
        10**38,
        10**400,
        1.5,
        1e308,
        -1e-300,
        [],
        [1],
        {},
        {"a": {"b": []}},
    ]
)
PATHS = [*LITELLM.found.values(), *(keys for places in LITELLM.tags.values() for keys in places), *LITELLM.labels]
PLACES = st.sampled_from([".".join(keys[:length]) for keys in PATHS for length in range(1, len(keys) + 1)])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(PLACES, ODD), min_size=1, max_size=3), min_size=1, max_size=8))
def test_no_value_of_any_field_stops_a_batch(litellm: Desk, changes: list[list[tuple[str, Any]]]) -> None:
    """Whatever stands where: the record lands or is rejected, and the sound one beside it lands."""
    made = []
    for change in changes:
        one = payload()
        for place, value in change:
            *above, last = place.split(".")
            inner: Any = one
            for key in above:
                inner = inner.get(key) if isinstance(inner, dict) else None
            if isinstance(inner, dict):
                inner[last] = value
        made.append(one)
    outcome = litellm.hand_in(*made, payload(litellm_call_id=f"sound-{len(changes)}"), format_name="litellm")

    assert outcome.received == len(changes) + 1
    assert f"sound-{len(changes)}" in litellm.events("event_id")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"endTime": None}, "missing_field"),
        ({"endTime": "yesterday"}, "bad_time"),
        ({"prompt_tokens": -5}, "negative"),
        ({"prompt_tokens": "many"}, "wrong_type"),
        ({"completion_tokens": 1.5}, "wrong_type"),
        ({"metadata.usage_object.prompt_tokens_details.cached_tokens": "x"}, "wrong_type"),
        ({"litellm_call_id": None, "id": None}, "missing_field"),
        ({"model": None, "model_group": None}, "missing_field"),
        ({"status": "maybe"}, "unknown_value"),
    ],
)
def test_a_bad_payload_is_rejected_beside_good_ones(litellm: Desk, changes: dict[str, Any], reason: str) -> None:
    """With its reason; the others land."""
    outcome = litellm.hand_in(payload(litellm_call_id="g"), payload(changes), format_name="litellm")

    assert (outcome.landed, dict(outcome.rejections)) == (1, {reason: 1})


def test_one_array_or_lines_are_the_same_events(litellm: Desk) -> None:
    """`log_format` may be json_array, ndjson or single."""
    two = [payload(litellm_call_id="a"), payload(litellm_call_id="b")]
    litellm.read(litellm.file(json.dumps(two, indent=1).encode(), "array.json"), "litellm")
    again = litellm.hand_in(*two, format_name="litellm")

    assert (again.landed, again.duplicates) == (0, 2)


def test_payloads_as_litellm_writes_them(litellm: Desk) -> None:
    """A batch of the callback: a failed attempt and its retry, delivered twice, a stream without usage, a response-cache hit."""
    litellm.clock = FrozenClock(datetime(2026, 11, 14, tzinfo=UTC))
    outcome = litellm.read(shared("samples", "litellm_generic_api_batch.ndjson"), "litellm")
    found = litellm.events("event_id", "model", *TOKENS, "status", "usage_quality")

    assert (outcome.received, outcome.landed, outcome.duplicates) == (6, 5, 1)
    assert [(row[0][-1], *row[1:]) for row in found] == [
        ("1", "Qwen/Qwen3-32B", 560, 2560, 0, 292, 120, "success", "reported"),
        ("2", "claude-sonnet-5", 3, 0, 12304, 340, 210, "success", "reported"),
        ("3", "Qwen/Qwen3-32B", 0, 0, 0, 0, 0, "failed", "missing"),
        ("4", "Qwen/Qwen3-32B", 0, 0, 0, 0, 0, "success", "missing"),
        ("5", "Qwen/Qwen3-32B", 0, 0, 0, 0, 0, "success", "reported"),
    ]


@pytest.mark.parametrize(
    "sample", ["litellm_standard_logging_payload.json", "litellm_standard_logging_payload_failure.json"]
)
def test_single_payloads_as_litellm_writes_them(litellm: Desk, sample: str) -> None:
    """`log_format = single`: one object, pretty-printed or not."""
    litellm.clock = FrozenClock(datetime(2026, 11, 14, tzinfo=UTC))
    one = json.loads(shared("samples", sample).read_text())

    assert litellm.hand_in(one, format_name="litellm").landed == 1


def test_golden_payloads(litellm: Desk, golden: Callable[[str, str], None]) -> None:
    """What becomes of each of the golden payloads, field by field; the review of a change is the diff of this file."""
    litellm.read(GOLDEN / "litellm.ndjson", "litellm")
    rows = [json.dumps(row) for row in litellm.events()]

    golden("formats/litellm_landed.ndjson", "\n".join(rows) + "\n")
