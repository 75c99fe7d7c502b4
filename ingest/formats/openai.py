"""Answers in OpenAI's shape: chat completions, completions, responses, embeddings, and the lines of a batch's output file.

OpenAI, Azure, vLLM, SGLang, llama.cpp, DeepSeek, Groq, OpenRouter and others write it, each with counts of its own. What is
decided here:

- Cached, newly cached and reasoning tokens are inside the counts. Counts that contradict this are read as standing beside one
  another, and marked `partial`. Where the total says that reasoning stands beside the completion (xAI), it does.
- A total that holds more than is told (thoughts that a compatible API hides) makes the event `partial`; nothing is guessed.
- DeepSeek says what hit and what missed its cache: these are read. llama.cpp's `timings` say what came from its cache.
- An engine of one's own that does not say what was cached leaves it unknown: `partial` (vLLM: --enable-prompt-tokens-details,
  SGLang: --enable-cache-report).
- Several choices (n > 1) are one request, whose prompt counts once. Embeddings have no output.
- The time is the answer's own: `completed_at`, else what the log says, else the second of `created`. What a stream's chunk says
  is the sum so far, so that later chunks supersede earlier ones; a chunk without usage is rejected.
- Whoever does not say who served the call (`provider` beside the answer) is believed to be on own GPUs, but for models that
  only OpenAI serves, and DeepSeek's API, known by its counts of hits and misses.
- A batch costs half at its provider: tier `batch`. Nobody else says whose line it is, so `key=value` pairs of its `custom_id`,
  parted by `|`, `;` or `,`, are tags; those that the log adds win over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.formats import answers, dialects
from ingest.formats import conversions as to
from ingest.formats.native import Keys, Native
from ingest.kinds import USAGE

_INPUT, _OUTPUT = ("usage", "prompt_tokens_details"), ("usage", "completion_tokens_details")
_INPUT_NEW, _OUTPUT_NEW = ("usage", "input_tokens_details"), ("usage", "output_tokens_details")
_ANSWER: Mapping[str, Keys] = {
    "response": ("id",),
    "served": ("model",),
    "shape": ("object",),
    "state": ("status",),
    "error_code": ("error", "code"),
    "error_type": ("error", "type"),
    "created_chat": ("created",),
    "created_response": ("created_at",),
    "finished": ("completed_at",),
    "service_tier": ("service_tier",),
    "prompt_chat": ("usage", "prompt_tokens"),
    "prompt_response": ("usage", "input_tokens"),
    "completion_chat": ("usage", "completion_tokens"),
    "completion_response": ("usage", "output_tokens"),
    "total": ("usage", "total_tokens"),
    "read_chat": (*_INPUT, "cached_tokens"),
    "read_response": (*_INPUT_NEW, "cached_tokens"),
    "read_plain": ("usage", "cached_tokens"),
    "read_hit": ("usage", "prompt_cache_hit_tokens"),
    "read_timed": ("timings", "cache_n"),
    "missed_given": ("usage", "prompt_cache_miss_tokens"),
    "write_chat": (*_INPUT, "cache_write_tokens"),
    "write_response": (*_INPUT_NEW, "cache_write_tokens"),
    "write_engine": (*_INPUT, "created_cache_tokens"),
    "thought_chat": (*_OUTPUT, "reasoning_tokens"),
    "thought_response": (*_OUTPUT_NEW, "reasoning_tokens"),
    "thought_plain": ("usage", "reasoning_tokens"),
    "prompt_timed": ("timings", "prompt_n"),
    "completion_timed": ("timings", "predicted_n"),
    "waited": ("metrics", "queue_time_ms"),
    "prefilled": ("metrics", "time_to_first_token_ms"),
    "decoded": ("metrics", "generation_time_ms"),
}
_ONLY_OPENAI = (
    r"(ft:)?(gpt-[345].*|gpt-(image|audio|realtime)-.*|chatgpt-.*|o[134](-.*)?|text-embedding-(3-.*|ada-002))"
)
_MILLISECONDS = "TRY_CAST({} AS DECIMAL(15, 3))"


def _sum(*spans: str) -> str:
    """Spans one after the other, in milliseconds; absent where one is, or is no time."""
    return f"({' + '.join(_MILLISECONDS.format(span) for span in spans)})::VARCHAR"


def _steps(taken: Mapping[str, str], failed: str) -> tuple[Mapping[str, str], ...]:
    return (
        taken,
        {
            "prompt": to.integer(
                f"coalesce(prompt_chat, prompt_response, {dialects.together(['prompt_timed', 'read_timed'])})"
            ),
            "completion": to.integer("coalesce(completion_chat, completion_response, completion_timed)"),
            "read": to.integer(dialects.first("read_chat", "read_response", "read_hit", "read_plain", "read_timed")),
            "written": to.integer(dialects.first("write_chat", "write_response", "write_engine")),
            "reasoned": to.integer(dialects.first("thought_chat", "thought_response", "thought_plain")),
            "missed": to.integer("missed_given"),
            "chunk": "coalesce(ends_with(shape, '.chunk'), false)",
            "who": (
                f"coalesce({dialects.provider('upstream', 'host')}, CASE WHEN regexp_full_match(lower(served), "
                f"{to.text(_ONLY_OPENAI)}) THEN 'openai' WHEN missed_given IS NOT NULL THEN 'deepseek' ELSE 'self' END)"
            ),
        },
        {
            "beside": dialects.adds_up("total", ["prompt", "completion", "reasoned"]),
            "told": "coalesce(prompt, completion) IS NOT NULL",
        },
        {
            "complete_at": answers.completed("finished", "logged", "stamped", "created_response", "created_chat"),
            "ended_as": answers.status("CASE WHEN chunk AND NOT told THEN shape ELSE state END", failed),
            "contradicts": (
                f"{dialects.exceeds('prompt', ['read', 'written'])} "
                f"OR (missed IS NOT NULL AND NOT {dialects.adds_up('prompt', ['read', 'missed'])} AND missed <> '0') "
                f"OR (NOT beside AND ({dialects.exceeds('completion', ['reasoned'])} "
                f"OR {dialects.untold('total', ['prompt', 'completion'])}))"
            ),
        },
    )


_FIELDS: Mapping[str, str] = {
    **answers.FIELDS,
    "source": to.quoted("'openai'"),
    "event_id": to.quoted("response"),
    "model": to.quoted("served"),
    "provider": to.quoted("who"),
    "revision": "CASE WHEN chunk THEN completion END",
    "uncached_input_tokens": f"coalesce(missed, {dialects.without('prompt', ['read', 'written'])})",
    "cache_read_tokens": "read",
    "cache_write_tokens": "written",
    "output_tokens": f"CASE WHEN beside THEN completion ELSE {dialects.without('completion', ['reasoned'])} END",
    "reasoning_tokens": "reasoned",
    "ttft_ms": f"coalesce({answers.FIELDS['ttft_ms']}, {_sum('waited', 'prefilled')})",
    "duration_ms": f"coalesce({answers.FIELDS['duration_ms']}, {_sum('waited', 'prefilled', 'decoded')})",
    "queue_ms": to.number("waited", "ms", "milliseconds"),
    "usage_quality": answers.quality(
        ["prompt", "completion"],
        "contradicts OR prompt IS NULL OR (who = 'self' AND read IS NULL AND completion IS NOT NULL)",
    ),
    "tier": to.quoted("service_tier"),
}


def _found(places: Sequence[Keys]) -> tuple[dict[str, Keys], dict[str, str]]:
    spots, taken = answers.spread(_ANSWER, places)
    return {**answers.BESIDE, **spots}, taken


_ERROR = "coalesce(error_code, error_type) IS NOT NULL OR coalesce(shape = 'error', false)"
_SPOTS, _TAKEN = _found(answers.PLACES)
OPENAI = Native(
    name="openai",
    kind=USAGE,
    signatures=answers.signed(
        (("usage", "prompt_tokens"),),
        (("usage", "input_tokens"), ("usage", "total_tokens")),
        (("choices",), ("created",), ("object",)),
    ),
    found=_SPOTS,
    steps=_steps(_TAKEN, _ERROR),
    fields=_FIELDS,
    tags=answers.TAGS,
    labels=answers.LABELS,
    claims=(("metadata",), ("response", "metadata")),
    time_form=answers.TIME_FORM,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Native):
    """Lines of a batch's output file."""

    def _tags(self) -> str:
        """What the log says of the line, before what the batch's author wrote into `custom_id`."""
        pairs = r"list_filter(regexp_split_to_array(named, '[|;,]'), lambda pair: contains(pair, '='))"
        member = "to_json(trim(split_part(pair, '=', 1)))::VARCHAR || ':' || to_json(trim(substring(pair, strpos(pair, '=') + 1)))::VARCHAR"
        own = f"'{{' || coalesce(array_to_string(list_transform({pairs}, lambda pair: {member}), ','), '') || '}}'"
        said = Native._tags(self)  # noqa: SLF001 - a dataclass with slots has no super() here
        return f"json_merge_patch(({own})::JSON, ({said})::JSON)::VARCHAR"


_SPOTS, _TAKEN = _found((("response", "body"),))
OPENAI_BATCH = Batch(
    name="openai-batch",
    kind=USAGE,
    signatures=((("custom_id",), ("response", "status_code")),),
    found={
        **_SPOTS,
        "line": ("id",),
        "named": ("custom_id",),
        "code": ("response", "status_code"),
        "model_said": ("model",),
        "line_error": ("error", "code"),
    },
    steps=_steps(
        {**_TAKEN, "served": "coalesce(served_0, model_said)"},
        f"coalesce(TRY_CAST(code AS INTEGER) >= 400, false) OR line_error IS NOT NULL OR {_ERROR}",
    ),
    fields={**_FIELDS, "event_id": to.quoted("line"), "tier": to.quoted("'batch'")},
    tags=answers.TAGS,
    labels=answers.LABELS,
    claims=(("response", "body", "metadata"),),
    time_form=answers.TIME_FORM,
)
