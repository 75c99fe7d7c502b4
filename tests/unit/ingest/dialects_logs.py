"""Dialects of answers, engines and gateways, as their logs have them."""

from __future__ import annotations

from typing import Any

from tests.unit.ingest.dialects import ALL, Dialect, Record, Truth, beside, http, messages, only, openai, without

PARTS = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def canonical(truth: Truth) -> Record:
    """A usage event."""
    kinds = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    record = beside(truth, source="canonical", event_id=truth.name, occurred_at=truth.at())
    del record["id"], record["time"]
    if truth.status == "cancelled":
        record["usage_quality"] = "partial"
    return {**record, **dict(zip(kinds, truth.tokens, strict=True))}


def litellm(truth: Truth) -> Record:
    """A standard logging payload."""
    seconds, first = truth.epoch_ms / 1000, truth.first_ms if truth.streamed else truth.took_ms
    if truth.status == "cancelled":
        first = 0  # it writes the start where it saw no token
    return {
        "litellm_call_id": truth.name,
        "id": "chatcmpl",
        "trace_id": truth.trace,
        "session_id": f"session {truth.name}",
        "stream": truth.streamed,
        "status": "failure" if truth.status == "failed" else "success",
        "error_information": {"error_code": "499"} if truth.status == "cancelled" else None,
        "custom_llm_provider": "hosted_vllm",
        "model": truth.model,
        "startTime": seconds - truth.took_ms / 1000,
        "completionStartTime": seconds - (truth.took_ms - first) / 1000,
        "endTime": seconds,
        "prompt_tokens": truth.prompt,
        "completion_tokens": truth.completion,
        "metadata": {
            "user_api_key_hash": truth.who,
            "usage_object": openai(truth, {"written": "cache_creation_tokens"}),
        },
    }


def spend(truth: Truth) -> Record:
    """A row of SpendLogs."""
    ago = truth.took_ms - (truth.first_ms if truth.streamed else truth.took_ms)
    form = "%Y-%m-%dT%H:%M:%S.%f"
    used = {
        "cache_read_input_tokens": truth.tokens[1],
        "cache_creation_input_tokens": truth.tokens[2],
        "completion_tokens_details": {"reasoning_tokens": truth.tokens[4]},
    }
    failed = {"status": {"failed": "failure"}.get(truth.status, "success")}
    return {
        "request_id": truth.name,
        "session_id": f"session {truth.name}",
        "api_key": truth.who,
        "model": truth.model,
        "startTime": truth.at(form, truth.took_ms),
        "completionStartTime": truth.at(form, ago),
        "endTime": truth.at(form),
        "prompt_tokens": truth.prompt,
        "completion_tokens": truth.completion,
        **failed,
        "metadata": {"additional_usage_values": used}
        | ({"error_information": {"error_code": "499"}} if truth.status == "cancelled" else {}),
    }


def deepseek(truth: Truth) -> Record:
    """DeepSeek's own counts of what hit and missed its cache; without newly cached tokens, which it has not."""
    used = {"prompt_tokens": truth.prompt, "completion_tokens": truth.completion}
    hits = {"prompt_cache_hit_tokens": truth.tokens[1], "prompt_cache_miss_tokens": truth.prompt - truth.tokens[1]}
    return beside(truth, usage={**used, **hits, "completion_tokens_details": {"reasoning_tokens": truth.tokens[4]}})


def llamacpp(truth: Truth) -> Record:
    """Its timings say what came from the cache, its usage does not."""
    timings = {"cache_n": truth.tokens[1], "prompt_n": truth.prompt - truth.tokens[1], "predicted_n": truth.completion}
    used = {"prompt_tokens": truth.prompt, "completion_tokens": truth.completion}
    return beside(truth, usage=used, timings={**timings, "draft_n": 60, "draft_n_accepted": 31})


def vllm(truth: Truth) -> Record:
    """An answer inside its log line."""
    return beside(
        truth, response={"object": "chat.completion", "usage": openai(truth, {"written": "created_cache_tokens"})}
    )


def batch(truth: Truth) -> Record:
    """A line of a batch's output; the body says how it ended."""
    body = {"usage": openai(truth), "model": truth.model, "status": truth.status}
    record = beside(truth, custom_id="line", response={"status_code": 200, "body": body})
    del record["status"]
    return record


def xai(truth: Truth) -> Record:
    """Reasoning beside the completion, and the total to tell it by."""
    return beside(truth, usage={**openai(truth), "completion_tokens": truth.tokens[3]})


def gemini(truth: Truth) -> Record:
    """Thoughts beside the candidates, tools' prompts beside the prompt."""
    tools = truth.tokens[0] // 3
    used = {
        "promptTokenCount": truth.prompt - tools,
        "toolUsePromptTokenCount": tools,
        "cachedContentTokenCount": truth.tokens[1],
        "candidatesTokenCount": truth.tokens[3],
        "thoughtsTokenCount": truth.tokens[4],
        "totalTokenCount": truth.prompt + truth.completion,
    }
    return beside(truth, usageMetadata=used)


