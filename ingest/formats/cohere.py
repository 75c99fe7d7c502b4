"""Cohere's answers: chat, embeddings and rerankings, as logged.

What is decided here:

- Cohere bills other counts than its model saw (`billed_units` and `tokens`). It is never on own GPUs through this API, so what
  is billed is what counts; without it, what was seen, cached tokens inside it.
- An answer has neither model nor time: the log has to say them.
"""

from __future__ import annotations

from ingest.formats import answers, dialects
from ingest.formats import conversions as to
from ingest.formats.native import Native
from ingest.kinds import USAGE

_SPOTS, _TAKEN = answers.spread(
    {
        "response": ("id",),
        "served": ("model",),
        "state": ("status",),
        **{
            f"{name}_{version}": (at, *keys)
            for version, at in (("v2", "usage"), ("v1", "meta"))
            for name, keys in {
                "billed_in": ("billed_units", "input_tokens"),
                "billed_out": ("billed_units", "output_tokens"),
                "seen_in": ("tokens", "input_tokens"),
                "seen_out": ("tokens", "output_tokens"),
                "read": ("cached_tokens",),
            }.items()
        },
    }
)

COHERE = Native(
    name="cohere",
    kind=USAGE,
    signatures=answers.signed((("usage", "billed_units"),), (("meta", "billed_units"),)),
    found={**answers.BESIDE, **_SPOTS},
    steps=(
        _TAKEN,
        {
            "billed": to.integer("coalesce(billed_in_v2, billed_in_v1)"),
            "seen": to.integer("coalesce(seen_in_v2, seen_in_v1)"),
            "read": to.integer("coalesce(read_v2, read_v1)"),
            "completion": to.integer("coalesce(billed_out_v2, billed_out_v1, seen_out_v2, seen_out_v1)"),
            "complete_at": answers.completed("logged", "stamped"),
            "ended_as": answers.status("state", "false"),
        },
    ),
    fields={
        **answers.FIELDS,
        "event_id": to.quoted("response"),
        "source": to.quoted("'cohere'"),
        "model": to.quoted("served"),
        "provider": to.quoted("coalesce(upstream, 'cohere')"),
        "uncached_input_tokens": f"coalesce(billed, {dialects.without('seen', ['read'])})",
        "cache_read_tokens": "CASE WHEN billed IS NULL THEN read END",
        "output_tokens": "completion",
        "usage_quality": answers.quality(
            ["billed", "seen", "completion"], f"billed IS NULL AND {dialects.exceeds('seen', ['read'])}"
        ),
    },
    tags=answers.TAGS,
    labels=answers.LABELS,
    time_form=answers.TIME_FORM,
)
