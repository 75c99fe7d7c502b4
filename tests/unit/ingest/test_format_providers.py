"""Anthropic, Gemini, Bedrock and Cohere: what stands inside the input and the output of each, and what stands beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.formats.anthropic import ANTHROPIC
from ingest.formats.bedrock import BEDROCK
from ingest.formats.cohere import COHERE
from ingest.formats.gemini import GEMINI
from tests.shared_data import shared
from tests.unit.ingest.desk import Desk

AT = "2026-10-15T11:00:00Z"
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


@pytest.fixture
def providers(desk: Desk) -> Desk:
    """A desk that reads the answers of four providers."""
    desk.formats |= {format_.name: format_ for format_ in (ANTHROPIC, GEMINI, BEDROCK, COHERE)}
    return desk


def counts(desk: Desk, format_name: str, **fields: Any) -> list[Any]:
    """What a record's tokens become, and how they are known."""
    desk.hand_in({"time": AT, "id": "a", "model": "m", **fields}, format_name=format_name)
    ((*found, quality),) = desk.events(*TOKENS, "usage_quality")
    return [*found, quality]


@pytest.mark.parametrize(
    ("sample", "format_name", "key", "expected"),
    [
        ("anthropic_messages", "anthropic", "usage", [3, 0, 12304, 550, 0, "reported"]),
        ("gemini", "gemini", "usageMetadata", [5005, 257955, 0, 1744, 0, "reported"]),
        ("bedrock_converse", "bedrock", "usage", [14, 0, 0, 9, 0, "reported"]),
    ],
)
def test_usage_as_each_provider_writes_it(
    providers: Desk, sample: str, format_name: str, key: str, expected: list[Any]
) -> None:
    """Of the samples, as their expected counts say."""
    used = json.loads(shared("samples", "usage_objects.json").read_text())[sample]

    assert counts(providers, format_name, **{key: used}) == expected


def test_anthropic_counts_the_cache_beside_the_input(providers: Desk) -> None:
    """A read far larger than the input is no contradiction there."""
    used = {"input_tokens": 3, "cache_read_input_tokens": 9511, "cache_creation_input_tokens": 7, "output_tokens": 9}

    assert counts(providers, "anthropic", usage=used) == [3, 9511, 7, 9, 0, "reported"]


def test_anthropics_writes_of_both_ages_are_one_kind(providers: Desk) -> None:
    """Five minutes and an hour: added where their sum is not told, and never on top of it."""
    ages = {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 2}
    providers.hand_in(
        {"time": AT, "id": "a", "model": "m", "usage": {"input_tokens": 1, "cache_creation": ages}},
        {"time": AT, "id": "b", "model": "m",
         "usage": {"input_tokens": 1, "cache_creation": ages, "cache_creation_input_tokens": 42}},
        format_name="anthropic",
    )  # fmt: skip

    assert providers.events("cache_write_tokens") == [42, 42]


def test_anthropics_thinking_is_inside_its_output(providers: Desk) -> None:
    """Where it exceeds it, it stands beside it, and the event is partial."""
    used = {"input_tokens": 1, "output_tokens": 121, "output_tokens_details": {"thinking_tokens": 28}}

    assert counts(providers, "anthropic", usage=used) == [1, 0, 0, 93, 28, "reported"]


def test_more_thinking_than_output_is_partial(providers: Desk) -> None:
    """Nothing is negative, and nothing is lost."""
    used = {"input_tokens": 1, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 28}}

    assert counts(providers, "anthropic", usage=used) == [1, 0, 0, 5, 28, "partial"]


def test_an_advisors_tokens_are_not_added_to_the_models(providers: Desk) -> None:
    """`iterations` repeat what the counts add up, and those of another model are another price."""
    iterations = [{"input_tokens": 2518, "output_tokens": 22, "model": "other", "type": "advisor_message"}]
    used = {"input_tokens": 2390, "output_tokens": 121, "iterations": iterations}

    assert counts(providers, "anthropic", usage=used) == [2390, 0, 0, 121, 0, "reported"]


@pytest.mark.parametrize(
    ("result", "status"),
    [("succeeded", "success"), ("errored", "failed"), ("canceled", "cancelled"), ("expired", "failed")],
)
def test_lines_of_a_message_batch(providers: Desk, result: str, status: str) -> None:
    """Half the price: tier `batch`; what came of a line is its status."""
    message = {"id": "msg", "model": "claude-sonnet-5", "usage": {"input_tokens": 5, "output_tokens": 6}}
    outcome = {"type": result, "message": message} if result == "succeeded" else {"type": result}
    line = {"time": AT, "model": "claude-sonnet-5", "custom_id": "c", "result": outcome}
    providers.hand_in(line, format_name="anthropic")

    assert providers.events("status", "tier", "provider") == [(status, "batch", "anthropic")]


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ({"promptTokenCount": 100, "thoughtsTokenCount": 90, "candidatesTokenCount": 10}, [100, 0, 0, 10, 90, "reported"]),
        ({"promptTokenCount": 100, "thoughtsTokenCount": 90}, [100, 0, 0, 0, 90, "reported"]),
        ({"promptTokenCount": 100, "toolUsePromptTokenCount": 40}, [140, 0, 0, 0, 0, "reported"]),
        (
            {"promptTokenCount": 100, "cachedContentTokenCount": 60, "toolUsePromptTokenCount": 5},
            [45, 60, 0, 0, 0, "reported"],
        ),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 60}, [10, 60, 0, 0, 0, "partial"]),
        ({"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 50}, [10, 0, 0, 2, 0, "partial"]),
        ({}, [0, 0, 0, 0, 0, "missing"]),
    ],
)  # fmt: skip
def test_geminis_thoughts_and_tools_stand_beside(providers: Desk, used: dict[str, int], expected: list[Any]) -> None:
    """Thoughts beside the candidates, tools' prompts beside the prompt, cached content inside it."""
    assert counts(providers, "gemini", usageMetadata=used) == expected


