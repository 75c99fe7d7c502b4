"""Reading config.json: parameters to the last one, windows, experts, latents, and a clear answer to what cannot be read."""

from __future__ import annotations

import re

import pytest

from apportion.config import huggingface
from apportion.domain.architecture import restored
from tests.unit.metering.models import FOLDER, document, llama, model

PARAMETERS = {
    "llama_2_7b": 6_738_415_616,
    "llama_3_1_8b": 8_030_261_248,
    "llama_3_1_70b": 70_553_706_496,
    "llama_3_1_405b": 405_853_388_800,
    "qwen2_5_72b": 72_706_203_648,
    "mixtral_8x7b": 46_702_792_704,
    "mistral_7b_v0_1": 7_241_732_096,
    "deepseek_v3": 671_026_419_200,
    "deepseek_v2_lite": 15_706_484_224,
    "gemma_2_9b": 9_241_705_984,
    "gemma_3_27b": 27_009_346_304,
    "qwen3_8b": 8_190_735_360,
    "qwen3_30b_a3b": 30_532_122_624,
    "qwen1_5_moe_a2_7b": 14_315_784_192,
    "gpt_oss_20b": 20_914_757_184,
    "gpt_oss_120b": 116_829_156_672,
    "phi_3_mini_4k": 3_821_079_552,
    "phi_2": 2_779_683_840,
    "llama_4_scout": 108_641_793_536 - 871_932_416,
    "llama_4_maverick": 401_583_781_376 - 871_932_416,
    "glm_4_5": 352_797_829_024,
}
"""As the models' weights have them; the text part alone of one that sees (Llama 4's towers are 871,932,416 each), and no module
that predicts further tokens."""
ACTIVE_BILLIONS = {
    "deepseek_v3": "36.6",
    "gpt_oss_120b": "5.1",
    "gpt_oss_20b": "3.6",
    "mixtral_8x7b": "12.7",
    "llama_3_1_8b": "7.5",
}
"""Without the input embedding and with the LM head."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_published_model_has_the_parameters_of_its_weights(name: str) -> None:
    """Projections, embeddings, norms and biases add up to the published number, exactly."""
    assert model(name).parameters == PARAMETERS[name]


def test_every_fixture_is_tested() -> None:
    """No config.json lies about without its number."""
    assert {file.stem for file in FOLDER.iterdir()} == set(PARAMETERS)


@pytest.mark.parametrize("name", ACTIVE_BILLIONS)
def test_a_token_meets_the_active_parameters(name: str) -> None:
    """Of a mixture a token is multiplied with the experts it is routed to."""
    assert f"{model(name).active_parameters / 1e9:.1f}" == ACTIVE_BILLIONS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_architecture_survives_the_ledger(name: str) -> None:
    """What the book keeps makes the same architecture again."""
    assert restored(model(name).plain()) == model(name)


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("llama_3_1_70b", {None: 80}),
        ("mistral_7b_v0_1", {4096: 32}),
        ("gemma_2_9b", {4096: 21, None: 21}),
        ("gemma_3_27b", {1024: 52, None: 10}),
        ("gpt_oss_120b", {128: 18, None: 18}),
        ("qwen2_5_72b", {None: 80}),
        ("llama_4_scout", {8192: 36, None: 12}),
    ],
)
def test_windows_are_those_of_the_layers(name: str, windows: dict[int | None, int]) -> None:
    """A window is of each layer by itself; Qwen's file names one that is not used."""
    assert {part.window: part.count for part in model(name).layers} == windows


def test_listed_layer_types_decide() -> None:
    """Newer files list their layers, and the list is believed before the pattern."""
    kinds = ["full_attention"] * 41 + ["sliding_attention"]

    assert {part.window: part.count for part in model("gemma_2_9b", layer_types=kinds).layers} == {None: 41, 4096: 1}


