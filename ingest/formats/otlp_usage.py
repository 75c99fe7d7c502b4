"""Spans and log records about generative AI become usage events.

What is decided here:

- An event is a call of a model. One without counts (a stream whose usage nobody asked for, a failure) has `missing` usage, and
  gives way to another observer of the call who counted. Spans of agents, chains and tools repeat the sum of the calls below
  them, and everything else says nothing about usage: they are ignored. So are metrics of tokens: they add calls up.
- Old and new names of one count (`otlp_names.py`) are twins on one span: one is read, nothing is added.
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
from typing import Any, Literal

from ingest.formats import otlp_names as names
from ingest.formats.dialects import apart, served_by
from ingest.formats.otlp_buckets import unpacked
from ingest.formats.otlp_records import Attributes, Observation
from ingest.instants import instant

Ignored = Literal["no_usage", "sum_of_calls"]
Work = Literal["call", "embedding", "sum", "unknown"]
Role = Literal["litellm", "engine", "server", "caller"]

_HINTS = frozenset({*names.SHARES, *names.RATES})
_COUNTED = 1
"""The revision of an event with counts: it supersedes what another observer of the call could not count, whichever came first."""

_KIND_SERVER = 2
_DAY_SECONDS = 86_400
_DAY_NS = _DAY_SECONDS * 1_000_000_000
"""No request takes longer: what claims to is unknown."""


def event(seen: Observation) -> dict[str, Any] | Ignored:
    """The canonical fields of a usage event, absent ones left out; or why there is none."""
    said, work = unpacked(seen.attributes), _work(seen.attributes)
    counts = _counts(said, work)
    prompt, output = counts[:2]
    counted = prompt is not None or output is not None
    if work == "sum":
        return "sum_of_calls" if counted else "no_usage"
    model = _text(said, names.MODEL)
    if not counted and (work == "unknown" or model is None):
        return "no_usage"
    role = _role(seen)
    uncached, read, written, answered, reasoned, partial = _apart(counts)
    partial = partial or prompt is None or (role == "engine" and read is None) or (work == "call" and output is None)
    found = {
        "event_id": _identity(seen),
        "source": "otel" if role == "caller" else f"otel:{role}",
        "occurred_at": instant(seen.ended_ns),
        "revision": _COUNTED if counted else None,
        "model": model or (_text(seen.resource, ("service.name",)) if role == "engine" else None),
        **_whose(seen, role),
        "trace_id": seen.trace_id,
        "session_id": _text(said, names.SESSION),
        "response_id": _text(said, names.RESPONSE),
        "call_id": _text(said, names.CALL),
        "uncached_input_tokens": uncached,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "output_tokens": answered,
        "reasoning_tokens": reasoned,
        "ttft_ms": _milliseconds(next((said[name] for name in names.FIRST_TOKEN if name in said), None)),
        "queue_ms": _milliseconds(said.get("gen_ai.latency.time_in_queue")),
        "duration_ms": _duration(seen),
        "status": "failed" if seen.failed or "error.type" in said else None,
        "usage_quality": "sampled" if _sampled(seen) else "missing" if not counted else "partial" if partial else None,
        "tier": _text(said, names.TIER),
    }
    return {name: value for name, value in found.items() if value is not None and value not in ("", {})}


def _work(said: Attributes) -> Work:
    """What a span is about, by the first of its conventions whose word is known."""
    for name in names.KINDS:
        word = str(said.get(name, "")).lower()
        if word in names.EMBEDDINGS:
            return "embedding"
        if word in names.CALLS:
            return "call"
        if word in names.SUMS:
            return "sum"
    agent = any(name in said for name in names.AGENT)
    return "sum" if agent and names.OPERATION not in said and _text(said, names.MODEL) is None else "unknown"


def _counts(said: Attributes, work: Work) -> tuple[object, object, object, object, object]:
    """Input, output, cached, newly cached and reasoning tokens. A total alone is the input of an embedding, and nothing else's."""
    spelled = (names.INPUT, names.OUTPUT, names.READ, names.WRITE, names.REASONING)
    prompt, output, read, written, reasoned = (_count(said, of) for of in spelled)
    if work == "embedding" and prompt is None and output is None:
        prompt = _count(said, names.TOTAL)
    return prompt, output, read, written, reasoned


def _apart(
    counts: tuple[object, object, object, object, object],
) -> tuple[object, object, object, object, object, bool]:
    """The counts beside one another, and whether they contradict the convention."""
    prompt, output, read, written, reasoned = counts
    uncached, contradicted = apart(prompt, (read, written))
    answered, also = apart(output, (reasoned,))
    return uncached, read, written, answered, reasoned, contradicted or also


def _whose(seen: Observation, role: Role) -> dict[str, object]:
    """Who served the call and where, and for whom, as far as this observer may be believed."""
    said, resource, host = seen.attributes, seen.resource, _host(seen.attributes)
    provider = served_by(_text(said, names.PROVIDER), host)
    return {
        "provider": provider,
        "cluster": _text(resource, ("k8s.cluster.name",)) if role == "engine" else None,
        "replica": _text(resource, names.ENGINE_POD) if role == "engine" else host if provider == "self" else None,
        "principal": _key(_text(said, ("litellm.api_key.hash",))) if role == "litellm" else None,
        "namespace": _text(resource, names.NAMESPACE) if role in {"engine", "caller"} else None,
        "tags": _tags(said, names.LITELLM_TAGS)
        if role == "litellm"
        else _tags(resource, names.CALLER_TAGS, role == "caller"),
    }


def _role(seen: Observation) -> Role:
    """Who reports: what may be believed depends on it."""
    if "litellm.call_id" in seen.attributes:
        return "litellm"
    if seen.name == "llm_request" or "gen_ai.latency.e2e" in seen.attributes:
        return "engine"
    return "server" if seen.kind == _KIND_SERVER else "caller"


def _identity(seen: Observation) -> str | None:
    own = _text(seen.attributes, names.IDS)
    return own or (f"{seen.trace_id}:{seen.span_id}" if seen.span_id else None)


def _text(said: Attributes, spelled: tuple[str, ...]) -> str | None:
    for name in spelled:
        value = said.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _count(said: Attributes, spelled: tuple[str, ...]) -> object:
    """A count as an integer where it is one, else as it was given. Of twins the first that is not zero: some are left at zero."""
    given = [_whole(said[name]) for name in spelled if name in said]
    return next((count for count in given if count != 0), given[0] if given else None)


def _whole(value: str | float) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 19 else value  # noqa: PLR2004


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


def _tags(said: Attributes, known: dict[str, str], trusted: bool = True) -> dict[str, str]:
    found = {tag: _text(said, (name,)) for tag, name in known.items()} if trusted else {}
    return {tag: value for tag, value in found.items() if value is not None}


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
    shares, rates = (said.get(name) for name in names.SHARES), (said.get(name) for name in names.RATES)
    return any(isinstance(share, int | float) and share < 1 for share in shares) or any(
        isinstance(rate, int | float) and rate > 1 for rate in rates
    )
