"""GPU time that a token takes, by two methods: the roofline of a model on a GPU, and throughputs that somebody knows.

Only the proportions of prefill and decode decide a phase split; the absolute figures are the time at the efficiencies named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from apportion.catalog.hardware import Hardware
from apportion.domain.architecture import Architecture
from apportion.domain.money import half_even
from apportion.domain.number_formats import KV_CACHES, WEIGHTS, WIDE_BYTES
from metering.efficiency import flops, kv_cache
from metering.efficiency.exact import Exact
from metering.efficiency.utilization import experts_touched

ROOFLINE: Final = "roofline/1"
"""Id and version of the method, on every row that it makes."""

COMPUTE_EFFICIENCY: Final = Fraction(1, 2)
"""Of the dense peak, in prefill. Source: published model FLOPs utilizations, 0.46 (PaLM) and little more; an assumption."""
MEMORY_EFFICIENCY: Final = Fraction(3, 5)
"""Of the bandwidth, in decode. Source: 0.55 to 0.65 in the step times that Databricks and ML.ENERGY publish."""

_PICO: Final = 10**12
_ATTO: Final = 10**18
_MILLION: Final = 1_000_000
_PER_1000_S: Final = 1000 * _PICO


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a model is served, as far as it decides bytes and FLOPs.

    Attributes:
        weights: format, one of `WEIGHTS`.
        kv: format of the KV cache, one of `KV_CACHES`.
        batch: sequences that one replica decodes together.
        mean_context: tokens of a usual prompt, at which its attention is read, and what layers with a window hold.
        tensor_parallel: GPUs that a replica is spread over.
    """

    weights: str
    kv: str
    batch: int
    mean_context: int
    tensor_parallel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """GPU time by token kind. Units: picoseconds per token; attoseconds per decode token and token of its context.

    Attributes:
        uncached_input_ps: of a prompt token that is computed.
        cache_read_ps: of one whose keys and values are read.
        cache_write_ps: of one that is computed and kept.
        output_ps: of a generated token, without its context.
        reasoning_ps: of one that is thought.
        context_as: what each token of context adds to a generated one.
        inputs: every assumption.
    """

    uncached_input_ps: int
    cache_read_ps: int
    cache_write_ps: int
    output_ps: int
    reasoning_ps: int
    context_as: int
    inputs: Mapping[str, int | str | bool]


def throughput(prefill: int, decode: int, cache_read: int | None = None) -> Coefficients:
    """From known speeds. Units: tokens per 1000 seconds and GPU.

    Without a speed of cache reads, those count in the prompt's, as in speeds that were measured on whole prompts.
    """
    prompt, made = _PER_1000_S // prefill, _PER_1000_S // decode
    inputs = {"prefill_tokens_per_1000_s": prefill, "decode_tokens_per_1000_s": decode}
    if cache_read is not None:
        inputs["cache_read_tokens_per_1000_s"] = cache_read
    return Coefficients(
        uncached_input_ps=prompt,
        cache_read_ps=prompt if cache_read is None else _PER_1000_S // cache_read,
        cache_write_ps=prompt,
        output_ps=made,
        reasoning_ps=made,
        context_as=0,
        inputs=inputs,
    )


def roofline(model: Architecture, gpu: Hardware, serving: Serving) -> Coefficients:
    """From FLOPs and bytes: prefill is bound by arithmetic, a decode step by what is slower.

    A prompt token costs its FLOPs and those of causal attention at the mean context; a cached one, one read of its keys and
    values; a generated one, its part of the weights that a step of the batch touches, or its FLOPs. Context costs reading its
    keys and values, or the FLOPs on them where those take longer. Replicas of one deployment cost alike: GPU time is counted.

    Raises: ValueError, as a part of a sentence, where the catalog knows no peak.
    """
    machine = _machine(gpu, serving.weights)
    element = KV_CACHES[serving.kv].element_bytes
    kept_bytes = kv_cache.bytes_per_token(model, element, serving.tensor_parallel)
    touched = weight_bytes_touched(model, serving.weights, serving.batch)
    prompt = machine.computing(flops.linear(model), _causal_attention(model, serving.mean_context))
    kept = machine.moving(kept_bytes)
    step = max(machine.moving(touched) * Fraction(1, serving.batch), _one_pass(model, machine))
    limited = _reading(model, machine, serving, limited=True, context=serving.mean_context)
    context = _reading(model, machine, serving, limited=False, context=1)
    output_ps = half_even((step + limited) * _PICO)
    return Coefficients(
        uncached_input_ps=half_even(prompt * _PICO),
        cache_read_ps=half_even(kept * _PICO),
        cache_write_ps=half_even((prompt + kept) * _PICO),
        output_ps=output_ps,
        reasoning_ps=output_ps,
        context_as=half_even(context * _ATTO),
        inputs=_inputs(model, gpu, serving, machine)
        | {"weight_bytes_touched": half_even(touched), "kv_bytes_per_token": half_even(Fraction(kept_bytes))},
    )


