"""SGLang's request metrics, as `--export-metrics-to-file` writes them, and its answers to /generate.

What is decided here:

- Cached and reasoning tokens are inside the counts; where they exceed them they are read beside them, and marked `partial`. So
  is an event that does not say what was cached.
- The file names no model, and most releases write no time (`response_sent_to_client_ts` is one): whoever ships it has to add
  `model` and `time`. Nothing is made of the name of the file, nor of when it arrived.
- A request that was given up (`abort`) is cancelled; the tokens made for it until then count.
- `request_parameters` can hold prompts, and is not read.
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
        "reason": ("finish_reason", "type"),
        "prompt_given": ("prompt_tokens",),
        "completion_given": ("completion_tokens",),
        "read_given": ("cached_tokens",),
        "thought": ("reasoning_tokens",),
        "seconds": ("e2e_latency",),
        "queued": ("queue_time",),
        "sent": ("response_sent_to_client_ts",),
    },
    (*answers.PLACES, ("meta_info",), ("response", "meta_info"), ("out", "meta_info")),
)

SGLANG = Native(
    name="sglang",
    kind=USAGE,
    signatures=((("request_parameters",), ("prompt_tokens",)), *answers.signed((("meta_info", "prompt_tokens"),))),
    found={**answers.BESIDE, **_SPOTS},
    steps=(
        _TAKEN,
        {
            "prompt": to.integer("prompt_given"),
            "completion": to.integer("completion_given"),
            "read": to.integer("read_given"),
            "reasoned": to.integer("thought"),
            "complete_at": answers.completed("sent", "logged", "stamped"),
            "ended_as": answers.status("coalesce(CASE WHEN reason = 'abort' THEN reason END, state)", "false"),
        },
    ),
    fields={
        **answers.FIELDS,
        "event_id": to.quoted("response"),
        "source": to.quoted("'sglang'"),
        "model": to.quoted("served"),
        "uncached_input_tokens": dialects.without("prompt", ["read"]),
        "cache_read_tokens": "read",
        "output_tokens": dialects.without("completion", ["reasoned"]),
        "reasoning_tokens": "reasoned",
        "duration_ms": f"coalesce({to.number('seconds', 's', 'milliseconds')}, {answers.FIELDS['duration_ms']})",
        "queue_ms": to.number("queued", "s", "milliseconds"),
        "usage_quality": answers.quality(
            ["prompt", "completion"],
            f"prompt IS NULL OR read IS NULL OR {dialects.exceeds('prompt', ['read'])} "
            f"OR {dialects.exceeds('completion', ['reasoned'])}",
        ),
    },
    tags=answers.TAGS,
    labels=answers.LABELS,
    time_form=f"{answers.TIME_FORM}; SGLang's file has none",
)
