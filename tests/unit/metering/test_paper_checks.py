"""Published figures, recomputed: each check names the source that printed it, and the arithmetic is the product's own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from apportion.domain.effective import in_force
from apportion.domain.period import FOREVER, Period
from metering.efficiency import (
    carbon,
    coefficients,
    energy,
    flops,
    goodput,
    kv_cache,
    roofline,
    unit_price,
    utilization,
)
from tests.shared_data import REPOSITORY, shared
from tests.unit.metering.models import llama, model

Inputs = Mapping[str, Any]
Figures = dict[str, Any]


def daily_cost(of: Inputs) -> Figures:
    """Nodes x GPUs x hours x price."""
    return {
        "usd_per_day": unit_price.fleet_cost(of["avg_nodes"], of["gpus_per_node"], of["hours"], of["usd_per_gpu_hour"])
    }


def revenue(of: Inputs) -> Figures:
    """List prices on the three kinds that the day's tokens are made of."""
    tokens = {
        "cache_read": int(of["cache_hit_tokens"]),
        "uncached_input": int(of["input_tokens"] - of["cache_hit_tokens"]),
        "output": int(of["output_tokens"]),
    }
    prices = {
        "cache_read": of["price_hit_per_m"],
        "uncached_input": of["price_miss_per_m"],
        "output": of["price_out_per_m"],
    }
    return {"usd_per_day": unit_price.of_usage(tokens, prices)}


def unit_costs(of: Inputs) -> Figures:
    """One cost over two denominators."""
    return {
        "usd_per_m_output_only": unit_price.per_million(of["cost"], of["output_tokens"]),
        "usd_per_m_total": unit_price.per_million(of["cost"], of["input_tokens"] + of["output_tokens"]),
    }


def phase_split_cost(of: Inputs) -> Figures:
    """Each phase's part of the cost over that phase's tokens; the share is that of the throughput method, and they re-add."""
    known = coefficients.throughput(73_700_000, 14_800_000)
    prefill = int(of["input_tokens"]) * known.uncached_input_ps
    decode = int(of["output_tokens"]) * known.output_ps
    share = Fraction(prefill, prefill + decode)
    assert abs(share - of["prefill_node_share"]) < Fraction(1, 10**6)
    made = {
        "usd_per_m_input": unit_price.per_million(of["cost"] * share, of["input_tokens"]),
        "usd_per_m_output": unit_price.per_million(of["cost"] * (1 - share), of["output_tokens"]),
    }
    assert (made["usd_per_m_input"] * of["input_tokens"] + made["usd_per_m_output"] * of["output_tokens"]) == of[
        "cost"
    ] * 10**6
    return made


def steady_energy(of: Inputs) -> Figures:
    """Power over throughput."""
    joules = energy.joules_per_token(of["avg_power_watts"], of["output_tokens_per_s"])
    return {
        "joules_per_token": joules,
        "joules_per_request": joules * of["avg_output_len"],
        "kwh_per_million_tokens": energy.kwh_per_million(joules),
    }


def wall_energy(of: Inputs) -> Figures:
    """The whole system's power over its throughput."""
    joules = energy.joules_per_token(of["system_watts"], of["tokens_per_s"])
    return {
        "joules_per_token": joules,
        "kwh_per_million_tokens": energy.kwh_per_million(joules),
        "tokens_per_s_per_gpu": goodput.per_gpu(of["tokens_per_s"], of["accelerators"]),
    }


def benchmark_energy(of: Inputs) -> Figures:
    """Mean power over a run, by its tokens."""
    joules = energy.joules(of["gpu_avg_power_w"], of["duration_s"])
    return {"gpu_energy_j": joules, "joules_per_token": Fraction(joules, of["output_tokens"])}


def energy_stack(of: Inputs) -> Figures:
    """PUE on everything that IT takes, idle included."""
    it = of["accelerator_wh"] + of["host_wh"] + of["idle_wh"]
    total = energy.facility(it, of["pue"])
    return {"it_wh": it, "overhead_wh": total - it, "total_wh": total}


def page(of: Inputs) -> Figures:
    """Operational carbon, doubled for the making of the hardware."""
    return {"g_co2e": carbon.operational(of["kwh"], of["grid_kg_per_kwh"] * 1000) * of["embodied_multiplier"]}


def query(of: Inputs) -> Figures:
    """Two FLOPs to a parameter and token, on GPUs at a tenth of their peak."""
    return {
        "wh": energy.compute_watt_hours(
            2 * of["active_params"] * of["output_tokens"], of["peak_flops"], of["utilization"],
            of["watts_per_gpu"] * of["power_fraction"],
        )
    }  # fmt: skip


def time_share(of: Inputs) -> Figures:
    """An hour's part of the making of a server."""
    life = of["lifespan_years"] * carbon.HOURS_PER_YEAR
    return {"m_grams": carbon.embodied(of["te_kg"] * 1000, of["reserved_hours"], life, of["resource_share"])}