def test_negative_counts_are_not_hidden_in_a_sum(providers: Desk) -> None:
    """What tools put in is added to the prompt: were it negative, the sum would still look sound."""
    used = {"promptTokenCount": 100, "toolUsePromptTokenCount": -40}
    outcome = providers.hand_in({"time": AT, "id": "a", "model": "m", "usageMetadata": used}, format_name="gemini")

    assert dict(outcome.rejections) == {"negative": 1}


def test_vertex_says_when_an_answer_was_made(providers: Desk) -> None:
    """The log's own time, which is when it was complete, counts before it."""
    used = {"promptTokenCount": 1}
    at = {"createTime": "2026-10-15T10:59:58.123456Z", "modelVersion": "g", "usageMetadata": used}
    providers.hand_in({"responseId": "a", **at}, {"responseId": "b", "time": AT, **at}, format_name="gemini")

    assert [time[14:] for time in providers.events("occurred_at")] == ["59:58.123456Z", "00:00.000000Z"]


def test_bedrock_counts_the_cache_beside_the_input(providers: Desk) -> None:
    """In Converse, in Anthropic's answers to InvokeModel, and in the invocation log."""
    converse = {"inputTokens": 3, "outputTokens": 9, "cacheReadInputTokens": 2752, "cacheWriteInputTokens": 7}
    messages = {
        "input_tokens": 3,
        "output_tokens": 9,
        "cache_read_input_tokens": 2752,
        "cache_creation_input_tokens": 7,
    }
    older = {"inputTokens": 3, "outputTokens": 9, "cacheReadInputTokenCount": 2752, "cacheWriteInputTokenCount": 7}
    logged = {
        "input": {"inputTokenCount": 3, "cacheReadInputTokenCount": 2752, "cacheWriteInputTokenCount": 7},
        "output": {"outputTokenCount": 9},
    }
    providers.hand_in(
        *(
            {"time": AT, "requestId": str(n), "modelId": "m", "usage": used}
            for n, used in enumerate((converse, messages, older))
        ),
        {"timestamp": AT, "requestId": "3", "modelId": "m", **logged},
        format_name="bedrock",
    )

    assert providers.events(*TOKENS) == [(3, 2752, 7, 9, 0)] * 4


def test_bedrocks_log_knows_who_asked(providers: Desk) -> None:
    """The role is the principal; its session differs each time and may name a person, and the caller's metadata is not read."""
    role = "arn:aws:sts::123456789012:assumed-role/search-prod"
    record = {"timestamp": AT, "requestId": "r", "modelId": "m", "identity": {"arn": f"{role}/somebody@example.com"}}
    record |= {"input": {"inputTokenCount": 3}, "requestMetadata": {"team": "x"}, "region": "eu-central-1"}
    providers.hand_in(record, format_name="bedrock")

    assert providers.events("principal", "tags", "region") == [(role, "{}", "eu-central-1")]


def test_boto3_says_when_an_answer_came(providers: Desk) -> None:
    """In the date of its headers, where the log says nothing."""
    metadata = {"RequestId": "r", "HTTPHeaders": {"date": "Thu, 15 Oct 2026 11:00:00 GMT"}}
    record = {"ResponseMetadata": metadata, "modelId": "m", "usage": {"inputTokens": 1}, "metrics": {"latencyMs": 812}}
    providers.hand_in(record, format_name="bedrock")

    assert providers.events("event_id", "occurred_at", "duration_us") == [("r", "2026-10-15T11:00:00.000000Z", 812_000)]


def test_cohere_counts_what_it_bills(providers: Desk) -> None:
    """Its model saw more, part of it from the cache."""
    used = {"billed_units": {"input_tokens": 51, "output_tokens": 13}, "cached_tokens": 1440}
    used |= {"tokens": {"input_tokens": 1533, "output_tokens": 36}}

    assert counts(providers, "cohere", usage=used) == [51, 0, 0, 13, 0, "reported"]


def test_without_what_it_bills_cohere_counts_what_was_seen(providers: Desk) -> None:
    """Cached tokens inside it; more of them contradict it."""
    used = {"tokens": {"input_tokens": 10, "output_tokens": 36}, "cached_tokens": 1440}

    assert counts(providers, "cohere", usage=used) == [10, 1440, 0, 36, 0, "partial"]
