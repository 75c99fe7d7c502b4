"""What a step of a serving engine costs, as known constants: the simulator's truth about a model on its accelerators.

A step costs a fixed part (the weights are read once, however many requests are in the batch) and a marginal part for each
request in it: prompt tokens computed, positions decoded, and the context that has to be read for both. Costs are additive
where a roofline takes the larger of compute and bytes: engines overlap the two only in part, the published fits of measured
steps are linear, and additive costs have exact Shapley shares.

Units: femtoseconds of the whole replica, so that the smallest term still has four digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FS: Final = 10**15
"""Femtoseconds in a second."""

BANDWIDTH_PERCENT: Final = 80
"""Of the datasheet's memory bandwidth: the empirical factor of NVIDIA's aiconfigurator (Apache-2.0, 2026-08)."""

COMPUTE_PERCENT: Final = 50
"""Of the datasheet's dense FLOP/s: an assumption; prompts of serving runs are published between 40 and 60 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What an architecture needs, from its config.json.

    Attributes:
        weight_bytes: read by every step.
        token_flops: of a token's matrices, 2 x parameters without the input embedding.
        attention_flops: of a token per token of context: 4 x layers x query heads x head dimension.
        kv_bytes: of a token of context: 2 x layers x KV heads x head dimension x 2 bytes.
    """

    weight_bytes: int
    token_flops: int
    attention_flops: int
    kv_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A line of the hardware catalog: bytes, bytes/s and dense bf16 FLOP/s of one device."""

    memory_bytes: int
    bandwidth: int
    flops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model on its accelerators: the costs of a step, and what fits into one.

    Attributes:
        name: in words.
        gpus: of the replica.
        step_fs: of every step, whatever is in it.
        prefill_fs: of a prompt token that is computed.
        attention_fs: of a prompt token that is computed, per token of context before it.
        decode_fs: of a decoded position; with speculation a step has several of a request.
        context_fs: of a token of context, read once per step by a decoding request, once per chunk by a prompt.
        kv_tokens: context that fits into memory; a request reserves its whole length.
        chunk_tokens: positions of a step at most, prompts and decoding together.
        batch_max: requests at once.
        drafted: positions that a draft model proposes per step; 0 is no speculation.
        model: what the roofline is computed from.
        gpu: likewise.
    """

    name: str
    gpus: int
    step_fs: int
    prefill_fs: int
    attention_fs: int
    decode_fs: int
    context_fs: int
    kv_tokens: int
    chunk_tokens: int
    batch_max: int
    drafted: int = 0
    model: Model
    gpu: Gpu


LLAMA_70B: Final = Model(
    weight_bytes=141_107_412_992, token_flops=139_006_066_688, attention_flops=2_621_440, kv_bytes=327_680
)
LLAMA_8B: Final = Model(
    weight_bytes=16_060_522_496, token_flops=15_009_849_344, attention_flops=524_288, kv_bytes=131_072
)
LLAMA2_7B: Final = Model(
    weight_bytes=13_476_831_232, token_flops=13_214_687_232, attention_flops=524_288, kv_bytes=524_288
)
H100_SXM: Final = Gpu(memory_bytes=84_900_000_000, bandwidth=3_350_000_000_000, flops=989_000_000_000_000)
A10G: Final = Gpu(memory_bytes=24_000_000_000, bandwidth=600_000_000_000, flops=70_000_000_000_000)


def by_roofline(name: str, model: Model, gpu: Gpu, gpus: int) -> Card:
    """A card whose terms are FLOPs and bytes over what the devices reach of their datasheet, tensor-parallel without loss."""
    bandwidth = gpu.bandwidth * gpus * BANDWIDTH_PERCENT
    flops = gpu.flops * gpus * COMPUTE_PERCENT
    return Card(
        name=name,
        gpus=gpus,
        step_fs=model.weight_bytes * 100 * FS // bandwidth,
        prefill_fs=model.token_flops * 100 * FS // flops,
        attention_fs=model.attention_flops * 100 * FS // flops,
        decode_fs=model.token_flops * 100 * FS // flops,
        context_fs=model.kv_bytes * 100 * FS // bandwidth,
        kv_tokens=(gpu.memory_bytes * gpus * 9 // 10 - model.weight_bytes) // model.kv_bytes,
        chunk_tokens=2048,
        batch_max=256,
        model=model,
        gpu=gpu,
    )


H100_70B: Final = by_roofline("Llama-3.1-70B bf16 on 4 H100", LLAMA_70B, H100_SXM, 4)
H100_8B: Final = by_roofline("Llama-3.1-8B bf16 on 1 H100", LLAMA_8B, H100_SXM, 1)

A10G_7B: Final = replace(
    by_roofline("Llama-2-7B on 1 A10G, VTC's measured fit", LLAMA2_7B, A10G, 1),
    prefill_fs=210_000_000_000,
    attention_fs=0,
    decode_fs=100_800_000_000,
    context_fs=3_987_000_000,
)
"""VTC (arXiv 2401.00588) fitted a request of x prompt and y output tokens, profiled on this pair, with
0.2100 x + 0.1008 y + 0.003987 x y + 0.003247 y^2 + 1.146 ms. Its x y term is the context here; the weights are read as above."""

SPECULATIVE_70B: Final = replace(
    H100_70B,
    name="Llama-3.1-70B on 4 H100, an 8B draft of four positions",
    step_fs=H100_70B.step_fs + 4 * (H100_8B.step_fs // 4),
    decode_fs=H100_70B.decode_fs + H100_8B.decode_fs // 4,
    drafted=4,
)
"""The draft's four passes read its weights on the same four devices, and it computes each position too."""
