"""Gemini's answers, of Google's AI API and of Vertex AI, as logged or as lines of a batch prediction's output.

What is decided here:

- Cached content is inside the prompt; thoughts stand beside the candidates; what tools put into the prompt stands beside it, and
  is input. More cached than prompted contradicts this: read side by side, and marked `partial`; so is a total that holds more
  than is told.
- Candidates that were not counted are unknown, and land as none.
- Vertex AI says when an answer was made (`createTime`), a batch when it was processed; elsewhere the log has to say it.
"""

from __future__ import annotations

from ingest.formats import answers, dialects
from ingest.formats import conversions as to
from ingest.formats.native import Native
from ingest.kinds import USAGE

_USED = "usageMetadata"
_SPOTS, _TAKEN = answers.spread(
    {
        "response": ("responseId",),
        "named": ("id",),
        "version": ("modelVersion",),
        "asked": ("model",),
        "created": ("createTime",),
        "state": ("status",),
        "error_code": ("error", "code"),
        "prompt_given": (_USED, "promptTokenCount"),
        "read_given": (_USED, "cachedContentTokenCount"),
        "tool_given": (_USED, "toolUsePromptTokenCount"),
        "candidates_given": (_USED, "candidatesTokenCount"),
        "thoughts_given": (_USED, "thoughtsTokenCount"),
        "total": (_USED, "totalTokenCount"),
        "service_tier": (_USED, "serviceTier"),
        "traffic": (_USED, "trafficType"),
    }
)

GEMINI = Native(
    name="gemini",
    kind=USAGE,
    signatures=((("usageMetadata", "promptTokenCount"),), (("response", "usageMetadata"),)),
    found={**answers.BESIDE, **_SPOTS, "processed": ("processed_time",)},
    steps=(
        _TAKEN,
        {
            "prompt": to.integer("prompt_given"),
            "read": to.integer("read_given"),
            "tool": to.integer("tool_given"),
            "candidates": to.integer("candidates_given"),
            "thoughts": to.integer("thoughts_given"),
            "complete_at": answers.completed("logged", "stamped", "processed", "created"),
            "ended_as": answers.status("state", "error_code IS NOT NULL"),
        },
        {"rest": dialects.without("prompt", ["read"])},
    ),
    fields={
        **answers.FIELDS,
        "event_id": to.quoted("coalesce(response, named)"),
        "source": to.quoted("'gemini'"),
        "model": to.quoted("coalesce(version, asked)"),
        "provider": to.quoted("coalesce(upstream, 'gemini')"),
        "uncached_input_tokens": dialects.together(["rest", "tool"]),
        "cache_read_tokens": "read",
        "output_tokens": "candidates",
        "reasoning_tokens": "thoughts",
        "usage_quality": answers.quality(
            ["prompt", "candidates", "thoughts"],
            f"prompt IS NULL OR {dialects.exceeds('prompt', ['read'])} "
            f"OR {dialects.untold('total', ['prompt', 'tool', 'candidates', 'thoughts'])}",
        ),
        "tier": to.quoted("CASE WHEN processed IS NOT NULL THEN 'batch' ELSE coalesce(service_tier, traffic) END"),
    },
    tags=answers.TAGS,
    labels=answers.LABELS,
    time_form=answers.TIME_FORM,
)