def weight_bytes_touched(model: Architecture, weights: str, batch: int) -> Fraction:
    """Bytes of weights that one decode step of a batch reads: of a mixture, of the experts it is expected to route to."""
    element, hidden = WEIGHTS[weights].element_bytes, model.hidden
    projections = Fraction(0)
    for part in model.layers:
        mixture = part.feed_forward
        touched = experts_touched(mixture.experts, mixture.experts_active, batch) if mixture.experts else Fraction(1)
        common = part.attention.parameters(hidden) + mixture.every_token_parameters(hidden)
        projections += part.count * (common + touched * mixture.expert_parameters(hidden))
    return projections * element + (model.head_parameters + model.other_parameters) * WIDE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """One GPU at the efficiencies assumed."""

    executed: str
    peak: int
    wide_peak: int
    bandwidth: int

    def computing(self, narrow: Exact, wide: Exact) -> Fraction:
        """Seconds of FLOPs, in the format of the weights and in 16 bits."""
        return (Fraction(narrow, self.peak) + Fraction(wide, self.wide_peak)) * Fraction(1, COMPUTE_EFFICIENCY)

    def moving(self, moved_bytes: Exact) -> Fraction:
        """Seconds of bytes."""
        return Fraction(moved_bytes, self.bandwidth * MEMORY_EFFICIENCY)


def _machine(gpu: Hardware, weights: str) -> _Machine:
    peaks = {"bf16": gpu.bf16_flops, "fp8": gpu.fp8_flops, "int8": gpu.int8_ops, "fp4": gpu.fp4_flops}
    for executed in WEIGHTS[weights].executes:
        peak = peaks[executed]
        if peak is not None:
            wide = peak if gpu.bf16_flops is None else gpu.bf16_flops
            return _Machine(executed=executed, peak=peak, wide_peak=wide, bandwidth=gpu.bandwidth_bytes_s)
    msg = f"the hardware catalog has no dense peak of {gpu.id} in {' or '.join(WEIGHTS[weights].executes)}"
    raise ValueError(msg)


def _one_pass(model: Architecture, machine: _Machine) -> Fraction:
    """Seconds of one generated token's FLOPs, without its context."""
    return machine.computing(flops.linear(model), flops.head(model))


def _causal_attention(model: Architecture, context: int) -> Fraction:
    """FLOPs of attention for each token of a prompt of so many."""
    through = context * flops.linear(model) + flops.head(model)
    return Fraction(flops.prefill(model, context) - through, context)


def _reading(model: Architecture, machine: _Machine, serving: Serving, *, limited: bool, context: int) -> Fraction:
    """Seconds that one generated token's context takes, in the layers with a window or in those without."""
    layers = [part for part in model.layers if (part.window is not None) == limited]
    held = sum(part.count * part.attention.kv_elements(serving.tensor_parallel) * part.seen(context) for part in layers)
    pairs = sum(part.count * part.attention.pair_flops(absorbed=True) * part.seen(context) for part in layers)
    return max(machine.moving(held * KV_CACHES[serving.kv].element_bytes), machine.computing(0, pairs))


def _inputs(model: Architecture, gpu: Hardware, serving: Serving, machine: _Machine) -> dict[str, int | str | bool]:
    return {
        "family": model.family, "parameters": model.parameters, "active_parameters": model.active_parameters,
        "gpu": gpu.id, "executed": machine.executed, "peak_flops": machine.peak, "peak_16_bit_flops": machine.wide_peak,
        "bandwidth_bytes_s": machine.bandwidth, "compute_efficiency_ppm": int(COMPUTE_EFFICIENCY * _MILLION),
        "memory_efficiency_ppm": int(MEMORY_EFFICIENCY * _MILLION), "weights": serving.weights, "kv": serving.kv,
        "batch": serving.batch, "mean_context": serving.mean_context, "tensor_parallel": serving.tensor_parallel,
        "causal": True,
    }  # fmt: skip
