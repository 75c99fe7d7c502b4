"""Cloudflare's AI Gateway: the entries of its logs, as its API lists them and its exports write them.

What is decided here:

- `tokens_in` holds what was cached, and nothing says how much that was: all of it counts as uncached, and `partial` says so.
- Each step of a fallback is an entry with an id of its own, and so is each attempt an event.
- An answer from the gateway's cache used no GPU: one request without tokens.
- `cost` is what Cloudflare believes that the call cost. It is not read.
- `metadata` is what the caller wrote into a header, so it is no identity: where it claims one, that is counted. Nothing
  else says who called: a rule of the directory can give all calls with `source = "cloudflare"` to a team, else they are `__unmapped__`.
"""

from __future__ import annotations

from apportion.config.mapping import TimeSpec
from ingest.formats import conversions as to
from ingest.formats import dialects, gateways
from ingest.formats.native import Native
from ingest.kinds import USAGE

_CREATED = TimeSpec(column="created_at", path=("created_at",), format="iso", zone=None)

CLOUDFLARE = Native(
    name="cloudflare",
    kind=USAGE,
    signatures=((("tokens_in",), ("tokens_out",), ("cached",), ("created_at",), ("step",)),),
    claims=(("metadata",),),
    found={
        "entry": ("id",),
        "created": ("created_at",),
        "served": ("model",),
        "upstream": ("provider",),
        "from_cache": ("cached",),
        "succeeded": ("success",),
        "code": ("status_code",),
        "tokens_given": ("tokens_in",),
        "tokens_made": ("tokens_out",),
        "elapsed": ("duration",),
    },
    steps=(
        {
            "hit": "coalesce(lower(from_cache) = 'true', false)",
            "taken": to.integer("tokens_given"),
            "made": to.integer("tokens_made"),
            "ended": gateways.status("code"),
        },
    ),
    fields={
        "event_id": to.quoted("entry"),
        "source": to.quoted("'cloudflare'"),
        "occurred_at": to.time("created", _CREATED),
        "model": to.quoted("served"),
        "provider": to.quoted(dialects.provider("upstream", "NULL::VARCHAR")),
        "uncached_input_tokens": "CASE WHEN NOT hit THEN taken END",
        "output_tokens": "CASE WHEN NOT hit THEN made END",
        "duration_ms": gateways.milliseconds("elapsed"),
        "status": to.quoted(
            "CASE WHEN ended = 'cancelled' THEN ended WHEN lower(succeeded) = 'false' THEN 'failed' ELSE ended END"
        ),
        "usage_quality": gateways.quality("hit", "true", "taken", "made"),
    },
)
