"""What each serving engine calls its counters, and what the contract calls them. Data: an engine is a table, and rules are in its columns.

What is read, and what is not, of:

- vLLM: prompt tokens by their source where it tells them, which add up; older ones have the two totals only. Newer ones tell cached
  tokens by the tier they were in; before, what a connector brought came from anywhere but the GPU: storage. `prefix_cache_*` is not
  read: older releases look a waiting request up at every step, and count it again. `request_prefill_time_seconds` and its kin are wall
  times of requests that share the GPU; they add up to many times its time, and are nobody's phase seconds.
- SGLang: tokens as the tokenizer counts them when a request ends, the same counts that requests are answered with. The scheduler's
  `realtime_tokens` and `prefill_effective_tokens` run ahead of them and lack each request's first token: two readings of one thing,
  which cannot take turns in one counter. Cached tokens are told by source, or as `total` where a request's are not: they add up.
  A storage is told by its backend (`storage_file`): whatever is neither `device`, `host` nor `total`.
  Seconds are the scheduler's: mixed batches are under `extend`; `idle` is no work.
- llama.cpp: it counts the prompt tokens that it processed, and, in newer releases, those from its cache beside them. Together they
  are all; where only the first is told, how many there were is not known, and `prompt_tokens` is absent.
- Dynamo: a front end counts what engines behind it count as well. It is read where the source asks for it, and its engines are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ingest.gpu_families import FAMILIES as GPU

UNCACHED: Final = "uncached_prompt_tokens"
"""No field of the contract: prompt tokens that came from no cache. With `cache_read_tokens` they are `prompt_tokens`."""
DEVICE: Final = "cache_read_device_tokens"
"""No field either: cached tokens that were in a GPU. Where they are told, tiers are."""
EXTERNAL: Final = "external_prompt_tokens"
"""Nor this: prompt tokens that came from outside the GPU. They are storage where no tier is told."""
NO_FIELDS: Final = frozenset({UNCACHED, DEVICE, EXTERNAL})


class Part(NamedTuple):
    """What a series adds to its record.

    Attributes:
        field: of the canonical record, or one of `NO_FIELDS`; `started_at` takes the earliest, every other field the sum.
        label: the label that decides whether it does; empty where every series does.
        values: those of the label that count.
        others: whether it is the other values that count.
        rank: of the metrics that give a field, those of the lowest rank there are believed.
    """

    field: str
    label: str = ""
    values: frozenset[str] = frozenset()
    others: bool = False
    rank: int = 0


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """A kind of engine, or of front end; each is itself only.

    Attributes:
        software: as the contract names it.
        prefixes: of its metrics.
        model: labels that name the model; the first there wins.
        engine: labels that together tell the engines behind one exporter apart.
        ranks: labels that number what repeats a reading; the lowest of an engine speaks for it.
        own_process: whether `process_start_time_seconds` beside it is its own.
        metrics: parts by name without the prefix.
    """

    software: str
    prefixes: tuple[str, ...]
    model: tuple[str, ...]
    engine: tuple[str, ...]
    ranks: tuple[str, ...]
    own_process: bool
    metrics: Mapping[str, Parts]


_ABORTS: Final = frozenset({"abort", "cancelled", "canceled"})


def _is(field: str, rank: int = 0) -> Parts:
    return (Part(field, rank=rank),)


def _of(field: str, label: str, *values: str) -> Part:
    return Part(field, label, frozenset(values))


def _finished(label: str) -> Parts:
    """Requests that ended by themselves, and those that somebody gave up."""
    return Part("requests", label, _ABORTS, others=True), Part("aborted_requests", label, _ABORTS)


_MFU: Final[dict[str, Parts]] = {
    "estimated_flops_per_gpu_total": _is("estimated_flops"),
    "estimated_read_bytes_per_gpu_total": _is("estimated_bytes"),
    "estimated_write_bytes_per_gpu_total": _is("estimated_bytes"),
}
_STARTED: Final[dict[str, Parts]] = {
    "prompt_tokens_created": _is("started_at"),
    "generation_tokens_created": _is("started_at"),
}
_VLLM: Final[dict[str, Parts]] = {
    "prompt_tokens_by_source_total": (
        Part("prompt_tokens"),
        _of("cache_read_tokens", "source", "local_cache_hit", "external_kv_transfer"),
        _of(EXTERNAL, "source", "external_kv_transfer"),
    ),
    "prompt_tokens_cached_by_source_total": (
        _of(DEVICE, "source", "device"),
        _of("cache_read_host_tokens", "source", "host"),
        _of("cache_read_storage_tokens", "source", "disk", "p2p", "external_unspecified"),
    ),
    "prompt_tokens_total": _is("prompt_tokens", 1),
    "prompt_tokens_cached_total": _is("cache_read_tokens", 1),
    "generation_tokens_total": _is("output_tokens"),
    "request_success_total": _finished("finished_reason"),
    "num_requests_running": _is("requests_running"),
    "num_requests_waiting": _is("requests_waiting"),
    "kv_cache_usage_perc": _is("kv_cache_ratio"),
    "gpu_cache_usage_perc": _is("kv_cache_ratio", 1),
    **_MFU,
}
_SGLANG: Final[dict[str, Parts]] = {
    "prompt_tokens_total": _is("prompt_tokens"),
    "generation_tokens_total": _is("output_tokens"),
    "cached_tokens_total": (
        Part("cache_read_tokens"),
        _of("cache_read_host_tokens", "cache_source", "host"),
        Part("cache_read_storage_tokens", "cache_source", frozenset({"", "device", "host", "total"}), others=True),
    ),
    "num_requests_total": _is("requests"),
    "num_aborted_requests_total": _is("aborted_requests"),
    "forward_execution_seconds_total": (
        _of("prefill_seconds", "category", "extend", "split_prefill", "mixed", "dllm_extend"),
        _of("decode_seconds", "category", "decode", "target_verify", "draft_extend", "draft_extend_v2"),
    ),
    "scheduler_idle_seconds_total": _is("idle_seconds"),
    "num_running_reqs": _is("requests_running"),
    "num_queue_reqs": _is("requests_waiting"),
    "full_token_usage": _is("kv_cache_ratio"),
    "token_usage": _is("kv_cache_ratio", 1),
    **_MFU,
    **_STARTED,
}
_TGI: Final[dict[str, Parts]] = {
    "request_success": _is("requests"),
    "request_input_length_sum": _is("prompt_tokens"),
    "request_skipped_tokens_sum": _is("cache_read_tokens"),
    "request_generated_tokens_sum": _is("output_tokens"),
    "batch_forward_duration_sum": (
        _of("prefill_seconds", "method", "prefill"),
        _of("decode_seconds", "method", "decode"),
    ),
    "batch_current_size": _is("requests_running"),
    "queue_size": _is("requests_waiting"),
}
_TRTLLM: Final[dict[str, Parts]] = {
    "prompt_tokens_total": _is("prompt_tokens"),
    "generation_tokens_total": _is("output_tokens"),
    "request_success_total": _finished("finished_reason"),
    "kv_cache_utilization": _is("kv_cache_ratio"),
    **_STARTED,
}
_LLAMACPP: Final[dict[str, Parts]] = {
    "prompt_tokens_total": _is(UNCACHED),
    "prompt_tokens_cached_total": _is("cache_read_tokens"),
    "prompt_seconds_total": _is("prefill_seconds"),
    "tokens_predicted_total": _is("output_tokens"),
    "tokens_predicted_seconds_total": _is("decode_seconds"),
    "requests_processing": _is("requests_running"),
    "requests_deferred": _is("requests_waiting"),
    "kv_cache_usage_ratio": _is("kv_cache_ratio"),
}
_DYNAMO: Final[dict[str, Parts]] = {
    "requests_total": _finished("error_type"),
    "input_sequence_tokens_sum": _is("prompt_tokens"),
    "cached_tokens_sum": _is("cache_read_tokens"),
    "output_tokens_total": _is("output_tokens"),
}


def _of_ray(parts: Parts) -> Parts:
    """Older releases of Ray leave `_total` out, some write both: the same reading twice, one of them believed."""
    return tuple(part._replace(rank=part.rank + 10) for part in parts)


_RAY: Final = _VLLM | {
    name.removesuffix("_total"): _of_ray(parts) for name, parts in _VLLM.items() if name.endswith("_total")
}
_MODEL: Final = ("model_name", "model")

ENGINES: Final = (
    Engine("vllm", ("vllm:",), _MODEL, ("engine",), (), own_process=True, metrics=_VLLM | _STARTED),
    Engine(
        "vllm",
        ("ray_vllm_", "ray_vllm:"),
        _MODEL,
        ("ReplicaId", "WorkerId", "engine"),
        (),
        own_process=False,
        metrics=_RAY,
    ),
    Engine("sglang", ("sglang:",), _MODEL, ("dp_rank",), ("pp_rank", "tp_rank"), own_process=True, metrics=_SGLANG),
    Engine("tgi", ("tgi_",), (), (), (), own_process=True, metrics=_TGI),
    Engine("trtllm", ("trtllm_",), _MODEL, (), (), own_process=True, metrics=_TRTLLM),
    Engine("llamacpp", ("llamacpp:",), _MODEL, (), (), own_process=True, metrics=_LLAMACPP),
    Engine("dynamo", ("dynamo_frontend_",), _MODEL, (), (), own_process=True, metrics=_DYNAMO),
)

METRICS: Final[dict[str, tuple[Engine, Parts]]] = {
    prefix + name: (engine, parts)
    for engine in ENGINES
    for prefix in engine.prefixes
    for name, parts in engine.metrics.items()
}
"""Every metric of an engine that is read, by its whole name."""

PROCESS_START: Final = "process_start_time_seconds"

ON_REQUEST: Final = frozenset({"dynamo"})
"""Read only where the source names them: they count what others count as well."""


def software_of(name: str) -> str | None:
    """Which family a metric is of; None where it is not read."""
    if name in METRICS:
        return METRICS[name][0].software
    return GPU[name].software if name in GPU else None


def names(families: frozenset[str]) -> frozenset[str]:
    """The metrics to read for these families."""
    found = {name for name in (*METRICS, *GPU) if software_of(name) in families}
    return frozenset({*found, PROCESS_START} if found & METRICS.keys() else found)


FAMILIES: Final = tuple(
    dict.fromkeys(
        [*(found.software for found in GPU.values() if found.software != "otel"), *(one.software for one in ENGINES)]
    )
)
"""Those that a source may name."""