def converse(truth: Truth) -> Record:
    """Bedrock's own shape."""
    uncached, read, written, _, _ = truth.tokens
    used = {"inputTokens": uncached, "outputTokens": truth.completion, "totalTokens": truth.prompt + truth.completion}
    return beside(truth, usage={**used, "cacheReadInputTokens": read, "cacheWriteInputTokens": written})


def cohere(truth: Truth) -> Record:
    """What the model saw, cached tokens inside it."""
    tokens = {"input_tokens": truth.prompt, "output_tokens": truth.completion}
    return beside(truth, usage={"tokens": tokens, "cached_tokens": truth.tokens[1]})


def sglang(truth: Truth) -> Record:
    """A line of the request metrics, with the time and model that its file lacks."""
    counts = {"prompt_tokens": truth.prompt, "completion_tokens": truth.completion, "cached_tokens": truth.tokens[1]}
    ended = {"finish_reason": {"type": "abort" if truth.status == "cancelled" else "stop"}}
    record = beside(truth, **counts, **ended, reasoning_tokens=truth.tokens[4], e2e_latency=truth.took_ms / 1000)
    return {name: value for name, value in record.items() if name != "status" or value == "failed"}


def kong(truth: Truth) -> Record:
    """One proxied call."""
    first = {"time_to_first_token": truth.first_ms} if truth.streamed and truth.status == "success" else {}
    used = {"prompt_tokens": truth.prompt, "completion_tokens": truth.completion, **first}
    mode = "stream" if truth.streamed else "oneshot"
    return {
        "request": {"id": truth.name},
        "response": {"status": http(truth)},
        "latencies": {"request": truth.took_ms},
        "started_at": truth.epoch_ms - truth.took_ms,
        "consumer": {"username": truth.who},
        "ai": {"proxy": {"meta": {"response_model": truth.model, "request_mode": mode}, "usage": used}},
    }


def apisix(truth: Truth, uri: str = "/v1/chat/completions") -> Record:
    """Its trace is the request. Counts as the provider means them: with Anthropic's protocol the cache's stand beside the input."""
    parts = dict(zip(("cache_read_input_tokens", "cache_creation_input_tokens"), truth.tokens[1:3], strict=True))
    prompt = truth.tokens[0] if uri.endswith("messages") else truth.prompt
    return {
        "start_time": truth.epoch_ms - truth.took_ms,
        "request": {"uri": uri, "headers": {"x-request-id": truth.name}},
        "response": {"status": http(truth)},
        "consumer": {"username": truth.who},
        "llm_summary": {"model": truth.model, "duration": truth.took_ms, "prompt_tokens": prompt, **parts}
        | {"completion_tokens": truth.completion, "reasoning_tokens": truth.tokens[4]},
    }


def langfuse(truth: Truth) -> Record:
    """Buckets beside one another, and their sum."""
    names = ("input", "cache_read_input_tokens", "cache_creation_input_tokens", "output", "output_reasoning_tokens")
    used = {name: count for name, count in zip(names, truth.tokens, strict=True) if count}
    streamed = truth.streamed and truth.status == "success"
    return {
        "id": truth.name,
        "project_id": truth.who,
        "type": "GENERATION",
        "trace_id": truth.trace,
        "session_id": f"session {truth.name}",
        "start_time": truth.at("%Y-%m-%d %H:%M:%S.%f", truth.took_ms),
        "end_time": truth.at("%Y-%m-%d %H:%M:%S.%f"),
        "level": "ERROR" if truth.status == "failed" else "DEFAULT",
        "provided_model_name": truth.model,
        "usage_details": {**used, "total": sum(truth.tokens)},
        "latency": truth.took_ms / 1000,
        "time_to_first_token": truth.first_ms / 1000 if streamed else None,
    }


def portkey(truth: Truth) -> Record:
    """Two units, whatever was in them."""
    return {
        "id": truth.name,
        "trace_id": truth.trace,
        "created_at": truth.at(before_ms=truth.took_ms),
        "ai_org": "openai",
        "ai_model": truth.model,
        "req_units": truth.prompt,
        "res_units": truth.completion,
        "response_status_code": http(truth),
        "response_time": truth.took_ms,
        "virtual_key": truth.who,
        "stream_mode": int(truth.streamed),
    }


def cloudflare(truth: Truth) -> Record:
    """Neither who nor what was cached."""
    return {
        "id": truth.name,
        "created_at": truth.at(),
        "model": truth.model,
        "provider": "workers-ai",
        "cached": False,
        "tokens_in": truth.prompt,
        "tokens_out": truth.completion,
        "duration": truth.took_ms,
        "status_code": http(truth),
        "step": 0,
    }


