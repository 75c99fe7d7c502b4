"""LiteLLM's standard logging payload, as its `generic_api` callback and its object stores write it.

What is decided here:

- An event is one attempt: `litellm_call_id`, else the response's id and start. Retries share the trace.
- `model` is what the attempt asked the provider for, which is also what the engine's own counters and price lists call it: newer
  versions write the provider's name and a slash before it, which are taken away.
  The public name (`model_group`) can stand for several models, so it only helps out where there is no other; where it is what
  a deployment declares, an alias in the config joins them.
- Cached, newly cached and reasoning tokens are inside the counts, for every provider. Counts that contradict this are read
  as standing beside one another, and marked `partial`.
- A hit in LiteLLM's own response cache used no GPU: one request without tokens.
- A call is known by its answer's id, which clients and engines see too, and by LiteLLM's call id, which its spans carry: where
  they arrive as well, this is the event that is metered.
- A client that hung up (499) is cancelled, and what LiteLLM counted of it is an estimate.
- Identity is what LiteLLM knows of the key: its hash, team, project, organisation, and the metadata that authentication put
  on it. `request_tags`, `spend_logs_metadata`, `requester_metadata` and `end_user` can be written by whoever calls: they are
  not believed, and where they name who is to pay, that is counted. Tags that a key brings along stand among them.
"""

from __future__ import annotations

import hashlib
import re

from apportion.config.mapping import TimeSpec
from ingest.formats import conversions as to
from ingest.formats import dialects
from ingest.formats.native import Native
from ingest.kinds import USAGE

