"""Answers of real APIs: every recorded usage becomes the counts that its provider's own rules give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.formats.anthropic import ANTHROPIC
from ingest.formats.bedrock import BEDROCK
from ingest.formats.cohere import COHERE
from ingest.formats.gemini import GEMINI
from ingest.formats.native import Native
from ingest.formats.openai import OPENAI
from tests.shared_data import shared
from tests.unit.ingest.desk import Desk

FORMATS = (OPENAI, ANTHROPIC, GEMINI, BEDROCK, COHERE)
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def flavor(body: dict[str, Any]) -> tuple[Native, str, str]:
    """The format of a body, and whose rules say what it means."""
    if "usageMetadata" in body:
        return GEMINI, "google", "default"
    if "meta" in body:
        return COHERE, "cohere", "embeddings"
    used = body["usage"]
    if "billed_units" in used:
        return COHERE, "cohere", "default"
    if "inputTokens" in used:
        return BEDROCK, "aws", "default"
    if "input_tokens_details" in used or "prompt_tokens" in used:
        shape = "responses" if "input_tokens" in used else "chat" if "completion_tokens" in used else "embeddings"
        return OPENAI, "openai", shape
    return ANTHROPIC, "anthropic", "default"


def golden(entry: dict[str, Any], provider: str, shape: str) -> dict[str, int]:
    """The usage that the trace says a body has, by whose rules."""
    (found,) = (
        dict(one["usage"])
        for one in entry["extracted"]
        if any((by["provider_id"], by["api_flavor"]) == (provider, shape) for by in one["extractors"])
    )
    return found


def logged(body: dict[str, Any], number: int, *, wrapped: bool) -> dict[str, Any]:
    """A body as a log would write it: with when, of which model, and its answer's id; around the answer, or in it."""
    name = f"answer-{number:03}"
    said = {"time": "2026-10-15T11:00:00Z", "model": body.get("model") or "some-model", "id": name}
    answer = {key: value for key, value in body.items() if key != "file"}
    return {**said, "response": answer} if wrapped else {**answer, **said}


@pytest.mark.parametrize("wrapped", [False, True], ids=["beside", "around"])
@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
def test_every_real_body_becomes_its_golden_usage(desk: Desk, format_: Native, wrapped: bool) -> None:
    """Cache reads and writes are inside the golden input, and reasoning inside its output: the kinds here add up to them."""
    entries = json.loads(shared("traces", "genai_prices", "usages_even.json").read_text())
    expected, lines = {}, []
    for number, entry in enumerate(entries):
        read_as, provider, shape = flavor(entry["body"])
        if read_as is format_:
            lines.append(logged(entry["body"], number, wrapped=wrapped))
            expected[f"answer-{number:03}"] = golden(entry, provider, shape)
    desk.formats[format_.name] = format_
    outcome = desk.hand_in(*lines, format_name=format_.name)
    found = {}
    for name, uncached, read, written, output, reasoned in desk.events("event_id", *TOKENS):
        found[name] = (uncached + read + written, read, written, output + reasoned, reasoned)

    assert (outcome.received, outcome.landed) == (len(lines), len(lines))
    assert found == {
        name: tuple(
            usage.get(kind, 0)
            for kind in (
                "input_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "output_tokens",
                "output_reasoning_tokens",
            )
        )
        for name, usage in expected.items()
    }


def test_the_real_bodies_are_all_read() -> None:
    """Each of the 789 is of one of the formats, and none is left out."""
    entries = json.loads(shared("traces", "genai_prices", "usages_even.json").read_text())
    counts = [sum(flavor(entry["body"])[0] is format_ for entry in entries) for format_ in FORMATS]

    assert (sum(counts), counts) == (789, [332, 108, 230, 111, 8])
