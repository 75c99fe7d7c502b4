"""GPU time per token: rooflines by hand and by law, and throughputs that somebody knows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.catalog import hardware
from apportion.catalog.hardware import Hardware
from apportion.domain.number_formats import KV_CACHES, WEIGHTS
from metering.efficiency.coefficients import Coefficients, Serving, roofline, throughput, weight_bytes_touched
from tests.unit.metering.models import llama, model

H100 = hardware.hardware()["H100_SXM"]
A100 = hardware.hardware()["A100_80GB_SXM"]
B200 = hardware.hardware()["B200_SXM"]
SERVING = Serving(weights="bf16", kv="bf16", batch=32, mean_context=2048, tensor_parallel=8)
KINDS = ("uncached_input_ps", "cache_read_ps", "cache_write_ps", "output_ps", "reasoning_ps", "context_as")


def figures(made: Coefficients) -> list[int]:
    """The coefficients in the order of the kinds."""
    return [getattr(made, kind) for kind in KINDS]


def test_a_roofline_by_hand() -> None:
    """Llama-3.1-70B in bf16 on H100 (989.4 TFLOP/s, 3.35 TB/s) at half of the peak and three fifths of the bandwidth."""
    projections = 80 * (2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672)
    head = 8192 * 128_256
    others = 161 * 8192
    attention = 80 * 4 * 8192 * Fraction(2049, 2)
    flops_ps = Fraction(10**12 * 2, 989_400_000_000_000)
    bytes_ps = Fraction(10**12 * 5, 3 * 3_350_000_000_000)

    made = roofline(model("llama_3_1_70b"), H100, SERVING)

    assert made.uncached_input_ps == round((2 * projections + attention) * flops_ps)
    assert made.cache_read_ps == round(327_680 * bytes_ps)
    assert made.cache_write_ps == round((2 * projections + attention) * flops_ps + 327_680 * bytes_ps)
    assert made.output_ps == made.reasoning_ps == round(2 * (projections + head + others) * bytes_ps / 32)
    assert made.context_as == round(327_680 * bytes_ps * 10**6)
    assert made.inputs == {
        "family": "llama", "parameters": 70_553_706_496, "active_parameters": 69_501_714_432, "gpu": "H100_SXM",
        "executed": "bf16", "peak_flops": 989_400_000_000_000, "peak_16_bit_flops": 989_400_000_000_000,
        "bandwidth_bytes_s": 3_350_000_000_000, "compute_efficiency_ppm": 500_000, "memory_efficiency_ppm": 600_000,
        "weights": "bf16", "kv": "bf16", "batch": 32, "mean_context": 2048, "tensor_parallel": 8, "causal": True,
        "weight_bytes_touched": 2 * (projections + head + others), "kv_bytes_per_token": 327_680,
    }  # fmt: skip


def test_a_long_context_costs_more_than_the_weights() -> None:
    """At 100 k tokens of context a generated token moves more than ten times the bytes that it moves at 1 k."""
    made = roofline(model("llama_3_1_70b"), H100, replace(SERVING, batch=64))
    token = {context: made.output_ps + context * made.context_as // 10**6 for context in (1_000, 100_000)}

    assert token[100_000] > 10 * token[1_000]


def test_a_large_batch_is_bound_by_arithmetic() -> None:
    """Beyond the ridge a larger batch makes no token cheaper: each has its FLOPs."""
    made = [
        roofline(model("llama_3_1_8b"), H100, replace(SERVING, batch=batch)).output_ps for batch in (1, 64, 1024, 4096)
    ]

    assert made[0] > made[1] > made[2] == made[3]
    assert made[3] == round(2 * model("llama_3_1_8b").active_parameters * Fraction(2 * 10**12, H100.bf16_flops or 0))


@pytest.mark.parametrize(
    ("gpu", "weights", "executed"),
    [
        (H100, "bf16", "bf16"), (H100, "fp8", "fp8"), (A100, "fp8", "bf16"), (A100, "int8", "int8"), (H100, "int4", "bf16"),
        (H100, "mxfp4", "bf16"), (B200, "mxfp4", "fp4"), (B200, "nvfp4", "fp4"),
    ],
)  # fmt: skip
def test_weights_execute_in_what_the_hardware_has(gpu: Hardware, weights: str, executed: str) -> None:
    """Weights of four bits alone are unpacked to bf16; fp8 on hardware without it, too."""
    assert roofline(model("llama_3_1_8b"), gpu, replace(SERVING, weights=weights)).inputs["executed"] == executed


def test_quantised_weights_make_decoding_cheaper_and_prefill_only_where_they_execute() -> None:
    """int4 quarters the bytes but for the LM head, and leaves the FLOPs; fp8 halves both on an H100."""
    wide, narrow, fp8 = (
        roofline(model("llama_3_1_70b"), H100, replace(SERVING, weights=w)) for w in ("bf16", "int4", "fp8")
    )

    assert narrow.uncached_input_ps == wide.uncached_input_ps
    assert Fraction(1, 4) < Fraction(narrow.output_ps, wide.output_ps) < Fraction(2, 7)
    assert Fraction(1, 2) < Fraction(fp8.uncached_input_ps, wide.uncached_input_ps) < Fraction(11, 20)
    assert Fraction(1, 2) < Fraction(fp8.output_ps, wide.output_ps) < Fraction(11, 20)


def test_a_mixture_reads_the_experts_that_a_batch_touches() -> None:
    """One sequence of DeepSeek-V3 reads its active experts, a batch of 256 nearly all of them."""
    built = model("deepseek_v3")
    one, many = weight_bytes_touched(built, "fp8", 1), weight_bytes_touched(built, "fp8", 256)
    head = 2 * built.head_parameters + 2 * built.other_parameters

    assert one == built.linear_parameters + head
    assert Fraction(99, 100) * built.parameters < many < built.parameters + head


def test_windows_are_read_at_the_mean_context() -> None:
    """Gemma-3: ten layers of 62 read all of the context; the others add at most their window, once."""
    made = [roofline(model("gemma_3_27b"), H100, replace(SERVING, mean_context=size)) for size in (512, 1024, 100_000)]
    built = model("gemma_3_27b")
    alone = roofline(replace(built, layers=tuple(replace(part, window=None) for part in built.layers)), H100, SERVING)

    assert len({one.context_as for one in made}) == 1
    assert made[0].output_ps < made[1].output_ps == made[2].output_ps
    assert abs(made[0].context_as * 62 - alone.context_as * 10) <= 62


def test_latent_context_may_be_bound_by_arithmetic() -> None:
    """DeepSeek-V3's absorbed attention takes 242 FLOPs for each byte it reads, above an H20's ridge; below B200's."""
    serving = replace(SERVING, weights="fp8", tensor_parallel=1)
    h20 = hardware.hardware()["H20"]
    flops = 61 * 128 * 2176

    assert roofline(model("deepseek_v3"), h20, serving).context_as == round(
        Fraction(flops * 2 * 10**18, h20.bf16_flops or 0)
    )
    assert roofline(model("deepseek_v3"), B200, serving).context_as == round(
        Fraction(70_272 * 5 * 10**18, 3 * B200.bandwidth_bytes_s)
    )


