"""How any CSV or JSON export is read without code: which column holds which canonical field, in which unit.

These are descriptions only; ingest executes them.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["usage", "gpu", "engine"]
Format = Literal["csv", "json", "nvidia-smi"]
FieldType = Literal["text", "integer", "milliseconds", "ratio", "bytes", "watts", "joules", "seconds", "time"]

KINDS: Final[tuple[Kind, ...]] = ("usage", "gpu", "engine")
NVIDIA_SMI: Final = "nvidia-smi"
FORMATS: Final[tuple[Format, ...]] = ("csv", "json", NVIDIA_SMI)
NATIVE_NAMES: Final = (
    *KINDS,
    "litellm",
    "litellm-spend",
    "openai",
    "openai-batch",
    "anthropic",
    "gemini",
    "bedrock",
    "cohere",
    "sglang",
    "kong",
    "apisix",
    "langfuse",
    "portkey",
    "cloudflare",
)
"""Formats that need no mapping: the canonical ones, and those of other systems that ingest knows by name."""
RESERVED_NAMES: Final = (*NATIVE_NAMES, *FORMATS, "auto")
"""Names that no source may take: `format` would mean two things."""

TOKEN_FIELDS: Final = (
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)

USAGE_FIELDS: Final[Dictionary[str, FieldType]] = {
    **dict.fromkeys(
        (
            "event_id",
            "source",
            "model",
            "provider",
            "cluster",
            "deployment",
            "replica",
            "principal",
            "namespace",
            "trace_id",
            "session_id",
            "response_id",
            "call_id",
            "status",
            "usage_quality",
            "tier",
            "language",
            "region",
        ),
        "text",
    ),
    **dict.fromkeys(("revision", *TOKEN_FIELDS, "requests"), "integer"),
    **dict.fromkeys(("ttft_ms", "duration_ms", "queue_ms"), "milliseconds"),
}
GPU_FIELDS: Final[Dictionary[str, FieldType]] = {
    **dict.fromkeys(
        ("gpu_uuid", "gpu", "cluster", "node", "deployment", "namespace", "pod", "container", "mig_profile"), "text"
    ),
    **dict.fromkeys(("active_ratio", "sm_active_ratio", "tensor_active_ratio", "dram_active_ratio"), "ratio"),
    "memory_used_bytes": "bytes",
    "power_watts": "watts",
    "energy_joules": "joules",
}
ENGINE_FIELDS: Final[Dictionary[str, FieldType]] = {
    **dict.fromkeys(
        (
            "instance",
            "engine",
            "model",
            "software",
            "cluster",
            "node",
            "deployment",
            "namespace",
            "pod",
            "replica",
        ),
        "text",
    ),
    "started_at": "time",
    **dict.fromkeys(
        (
            "prompt_tokens",
            "cache_read_tokens",
            "cache_read_host_tokens",
            "cache_read_storage_tokens",
            "output_tokens",
            "requests",
            "aborted_requests",
            "estimated_flops",
            "estimated_bytes",
            "requests_running",
            "requests_waiting",
        ),
        "integer",
    ),
    **dict.fromkeys(("prefill_seconds", "decode_seconds", "idle_seconds"), "seconds"),
    "kv_cache_ratio": "ratio",
}
FIELDS: Final[Dictionary[Kind, Dictionary[str, FieldType]]] = {
    "usage": USAGE_FIELDS,
    "gpu": GPU_FIELDS,
    "engine": ENGINE_FIELDS,
}
TIME_FIELD: Final[Dictionary[Kind, str]] = {"usage": "occurred_at", "gpu": "sampled_at", "engine": "sampled_at"}
DEVICE_FIELD: Final[Dictionary[Kind, str]] = {"gpu": "gpu_uuid", "engine": "instance"}
"""Of kinds that are samples: the field that names what was sampled."""

EPOCHS: Final = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
ISO: Final = "iso"

UNITS: Final[Dictionary[FieldType, tuple[str, ...]]] = {
    "text": (),
    "integer": (),
    "milliseconds": ("ms", "s", "us", "ns"),
    "ratio": ("ratio", "percent"),
    "bytes": ("bytes", "mib"),
    "watts": ("watts", "milliwatts"),
    "joules": ("joules", "millijoules", "microjoules", "kilowatt_hours"),
    "seconds": ("s", "ms", "us"),
    "time": (ISO, *EPOCHS),
}
"""Units a field may come in; the first is the canonical one."""

WORDS: Final[Dictionary[str, tuple[str, ...]]] = {
    "status": ("success", "failed", "cancelled"),
    "usage_quality": ("reported", "estimated", "missing", "partial"),
}
"""Fields with a closed set of words."""


def fields_of(kind: Kind) -> Dictionary[str, FieldType]:
    """Canonical fields of a kind, but for its time and its tags."""
    return FIELDS[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """Where one canonical field is found.

    Attributes:
        column: as written in the config.
        path: the column's name, or for JSON the keys from the record down to the value.
        unit: what the column counts in, of `UNITS`; None for texts and integers.
        default: canonical text where the column is absent or empty; None leaves the field absent.
    """

    column: str
    path: tuple[str, ...]
    unit: str | None
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpec:
    """Where the record's time is found, and how it is written.

    Attributes:
        column: as written in the config.
        path: the column's name, or for JSON the keys down to the value.
        format: `iso`, one of `EPOCHS`, or a strptime format.
        zone: IANA zone of times that carry none; None where every time must carry its own, and for epochs.
    """

    column: str
    path: tuple[str, ...]
    format: str
    zone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatePart:
    """A piece of an event id template.

    Attributes:
        kind: `text` as it stands, `file` its name, `line` its number, `column` a value of the record.
        text: the literal text, or the column as written.
        path: for a column, its name or the keys down to it.
    """

    kind: Literal["text", "file", "line", "column"]
    text: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A format of the user's own, as a `[[sources]]` table describes it.

    Attributes:
        name: what `ingest --format` takes.
        kind: what records become.
        format: csv with a header line, json as NDJSON or one top-level array, or nvidia-smi, a csv whose columns are known.
        delimiter: of CSV; one character.
        columns: canonical field -> where it is found; disjoint from constants.
        time: when the record happened.
        constants: canonical field -> canonical text, the same for every record; holds `source` unless a column does.
        event_id: template of the id, for records with none of their own; empty otherwise.
        tags: tag -> where its value is found.
        minus: token field -> token fields whose counts are inside it and are taken out.
    """

    name: str
    kind: Kind
    format: Format
    delimiter: str
    columns: Dictionary[str, ColumnSpec]
    time: TimeSpec
    constants: Dictionary[str, str]
    event_id: tuple[TemplatePart, ...]
    tags: Dictionary[str, ColumnSpec]
    minus: Dictionary[str, tuple[str, ...]]
