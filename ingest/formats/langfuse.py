"""Langfuse's blob storage export of observations (`observations_v2`).

What is decided here:

- An event is a generation or an embedding. Spans, agents and tools are no calls, and repeat what the calls below them used:
  they have no model here, and are rejected for that.
- The buckets of `usage_details` stand beside one another, and `total` is their sum, never a part of it. Senders that left
  cached or reasoning tokens inside `input` and `output` are told by a total that the buckets exceed by just that: then they
  are taken out. These events, and those with buckets that are not known here, are marked `partial`.
- An observation is known by its project and its id, which the application chose. One that was updated and exported again is
  a later revision of itself.
- Identity is the project whose key sent the observation. `user_id` is a person; `metadata`, `environment` and names are what
  the application wrote: not believed; where `metadata` names who is to pay, that is counted. No cost is read.
- Nothing says who served a call, so it was on own GPUs where the model is one of a deployment's.
"""

from __future__ import annotations

from apportion.config.mapping import TimeSpec
from ingest.formats import conversions as to
from ingest.formats import dialects
from ingest.formats.gateways import instant, milliseconds, quality
from ingest.formats.native import Native
from ingest.kinds import USAGE

_END = TimeSpec(column="end_time", path=("end_time",), format="iso", zone="UTC")
_UPDATED = TimeSpec(column="updated_at", path=("updated_at",), format="iso", zone="UTC")
_USED = "usage_details"
_SECOND_2020 = 1_577_836_800
"""Revisions count seconds from 2020 on: an INTEGER holds them for longer than seconds from 1970."""


def _count(name: str) -> str:
    return f"coalesce(TRY_CAST({name} AS BIGINT), 0)::HUGEINT"


LANGFUSE = Native(
    name="langfuse",
    kind=USAGE,
    signatures=(((_USED,), ("provided_model_name",), ("trace_id",), ("type",)),),
    time_form="YYYY-MM-DD HH:MM:SS.ffffff in zone UTC",
    claims=(("metadata",),),
    found={
        "observation": ("id",),
        "sort": ("type",),
        "trace": ("trace_id",),
        "conversation": ("session_id",),
        "project": ("project_id",),
        "level": ("level",),
        "started": ("start_time",),
        "ended": ("end_time",),
        "updated": ("updated_at",),
        "served": ("provided_model_name",),
        "seconds": ("latency",),
        "first_seconds": ("time_to_first_token",),
        "input_given": (_USED, "input"),
        "input_audio": (_USED, "input_audio_tokens"),
        "read_anthropic": (_USED, "cache_read_input_tokens"),
        "read_openai": (_USED, "input_cached_tokens"),
        "read_langchain": (_USED, "input_cache_read"),
        "written_anthropic": (_USED, "cache_creation_input_tokens"),
        "written_langchain": (_USED, "input_cache_creation"),
        "output_given": (_USED, "output"),
        "output_audio": (_USED, "output_audio_tokens"),
        "thought_openai": (_USED, "output_reasoning_tokens"),
        "thought_langchain": (_USED, "output_reasoning"),
        "total_given": (_USED, "total"),
    },
    steps=(
        {
            "call": "upper(sort) IN ('GENERATION', 'EMBEDDING')",
            "input_text": to.integer("input_given"),
            "input_heard": to.integer("input_audio"),
            "output_text": to.integer("output_given"),
            "output_spoken": to.integer("output_audio"),
            "read": to.integer("coalesce(read_anthropic, read_openai, read_langchain)"),
            "written": to.integer("coalesce(written_anthropic, written_langchain)"),
            "reasoned": to.integer("coalesce(thought_openai, thought_langchain)"),
            "total": to.integer("total_given"),
            "last_change": to.time("updated", _UPDATED),
        },
        {
            "input": dialects.together(["input_text", "input_heard"]),
            "output": dialects.together(["output_text", "output_spoken"]),
            "changed": instant("last_change"),
        },
        {
            "cached": f"({_count('read')} + {_count('written')})",
            "excess": f"({' + '.join(map(_count, ('input', 'output', 'read', 'written', 'reasoned')))} - TRY_CAST(total AS BIGINT))",
        },
        {
            "cache_inside": f"coalesce(excess > 0 AND excess IN (cached, cached + {_count('reasoned')}) "
            f"AND cached BETWEEN 1 AND {_count('input')}, false)",
            "thought_inside": f"coalesce(excess > 0 AND excess IN ({_count('reasoned')}, cached + {_count('reasoned')}) "
            f"AND {_count('reasoned')} BETWEEN 1 AND {_count('output')} AND (excess <> cached OR cached = 0), false)",
        },
    ),
    fields={
        "event_id": to.quoted("coalesce(project || '/', '') || observation"),
        "source": to.quoted("'langfuse'"),
        "occurred_at": to.time("coalesce(ended, started)", _END),
        "model": to.quoted("CASE WHEN call THEN served END"),
        "principal": to.quoted("project"),
        "revision": f"CASE WHEN changed >= TIMESTAMP '2020-01-01' THEN (epoch_us(changed) // 1000000 - {_SECOND_2020})::VARCHAR END",
        "trace_id": to.quoted("trace"),
        "session_id": to.quoted("conversation"),
        "uncached_input_tokens": f"CASE WHEN cache_inside THEN {to.difference('input', ['read', 'written'])} ELSE input END",
        "cache_read_tokens": "read",
        "cache_write_tokens": "written",
        "output_tokens": f"CASE WHEN thought_inside THEN {to.difference('output', ['reasoned'])} ELSE output END",
        "reasoning_tokens": "reasoned",
        "ttft_ms": milliseconds("first_seconds", unit="s"),
        "duration_ms": milliseconds("seconds", unit="s"),
        "status": to.quoted("CASE WHEN upper(level) = 'ERROR' THEN 'failed' END"),
        "usage_quality": quality(
            "false", "coalesce(excess <> 0, false)", "input", "output", "read", "written", "reasoned", "total"
        ),
    },
)
