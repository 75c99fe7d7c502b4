"""Portkey's log export.

What is decided here:

- `created_at` is when the request came; it was over `response_time` later.
- `req_units` hold what was cached, and nothing says how much that was: all of it counts as uncached, and `partial` says so.
- An answer from Portkey's cache, simple or semantic, used no GPU: one request without tokens.
- `cost` is in cents, and is not read.
- An export without `id` names an event by its trace and its time: retries and fallbacks share the trace.
- Identity is the virtual key, which Portkey resolved. `metadata` is what the caller sent, its `_user` a person:
  not believed, and where it names who is to pay, that is counted.
"""

from __future__ import annotations

from apportion.config.mapping import TimeSpec
from ingest.formats import conversions as to
from ingest.formats import dialects, gateways
from ingest.formats.native import Native
from ingest.kinds import USAGE

_CREATED = TimeSpec(column="created_at", path=("created_at",), format="iso", zone=None)

PORTKEY = Native(
    name="portkey",
    kind=USAGE,
    signatures=((("created_at",), ("ai_org",), ("ai_model",), ("req_units",), ("res_units",)),),
    claims=(("metadata",),),
    found={
        "entry": ("id",),
        "trace": ("trace_id",),
        "created": ("created_at",),
        "served": ("ai_model",),
        "upstream": ("ai_org",),
        "base": ("request_url",),
        "cache": ("cache_status",),
        "succeeded": ("is_success",),
        "code": ("response_status_code",),
        "units_given": ("req_units",),
        "units_made": ("res_units",),
        "elapsed": ("response_time",),
        "key": ("virtual_key",),
    },
    sealed={"base": gateways.address},
    steps=(
        {
            "host": gateways.host("base"),
            "hit": "coalesce(upper(cache) IN ('HIT', 'SEMANTIC HIT'), false)",
            "began": to.time("created", _CREATED),
            "taken": to.integer("units_given"),
            "made": to.integer("units_made"),
            "ended": gateways.status("code"),
        },
        {"who": dialects.provider("upstream", "host")},
    ),
    fields={
        "event_id": to.quoted("coalesce(entry, trace || '@' || created)"),
        "source": to.quoted("'portkey'"),
        "occurred_at": gateways.end("began", "elapsed"),
        "model": to.quoted("served"),
        "provider": to.quoted("who"),
        "replica": to.quoted("CASE WHEN who = 'self' THEN host END"),
        "principal": to.quoted("key"),
        "trace_id": to.quoted("trace"),
        "uncached_input_tokens": "CASE WHEN NOT hit THEN taken END",
        "output_tokens": "CASE WHEN NOT hit THEN made END",
        "duration_ms": gateways.milliseconds("elapsed"),
        "status": to.quoted(
            "CASE WHEN ended = 'cancelled' THEN ended WHEN lower(succeeded) IN ('0', 'false') THEN 'failed' ELSE ended END"
        ),
        "usage_quality": gateways.quality("hit", "true", "taken", "made"),
    },
)