def kv_table(of: Inputs) -> Figures:
    """Bytes per token of the models' own architectures, which are those of the table."""
    found = {
        "deepseek_v3": model("deepseek_v3"),
        "qwen25_72b": model("qwen2_5_72b"),
        "llama31_405b": model("llama_3_1_405b"),
    }
    for name, built in found.items():
        assert sum(part.count for part in built.layers) == of[name]["layers"]
    return {name: kv_cache.bytes_per_token(built, of["bytes"]) for name, built in found.items()}


def kv_llama(of: Inputs) -> Figures:
    """Of one token, and of a batch of sequences."""
    token = kv_cache.bytes_per_token(model("llama_2_7b"), of["bytes"])
    return {
        "bytes_per_token": token,
        "bytes": kv_cache.bytes_of_context(model("llama_2_7b"), of["seq"], of["bytes"]) * of["batch"],
    }


def mbu(of: Inputs) -> Figures:
    """Weights and cache over the time of a token."""
    moved = of["weight_bytes"], of["kv_bytes"], of["tpot_s"]
    return {"bw": utilization.bandwidth_achieved(*moved), "mbu": utilization.mbu(*moved, of["n_gpu"], of["peak_bw"])}


def palm(of: Inputs) -> Figures:
    """FLOPs of training by the peak of the chips, with attention and without."""
    shape = of["L"], of["H"], of["Q"], of["T"]
    with_attention = flops.training_token(of["N"], *shape)
    without = flops.training_token(of["N"], 0, 0, 0, 0)
    reached = [utilization.mfu_at(of["tps"], each, of["chips"], of["peak"]) for each in (with_attention, without)]
    return dict(zip(("mfu_with_attn", "mfu_no_attn"), reached, strict=True))


def viewer(of: Inputs) -> Figures:
    """Intensities, and which side of the ridge they are on."""
    peak, bandwidth = of["peak"], of["bw"]
    query_projection = roofline.intensity(of["q_proj"]["ops"], of["q_proj"]["bytes"])
    return {
        "q_proj_ai": query_projection,
        "gate_proj_ai": roofline.intensity(of["gate_proj"]["ops"], of["gate_proj"]["bytes"]),
        "q_proj_bound": roofline.bound(query_projection, peak, bandwidth),
        "qk_perf_tflops": roofline.attainable(of["qk_ai"], peak, bandwidth) * Fraction(1, 10**12),
        "qk_bound": roofline.bound(of["qk_ai"], peak, bandwidth),
    }


def llama_flops(of: Inputs) -> Figures:
    """Of a model of the shape given, in both conventions."""
    built = llama(
        num_hidden_layers=of["L"], hidden_size=of["D"], num_attention_heads=of["q"], num_key_value_heads=of["kv"],
        head_dim=of["hd"], intermediate_size=of["ff"], vocab_size=of["V"],
    )  # fmt: skip
    assert built == model("llama_2_7b")
    return {
        "decode_flops": flops.decode_token(built, of["decode_ctx"]),
        "prefill_flops_vllm": flops.prefill(built, of["prefill_tokens"], causal=False),
        "prefill_flops_causal": flops.prefill(built, of["prefill_tokens"]),
    }


def distserve(of: Inputs) -> Figures:
    """Two GPUs prefill, one decodes, and the slower side decides."""
    total = goodput.disaggregated(of["prefill_rps"], of["n_prefill"], of["decode_rps"], of["n_decode"])
    each = goodput.per_gpu(total, of["n_prefill"] + of["n_decode"])
    return {"rps_total": total, "rps_per_gpu": each, "gain": each / of["colocated_rps"]}


def provisioned(of: Inputs) -> Figures:
    """Three alternatives of one power: billed together, input and output would take it twice."""
    watts = of["kw_per_gpu"] * 1000
    made = {
        f"j_{name}": energy.joules_per_token(watts, of[key])
        for name, key in (("total", "tput"), ("output", "out_tput"), ("input", "in_tput"))
    }
    assert made["j_output"] * of["out_tput"] + made["j_input"] * of["in_tput"] == 2 * watts
    return made


def effective_date(of: Inputs) -> Figures:
    """The price in force when it happened."""
    cut = datetime(2025, 6, 10, tzinfo=UTC)
    prices = [
        Price(Fraction(10), Period(datetime(2025, 4, 16, tzinfo=UTC), cut)),
        Price(Fraction(2), Period(cut, FOREVER)),
    ]
    paid = []
    for day in of["dates"]:
        price = in_force(prices, datetime.fromisoformat(day).replace(tzinfo=UTC))
        assert price is not None
        paid.append(unit_price.of_usage({"uncached_input": of["input_tokens"]}, {"uncached_input": price.per_million}))
    return dict(zip(("usd_before", "usd_after"), paid, strict=True))


def cache_write(of: Inputs) -> Figures:
    """Cached tokens are inside the prompt, so the kinds are made disjoint first."""
    tokens = {
        "uncached_input": of["input_tokens"] - of["cache_write_tokens"] - of["cache_read_tokens"],
        "cache_write": of["cache_write_tokens"],
        "cache_read": of["cache_read_tokens"],
        "output": of["output_tokens"],
    }
    prices = {"uncached_input": of["usd_per_m"]["input"], **of["usd_per_m"]}
    return {"usd": unit_price.of_usage(tokens, prices)}


