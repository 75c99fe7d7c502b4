"""Rows of LiteLLM's table LiteLLM_SpendLogs, one JSON object per line (`row_to_json`, or its /spend/logs API).

What is decided here:

- `source` is `litellm`, and the id is LiteLLM's call id, as in its logging payloads: a call that both report is one event, and
  the second one a conflict that shows. Rows of finished batches are known by their own id: they arrive again at each poll.
- Cached, newly cached and reasoning tokens are inside the counts, for every provider; they stand in `metadata`, not in columns.
- A hit in LiteLLM's own response cache used no GPU: one request without tokens.
- Times without a zone are UTC, as the table holds them. A batch's row has the time at which it was found complete.
- Identity is the key's: `request_tags`, `end_user` and `user` can be written by whoever calls: not believed, and counted
  where they name who is to pay.
"""

from __future__ import annotations

from apportion.config.mapping import TimeSpec
from ingest.formats import answers, dialects
from ingest.formats import conversions as to
from ingest.formats.litellm import LITELLM, RESPONSE
from ingest.formats.native import Native
from ingest.kinds import USAGE

_KEY = "user_api_key_"
_UTC = TimeSpec(column="endTime", path=("endTime",), format="iso", zone="UTC")
_ADDRESS = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?([^/?#@]+)"
_SPOTS, _TAKEN = answers.spread(
    {
        "read_plain": ("cache_read_input_tokens",),
        "read_detail": ("prompt_tokens_details", "cached_tokens"),
        "write_plain": ("cache_creation_input_tokens",),
        "write_detail": ("prompt_tokens_details", "cache_creation_tokens"),
        "thought": ("completion_tokens_details", "reasoning_tokens"),
    },
    (("metadata", "additional_usage_values"), ("metadata", "usage_object")),
)


def _span(start: str, end: str, only: str) -> str:
    """Milliseconds between two times; absent where it is negative, beyond a day, or a condition does not hold."""
    moments = [f"epoch_us(TRY_CAST(({to.time(value, _UTC)})->>'$' AS TIMESTAMPTZ))" for value in (start, end)]
    span = f"({moments[1]} - {moments[0]})"
    return f"CASE WHEN {only} AND {span} BETWEEN 0 AND 86400000000 THEN ({span}::DECIMAL(15, 0) * 0.001)::VARCHAR END"


LITELLM_SPEND = Native(
    name="litellm-spend",
    kind=USAGE,
    time_form="RFC 3339 text, or UTC without a zone, in endTime",
    signatures=((("request_id",), ("api_key",), ("call_type",), ("spend",), ("startTime",)),),
    found={
        **_SPOTS,
        "row": ("request_id",),
        "call": ("litellm_call_id",),
        "kind": ("call_type",),
        "conversation": ("session_id",),
        "state": ("status",),
        "state_told": ("metadata", "status"),
        "error_code": ("metadata", "error_information", "error_code"),
        "served": ("model",),
        "public_name": ("model_group",),
        "upstream": ("custom_llm_provider",),
        "base": ("api_base",),
        "started": ("startTime",),
        "answered": ("completionStartTime",),
        "ended": ("endTime",),
        "took": ("request_duration_ms",),
        "from_cache": ("cache_hit",),
        "prompt_given": ("prompt_tokens",),
        "completion_given": ("completion_tokens",),
        "key_hash": ("api_key",),
        "key_alias": ("metadata", f"{_KEY}alias"),
        "service_tier": ("metadata", "cost_breakdown", "service_tier"),
    },
    tags={
        "team": (("team_id",), ("metadata", f"{_KEY}team_id"), ("metadata", f"{_KEY}team_alias")),
        "team_alias": (("metadata", f"{_KEY}team_alias"),),
        "project": (("metadata", f"{_KEY}project_id"), ("metadata", f"{_KEY}project_alias")),
        "organization": (("organization_id",), ("metadata", f"{_KEY}org_id")),
        "key_alias": (("metadata", f"{_KEY}alias"),),
    },
    labels=LITELLM.labels,
    claims=LITELLM.claims,
    sealed=LITELLM.sealed,
    steps=(
        _TAKEN,
        {
            "host": f"nullif(regexp_extract(base, {to.text(_ADDRESS)}, 1), '')",
            "prompt": to.integer("prompt_given"),
            "completion": to.integer("completion_given"),
            "read": to.integer(dialects.first("read_plain", "read_detail")),
            "written": to.integer(dialects.first("write_plain", "write_detail")),
            "reasoned": to.integer("thought"),
            "hit": "coalesce(lower(from_cache) = 'true', false)",
            "batched": "coalesce(kind = 'aretrieve_batch' OR ends_with(row, '_cost'), false)",
            "ended_as": answers.status(
                "CASE WHEN error_code = '499' THEN 'cancelled' ELSE coalesce(state, state_told) END", "false"
            ),
        },
        {
            "who": dialects.provider("upstream", "host"),
            "counted": "coalesce(TRY_CAST(prompt AS BIGINT) > 0, false) OR coalesce(TRY_CAST(completion AS BIGINT) > 0, false)",
            "contradicts": f"{dialects.exceeds('prompt', ['read', 'written'])} OR {dialects.exceeds('completion', ['reasoned'])}",
        },
    ),
    fields={
        "event_id": to.quoted("CASE WHEN batched THEN row ELSE coalesce(call, row) END"),
        "source": to.quoted("'litellm'"),
        "occurred_at": to.time("ended", _UTC),
        "model": to.quoted(f"coalesce({dialects.unprefixed('served', 'upstream')}, public_name)"),
        "provider": to.quoted("who"),
        "replica": to.quoted("CASE WHEN who = 'self' THEN host END"),
        "principal": to.quoted("coalesce(key_hash, key_alias)"),
        "session_id": to.quoted("conversation"),
        "response_id": to.quoted(f"CASE WHEN NOT batched THEN {RESPONSE.format('row')} END"),
        "call_id": to.quoted("call"),
        "uncached_input_tokens": f"CASE WHEN NOT hit THEN {dialects.without('prompt', ['read', 'written'])} END",
        "cache_read_tokens": "CASE WHEN NOT hit THEN read END",
        "cache_write_tokens": "CASE WHEN NOT hit THEN written END",
        "output_tokens": f"CASE WHEN NOT hit THEN {dialects.without('completion', ['reasoned'])} END",
        "reasoning_tokens": "CASE WHEN NOT hit THEN reasoned END",
        "ttft_ms": _span(
            "started", "answered", "NOT hit AND ended_as = '\"success\"' AND answered NOT IN (started, ended)"
        ),
        "duration_ms": f"coalesce({to.number('took', 'ms', 'milliseconds')}, {_span('started', 'ended', 'true')})",
        "status": "ended_as",
        "usage_quality": (
            "CASE WHEN hit THEN NULL WHEN contradicts THEN '\"partial\"' WHEN NOT counted THEN '\"missing\"' "
            "WHEN ended_as = '\"cancelled\"' THEN '\"estimated\"' END"
        ),
        "tier": to.quoted("CASE WHEN batched THEN 'batch' ELSE service_tier END"),
    },
)
