"""Apache APISIX: what its loggers write of a request that one of its AI plugins proxied, with `llm_summary` in it.

What is decided here:

- Counts are the provider's own. Called by Anthropic's protocol (`/v1/messages`) what was cached stands beside the prompt,
  otherwise inside it; reasoning is inside the completion. Counts that contradict this are read side by side, and marked
  `partial`.
- The id is the request's id and its start: a caller may send an id of its own, and send it twice. Without the plugin
  `request-id` there is none, and the record is rejected.
- A request was over `latency` after its start, else after what the provider took.
- Identity is the consumer, which APISIX authenticated. `end_user_id` and `client_ip` are people: not read.
- Nothing says who served a call, so it was on own GPUs, unless a `[[sources]]` mapping says otherwise.
"""

from __future__ import annotations

from apportion.config.mapping import TimeSpec
from ingest.formats import conversions as to
from ingest.formats import dialects, gateways
from ingest.formats.native import Native
from ingest.kinds import USAGE

_LLM = "llm_summary"
_END = TimeSpec(column="start_time", path=("start_time",), format="epoch_ms", zone=None)

APISIX = Native(
    name="apisix",
    kind=USAGE,
    signatures=(((_LLM,), ("start_time",), ("request",), ("response",)),),
    time_form="epoch milliseconds in start_time",
    found={
        "asked": ("request", "headers", "x-request-id"),
        "answered": ("response", "headers", "x-request-id"),
        "uri": ("request", "uri"),
        "code": ("response", "status"),
        "started": ("start_time",),
        "latency_all": ("latency",),
        "latency_llm": (_LLM, "duration"),
        "node": ("upstream",),
        "consumer": ("consumer", "username"),
        "served": (_LLM, "model"),
        "prompt_given": (_LLM, "prompt_tokens"),
        "completion_given": (_LLM, "completion_tokens"),
        "read_given": (_LLM, "cache_read_input_tokens"),
        "written_given": (_LLM, "cache_creation_input_tokens"),
        "thought": (_LLM, "reasoning_tokens"),
    },
    tags={"route": (("route_id",),), "service": (("service_id",),)},
    steps=(
        {
            "request_id": "coalesce(asked, answered)",
            "elapsed": "coalesce(latency_all, latency_llm)",
            "beside": "coalesce(regexp_matches(uri, '/v1/messages([?]|$)'), false)",
            "prompt": to.integer("prompt_given"),
            "completion": to.integer("completion_given"),
            "read": to.integer("read_given"),
            "written": to.integer("written_given"),
            "reasoned": to.integer("thought"),
        },
        {
            "contradicts": f"(NOT beside AND {dialects.exceeds('prompt', ['read', 'written'])}) "
            f"OR {dialects.exceeds('completion', ['reasoned'])}",
        },
    ),
    fields={
        "event_id": to.quoted("request_id || '@' || started"),
        "source": to.quoted("'apisix'"),
        "occurred_at": to.time(gateways.end_ms("started", "elapsed"), _END),
        "model": to.quoted("served"),
        "replica": to.quoted("nullif(regexp_extract(node, '([^, ]+)$', 1), '')"),
        "principal": to.quoted("consumer"),
        "trace_id": to.quoted("request_id"),
        "uncached_input_tokens": f"CASE WHEN beside THEN prompt ELSE {dialects.without('prompt', ['read', 'written'])} END",
        "cache_read_tokens": "read",
        "cache_write_tokens": "written",
        "output_tokens": dialects.without("completion", ["reasoned"]),
        "reasoning_tokens": "reasoned",
        "duration_ms": gateways.milliseconds("elapsed"),
        "status": to.quoted(gateways.status("code")),
        "usage_quality": gateways.quality(
            "false", "contradicts OR coalesce(code = '499', false)", "prompt", "completion", "read", "written"
        ),
    },
)
