"""`[[models]]`: what a model is built of, read from the file that its row names, or a sentence about what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from apportion.config.architectures import ModelArchitecture
from apportion.config.model import Config
from tests.unit.metering.models import document, model

ROW = """
[[models]]
id = "m"
config = "m.json"
"""


@pytest.fixture(autouse=True)
def beside(tmp_path: Path) -> Path:
    """A config.json beside the config."""
    (tmp_path / "m.json").write_text(json.dumps(document("llama_3_1_70b")), encoding="utf-8")
    return tmp_path


def built(config: Config) -> tuple[ModelArchitecture, ...]:
    """Architectures of the models that have one."""
    return tuple(model.architecture for model in config.models if model.architecture)


def test_defaults_are_those_of_a_middling_load(loaded) -> None:
    """The format of the weights is the file's; the rest is assumed, and every assumption can be read."""
    assert built(loaded(ROW)) == (
        ModelArchitecture(
            model="m", architecture=model("llama_3_1_70b"), weights="bf16", kv="bf16", batch=32, mean_context=2048,
            tensor_parallel=None,
        ),
    )  # fmt: skip


def test_every_key_is_read(loaded) -> None:
    """What is written is believed before what the file says."""
    (row,) = built(loaded(ROW + 'weights = "fp8"\nkv = "fp8"\nbatch = 64\nmean_context = 9000\ntensor_parallel = 4\n'))

    assert (row.weights, row.kv, row.batch, row.mean_context, row.tensor_parallel) == ("fp8", "fp8", 64, 9000, 4)


def test_a_model_without_a_file_has_no_architecture(loaded) -> None:
    """The row is there for other things."""
    assert built(loaded('[[models]]\nid = "m"\n')) == ()


def test_a_quantised_file_says_its_format(loaded, beside: Path) -> None:
    """DeepSeek publishes its weights in fp8."""
    (beside / "m.json").write_text(json.dumps(document("deepseek_v3")), encoding="utf-8")

    assert built(loaded(ROW))[0].weights == "fp8"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW.replace("m.json", "none.json"), "config: 'none.json' cannot be read (No such file or directory); put the model's config.json there"),
        (ROW.replace('"m.json"', "7"), "config: is no file name; write the path of the config.json published with the model"),
        (ROW + 'weights = "fp7"', "weights: is 'fp7'; write one of bf16, fp16, fp8, int8, int4, mxfp4, nvfp4"),
        (ROW + 'kv = "int4"', "kv: is 'int4'; write one of bf16, fp16, fp8, int8"),
        (ROW + "batch = 0", "batch: is 0; write an integer from 1 to 65536"),
        (ROW + "tensor_parallel = 0", "tensor_parallel: is 0; write an integer from 1 to 1024"),
        (ROW + "mean_context = 0", "mean_context: is 0; write an integer from 1 to 100000000"),
        (ROW + "contxt = 1", "contxt: unknown key 'contxt'"),
        ('[[models]]\nid = "m"\nbatch = 8', "config: is missing, and batch is read with it"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(problems, row: str, said: str) -> None:
    """Each problem stands with its place and what to do."""
    (problem,) = problems(row)

    assert problem.startswith(f"apportion.toml:models[0].{said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "'m.json' is not JSON (Expecting property name"),
        (b"\xff\xfe{}", "'m.json' is not JSON ("),
        (b"[" * 100_000, "'m.json' is not JSON ("),
        (b"[]", "'m.json' holds no JSON object"),
        (b"{}", "'m.json' is an empty JSON object"),
        (b'{"model_type": "mamba"}', "'m.json' cannot be used: model_type 'mamba' is not known; known are"),
        (b'{"n": ' + b"9" * 5000 + b"}", "'m.json' is not JSON ("),
        (b" " * 4_000_001, "'m.json' is larger than 4000000 bytes"),
    ],
    ids=["broken", "other text", "deep", "list", "empty", "family", "number", "large"],
)
def test_a_file_that_cannot_be_used_is_named(problems, beside: Path, content: bytes, said: str) -> None:
    """Whatever lies there is one sentence, and no exception."""
    (beside / "m.json").write_bytes(content)

    (problem,) = problems(ROW)
    assert re.match(r"apportion\.toml:models\[0\]\.config: ", problem)
    assert said in problem


def test_a_quantisation_of_many_names_must_be_written(loaded, problems, beside: Path) -> None:
    """Which format `compressed-tensors` stands for is for its owner to say."""
    quantised = {**document("llama_3_1_70b"), "quantization_config": {"quant_method": "compressed-tensors"}}
    (beside / "m.json").write_text(json.dumps(quantised), encoding="utf-8")

    (problem,) = problems(ROW)
    assert problem.startswith(
        "apportion.toml:models[0].weights: is missing, and the config.json has quantization_config with"
    )
    assert built(loaded(ROW + 'weights = "fp8"'))[0].weights == "fp8"


def test_a_file_that_nothing_reads_is_a_warning(loaded) -> None:
    """A slip in the id would leave the roofline out in silence."""
    assert loaded(ROW).warnings == (
        "apportion.toml:models[0].config: no deployment serves 'm', so nothing reads it; name the model as [[deployments]] do",
    )


def test_the_resolved_config_shows_the_shape(loaded) -> None:
    """`check` prints what was read."""
    shown = json.loads(json.dumps(loaded(ROW).resolved()["models"]))

    assert shown[0]["architecture"]["architecture"]["layers"][0]["count"] == 80
