"""Spans and log records about generative AI become usage events.

What is decided here:

- An event is a call with counts of input or output tokens. Everything else is ignored; so are spans of agents and tools,
  which repeat the sum of the calls below them.
- Old and new names of one count are twins on one span: the first name known here is read, nothing is added.
- Cached and newly cached tokens are inside the input, reasoning inside the output. Counts that contradict this are read as
  standing beside one another, and marked `partial`; so are an engine's counts that do not tell what was cached.
- The id is the response's, else LiteLLM's call id, else the engine's request id, else trace and span.
- `source` is `otel` for whoever called, `otel:litellm`, `otel:engine` and `otel:server` for those who served: what they say of one
  call is joined by its names when it is metered, as with LiteLLM's webhook. A second observer of one kind is a conflict that shows.
- Of sampled spans the others are missing. Their `usage_quality` says so, and landing rejects it.
- Identity is LiteLLM's, or where the caller itself reports, its resource's. Engines and other gateways do not speak for callers.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ingest.formats.dialects import apart, served_by
from ingest.formats.otlp_records import Attributes, Observation

Ignored = Literal["no_usage", "sum_of_calls"]
Role = Literal["litellm", "engine", "server", "caller"]

_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
_MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.response.model", "llm.request.model", "llm.model_name")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_RESPONSE = ("gen_ai.response.id", "gen_ai.request.id")
"""An engine's request id is the id that its response carries."""

_CALL = ("litellm.call_id",)
_IDS = (_RESPONSE[0], *_CALL, _RESPONSE[1])

_SESSION = ("gen_ai.conversation.id", "session.id")
_TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_ENGINE_POD = ("k8s.pod.name", "service.instance.id", "service.name")
_NAMESPACE = ("k8s.namespace.name", "service.namespace")
_LITELLM_TAGS = {"team": "litellm.team.id", "team_alias": "litellm.team.alias"}
_CALLER_TAGS = {"team": "team", "project": "project", "cost_center": "cost_center", "service": "service.name"}
_SHARES = ("sampling.ratio", "sampling.probability", "sampler.param")
_RATES = ("SampleRate", "sample_rate", "sampling.rate")

WANTED = frozenset(
    {
        *_INPUT,
        *_OUTPUT,
        *_READ,
        *_WRITE,
        *_REASONING,
        *_MODEL,
        *_PROVIDER,
        *_IDS,
        *_SESSION,
        *_TIER,
        *_ENGINE_POD,
        *_NAMESPACE,
        *_SHARES,
        *_RATES,
        *_LITELLM_TAGS.values(),
        *_CALLER_TAGS.values(),
        "k8s.cluster.name",
        "litellm.api_key.hash",
        "gen_ai.operation.name",
        "gen_ai.latency.time_to_first_token",
        "gen_ai.latency.time_in_queue",
        "gen_ai.latency.e2e",
        "server.address",
        "server.port",
        "error.type",
    }
)
"""Attributes that are read, of spans, log records and resources."""

