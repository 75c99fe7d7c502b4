"""FLOPs, KV cache, roofline, utilization, energy, carbon, goodput: by hand where it is small, by publication where it is not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.catalog import hardware
from metering.efficiency import carbon, coefficients, energy, flops, goodput, kv_cache, roofline, utilization
from metering.efficiency.coefficients import weight_bytes_touched
from metering.efficiency.exact import decay
from tests.unit.metering.models import llama, model


def test_a_small_model_by_hand() -> None:
    """Two layers: queries 64x64, keys and values 64x32, output 64x64, three projections 64x96; attention 4 heads of 16."""
    layer = 64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 96
    linear = 2 * 2 * layer

    assert flops.linear(llama()) == linear
    assert flops.head(llama()) == 2 * 64 * 100
    assert flops.decode_token(llama(), 10) == linear + 2 * 64 * 100 + 2 * (4 * 4 * 16) * 10
    assert flops.prefill(llama(), 3, 5) == 3 * linear + 2 * 64 * 100 + 2 * (4 * 4 * 16) * (6 + 7 + 8)
    assert flops.prefill(llama(), 3, 5, causal=False) == 3 * linear + 2 * 64 * 100 + 2 * (4 * 4 * 16) * 3 * 8
    assert flops.prefill(llama(), 0, 5) == 0


def test_gqa_changes_projections_and_not_attention() -> None:
    """Fewer KV heads make projections smaller; every query head still reads every token."""
    grouped, full = llama(num_key_value_heads=1), llama(num_key_value_heads=4)

    assert flops.linear(full) - flops.linear(grouped) == 2 * 2 * 2 * 64 * 48
    assert flops.attention(full, 7) == flops.attention(grouped, 7)


def test_a_window_ends_what_a_query_reads() -> None:
    """With a window of 4, tokens 1 to 6 read 1, 2, 3, 4, 4, 4."""
    limited = llama(model_type="mistral", sliding_window=4)
    bare = 6 * flops.linear(limited) + flops.head(limited)

    assert flops.prefill(limited, 6) - bare == 2 * (4 * 4 * 16) * 18
    assert flops.attention(limited, 100) == flops.attention(limited, 4)
    assert kv_cache.bytes_of_context(limited, 100, 2) == kv_cache.bytes_of_context(limited, 4, 2)


@given(
    st.integers(min_value=0, max_value=40), st.integers(min_value=0, max_value=40), st.integers(min_value=1, max_value=50)
)  # fmt: skip
def test_a_run_is_the_sum_of_its_tokens(tokens: int, context: int, window: int) -> None:
    """Closed forms say what adding token by token says, in prefill and decode, with a window and without."""
    for built in (llama(), llama(model_type="mistral", sliding_window=window)):
        one_by_one = sum(flops.linear(built) + flops.attention(built, context + i) for i in range(1, tokens + 1))

        assert flops.decode(built, tokens, context) == sum(
            flops.decode_token(built, context + i) for i in range(tokens)
        )
        assert flops.prefill(built, tokens, context) == one_by_one + (flops.head(built) if tokens else 0)


def test_latent_attention_trades_flops_for_bytes() -> None:
    """DeepSeek-V3: the absorbed form takes 3.4 times the FLOPs per token of context, and reads 57 times fewer bytes."""
    attention = model("deepseek_v3").layers[0].attention

    assert (attention.pair_flops(), attention.pair_flops(absorbed=True)) == (128 * 640, 128 * 2176)
    assert 2 * 128 * (192 + 128) // 2 // attention.kv_elements() == 71
    assert flops.attention(model("deepseek_v3"), 10, absorbed=True) == 61 * 128 * 2176 * 10


def test_kv_heads_are_repeated_where_gpus_outnumber_them() -> None:
    """Eight KV heads on 4 or 8 GPUs are held once, on 16 twice; a latent is on every GPU."""
    llama_70b, deepseek = model("llama_3_1_70b"), model("deepseek_v3")

    assert [kv_cache.bytes_per_token(llama_70b, 2, gpus) for gpus in (1, 4, 8, 16)] == [327_680] * 3 + [655_360]
    assert [kv_cache.bytes_per_token(deepseek, 2, gpus) for gpus in (1, 8)] == [70_272, 8 * 70_272]
    assert kv_cache.bytes_per_token(llama_70b, 1) == 163_840


def test_opt_13b_takes_800_kib_a_token() -> None:
    """40 layers of 40 heads of 128 in 16 bits. Source: Kwon et al. 2023, section 3."""
    built = llama(num_hidden_layers=40, hidden_size=5120, num_attention_heads=40, num_key_value_heads=40)

    assert kv_cache.bytes_per_token(built, 2) == 800 * 1024


def test_blocks_waste_half_a_block_at_most_one_less() -> None:
    """A sequence of 33 tokens takes three blocks of 16; on average 7.5 tokens of room are left over."""
    assert kv_cache.allocated_tokens(33, 16) == 48
    assert kv_cache.allocated_tokens(32, 16) == 32
    assert kv_cache.expected_waste_tokens(16) == Fraction(15, 2)
    assert sum(kv_cache.allocated_tokens(n, 16) - n for n in range(1, 17)) == 16 * kv_cache.expected_waste_tokens(16)
    assert kv_cache.waste(33, 48) == Fraction(15, 48)


def test_what_weights_leave_holds_tokens() -> None:
    """Llama-2-7B on 24 GiB at 90 %: 9.7 GB for 512 KiB each; nothing fits beside weights that do not fit."""
    token = kv_cache.bytes_per_token(model("llama_2_7b"), 2)
    weights = 2 * model("llama_2_7b").parameters

    assert kv_cache.capacity_tokens(Fraction(9, 10) * 24 * 2**30, weights, 0, token) == 18_531
    assert kv_cache.capacity_tokens(10**9, weights, 0, token) == 0


@pytest.mark.parametrize(("gpu", "ridge"), [("H100_SXM", 295), ("A100_80GB_SXM", 153), ("H20", 37), ("A6000", 202)])
def test_the_ridge_is_where_bandwidth_ends(gpu: str, ridge: int) -> None:
    """Dense bf16 peak over bandwidth, of the catalog."""
    found = hardware.hardware()[gpu]
    assert found.bf16_flops

    assert round(roofline.ridge(found.bf16_flops, found.bandwidth_bytes_s)) == ridge


def test_a_step_takes_the_longer_of_both() -> None:
    """100 FLOP/s and 10 B/s: 50 FLOPs on 10 bytes are bound by memory, on 5 by both, which is called compute."""
    assert roofline.seconds(50, 10, 100, 10) == 1
    assert roofline.seconds(200, 10, 100, 10) == 2
    assert [roofline.bound(roofline.intensity(50, moved), 100, 10) for moved in (10, 5)] == ["memory", "compute"]
    assert [roofline.attainable(intensity, 100, 10) for intensity in (5, 10, 20)] == [50, 100, 100]


def test_decode_intensity_is_about_the_batch() -> None:
    """Weights alone, in bf16: two FLOPs to two bytes for each sequence of the batch."""
    built = model("llama_3_1_70b")
    bytes_ = weight_bytes_touched(built, "bf16", 1)

    for batch in (1, 8, 64):
        assert round(roofline.intensity(batch * (flops.linear(built) + flops.head(built)), bytes_)) == batch


def test_published_throughput_uses_three_fifths_of_the_bandwidth() -> None:
    """Llama-3.1-70B on four H100 makes 469.69 tokens a second at a batch of eight (ML.ENERGY): what rooflines assume of memory."""
    moved = weight_bytes_touched(model("llama_3_1_70b"), "bf16", 8)
    bandwidth = hardware.hardware()["H100_SXM"].bandwidth_bytes_s

    reached = utilization.mbu(moved, 0, 8 / Fraction("469.6893"), 4, bandwidth)
    assert abs(reached - coefficients.MEMORY_EFFICIENCY) < Fraction(1, 50)


def test_a_batch_touches_more_experts_the_larger_it_is() -> None:
    """One token of Mixtral reads 2 of 8 experts, two read 3.5 on average, and many read all."""
    assert utilization.experts_touched(8, 2, 1) == 2
    assert utilization.experts_touched(8, 2, 2) == Fraction(7, 2)
    assert 8 - utilization.experts_touched(8, 2, 64) < Fraction(1, 10**6)


def test_mfu_of_a_published_training_run() -> None:
    """MT-NLG: 530 G parameters at 65,430 tokens a second on 2,240 A100 are 29.77 %, without attention (Chowdhery et al. 2022)."""
    token = flops.training_token(530 * 10**9, 0, 0, 0, 0)
    reached = utilization.mfu_at(65_430, token, 2240, 312 * 10**12)

    assert f"{float(reached):.4f}" == "0.2977"
    assert utilization.mfu(65_430 * token, 2240, 312 * 10**12) == reached


def test_speculation_is_a_speed_up_of_latency() -> None:
    """Five drafts at 5 % of the cost, 80 % accepted: 3.69 tokens a pass, 2.95 times as fast."""
    assert f"{float(utilization.tokens_per_pass(Fraction(4, 5), 5)):.2f}" == "3.69"
    assert f"{float(utilization.speculative_speedup(Fraction(4, 5), 5, Fraction(1, 20))):.2f}" == "2.95"
    assert utilization.tokens_per_pass(1, 5) == 6
    assert utilization.tokens_per_pass(0, 5) == 1


def test_carbon_adds_what_was_burnt_and_what_was_built() -> None:
    """SCI is per unit; a GPU bears its part of the server."""
    assert carbon.intensity(carbon.operational(2, 400), 200, 10) == 100
    assert carbon.embodied_per_gpu_hour(800, 100, 8, 100) == 2


def test_energy_of_a_facility_is_that_of_its_it_times_pue() -> None:
    """400 W at 10 tokens a second are 40 J each, and 11.1 kWh a million; a joule is a watt-second."""
    assert energy.joules_per_token(400, 10) == 40
    assert energy.kwh_per_million(40) == Fraction(100, 9)
    assert energy.joules(400, 3600) == energy.facility(Fraction(4, 10) * energy.JOULES_PER_KWH, 1)


def test_intervals_have_one_definition_each() -> None:
    """Gaps between chunks are not time per token where a chunk carries several; one token has no interval."""
    assert goodput.inter_chunk([100, 150, 210]) == [50, 60]
    assert goodput.inter_token(210, 100, 5) == Fraction(110, 4)
    assert goodput.inter_token(210, 100, 1) is None
    with pytest.raises(ValueError, match="does not come after"):
        goodput.inter_chunk([100, 100])


def test_goodput_observed_is_of_one_run() -> None:
    """57 good requests in a second, whatever else was tried."""
    assert goodput.observed(57, 1) == 57


def test_a_discount_factor_of_no_time_is_one() -> None:
    """Even where the base is zero."""
    assert decay(0, 0) == 1
    assert decay(2, 3) == Fraction(1, 8)
