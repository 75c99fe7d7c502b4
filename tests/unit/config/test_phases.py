"""What a deployment says of its speed: read exactly, refused in words, warned about where it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.config.phases import ServiceLevel, Throughput
from tests.unit.config.conftest import Loaded, Problems

FLEET = """
[[pools]]
id = "p"
gpu = "L4"
gpus = 8
effective_from = 2026-10-01T00:00:00Z
[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "1"
effective_from = 2026-10-01T00:00:00Z
[[deployments]]
id = "d"
pool = "p"
gpus = 8
models = ["m"]
effective_from = 2026-10-01T00:00:00Z
"""


def test_a_deployment_may_say_nothing(loaded: Loaded) -> None:
    """Then the policy says how its work is split, its capacity is declared, and no speed is known."""
    config = loaded(FLEET + '[policy]\nphase_split = "auto"\n')
    (deployment,) = config.deployments

    assert (deployment.phase_split, deployment.throughput, deployment.capacity_source, deployment.service_level) == (
        None,
        None,
        "declared",
        None,
    )
    assert config.phase_split_of(deployment) == "auto"
    assert config.warnings == ()


def test_what_it_says_is_read_exactly(loaded: Loaded) -> None:
    """Three decimals of a rate, a quantile in parts per million; its own split goes before the policy's."""
    config = loaded(
        FLEET + 'phase_split = "throughput"\nthroughput = { prefill = 9212.5, decode = "1850.001" }\n'
        'capacity_per_gpu_hour = 7\ncapacity_source = "load_tested"\n'
        "service_level = { ttft_ms = 500, tpot_ms = 0.5 }\n"
    )
    (deployment,) = config.deployments

    assert deployment.throughput == Throughput(prefill=9_212_500, decode=1_850_001, cache_read=None)
    assert deployment.service_level == ServiceLevel(ttft_us=500_000, tpot_us=500, quantile_ppm=950_000)
    assert (deployment.capacity_source, config.phase_split_of(deployment)) == ("load_tested", "throughput")
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('phase_split = "guess"', "phase_split", "is 'guess'; write one of weights, auto, measured"),
        ("throughput = { prefill = 1 }", "throughput.decode", "is missing"),
        (
            "throughput = { prefill = 0.5, decode = 1 }",
            "throughput.prefill",
            "write tokens per second and GPU, from 1 to",
        ),
        (
            "throughput = { prefill = 1, decode = 1, cached = 1 }",
            "throughput.cached",
            "unknown key 'cached'; did you mean",
        ),
        (
            "throughput = { prefill = -1, decode = 1 }",
            "throughput.prefill",
            "is -1; write tokens per second and GPU, from 1 to",
        ),
        (
            "throughput = { prefill = 0, decode = 1 }",
            "throughput.prefill",
            "is 0; write tokens per second and GPU, from 1 to",
        ),
        ("throughput = 5", "throughput", "is an integer; write a table"),
        ('capacity_source = "guessed"', "capacity_source", "write one of declared, load_tested, learned"),
        ("service_level = { tpot_ms = 1 }", "service_level.ttft_ms", "is missing"),
        ("service_level = { ttft_ms = 0, tpot_ms = 1 }", "service_level.ttft_ms", "write milliseconds above 0"),
        (
            'service_level = { ttft_ms = 1, tpot_ms = 1, quantile = "1.5" }',
            "service_level.quantile",
            "write a share above 0 and up to 1",
        ),
    ],
)
def test_what_is_wrong_is_said(problems: Problems, text: str, place: str, said: str) -> None:
    """With its place and how to write it."""
    (problem,) = problems(FLEET + text)

    assert problem.startswith(f"apportion.toml:deployments[0].{place}: ")
    assert said in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'phase_split = "throughput"',
            "deployments[0].throughput: is missing, and phase_split is \"throughput\", so hours of 'd'",
        ),
        ('[policy]\nphase_split = "throughput"', "deployments[0].throughput: is missing"),
        (
            'capacity_source = "learned"',
            'deployments[0].capacity_source: is "learned", and there is no capacity_per_gpu_hour',
        ),
    ],
)
def test_what_cannot_be_used_is_warned_about(loaded: Loaded, text: str, said: str) -> None:
    """It works, but hardly as meant."""
    (warning,) = loaded(FLEET + text).warnings

    assert said in warning


SCRAPED = '[[sources]]\nname = "s"\ncollector = "prometheus"\ntargets = ["http://h:9/metrics"]\nfamilies = ["{0}"]\n'
LLAMA = """{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
"vocab_size": 100}"""
DESCRIBED = '[[models]]\nid = "m"\nconfig = "m.json"\n'
ROOFLINE = '[policy]\nphase_split = "roofline"\n'
MEASURED = '[policy]\nphase_split = "measured"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROOFLINE, "deployments[0].phase_split: no [[models]] row has the config of 'm', and phase_split is \"roofline\", so hours of 'd'"),
        (ROOFLINE + DESCRIBED, "deployments[0].phase_split: the hardware catalog has no 'WAT', and"),
        (MEASURED, 'deployments[0].phase_split: none of the [[sources]] collects from engines, and phase_split is "measured"'),
        (MEASURED + SCRAPED.format("dcgm"), "deployments[0].phase_split: none of the [[sources]] collects from engines"),
    ],
)  # fmt: skip
def test_a_forced_method_without_its_data_is_warned_about(loaded: Loaded, tmp_path: Path, text: str, said: str) -> None:
    """Its hours fall to weights, which nobody would see before the bill."""
    (tmp_path / "m.json").write_text(LLAMA)
    strange = FLEET.replace('gpu = "L4"', 'gpu = "WAT"') if "WAT" in said else FLEET
    found = [warning for warning in loaded(strange + text).warnings if "hardware catalog, so" not in warning]
    assert len(found) == 1
    assert said in found[0]
    assert "are split by weights; " in found[0]


@pytest.mark.parametrize("text", [ROOFLINE + DESCRIBED, MEASURED + SCRAPED.format("sglang")])
def test_a_forced_method_with_its_data_is_not(loaded: Loaded, tmp_path: Path, text: str) -> None:
    """Nothing is said of what may work."""
    (tmp_path / "m.json").write_text(LLAMA)
    assert loaded(FLEET + text).warnings == ()
