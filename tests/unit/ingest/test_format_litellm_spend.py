"""LiteLLM's table of spend: the same calls as its payloads, told by columns and metadata."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.formats.litellm import LITELLM
from ingest.formats.litellm_spend import LITELLM_SPEND
from tests.frozen import FrozenClock
from tests.shared_data import shared
from tests.unit.ingest.desk import NOON, Desk

TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
BASE: dict[str, Any] = {
    "request_id": "chatcmpl-1",
    "litellm_call_id": "call-1",
    "call_type": "acompletion",
    "api_key": "a1" * 32,
    "prompt_tokens": 3120,
    "completion_tokens": 412,
    "startTime": "2026-10-15T10:59:50.930Z",
    "completionStartTime": "2026-10-15T10:59:51.240Z",
    "endTime": "2026-10-15T11:00:00Z",
    "model": "Qwen/Qwen3-32B",
    "custom_llm_provider": "hosted_vllm",
    "metadata": {"additional_usage_values": {"cache_read_input_tokens": 2560}},
    "cache_hit": "False",
    "status": "success",
    "team_id": "team-search",
    "user": "u-1042",
    "end_user": "team-x",
    "request_tags": ["team:x"],
}


@pytest.fixture
def spend(desk: Desk) -> Desk:
    """A desk that reads rows and payloads of LiteLLM."""
    desk.formats |= {"spend": LITELLM_SPEND, "litellm": LITELLM}
    return desk


def landed(desk: Desk, **fields: Any) -> dict[str, Any]:
    """The one event that a row becomes."""
    desk.hand_in({**BASE, **fields}, format_name="spend")
    (event,) = desk.events()
    return dict(event)


def test_a_row_as_litellm_writes_it(spend: Desk) -> None:
    """Cache reads stand in metadata, and are inside the prompt."""
    spend.clock = FrozenClock(NOON.replace(year=2027))
    spend.read(shared("samples", "litellm_spend_logs.jsonl"), "spend")
    (event,) = spend.events()

    assert [event[name] for name in TOKENS] == [560, 2560, 0, 412, 0]
    assert (event["ttft_us"], event["duration_us"], event["tags"]) == (310_000, 9_070_000, '{"team":"team-search"}')
    assert (event["provider"], event["replica"]) == ("self", "vllm-qwen3-32b.llm.svc:8000")


def test_the_provider_s_name_before_a_model_is_taken_away(spend: Desk) -> None:
    """Newer versions write a router's deployment with it; the engine's counters know the model without."""
    assert landed(spend, model="hosted_vllm/Qwen/Qwen3-32B")["model"] == "Qwen/Qwen3-32B"


def test_a_payload_and_a_row_of_one_call_are_one_event(spend: Desk) -> None:
    """Both know the call's id: the tokens count once, and the second report shows as a conflict."""
    payload = {
        "litellm_call_id": "call-1",
        "endTime": 1792062000,
        "model": "Qwen/Qwen3-32B",
        "prompt_tokens": 3120,
        "completion_tokens": 412,
    }
    spend.hand_in(payload, format_name="litellm")
    outcome = spend.hand_in(BASE, format_name="spend")

    assert (outcome.landed, outcome.conflicts, len(spend.events())) == (0, 1, 1)


def test_a_hit_in_the_response_cache_used_no_tokens(spend: Desk) -> None:
    """It repeats the cached call's counts under an id of its own."""
    event = landed(spend, request_id="chatcmpl-1_cache_hit1792062000.1", litellm_call_id=None, cache_hit="True")

    assert [event[name] for name in TOKENS] == [0, 0, 0, 0, 0]
    assert (event["requests"], event["usage_quality"], event["ttft_us"]) == (1, "reported", None)


def test_a_finished_batch_is_one_event_however_often_it_is_polled(spend: Desk) -> None:
    """Its row is known by the batch's id, not by the poll's; it costs half."""
    row = {**BASE, "request_id": "batch_1_batch_cost", "call_type": "aretrieve_batch"}
    spend.hand_in({**row, "litellm_call_id": "p"}, {**row, "litellm_call_id": "q"}, format_name="spend")

    assert spend.events("event_id", "tier") == [("batch_1_batch_cost", "batch")]


@pytest.mark.parametrize(
    ("fields", "status", "quality"),
    [
        ({"status": "failure", "prompt_tokens": 0, "completion_tokens": 0, "metadata": {}}, "failed", "missing"),
        ({"status": None, "metadata": {"status": "failure"}}, "failed", "reported"),
        ({"metadata": {"error_information": {"error_code": "499"}}}, "cancelled", "estimated"),
        ({"prompt_tokens": 0, "completion_tokens": 0, "metadata": {}}, "success", "missing"),
        ({"prompt_tokens": 10}, "success", "partial"),
    ],
)
def test_how_calls_ended_and_what_is_known(spend: Desk, fields: dict[str, Any], status: str, quality: str) -> None:
    """Failed, hung up, a stream without usage, and counts that contradict one another."""
    event = landed(spend, **fields)

    assert (event["status"], event["usage_quality"]) == (status, quality)


def test_times_without_a_zone_are_utc(spend: Desk) -> None:
    """As the table holds them."""
    times = {"startTime": "2026-10-15 10:59:50.93", "completionStartTime": None, "endTime": "2026-10-15 11:00:00.5"}
    event = landed(spend, **times)

    assert (event["occurred_at"], event["duration_us"]) == ("2026-10-15T11:00:00.500000Z", 9_570_000)


def test_what_a_caller_writes_is_not_believed(spend: Desk) -> None:
    """Tags of the request, its user and end user never become identity; the key's own metadata does."""
    spend.allow("team", "cost_center", "end_user", "user")
    event = landed(spend, metadata={"user_api_key_auth_metadata": {"cost_center": "CC-7", "team": "not-the-keys"}})

    assert (event["tags"], event["principal"]) == ('{"cost_center":"CC-7","team":"team-search"}', "a1" * 32)


def test_a_raw_key_and_a_person_are_never_kept(spend: Desk) -> None:
    """Not in the ledger, and not in the quarantine."""
    spend.hand_in({**BASE, "api_key": "sk-1234567890abcdef"}, format_name="spend")
    spend.hand_in({**BASE, "api_key": "sk-1234567890abcdef", "prompt_tokens": -1}, format_name="spend")
    (kept,) = (bytes(one) for one in spend.rejections("bytes"))

    assert "sk-" not in spend.events("principal")[0]
    assert b"sk-" not in kept
    assert b"u-1042" not in kept
