"""Every format there is, by the name that `--format`, `[[sources]]` and a message's header call it.

A new one is a line in `_NATIVE`. Whatever is not here, a mapping in the config can describe.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary

from apportion.config.mapping import NVIDIA_SMI, Mapping
from ingest.format import Format
from ingest.formats.anthropic import ANTHROPIC
from ingest.formats.apisix import APISIX
from ingest.formats.bedrock import BEDROCK
from ingest.formats.cloudflare import CLOUDFLARE
from ingest.formats.cohere import COHERE
from ingest.formats.gemini import GEMINI
from ingest.formats.kong import KONG
from ingest.formats.langfuse import LANGFUSE
from ingest.formats.litellm import LITELLM
from ingest.formats.litellm_spend import LITELLM_SPEND
from ingest.formats.mapped import Mapped
from ingest.formats.ndjson import Ndjson
from ingest.formats.nvidia_smi import NvidiaSmi
from ingest.formats.openai import OPENAI, OPENAI_BATCH
from ingest.formats.portkey import PORTKEY
from ingest.formats.sglang import SGLANG
from ingest.kinds import KINDS

_NATIVE: tuple[Format, ...] = (
    LITELLM,
    LITELLM_SPEND,
    OPENAI,
    OPENAI_BATCH,
    ANTHROPIC,
    GEMINI,
    BEDROCK,
    COHERE,
    SGLANG,
    KONG,
    APISIX,
    LANGFUSE,
    PORTKEY,
    CLOUDFLARE,
)
"""What known systems write."""

BUILT_IN: Dictionary[str, Format] = {
    **{name: Ndjson(name, kind) for name, kind in KINDS.items()},
    **{format_.name: format_ for format_ in _NATIVE},
}
"""Formats that need no config; no mapping may take their names."""


def find(name: str, mappings: Dictionary[str, Mapping]) -> Format | None:
    """A format by name, or None.

    Args:
        name: as it was asked for.
        mappings: of the config, by their names.
    """
    known = BUILT_IN.get(name)
    if known is not None:
        return known
    mapping = mappings.get(name)
    return None if mapping is None else described(mapping)


def described(mapping: Mapping) -> Mapped:
    """The format that a mapping of the config describes."""
    return NvidiaSmi(mapping) if mapping.format == NVIDIA_SMI else Mapped(mapping)


def names(mappings: Dictionary[str, Mapping]) -> list[str]:
    """The names of every format: the built-in ones, then those of the config."""
    return [*BUILT_IN, *(name for name in mappings if name not in BUILT_IN)]