ENVOY = """
[[sources]]
name = "envoy"
kind = "usage"
format = "json"
time = { column = "end_time", format = "iso" }
event_id = "{x-request-id}"
columns.model = '"gen_ai.response.model"'
columns.uncached_input_tokens = '"gen_ai.usage.input_tokens"'
columns.cache_read_tokens = '"gen_ai.usage.cached_input_tokens"'
columns.cache_write_tokens = '"gen_ai.usage.cache_creation_input_tokens"'
columns.output_tokens = '"gen_ai.usage.output_tokens"'
columns.reasoning_tokens = '"gen_ai.usage.reasoning_tokens"'
columns.duration_ms = { column = "duration", unit = "ms" }
columns.principal = "x-tenant-id"
columns.status = "response_code"
minus = { uncached_input_tokens = ["cache_read_tokens", "cache_write_tokens"], output_tokens = "reasoning_tokens" }
constants = { source = "envoy" }
"""


def envoy(truth: Truth) -> Record:
    """An access log with the keys that the config maps."""
    names = ("cached_input", "cache_creation_input", "reasoning")
    parts: dict[str, Any] = dict(zip(names, (truth.tokens[1], truth.tokens[2], truth.tokens[4]), strict=True))
    counts = {"input": truth.prompt, "output": truth.completion, **parts}
    return {
        "x-request-id": truth.name,
        "end_time": truth.at(),
        "duration": truth.took_ms,
        "response_code": 0 if truth.status == "cancelled" else http(truth),
        "x-tenant-id": truth.who,
        "gen_ai.response.model": truth.model,
        **{f"gen_ai.usage.{name}_tokens": count for name, count in counts.items()},
    }


NO_WRITES = without("cache_write_tokens")
LOGS = {
    "canonical": Dialect(form="usage", write=canonical),
    "litellm": Dialect(form="litellm", write=litellm),
    "litellm-spend": Dialect(form="litellm-spend", write=spend, says=without("trace_id")),
    "chat": Dialect(form="openai", write=lambda truth: beside(truth, usage=openai(truth))),
    "responses": Dialect(form="openai", write=lambda truth: beside(truth, usage=openai(truth, {"in": "input", "out": "output"}))),
    "embeddings": Dialect(
        form="openai",
        write=lambda truth: beside(truth, object="list", usage={"prompt_tokens": truth.prompt, "total_tokens": truth.prompt}),
        says=without(*PARTS),
        can=lambda truth: not truth.completion,
    ),
    "vllm": Dialect(form="openai", write=vllm),
    "xai": Dialect(form="openai", write=xai),
    "deepseek": Dialect(form="openai", write=deepseek, says=NO_WRITES),
    "llamacpp": Dialect(form="openai", write=llamacpp, says=without("cache_write_tokens", "reasoning_tokens")),
    "batch": Dialect(form="openai-batch", write=batch),
    "anthropic": Dialect(form="anthropic", write=lambda truth: beside(truth, usage=messages(truth))),
    "anthropic-batch": Dialect(
        form="anthropic",
        write=lambda truth: beside(truth, result={"type": "succeeded", "message": {"usage": messages(truth)}}),
        can=only("success"),
    ),
    "gemini": Dialect(form="gemini", write=gemini, says=NO_WRITES),
    "converse": Dialect(form="bedrock", write=converse, says=without("reasoning_tokens")),
    "bedrock": Dialect(form="bedrock", write=lambda truth: beside(truth, usage=messages(truth))),
    "cohere": Dialect(form="cohere", write=cohere, says=without("cache_write_tokens", "reasoning_tokens")),
    "sglang": Dialect(form="sglang", write=sglang, says=NO_WRITES),
    "kong": Dialect(form="kong", write=kong, says=without(*PARTS, "trace_id", "session_id"), whole=False),
    "apisix": Dialect(form="apisix", write=apisix, says=without("session_id", "ttft_us")),
    "apisix-messages": Dialect(
        form="apisix",
        write=lambda truth: apisix(truth, "/v1/messages"),
        says=without("session_id", "ttft_us"),
    ),
    "langfuse": Dialect(form="langfuse", write=langfuse, can=only("success", "failed")),
    "portkey": Dialect(form="portkey", write=portkey, says=without(*PARTS, "session_id", "ttft_us"), whole=False),
    "cloudflare": Dialect(
        form="cloudflare",
        write=cloudflare,
        says=ALL - {*PARTS, "principal", "trace_id", "session_id", "ttft_us"},
        whole=False,
    ),
    "envoy": Dialect(form="envoy", write=envoy, says=without("trace_id", "session_id", "ttft_us")),
}  # fmt: skip
"""By the names that their records begin with."""
