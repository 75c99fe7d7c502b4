"""Attributes and metrics about generative AI, by every name that they have had.

Sources: OpenTelemetry's GenAI conventions, old and new; OpenLLMetry (`gen_ai.usage.prompt_tokens`, `llm.usage.*`), OpenInference
(`llm.token_count.*`), Langfuse, Pydantic AI (`gen_ai.usage.details.*`), Vercel's AI SDK (`ai.usage.*`), Sentry, Strands, Semantic
Kernel, OpenLIT, LiteLLM, vLLM and SGLang. Names of one tuple are twins. What Dynatrace and other backends take is one of these.

Of Vercel's AI SDK only the parts of a count are read: its outer spans repeat the whole ones, and its inner ones say them by
OpenTelemetry's names too.
"""

from __future__ import annotations

from typing import Final

INPUT: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "gen_ai.response.prompt_tokens",
)
OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "gen_ai.response.completion_tokens",
)
TOTAL: Final = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
READ: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cached_tokens",
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.details.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.usage.cache_read_input_tokens",
    "ai.usage.cachedInputTokens",
    "ai.usage.inputTokenDetails.cacheReadTokens",
)
WRITE: Final = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
    "llm.usage.cache_creation_input_tokens",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
REASONING: Final = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "llm.usage.reasoning_tokens",
    "ai.usage.reasoningTokens",
)
BUCKETS: Final = "langfuse.observation.usage_details"
"""JSON text of counts that stand beside one another, as Langfuse's SDKs write it."""

MODEL: Final = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.request.model",
    "llm.model_name",
    "embedding.model_name",
    "langfuse.observation.model.name",
)
PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor")
RESPONSE: Final = ("gen_ai.response.id", "gen_ai.request.id")
"""An engine's request id is the id that its response carries."""

CALL: Final = ("litellm.call_id",)
IDS: Final = (RESPONSE[0], *CALL, RESPONSE[1])

SESSION: Final = ("gen_ai.conversation.id", "session.id")
TIER: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
FIRST_TOKEN: Final = (
    "gen_ai.latency.time_to_first_token",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
)
"""In seconds."""

ENGINE_POD: Final = ("k8s.pod.name", "service.instance.id", "service.name")
NAMESPACE: Final = ("k8s.namespace.name", "service.namespace")
LITELLM_TAGS: Final = {"team": "litellm.team.id", "team_alias": "litellm.team.alias"}
CALLER_TAGS: Final = {"team": "team", "project": "project", "cost_center": "cost_center", "service": "service.name"}
SHARES: Final = ("sampling.ratio", "sampling.probability", "sampler.param")
RATES: Final = ("SampleRate", "sample_rate", "sampling.rate")

OPERATION: Final = "gen_ai.operation.name"
KINDS: Final = (
    OPERATION,
    "openinference.span.kind",
    "langfuse.observation.type",
    "llm.request.type",
    "traceloop.span.kind",
    "langsmith.span.kind",
)
"""What sort of work a span is about, in the words of each convention."""

CALLS: Final = frozenset({"chat", "text_completion", "completion", "generate_content", "llm", "generation"})
EMBEDDINGS: Final = frozenset({"embeddings", "embedding"})
SUMS: Final = frozenset(
    {"invoke_agent", "create_agent", "agent", "execute_tool", "tool", "invoke_workflow", "workflow", "task", "chain"}
    | {"plan", "span", "retriever", "reranker", "guardrail", "evaluator", "prompt", "event"}
)
"""Kinds of work that make calls of their own, whose sum they may repeat."""

AGENT: Final = ("gen_ai.agent.name", "agent_name")

WANTED: Final = frozenset(
    {
        *(name for names in (INPUT, OUTPUT, TOTAL, READ, WRITE, REASONING, MODEL, PROVIDER, IDS) for name in names),
        *(
            name
            for names in (SESSION, TIER, FIRST_TOKEN, ENGINE_POD, NAMESPACE, SHARES, RATES, KINDS)
            for name in names
        ),
        *LITELLM_TAGS.values(),
        *CALLER_TAGS.values(),
        *AGENT,
        BUCKETS,
        "k8s.cluster.name",
        "litellm.api_key.hash",
        "gen_ai.latency.time_in_queue",
        "gen_ai.latency.e2e",
        "server.address",
        "server.port",
        "error.type",
    }
)
"""Attributes that are read, of spans, log records and resources."""

_USAGE_METRICS: Final = (
    "gen_ai.client.token.usage",
    "gen_ai.client.inference.usage.",
    "gen_ai.client.inference.operation.",
    "gen_ai.usage.",
    "llm.usage.",
)


def sums_usage(metric: str) -> bool:
    """Whether a metric adds up tokens of calls. It says neither whose they were nor which call's, and token types overlap in it."""
    return metric.startswith(_USAGE_METRICS)
