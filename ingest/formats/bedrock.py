"""Amazon Bedrock: Converse answers, Anthropic's answers to InvokeModel, and the lines of its model invocation logging.

What is decided here:

- Tokens read from and written to the cache stand beside the input, in every shape. A total that holds more than the four is
  `partial`.
- An invocation log names its request, its time, its model and who asked: the ARN is the principal, without the session of an
  assumed role, which differs each time and may name a person. `requestMetadata` the caller wrote: it is not
  believed, and where it names who is to pay, that is counted.
- An answer alone has neither model nor time (but for the date of boto3's headers): the log has to say them.
"""

from __future__ import annotations

import re

from apportion.config.mapping import TimeSpec
from ingest.formats import answers, dialects
from ingest.formats import conversions as to
from ingest.formats.anthropic import COUNTS, TOKENS, WRITTEN
from ingest.formats.native import Native
from ingest.kinds import USAGE

_SESSION = r"^(arn:[^:]*:sts:[^:]*:[^:]*:assumed-role/[^/]+)/.*$"
_DATE = TimeSpec(column="date", path=("date",), format="%a, %d %b %Y %H:%M:%S GMT", zone="UTC")


def _role(arn: str) -> str:
    """The ARN of an assumed role without its session."""
    return re.sub(_SESSION, r"\1", arn)


_SPOTS, _TAKEN = answers.spread(
    {
        **COUNTS,
        "converse_input": ("usage", "inputTokens"),
        "converse_output": ("usage", "outputTokens"),
        "converse_read": ("usage", "cacheReadInputTokens"),
        "converse_write": ("usage", "cacheWriteInputTokens"),
        "older_read": ("usage", "cacheReadInputTokenCount"),
        "older_write": ("usage", "cacheWriteInputTokenCount"),
        "total": ("usage", "totalTokens"),
        "response": ("id",),
        "request_boto": ("ResponseMetadata", "RequestId"),
        "request_js": ("$metadata", "requestId"),
        "dated": ("ResponseMetadata", "HTTPHeaders", "date"),
        "served": ("modelId",),
        "served_plain": ("model",),
        "state": ("status",),
        "latency": ("metrics", "latencyMs"),
        "service_tier": ("serviceTier", "type"),
    },
    (*answers.PLACES, ("output", "outputBodyJson")),
)

BEDROCK = Native(
    name="bedrock",
    kind=USAGE,
    signatures=(
        (("schemaType",), ("modelId",), ("requestId",)),
        *answers.signed((("usage", "inputTokens"), ("usage", "outputTokens"))),
    ),
    found={
        **answers.BESIDE,
        **_SPOTS,
        "request": ("requestId",),
        "arn": ("identity", "arn"),
        "zone": ("region",),
        "error_code": ("errorCode",),
        "log_input": ("input", "inputTokenCount"),
        "log_output": ("output", "outputTokenCount"),
        "log_read": ("input", "cacheReadInputTokenCount"),
        "log_write": ("input", "cacheWriteInputTokenCount"),
    },
    sealed={"arn": _role},
    steps=(
        _TAKEN,
        {
            "uncached": to.integer("coalesce(converse_input, uncached_given, log_input)"),
            "completion": to.integer("coalesce(converse_output, output_given, log_output)"),
            "read": to.integer(dialects.first("converse_read", "older_read", "read_given", "log_read")),
            "written": f"coalesce({to.integer(dialects.first('converse_write', 'older_write', 'log_write'))}, {WRITTEN})",
            "reasoned": to.integer("thought"),
            "complete_at": answers.completed("logged", "stamped"),
            "ended_as": answers.status("state", "error_code IS NOT NULL"),
        },
    ),
    fields={
        **answers.FIELDS,
        **TOKENS,
        "event_id": to.quoted("coalesce(request, request_boto, request_js, response)"),
        "call_id": to.quoted("coalesce(request, request_boto, request_js)"),
        "source": to.quoted("'bedrock'"),
        "occurred_at": f"CASE WHEN coalesce(logged, stamped) IS NULL AND dated IS NOT NULL THEN {to.time('dated', _DATE)} "
        f"ELSE {answers.FIELDS['occurred_at']} END",
        "model": to.quoted("coalesce(served, served_plain)"),
        "provider": to.quoted("coalesce(upstream, 'bedrock')"),
        "principal": to.quoted(f"coalesce(caller, regexp_replace(arn, {to.text(_SESSION)}, '\\1'))"),
        "duration_ms": f"coalesce({answers.FIELDS['duration_ms']}, {to.number('latency', 'ms', 'milliseconds')})",
        "usage_quality": answers.quality(
            ["uncached", "completion"],
            f"{dialects.exceeds('completion', ['reasoned'])} OR uncached IS NULL "
            f"OR {dialects.untold('total', ['uncached', 'completion', 'read', 'written'])}",
        ),
        "tier": to.quoted("service_tier"),
        "region": to.quoted("zone"),
    },
    tags=answers.TAGS,
    labels=answers.LABELS,
    claims=(("requestMetadata",),),
    time_form=answers.TIME_FORM,
)
