"""Counts that Langfuse's SDKs write on a span as one JSON text, under the names that the other conventions give them.

Buckets stand beside one another there. Senders that left cached or reasoning tokens inside `input` and `output` are told by a
total that is just their sum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from ingest.formats import otlp_names as names
from ingest.formats.otlp_records import Attributes

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("input", "input_tokens", "prompt_tokens"),
    "read": ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read"),
    "written": ("cache_creation_input_tokens", "input_cache_creation"),
    "output": ("output", "output_tokens", "completion_tokens"),
    "reasoned": ("output_reasoning_tokens", "output_reasoning"),
    "total": ("total", "total_tokens"),
}


def unpacked(said: Attributes) -> Attributes:
    """The attributes with the counts of the buckets among them; as they are where there are none, or where they are no counts."""
    given = _parsed(said.get(names.BUCKETS))
    found = {part: next((given[name] for name in of if name in given), None) for part, of in _NAMES.items()}
    prompt, output, read = found["input"], found["output"], found["read"]
    written, reasoned, total = found["written"], found["reasoned"], found["total"]
    if prompt is None and output is None:
        return said
    if total is None or total != (prompt or 0) + (output or 0):
        inside = (read or 0) + (written or 0)
        prompt = prompt + inside if prompt is not None else inside or None
        output = output + (reasoned or 0) if output is not None else reasoned
    counts = (prompt, output, read, written, reasoned)
    spelled = (names.INPUT, names.OUTPUT, names.READ, names.WRITE, names.REASONING)
    return {**said, **{of[0]: count for of, count in zip(spelled, counts, strict=True) if count is not None}}


def _parsed(text: object) -> dict[str, int]:
    if not isinstance(text, str):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: count for name, count in found.items() if isinstance(count, int) and not isinstance(count, bool)}