def language(of: Inputs) -> Figures:
    """As the slide has it, which bills every token as input and as output."""
    assert of["bill_as_input_and_output"]
    price = {"uncached_input": of["usd_in"], "output": of["usd_out"]}
    return {name: unit_price.of_usage(dict.fromkeys(price, count), price) for name, count in of["tokens"].items()}


@dataclass(frozen=True, slots=True)
class Price:
    """A dated price per million tokens."""

    per_million: Fraction
    effective: Period


COMPUTED: dict[str, Callable[[Inputs], Figures]] = {
    "deepseek.daily_cost": daily_cost,
    "deepseek.revenue": revenue,
    "deepseek.hit_rate": lambda of: {"cache_hit_rate_pct": 100 * unit_price.hit_rate(int(of["hit"]), int(of["input"]))},
    "deepseek.unit_costs": unit_costs,
    "deepseek.phase_split_cost": phase_split_cost,
    "mlenergy.llama31_70b.h100x4_b8": steady_energy,
    "mlenergy.llama31_70b.b200x2_b2048": steady_energy,
    "mlperf51.0061_llama2_70b_offline": wall_energy,
    "mlperf51.0062_llama31_8b_server": wall_energy,
    "tokenpowerbench.llama31_8b": benchmark_energy,
    "google.energy_stack": energy_stack,
    "ren.page_llama3_70b": page,
    "epoch.gpt4o_query": query,
    "sci.time_share": time_share,
    "ecologits.embodied_gpu_hour": lambda of: {
        "kg_per_gpu_hour": carbon.embodied_per_gpu_hour(of["server_kg"], of["gpu_kg"], of["gpus"], of["lifetime_h"])
    },
    "kv.deepseek_table1": kv_table,
    "kv.waste": lambda of: {"waste_high": kv_cache.waste(of["used_low"], 1), "waste_low": kv_cache.waste(of["used_high"], 1)},
    "kv.llama2_7b_seed_fix": kv_llama,
    "mbu.databricks": mbu,
    "mfu.palm540b": palm,
    "roofline.llmviewer_table1": viewer,
    "flops.llama2_7b": llama_flops,
    "goodput.distserve_fig1": distserve,
    "latency.aiperf_icl": lambda of: {"icl": goodput.inter_chunk(of["chunk_times_ms"])},
    "inferencex.joules": provisioned,
    "inferencex.cost": lambda of: {
        "usd_per_m_tokens": unit_price.per_million_at(of["usd_per_gpu_h"], of["tput_per_gpu"]),
        "tok_s_per_mw": energy.tokens_per_second_per_megawatt(of["tput_per_gpu"], of["kw_per_gpu"]),
    },
    "price.genai_cache_write": cache_write,
    "price.effective_date_o3": effective_date,
    "seed.language_cost": language,
    "seed.energy_units": lambda of: {
        "j_per_token": energy.joules_per_token(of["watts"], of["tok_s"]),
        "kwh_per_m": energy.kwh_per_million(energy.joules_per_token(of["watts"], of["tok_s"])),
    },
}  # fmt: skip
"""Id of a check -> what the product makes of its inputs, by the names of what is expected."""


def published() -> dict[str, Any]:
    """The checks by id, every number exactly as printed; none where the shared folder is absent."""
    file = Path(os.environ.get("APPORTION_SHARED") or REPOSITORY.parent / "shared") / "catalogs" / "paper_checks.json"
    if not file.exists():
        return {}
    return {check["id"]: check for check in json.loads(file.read_text(encoding="utf-8"), parse_float=Fraction)}


CHECKS = published()


def test_every_published_check_is_recomputed() -> None:
    """None of the file's is left out, and none is invented."""
    shared("catalogs", "paper_checks.json")

    assert set(COMPUTED) == set(CHECKS)


@pytest.mark.parametrize(
    "check_id",
    [pytest.param(check, id=f"{check} [{CHECKS.get(check, {}).get('source', 'absent')}]") for check in COMPUTED],
)
def test_a_published_figure_is_reproduced(check_id: str) -> None:
    """The product's own arithmetic gives what the source printed, within the tolerance that the printing leaves."""
    shared("catalogs", "paper_checks.json")
    check = CHECKS[check_id]
    made, expected = COMPUTED[check_id](check["inputs"]), check["expected"]

    assert set(made) == set(expected), f"{check_id}, {check['source']}"
    for name, figure in expected.items():
        assert agrees(made[name], figure, check["tolerance"]), (
            f"{check_id}, {check['source']}: {name} is {made[name]}, and {figure} was published"
        )


def agrees(made: Any, figure: Any, tolerance: Mapping[str, Any]) -> bool:
    """Whether a figure is the published one: words and lists exactly, numbers within an absolute or a relative bound."""
    if isinstance(figure, str | list):
        return bool(made == figure)
    assert isinstance(made, int | Fraction), "a figure is exact until it is printed"
    allowed = tolerance["abs"] if "abs" in tolerance else abs(figure) * tolerance["rel"]
    return bool(abs(made - figure) <= allowed)