def test_no_peak_is_no_roofline() -> None:
    """What the catalog does not know is said, with the formats that would do."""
    bare = replace(H100, id="X1", bf16_flops=None, fp8_flops=None)

    with pytest.raises(ValueError, match=r"^the hardware catalog has no dense peak of X1 in fp8 or bf16$"):
        roofline(llama(), bare, replace(SERVING, weights="fp8"))
    only_fp4 = replace(bare, fp4_flops=10**15)
    assert roofline(llama(), only_fp4, replace(SERVING, weights="nvfp4")).inputs["peak_16_bit_flops"] == 10**15


def test_a_throughput_is_the_time_of_a_token() -> None:
    """73,700 and 14,800 tokens a second are 13,568,521 and 67,567,567 picoseconds, rounded down; cached prompt tokens as others."""
    assert figures(throughput(73_700_000, 14_800_000)) == [
        13_568_521,
        13_568_521,
        13_568_521,
        67_567_567,
        67_567_567,
        0,
    ]
    assert throughput(73_700_000, 14_800_000, 10**9).cache_read_ps == 1_000_000
    assert throughput(1, 1, 2).inputs == {
        "prefill_tokens_per_1000_s": 1, "decode_tokens_per_1000_s": 1, "cache_read_tokens_per_1000_s": 2,
    }  # fmt: skip