def test_qwen_slides_from_a_layer_on() -> None:
    """With `use_sliding_window`, layers below `max_window_layers` have none."""
    found = model("qwen2_5_72b", use_sliding_window=True, max_window_layers=70)

    assert {part.window: part.count for part in found.layers} == {None: 70, 131072: 10}


def test_a_mixture_may_have_dense_layers_and_shared_experts() -> None:
    """DeepSeek's first three layers are dense; every token passes the shared expert besides the eight it is routed to."""
    dense, mixed = (part.feed_forward for part in model("deepseek_v3").layers)

    assert (dense.experts, dense.width, mixed.experts, mixed.experts_active, mixed.shared_width) == (
        0,
        18432,
        256,
        8,
        2048,
    )
    assert [part.count for part in model("deepseek_v3").layers] == [3, 58]


def test_every_second_layer_may_be_sparse() -> None:
    """`decoder_sparse_step` and `mlp_only_layers` say which layers of Qwen are mixtures."""
    found = model("qwen3_30b_a3b", decoder_sparse_step=2, mlp_only_layers=[1])

    assert {bool(part.feed_forward.experts): part.count for part in found.layers} == {False: 25, True: 23}


def test_tying_the_head_leaves_out_one_embedding() -> None:
    """A tied LM head is stored once and multiplied with all the same."""
    tied, untied = llama(tie_word_embeddings=True), llama()

    assert untied.parameters - tied.parameters == 64 * 100
    assert untied.active_parameters == tied.active_parameters


def test_biases_count_where_the_file_asks() -> None:
    """Queries 64, keys and values 32 each, output 64; gate, up and down 96, 96 and 64; in two layers."""
    assert llama(attention_bias=True, mlp_bias=True).parameters - llama().parameters == 2 * (64 + 64 + 64 + 256)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model_type": "mamba"}, "model_type 'mamba' is not known; known are deepseek_v2, deepseek_v3, gemma"),
        ({"model_type": None}, "model_type is missing; give the config.json as it was published"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; it must be an integer from 1"),
        ({"vocab_size": True}, "vocab_size is True; it must be an integer"),
        ({"vocab_size": 10**9}, "vocab_size is 1000000000; it must be an integer"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1000000; it must be an integer from 1 to 10000"),
        ({"num_key_value_heads": 3}, "num_attention_heads 4 is no multiple of num_key_value_heads 3"),
        ({"hidden_size": 66}, "hidden_size 66 is no multiple of num_attention_heads 4, and there is no head_dim"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'; it must be true or false"),
        ({"model_type": "mixtral"}, "num_local_experts is missing"),
        ({"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3}, "num_experts_per_tok 3 is more than num_local_experts 2"),
        ({"model_type": "gemma2", "sliding_window": 8, "layer_types": ["full_attention"]}, "layer_types lists 1 layers, and num_hidden_layers is 2"),
        ({"model_type": "gemma2", "layer_types": ["full_attention", "mamba"]}, "layer_types holds mamba"),
        ({"model_type": "gemma2", "layer_types": "all"}, "layer_types is no list of str"),
        ({"model_type": "deepseek_v3"}, "qk_rope_head_dim is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(changed: dict[str, object], said: str) -> None:
    """A missing, senseless or unknown field is a sentence, never a guess."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        llama(**changed)


@pytest.mark.parametrize(
    ("changed", "stored"),
    [
        ({"torch_dtype": "bfloat16"}, "bf16"),
        ({"dtype": "float16"}, "fp16"),
        ({}, "bf16"),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "int4"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 3}}, None),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, None),
    ],
)
def test_the_format_of_published_weights_is_read_where_it_is_plain(
    changed: dict[str, object], stored: str | None
) -> None:
    """A quantisation that several formats go by the name of is not guessed."""
    assert huggingface.stored_in({"hidden_size": 64, **changed}) == stored


def test_a_model_that_sees_is_read_by_its_text_part() -> None:
    """The decoder's fields stand in `text_config`."""
    assert "hidden_size" not in document("gemma_3_27b")
    assert model("gemma_3_27b").family == "gemma3_text"
