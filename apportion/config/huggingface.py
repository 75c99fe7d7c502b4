"""Read the architecture of a model from its Hugging Face `config.json`.

Format: the configuration classes of the `transformers` library, one per `model_type`; their defaults are filled in here only
where published files leave them out. Vision and audio towers are not read: their tokens cost what the decoder makes of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from apportion.config import huggingface_layers as shapes
from apportion.config.huggingface_keys import LAYERS_MAX, Keys
from apportion.config.values import shown
from apportion.domain.architecture import Architecture, Layers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """What a `model_type` does not say in its file.

    Attributes:
        attention: shape of attention.
        feed_forward: layer number -> shape of its feed-forward part.
        windows: window of each layer.
        others: parameters that are no projection.
        tied: whether the LM head is the input embedding, unless the file says.
    """

    attention: shapes.OfAttention = shapes.heads
    feed_forward: shapes.OfFeedForward = shapes.gated
    windows: Callable[[Keys, int], list[int | None]] = shapes.unlimited
    others: Callable[[Keys, Architecture], int] = shapes.llama_others
    tied: bool = False


_DEEPSEEK: Final = _Family(attention=shapes.latent, feed_forward=shapes.deepseek_experts, others=shapes.deepseek_others)

FAMILIES: Final[Mapping[str, _Family]] = {
    "llama": _Family(),
    "mistral": _Family(windows=shapes.everywhere),
    "mixtral": _Family(feed_forward=shapes.mixtral_experts, windows=shapes.everywhere),
    "qwen2": _Family(windows=shapes.qwen_windows, others=shapes.qwen2_others),
    "qwen2_moe": _Family(feed_forward=shapes.qwen_experts, windows=shapes.qwen_windows, others=shapes.qwen2_others),
    "qwen3": _Family(windows=shapes.qwen_windows, others=shapes.qwen3_others),
    "qwen3_moe": _Family(feed_forward=shapes.qwen_experts, windows=shapes.qwen_windows, others=shapes.qwen3_others),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "glm4_moe": _Family(feed_forward=shapes.deepseek_experts, others=shapes.glm4_others),
    "llama4_text": _Family(feed_forward=shapes.llama4_experts, windows=shapes.llama4_chunks),
    "gemma": _Family(tied=True),
    "gemma2": _Family(windows=shapes.every_second_limited, others=shapes.gemma2_others, tied=True),
    "gemma3_text": _Family(windows=shapes.every_sixth_unlimited, others=shapes.gemma3_others, tied=True),
    "phi": _Family(feed_forward=shapes.plain, others=shapes.phi_others),
    "phi3": _Family(windows=shapes.everywhere),
    "gpt_oss": _Family(
        feed_forward=shapes.gpt_oss_experts, windows=shapes.every_second_limited, others=shapes.gpt_oss_others
    ),
}
"""`model_type` -> how its file is read."""


def architecture(document: Mapping[str, object]) -> Architecture:
    """The architecture that a `config.json` describes.

    Raises: ValueError, in a sentence, for a family that is not known or a field that is missing or senseless.
    """
    keys = Keys(_decoder(document))
    name = keys.word("model_type")
    if name not in FAMILIES:
        msg = f"model_type {name!r} is not known; known are {', '.join(sorted(FAMILIES))}"
        raise ValueError(msg)
    family = FAMILIES[name]
    layers = keys.count("num_hidden_layers", most=LAYERS_MAX)
    attention = family.attention(keys)
    counted = Counter(
        zip(family.windows(keys, layers), (family.feed_forward(keys, layer) for layer in range(layers)), strict=True)
    )
    bare = Architecture(
        family=name,
        hidden=keys.count("hidden_size"),
        vocabulary=keys.count("vocab_size"),
        tied=keys.flag("tie_word_embeddings", default=family.tied),
        layers=tuple(
            Layers(count=count, attention=attention, feed_forward=feed_forward, window=window)
            for (window, feed_forward), count in counted.items()
        ),
        other_parameters=0,
    )
    return Architecture(
        family=bare.family, hidden=bare.hidden, vocabulary=bare.vocabulary, tied=bare.tied, layers=bare.layers,
        other_parameters=family.others(keys, bare),
    )  # fmt: skip


def stored_in(document: Mapping[str, object]) -> str | None:
    """The format that published weights are in, as `number_formats.WEIGHTS` calls it; None where the file does not say plainly."""
    quantised = document.get("quantization_config") or _decoder(document).get("quantization_config")
    if isinstance(quantised, dict):
        method, bits = quantised.get("quant_method"), quantised.get("bits")
        if method in ("awq", "gptq"):
            return "int4" if bits == 4 and isinstance(bits, int) else None  # noqa: PLR2004 - what the name says
        return next((known for known in ("fp8", "mxfp4") if method == known), None)
    return "fp16" if "float16" in (document.get("torch_dtype"), document.get("dtype")) else "bf16"


def quantised_how(document: Mapping[str, object]) -> str:
    """What a file says of the format of its weights where `stored_in` cannot tell, as a part of a sentence."""
    quantised = document.get("quantization_config") or _decoder(document).get("quantization_config")
    said = quantised if isinstance(quantised, dict) else {}
    told = [f"{key} {shown(said[key])}" for key in ("quant_method", "bits") if key in said]
    return f"quantization_config with {' and '.join(told) or 'no quant_method'}"


def _decoder(document: Mapping[str, object]) -> Mapping[str, object]:
    """The part that describes the decoder: models that see or hear keep it in a table of its own."""
    inner = document.get("text_config")
    return inner if isinstance(inner, dict) and "hidden_size" not in document else document
