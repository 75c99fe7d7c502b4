"""How much of the hardware's arithmetic (MFU) and memory bandwidth (MBU) the tokens used.

Both divide by peaks, so both depend on which: the dense peak of the type that is executed, and the bandwidth of the very card.
"""

from __future__ import annotations

from fractions import Fraction

from metering.efficiency.exact import Exact, ratio


def mfu(flops: Exact, gpu_seconds: Exact, peak_flops: Exact) -> Fraction:
    """FLOPs of the tokens processed by what the GPUs could have done in the time.

    Args:
        flops: of what was asked for; neither recomputation nor padding.
        gpu_seconds: of one phase, of busy time or of all time: say which beside the figure.
        peak_flops: per GPU, dense, of the type executed; weights of 4 bits that are unpacked execute as bf16.
    """
    return ratio(flops, gpu_seconds * peak_flops)


def mfu_at(tokens_per_second: Exact, token_flops: Exact, gpus: int, peak_flops: Exact) -> Fraction:
    """MFU of a throughput. Source: Chowdhery et al. 2022, 4.1, for training with the FLOPs of `flops.training_token`."""
    return mfu(tokens_per_second * token_flops, gpus, peak_flops)


def bandwidth_achieved(weight_bytes: Exact, kv_bytes: Exact, seconds_per_token: Exact) -> Fraction:
    """Bytes per second: the weights touched and the KV cache of all running sequences, once per output step."""
    return ratio(weight_bytes + kv_bytes, seconds_per_token)


def mbu(weight_bytes: Exact, kv_bytes: Exact, seconds_per_token: Exact, gpus: int, bandwidth: Exact) -> Fraction:
    """Bandwidth achieved by that of the GPUs. Source: Databricks' definition; weights are those touched at the batch."""
    return ratio(bandwidth_achieved(weight_bytes, kv_bytes, seconds_per_token), gpus * bandwidth)


def experts_touched(experts: int, active: int, batch: int) -> Fraction:
    """Experts of one layer that a step of so many tokens is expected to read, routed evenly: E·(1 - (1 - k/E)^B)."""
    return experts * (1 - (1 - ratio(active, experts)) ** batch)


def tokens_per_pass(acceptance: Exact, drafted: int) -> Exact:
    """Tokens that one pass of the target model yields under speculative decoding: (1 - a^(n+1)) / (1 - a)."""
    if acceptance == 1:
        return drafted + 1
    return ratio(1 - Fraction(acceptance) ** (drafted + 1), 1 - acceptance)


def speculative_speedup(acceptance: Exact, drafted: int, draft_cost: Exact) -> Fraction:
    """Against plain decoding, where memory is the bound; a draft token costs `draft_cost` of a target pass.

    At a batch that arithmetic bounds the same drafts make tokens dearer. Source: Leviathan et al. 2023, theorem 3.8.
    """
    return ratio(tokens_per_pass(acceptance, drafted), drafted * draft_cost + 1)
