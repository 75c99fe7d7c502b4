"""The kinds of record that arrive, and the SQL that lands each.

A format turns whatever a stream says into a relation `incoming` whose columns are these, as JSON text: text in quotes,
numbers bare, NULL where absent. From there one path lands every format of a kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record.

    Attributes:
        name: usage, gpu or engine.
        time: the column that places a record in time.
        identity: the column that names a record to people.
        columns: every canonical field, in the order of the contract.
        texts: fields that are text.
        counts: fields of whole numbers; a table's fractions are believed where they are whole.
        times: fields that are times, `time` among them.
        borrows: kinds whose SQL macros this one's statements use.
        skews: whether records that claim a time ahead of the clock are remembered, so that a redelivery is recognised.
    """

    name: str
    time: str
    identity: str
    columns: tuple[str, ...]
    texts: frozenset[str] = field(default_factory=frozenset)
    counts: frozenset[str] = field(default_factory=frozenset)
    times: frozenset[str] = field(default_factory=frozenset)
    borrows: tuple[Kind, ...] = ()
    skews: bool = False

    @property
    def names_models(self) -> bool:
        """Whether records name a model, which the dictionary of models learns."""
        return "model" in self.columns

    @property
    def tagged(self) -> bool:
        """Whether records carry tags, of which those not allowed are dropped and counted."""
        return "tags" in self.columns

    def sql(self, part: str) -> str:
        """The text of one of this kind's SQL files."""
        return _sql(f"{self.name}_{part}.sql")


@cache
def _sql(file: str) -> str:
    return (resources.files("ingest") / "sql" / file).read_text(encoding="utf-8")


USAGE = Kind(
    name="usage",
    time="occurred_at",
    identity="event_id",
    skews=True,
    columns=(
        "event_id",
        "source",
        "occurred_at",
        "model",
        "provider",
        "cluster",
        "deployment",
        "replica",
        "principal",
        "namespace",
        "tags",
        "revision",
        "trace_id",
        "session_id",
        "response_id",
        "call_id",
        "uncached_input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "requests",
        "ttft_ms",
        "duration_ms",
        "queue_ms",
        "status",
        "usage_quality",
        "tier",
        "language",
        "region",
    ),
    texts=frozenset(
        {
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
        }
    ),
    counts=frozenset(
        {
            "uncached_input_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "output_tokens",
            "reasoning_tokens",
            "requests",
            "revision",
        }
    ),
    times=frozenset({"occurred_at"}),
)

GPU = Kind(
    name="gpu",
    time="sampled_at",
    identity="gpu_uuid",
    columns=(
        "sampled_at",
        "gpu_uuid",
        "gpu",
        "cluster",
        "node",
        "deployment",
        "namespace",
        "pod",
        "container",
        "mig_profile",
        "active_ratio",
        "sm_active_ratio",
        "tensor_active_ratio",
        "dram_active_ratio",
        "memory_used_bytes",
        "power_watts",
        "energy_joules",
    ),
    texts=frozenset(
        {"gpu_uuid", "gpu", "cluster", "node", "deployment", "namespace", "pod", "container", "mig_profile"}
    ),
    times=frozenset({"sampled_at"}),
    borrows=(USAGE,),
)

_ENGINE_COUNTS = (
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
)
_ENGINE_TEXTS = (
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
)
ENGINE = Kind(
    name="engine",
    time="sampled_at",
    identity="instance",
    columns=(
        "sampled_at",
        *_ENGINE_TEXTS,
        "started_at",
        *_ENGINE_COUNTS[:7],
        "prefill_seconds",
        "decode_seconds",
        "idle_seconds",
        *_ENGINE_COUNTS[7:],
        "kv_cache_ratio",
    ),
    texts=frozenset(_ENGINE_TEXTS),
    counts=frozenset(_ENGINE_COUNTS),
    times=frozenset({"sampled_at", "started_at"}),
    borrows=(USAGE, GPU),
)

KINDS = {kind.name: kind for kind in (USAGE, GPU, ENGINE)}