_KEY = "user_api_key_"
_USAGE = ("metadata", "usage_object")
_END = TimeSpec(column="endTime", path=("endTime",), format="epoch_s", zone=None)
_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?([^/?#@]+)"
RESPONSE = r"regexp_replace({}, '_cache_hit[0-9.]*$', '')"
"""SQL: the id of the answer, which LiteLLM marks where it gives one again; whoever called sees it without the mark."""
_SECONDS = "TRY_CAST({} AS DECIMAL(28, 9))"


def _hashed(key: str) -> str:
    """A raw key as LiteLLM itself would have hashed it; anything else as it stands."""
    return hashlib.sha256(key.encode()).hexdigest() if key.startswith("sk-") else key


def _address(base: str) -> str:
    """An address without the path, the query and the credentials that may stand in it."""
    found = re.match(_HOST, base)
    return f"http://{found[1]}" if found else ""


def _milliseconds(start: str, end: str, only: str) -> str:
    """A span between two times in epoch seconds, exact; absent where it is negative, beyond a day, or a condition does not hold."""
    span = f"({_SECONDS.format(end)} - {_SECONDS.format(start)})"
    return f"CASE WHEN {only} AND {span} BETWEEN 0 AND 86400 THEN ({span} * 1000)::VARCHAR END"


LITELLM = Native(
    name="litellm",
    kind=USAGE,
    signatures=((("response_cost",), ("custom_llm_provider",), ("endTime",)),),
    time_form="epoch seconds in endTime",
    found={
        "call": ("litellm_call_id",),
        "response": ("id",),
        "trace": ("trace_id",),
        "conversation": ("session_id",),
        "outcome": ("status",),
        "error_code": ("error_information", "error_code"),
        "served": ("model",),
        "public_name": ("model_group",),
        "upstream": ("custom_llm_provider",),
        "base": ("api_base",),
        "started": ("startTime",),
        "answered": ("completionStartTime",),
        "ended": ("endTime",),
        "streamed": ("stream",),
        "from_cache": ("cache_hit",),
        "prompt_given": ("prompt_tokens",),
        "completion_given": ("completion_tokens",),
        "total_reported": (*_USAGE, "total_tokens"),
        "read_detail": (*_USAGE, "prompt_tokens_details", "cached_tokens"),
        "read_plain": (*_USAGE, "cache_read_input_tokens"),
        "write_detail": (*_USAGE, "prompt_tokens_details", "cache_creation_tokens"),
        "write_plain": (*_USAGE, "cache_creation_input_tokens"),
        "thought": (*_USAGE, "completion_tokens_details", "reasoning_tokens"),
        "service_tier": ("cost_breakdown", "service_tier"),
        "key_hash": ("metadata", f"{_KEY}hash"),
        "key_alias": ("metadata", f"{_KEY}alias"),
    },
    tags={
        "team": (("metadata", f"{_KEY}team_id"), ("metadata", f"{_KEY}team_alias")),
        "team_alias": (("metadata", f"{_KEY}team_alias"),),
        "project": (("metadata", f"{_KEY}project_id"), ("metadata", f"{_KEY}project_alias")),
        "organization": (("metadata", f"{_KEY}org_id"),),
        "key_alias": (("metadata", f"{_KEY}alias"),),
    },
    labels=(("metadata", f"{_KEY}auth_metadata"),),
    claims=(
        ("request_tags",),
        ("metadata", "requester_metadata"),
        ("metadata", "spend_logs_metadata"),
        ("metadata", "requester_custom_headers"),
    ),
    sealed={"key_hash": _hashed, "base": _address},
    steps=(
        {
            "host": f"nullif(regexp_extract(base, {to.text(_HOST)}, 1), '')",
            "prompt": to.integer("prompt_given"),
            "completion": to.integer("completion_given"),
            "read": to.integer("coalesce(nullif(read_detail, '0'), read_plain, read_detail)"),
            "written": to.integer("coalesce(nullif(write_detail, '0'), write_plain, write_detail)"),
            "reasoned": to.integer("thought"),
            "hit": "coalesce(lower(from_cache) = 'true', false)",
            "hung_up": "coalesce(error_code = '499', false)",
        },
        {
            "who": dialects.provider("upstream", "host"),
            "counted": "coalesce(TRY_CAST(prompt AS BIGINT) > 0, false) OR coalesce(TRY_CAST(completion AS BIGINT) > 0, false)",
            "contradicts": f"{dialects.exceeds('prompt', ['read', 'written'])} OR {dialects.exceeds('completion', ['reasoned'])}",
        },
    ),
    fields={
        "event_id": to.quoted("coalesce(call, response || '@' || started)"),
        "source": to.quoted("'litellm'"),
        "occurred_at": to.time("ended", _END),
        "model": to.quoted(f"coalesce({dialects.unprefixed('served', 'upstream')}, public_name)"),
        "provider": to.quoted("who"),
        "replica": to.quoted("CASE WHEN who = 'self' THEN host END"),
        "principal": to.quoted(
            "coalesce(CASE WHEN starts_with(key_hash, 'sk-') THEN sha256(key_hash) ELSE key_hash END, key_alias)"
        ),
        "trace_id": to.quoted("trace"),
        "session_id": to.quoted("conversation"),
        "response_id": to.quoted(RESPONSE.format("response")),
        "call_id": to.quoted("call"),
        "uncached_input_tokens": f"CASE WHEN NOT hit THEN {dialects.without('prompt', ['read', 'written'])} END",
        "cache_read_tokens": "CASE WHEN NOT hit THEN read END",
        "cache_write_tokens": "CASE WHEN NOT hit THEN written END",
        "output_tokens": f"CASE WHEN NOT hit THEN {dialects.without('completion', ['reasoned'])} END",
        "reasoning_tokens": "CASE WHEN NOT hit THEN reasoned END",
        "ttft_ms": _milliseconds(
            "started", "answered", "NOT hit AND streamed = 'true' AND outcome = 'success' AND answered <> started"
        ),
        "duration_ms": _milliseconds("started", "ended", "true"),
        "status": to.quoted(
            "CASE WHEN hung_up THEN 'cancelled' WHEN outcome = 'failure' THEN 'failed' ELSE outcome END"
        ),
        "usage_quality": (
            "CASE WHEN hit THEN NULL WHEN contradicts THEN '\"partial\"' "
            "WHEN NOT counted AND total_reported IS NULL THEN '\"missing\"' "
            "WHEN hung_up OR (streamed = 'true' AND total_reported IS NULL) THEN '\"estimated\"' END"
        ),
        "tier": to.quoted("service_tier"),
    },
)
