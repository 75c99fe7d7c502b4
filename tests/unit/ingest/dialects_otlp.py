"""Dialects of spans and log records."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from ingest.formats import otlp_names as names
from tests.unit.ingest.dialects import Dialect, Record, Truth, only, without


def attributes(truth: Truth) -> Record:
    """What a span says beside its counts, in the newest names."""
    first = truth.streamed and truth.status == "success"
    return {
        "gen_ai.response.model": truth.model,
        "gen_ai.response.id": truth.name,
        "gen_ai.conversation.id": f"session {truth.name}",
        "gen_ai.response.time_to_first_chunk": truth.first_ms / 1000 if first else None,
        "error.type": "timeout" if truth.status == "failed" else None,
        "litellm.call_id": truth.name,
        "litellm.api_key.hash": truth.who,
    }


def spelled(truth: Truth, spelling: tuple[str, str, str, str, str], **more: Any) -> Record:
    """Inclusive counts under one convention's names."""
    _, read, written, _, reasoned = truth.tokens
    counts = (truth.prompt, truth.completion, read, written, reasoned)
    return {**attributes(truth), **more, **dict(zip(spelling, counts, strict=True))}


def buckets(truth: Truth) -> Record:
    """Langfuse's counts, beside one another."""
    keys = ("input", "cache_read_input_tokens", "cache_creation_input_tokens", "output", "output_reasoning_tokens")
    used = {**dict(zip(keys, truth.tokens, strict=True)), "total": sum(truth.tokens)}
    return {**attributes(truth), "langfuse.observation.type": "generation", names.BUCKETS: json.dumps(used)}


def engine(truth: Truth) -> Record:
    """vLLM's span: neither what was cached, nor who asked, nor for which model, but for its service's name."""
    return {
        "gen_ai.request.id": truth.name,
        "gen_ai.usage.prompt_tokens": truth.prompt,
        "gen_ai.usage.completion_tokens": truth.completion,
        "gen_ai.latency.e2e": truth.took_ms / 1000,
        "gen_ai.latency.time_to_first_token": truth.first_ms / 1000
        if truth.streamed and truth.status == "success"
        else None,
        "gen_ai.request.model": truth.model,
    }


SPELLINGS = {
    "otel": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    ),
    "openllmetry": (
        "gen_ai.usage.prompt_tokens",
        "gen_ai.usage.completion_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.reasoning_tokens",
    ),
    "openllmetry-old": (
        "llm.usage.prompt_tokens",
        "llm.usage.completion_tokens",
        "llm.usage.cache_read_input_tokens",
        "llm.usage.cache_creation_input_tokens",
        "llm.usage.reasoning_tokens",
    ),
    "openinference": (
        "llm.token_count.prompt",
        "llm.token_count.completion",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_write",
        "llm.token_count.completion_details.reasoning",
    ),
    "pydantic-ai": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.reasoning_tokens",
    ),
    "sentry": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.output_tokens.reasoning",
    ),
    "ai-sdk": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "ai.usage.inputTokenDetails.cacheReadTokens",
        "ai.usage.inputTokenDetails.cacheWriteTokens",
        "ai.usage.reasoningTokens",
    ),
}
KNOWN = only("success", "failed")
OTLP = {
    **{
        name: Dialect(form="traces", write=partial(spelled, spelling=spelling), can=KNOWN)
        for name, spelling in SPELLINGS.items()
    },
    "langfuse-span": Dialect(form="traces", write=buckets, can=KNOWN),
    "vllm-span": Dialect(
        form="traces",
        write=engine,
        says=without("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "principal", "session_id"),
        whole=False,
        can=only("success"),
    ),
    "event": Dialect(
        form="logs",
        write=partial(spelled, spelling=SPELLINGS["otel"]),
        says=without("duration_us"),
        can=KNOWN,
    ),
}
"""By the names that their records begin with."""
