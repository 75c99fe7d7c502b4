"""How others count tokens, and who they say served a call: what several formats have in common.

Counts that are inside others are taken out of them. Where the parts exceed the whole, the sender broke the rule of its
dialect, which in the wild means that the parts stand beside the whole: then they are read so, and the event's
`usage_quality` says `partial`, by which such events are counted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ingest.formats import conversions as to

SELF_HOSTED = frozenset(
    {
        "docker_model_runner",
        "hosted_vllm",
        "infinity",
        "lemonade",
        "llamafile",
        "llama.cpp",
        "lm_studio",
        "ollama",
        "ollama_chat",
        "oobabooga",
        "self",
        "sglang",
        "tensorrt_llm",
        "tgi",
        "triton",
        "vllm",
        "xinference",
    }
)
"""Providers that are engines on somebody's own GPUs."""

COMPATIBLE = frozenset({"openai", "text-completion-openai", "custom_openai", "openai_like"})
"""Providers that only name the protocol: at an address that is not OpenAI's they are own GPUs until the config says otherwise."""

OPENAI_HOST = r"(.*\.)?openai\.(com|azure\.com)(:\d+)?"


def exceeds(whole: str, parts: Sequence[str]) -> str:
    """SQL: whether counts are more than the count that should hold them. All are JSON text; an absent whole holds anything."""
    inside = " + ".join(f"coalesce(TRY_CAST({part} AS BIGINT), 0)::HUGEINT" for part in parts)
    return f"coalesce({inside} > TRY_CAST({whole} AS BIGINT), false)"


def without(whole: str, parts: Sequence[str]) -> str:
    """SQL: a count without the counts inside it; as it stands where they exceed it."""
    return f"CASE WHEN {exceeds(whole, parts)} THEN {whole} ELSE {to.difference(whole, parts)} END"


def first(*counts: str) -> str:
    """SQL: the first count that is not zero, else the first there is: twins are often left at zero where another is filled in."""
    filled = [f"nullif({count}, '0')" for count in counts]
    return f"coalesce({', '.join((*filled, *counts))})"


def together(counts: Sequence[str]) -> str:
    """SQL: counts that stand beside one another, as one; absent where all are. What is no count goes on, to be rejected."""
    number = {count: f"TRY_CAST({count} AS BIGINT)" for count in counts}
    odd = [f"CASE WHEN NOT coalesce({number[count]} >= 0, {count} IS NULL) THEN {count} END" for count in counts]
    added = " + ".join(f"coalesce({number[count]}, 0)::HUGEINT" for count in counts)
    return (
        f"CASE WHEN coalesce({', '.join(counts)}) IS NOT NULL THEN coalesce({', '.join(odd)}, ({added})::VARCHAR) END"
    )


def untold(total: str, parts: Sequence[str]) -> str:
    """SQL: whether a total holds more than its parts: somebody counted what nobody told. An absent total holds nothing."""
    inside = " + ".join(f"coalesce(TRY_CAST({part} AS BIGINT), 0)::HUGEINT" for part in parts)
    return f"coalesce(TRY_CAST({total} AS BIGINT) > {inside}, false)"


def adds_up(total: str, parts: Sequence[str]) -> str:
    """SQL: whether a total is the sum of its parts, and the last of them is in it."""
    inside = " + ".join(f"coalesce(TRY_CAST({part} AS BIGINT), 0)::HUGEINT" for part in parts)
    return f"coalesce(TRY_CAST({total} AS BIGINT) = {inside} AND TRY_CAST({parts[-1]} AS BIGINT) > 0, false)"


def apart(whole: object, parts: Sequence[object]) -> tuple[object, bool]:
    """A count without the counts inside it, and whether they contradict it. What is no count is left for landing to judge."""
    inside = 0
    for part in parts:
        if isinstance(part, int):
            inside += part
        elif part is not None:
            return whole, False
    if not isinstance(whole, int):
        return whole, False
    return (whole, True) if inside > whole else (whole - inside, False)


def served_by(named: str | None, host: str | None) -> str | None:
    """`self`, or who served the call from outside."""
    if named is None:
        return None
    lowered = named.lower()
    elsewhere = host is not None and not re.fullmatch(OPENAI_HOST, host.lower())
    return "self" if lowered in SELF_HOSTED or (lowered in COMPATIBLE and elsewhere) else named


def provider(named: str, host: str) -> str:
    """SQL: `self`, or who served the call from outside; both arguments are text or NULL."""
    own, protocols = one_of(named, SELF_HOSTED), one_of(named, COMPATIBLE)
    return (
        f"CASE WHEN {own} THEN 'self' "
        f"WHEN {protocols} AND NOT regexp_full_match(lower({host}), {to.text(OPENAI_HOST)}) THEN 'self' "
        f"ELSE {named} END"
    )


def unprefixed(model: str, named: str) -> str:
    """SQL: a model without the provider's name and a slash before it (`hosted_vllm/qwen`); both arguments are text or NULL."""
    return (
        f"CASE WHEN starts_with({model}, {named} || '/') THEN substring({model}, length({named}) + 2) ELSE {model} END"
    )


def one_of(value: str, words: Collection[str]) -> str:
    """SQL: whether a text is one of some lower-case words, in any case. As a pattern: a list of words would become a join."""
    return f"regexp_full_match(lower({value}), {to.text('|'.join(re.escape(word) for word in sorted(words)))})"