GPUS = st.sampled_from(sorted((gpu for gpu in hardware.hardware().values() if gpu.bf16_flops), key=lambda gpu: gpu.id))
SERVINGS = st.builds(
    Serving, weights=st.sampled_from(sorted(WEIGHTS)), kv=st.sampled_from(sorted(KV_CACHES)),
    batch=st.integers(min_value=1, max_value=4096), mean_context=st.integers(min_value=1, max_value=10**6),
    tensor_parallel=st.sampled_from([1, 2, 4, 8, 16]),
)  # fmt: skip


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    """Fields of dense models and mixtures, with a window and without."""
    kv, groups = draw(st.integers(min_value=1, max_value=16)), draw(st.integers(min_value=1, max_value=8))
    shape = {
        "model_type": draw(st.sampled_from(["mistral", "mixtral", "gemma2"])),
        "num_hidden_layers": draw(st.integers(min_value=1, max_value=100)),
        "hidden_size": draw(st.integers(min_value=64, max_value=16_384)),
        "num_attention_heads": kv * groups,
        "num_key_value_heads": kv,
        "head_dim": draw(st.sampled_from([64, 128, 256])),
        "intermediate_size": draw(st.integers(min_value=64, max_value=50_000)),
        "vocab_size": draw(st.integers(min_value=1000, max_value=300_000)),
        "sliding_window": draw(st.none() | st.integers(min_value=1, max_value=100_000)),
    }
    if shape["model_type"] == "mixtral":
        experts = draw(st.integers(min_value=1, max_value=128))
        shape |= {
            "num_local_experts": experts,
            "num_experts_per_tok": draw(st.integers(min_value=1, max_value=experts)),
        }
    return shape


@given(shapes(), GPUS, SERVINGS)
def test_coefficients_are_integers_of_zero_or_more(shape: dict[str, Any], gpu: Hardware, serving: Serving) -> None:
    """Whatever the model, the GPU and the formats: they fit 64 bits, and a written token is no cheaper than a computed one."""
    made = roofline(llama(**shape), gpu, serving)

    assert all(type(figure) is int and 0 <= figure < 2**63 for figure in figures(made))
    assert made.cache_write_ps >= made.uncached_input_ps > 0
    assert made.output_ps > 0
    assert made.reasoning_ps == made.output_ps


@given(
    shapes(), GPUS, SERVINGS,
    st.sampled_from(["num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size", "sliding_window"]),
    st.integers(min_value=1, max_value=5000),
)  # fmt: skip
def test_more_of_a_model_is_never_cheaper(
    shape: dict[str, Any], gpu: Hardware, serving: Serving, grown: str, by: int
) -> None:
    """More layers, a wider stream, wider feed-forward parts, more words or a longer window: no token gets cheaper."""
    if shape[grown] is None or (grown == "num_hidden_layers" and shape["model_type"] == "gemma2"):
        by = 2 * (by % 100)  # layers with a window and without alternate, so they are added in pairs
    larger = {**shape, grown: (shape[grown] or 0) + min(by, 200) if shape[grown] is not None else None}
    before, after = (figures(roofline(llama(**one), gpu, serving)) for one in (shape, larger))

    assert llama(**larger).parameters >= llama(**shape).parameters
    assert all(new >= old for old, new in zip(before, after, strict=True))


@given(shapes(), GPUS, SERVINGS, st.integers(min_value=1, max_value=1000))
def test_a_larger_batch_never_makes_a_token_dearer(
    shape: dict[str, Any], gpu: Hardware, serving: Serving, more: int
) -> None:
    """Weights are shared by the batch, however many experts it touches."""
    larger = replace(serving, batch=serving.batch + more)

    assert roofline(llama(**shape), gpu, larger).output_ps <= roofline(llama(**shape), gpu, serving).output_ps


@given(st.integers(min_value=1, max_value=10**12), st.integers(min_value=1, max_value=10**12))
def test_a_throughput_is_never_negative_and_never_slower_for_more(rate: int, more: int) -> None:
    """Faster is never dearer, down to nothing at speeds beyond a token per picosecond."""
    assert figures(throughput(rate + more, rate))[0] <= figures(throughput(rate, rate))[0]
    assert min(figures(throughput(rate, more))) >= 0