_HINTS = frozenset({*_SHARES, *_RATES})
_SUMS = frozenset({"invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "plan"})
_KIND_SERVER = 2
_DAY_SECONDS = 86_400
_DAY_NS = _DAY_SECONDS * 1_000_000_000
"""No request takes longer: what claims to is unknown."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event(seen: Observation) -> dict[str, Any] | Ignored:
    """The canonical fields of a usage event, absent ones left out; or why there is none."""
    said, resource = seen.attributes, seen.resource
    prompt, output = _count(said, _INPUT), _count(said, _OUTPUT)
    if prompt is None and output is None:
        return "no_usage"
    if said.get("gen_ai.operation.name") in _SUMS:
        return "sum_of_calls"
    role = _role(seen)
    host = _host(said)
    read, written, reasoned = _count(said, _READ), _count(said, _WRITE), _count(said, _REASONING)
    uncached, contradicted = apart(prompt, (read, written))
    answered, also = apart(output, (reasoned,))
    partial = contradicted or also or prompt is None or (role == "engine" and read is None)
    provider = served_by(_text(said, _PROVIDER), host)
    found = {
        "event_id": _identity(seen),
        "source": "otel" if role == "caller" else f"otel:{role}",
        "occurred_at": instant(seen.ended_ns),
        "model": _text(said, _MODEL) or (_text(resource, ("service.name",)) if role == "engine" else None),
        "provider": provider,
        "cluster": _text(resource, ("k8s.cluster.name",)) if role == "engine" else None,
        "replica": _text(resource, _ENGINE_POD) if role == "engine" else host if provider == "self" else None,
        "principal": _key(_text(said, ("litellm.api_key.hash",))) if role == "litellm" else None,
        "namespace": _text(resource, _NAMESPACE) if role in {"engine", "caller"} else None,
        "tags": _tags(said, _LITELLM_TAGS) if role == "litellm" else _tags(resource, _CALLER_TAGS, role == "caller"),
        "trace_id": seen.trace_id,
        "session_id": _text(said, _SESSION),
        "response_id": _text(said, _RESPONSE),
        "call_id": _text(said, _CALL),
        "uncached_input_tokens": uncached,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "output_tokens": answered,
        "reasoning_tokens": reasoned,
        "ttft_ms": _milliseconds(said.get("gen_ai.latency.time_to_first_token")),
        "queue_ms": _milliseconds(said.get("gen_ai.latency.time_in_queue")),
        "duration_ms": _duration(seen),
        "status": "failed" if seen.failed or "error.type" in said else None,
        "usage_quality": "sampled" if _sampled(seen) else "partial" if partial else None,
        "tier": _text(said, _TIER),
    }
    return {name: value for name, value in found.items() if value is not None and value not in ("", {})}


def _role(seen: Observation) -> Role:
    """Who reports: what may be believed depends on it."""
    if "litellm.call_id" in seen.attributes:
        return "litellm"
    if seen.name == "llm_request" or "gen_ai.latency.e2e" in seen.attributes:
        return "engine"
    return "server" if seen.kind == _KIND_SERVER else "caller"


def _identity(seen: Observation) -> str | None:
    own = _text(seen.attributes, _IDS)
    return own or (f"{seen.trace_id}:{seen.span_id}" if seen.span_id else None)


def _text(said: Attributes, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = said.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _count(said: Attributes, names: tuple[str, ...]) -> object:
    """A count as an integer where it is one, else as it was given."""
    for name in names:
        value = said.get(name)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 19 else value  # noqa: PLR2004
    return None


def _host(said: Attributes) -> str | None:
    host, port = said.get("server.address"), said.get("server.port")
    if not isinstance(host, str) or not host:
        return None
    return f"{host}:{port}" if port else host


def _key(value: str | None) -> str | None:
    """A hash as it stands; a raw key, which should never have come here, as LiteLLM would have hashed it."""
    if value is not None and value.startswith("sk-"):
        return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
    return value


def _tags(said: Attributes, names: dict[str, str], trusted: bool = True) -> dict[str, str]:
    found = {tag: _text(said, (name,)) for tag, name in names.items()} if trusted else {}
    return {tag: value for tag, value in found.items() if value is not None}


def instant(nanoseconds: int) -> str | None:
    """RFC 3339; a time that no calendar has as its number, for landing to reject and show."""
    if not nanoseconds:
        return None
    try:
        instant = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return str(nanoseconds)
    return instant.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _duration(seen: Observation) -> float | None:
    if 0 < seen.started_ns <= seen.ended_ns <= seen.started_ns + _DAY_NS:
        return (seen.ended_ns - seen.started_ns) // 1000 / 1000
    return _milliseconds(seen.attributes.get("gen_ai.latency.e2e"))


def _milliseconds(seconds: object) -> float | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _DAY_SECONDS:
        return None
    return round(seconds * 1_000_000) / 1000


def _sampled(seen: Observation) -> bool:
    """Whether the sender says that this is one of several spans, of which only some are sent."""
    for member in seen.trace_state.split(",") if "ot=" in seen.trace_state else ():
        name, _, value = member.strip().partition("=")
        for part in value.split(";") if name == "ot" else ():
            key, _, amount = part.partition(":")
            # th is the share that was dropped, as hexadecimal digits of a fraction; p the older form, kept is 2 to the minus p.
            if key in {"th", "p"} and amount.strip("0"):
                return True
    return any(_thinned(said) for said in (seen.attributes, seen.resource) if not _HINTS.isdisjoint(said))


def _thinned(said: Attributes) -> bool:
    shares, rates = (said.get(name) for name in _SHARES), (said.get(name) for name in _RATES)
    return any(isinstance(share, int | float) and share < 1 for share in shares) or any(
        isinstance(rate, int | float) and rate > 1 for rate in rates
    )
