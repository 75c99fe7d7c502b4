"""Anthropic's Messages API: answers as logged, and the lines of a message batch's results.

What is decided here:

- Tokens read from and written to the cache stand beside the input; thinking is inside the output. Where thinking exceeds the
  output it stands beside it, and the event is `partial`.
- Writes that live five minutes and an hour are one kind; where only the two are told, they are added.
- `iterations` repeat what the counts add up; a server tool's own model in them is billed by its provider, and is not read.
- An answer has no time: the log has to say it.
- Models that are not Anthropic's, spoken to in its protocol, run on own GPUs unless the log says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.formats import answers, dialects
from ingest.formats import conversions as to
from ingest.formats.native import Keys, Native
from ingest.kinds import USAGE

COUNTS: Mapping[str, Keys] = {
    "uncached_given": ("usage", "input_tokens"),
    "output_given": ("usage", "output_tokens"),
    "read_given": ("usage", "cache_read_input_tokens"),
    "write_given": ("usage", "cache_creation_input_tokens"),
    "write_5m": ("usage", "cache_creation", "ephemeral_5m_input_tokens"),
    "write_1h": ("usage", "cache_creation", "ephemeral_1h_input_tokens"),
    "thought": ("usage", "output_tokens_details", "thinking_tokens"),
}
"""Counts of a Messages answer, wherever it is served."""

WRITTEN = to.integer(dialects.first("write_given", dialects.together(["write_5m", "write_1h"])))

TOKENS: Mapping[str, str] = {
    "uncached_input_tokens": "uncached",
    "cache_read_tokens": "read",
    "cache_write_tokens": "written",
    "output_tokens": dialects.without("completion", ["reasoned"]),
    "reasoning_tokens": "reasoned",
}
"""Canonical counts where the cache's stand beside the input."""

_SPOTS, _TAKEN = answers.spread(
    {
        **COUNTS,
        "response": ("id",),
        "call": ("request_id",),
        "served": ("model",),
        "shape": ("type",),
        "state": ("status",),
        "error_type": ("error", "type"),
        "service_tier": ("usage", "service_tier"),
    },
    (*answers.PLACES, ("result", "message")),
)

ANTHROPIC = Native(
    name="anthropic",
    kind=USAGE,
    signatures=(*answers.signed((("stop_reason",), ("usage", "input_tokens"))), (("custom_id",), ("result", "type"))),
    found={**answers.BESIDE, **_SPOTS, "in_batch": ("result", "type"), "named": ("custom_id",)},
    steps=(
        _TAKEN,
        {
            "uncached": to.integer("uncached_given"),
            "completion": to.integer("output_given"),
            "read": to.integer("read_given"),
            "written": WRITTEN,
            "reasoned": to.integer("thought"),
            "who": (
                f"coalesce({dialects.provider('upstream', 'host')}, "
                "CASE WHEN contains(lower(served), 'claude') THEN 'anthropic' ELSE 'self' END)"
            ),
            "complete_at": answers.completed("logged", "stamped"),
            "ended_as": answers.status(
                "coalesce(in_batch, state)", "error_type IS NOT NULL OR coalesce(shape = 'error', false)"
            ),
        },
    ),
    fields={
        **answers.FIELDS,
        **TOKENS,
        "event_id": to.quoted("coalesce(response, call, named)"),
        "call_id": to.quoted("call"),
        "source": to.quoted("'anthropic'"),
        "model": to.quoted("served"),
        "provider": to.quoted("who"),
        "usage_quality": answers.quality(
            ["uncached", "completion"],
            f"{dialects.exceeds('completion', ['reasoned'])} OR uncached IS NULL OR completion IS NULL",
        ),
        "tier": to.quoted("CASE WHEN in_batch IS NOT NULL THEN 'batch' ELSE service_tier END"),
    },
    tags=answers.TAGS,
    labels=answers.LABELS,
    time_form=answers.TIME_FORM,
)
