"""How each family of models shapes its layers: attention, feed-forward parts, windows, and what is not a projection.

Source: the modelling code of the `transformers` library, by `model_type`.
"""

from __future__ import annotations

from collections.abc import Callable

from apportion.config.huggingface_keys import Keys
from apportion.domain.architecture import Architecture, Attention, FeedForward

OfAttention = Callable[[Keys], Attention]
OfFeedForward = Callable[[Keys, int], FeedForward]


def heads(keys: Keys) -> Attention:
    """Attention of heads; one without `num_key_value_heads` has as many as there are queries."""
    query = keys.count("num_attention_heads")
    width = keys.count("hidden_size")
    kv = keys.count("num_key_value_heads", query)
    if query % kv:
        msg = f"num_attention_heads {query} is no multiple of num_key_value_heads {kv}"
        raise ValueError(msg)
    if keys.maybe("head_dim") is None and width % query:
        msg = f"hidden_size {width} is no multiple of num_attention_heads {query}, and there is no head_dim"
        raise ValueError(msg)
    head = keys.count("head_dim", width // query)
    return Attention(heads=query, kv_heads=kv, head_dim=head, value_dim=head)


def latent(keys: Keys) -> Attention:
    """Multi-head latent attention."""
    query = keys.count("num_attention_heads")
    rope = keys.count("qk_rope_head_dim")
    return Attention(
        heads=query, kv_heads=query, head_dim=keys.count("qk_nope_head_dim") + rope, value_dim=keys.count("v_head_dim"),
        query_rank=keys.count_or_none("q_lora_rank"), kv_rank=keys.count("kv_lora_rank"), rope_dim=rope,
    )  # fmt: skip


def gated(keys: Keys, _layer: int) -> FeedForward:
    """Gate, up and down."""
    return FeedForward(projections=3, width=keys.count("intermediate_size"))


def plain(keys: Keys, _layer: int) -> FeedForward:
    """Up and down."""
    return FeedForward(projections=2, width=keys.count("intermediate_size"))


def mixtral_experts(keys: Keys, _layer: int) -> FeedForward:
    """Experts in every layer, of the width that dense models have."""
    return _experts(keys, "num_local_experts", "intermediate_size")


def gpt_oss_experts(keys: Keys, _layer: int) -> FeedForward:
    """Experts in every layer, with biases of all three projections."""
    width, hidden = keys.count("intermediate_size"), keys.count("hidden_size")
    return _experts(keys, "num_local_experts", "intermediate_size", bias=2 * width + hidden)


def qwen_experts(keys: Keys, layer: int) -> FeedForward:
    """Experts in every `decoder_sparse_step`-th layer, but for `mlp_only_layers`; a shared one where its width is given."""
    if layer in (keys.listed("mlp_only_layers", int) or []) or (layer + 1) % keys.count("decoder_sparse_step", 1):
        return gated(keys, layer)
    return _experts(
        keys, "num_experts", "moe_intermediate_size", shared=keys.count_or_none("shared_expert_intermediate_size")
    )


def llama4_experts(keys: Keys, layer: int) -> FeedForward:
    """Experts and a shared one in every `interleave_moe_layer_step`-th layer; the dense ones have a width of their own."""
    if (layer + 1) % keys.count("interleave_moe_layer_step", 1):
        return FeedForward(projections=3, width=keys.count("intermediate_size_mlp"))
    return _experts(keys, "num_local_experts", "intermediate_size", shared=keys.count("intermediate_size"))


def deepseek_experts(keys: Keys, layer: int) -> FeedForward:
    """Experts in every `moe_layer_freq`-th layer after the first dense ones."""
    first = keys.count_or_none("first_k_dense_replace")
    if keys.maybe("n_routed_experts") is None or layer < first or layer % keys.count("moe_layer_freq", 1):
        return gated(keys, layer)
    shared = keys.count_or_none("n_shared_experts") * keys.count("moe_intermediate_size")
    return _experts(keys, "n_routed_experts", "moe_intermediate_size", shared=shared)


def _experts(keys: Keys, number: str, width: str, *, shared: int = 0, bias: int = 0) -> FeedForward:
    experts, active = keys.count(number), keys.count("num_experts_per_tok")
    if active > experts:
        msg = f"num_experts_per_tok {active} is more than {number} {experts}"
        raise ValueError(msg)
    return FeedForward(
        projections=3, width=keys.count(width), experts=experts, experts_active=active, shared_width=shared,
        expert_bias=bias,
    )  # fmt: skip


def unlimited(_keys: Keys, layers: int) -> list[int | None]:
    """No layer has a window."""
    return [None] * layers


def everywhere(keys: Keys, layers: int) -> list[int | None]:
    """Every layer has the window, if there is one."""
    return [keys.maybe("sliding_window")] * layers


def every_second_limited(keys: Keys, layers: int) -> list[int | None]:
    """The first layer has the window, the second has none, and so on."""
    return _typed(keys, layers, lambda layer: layer % 2 == 0)


def every_sixth_unlimited(keys: Keys, layers: int) -> list[int | None]:
    """Every `sliding_window_pattern`-th layer has no window."""
    pattern = keys.count("sliding_window_pattern", 6)
    return _typed(keys, layers, lambda layer: (layer + 1) % pattern != 0)


def llama4_chunks(keys: Keys, layers: int) -> list[int | None]:
    """Three layers of four read within a chunk of the context; taken for a window of that size, which is twice it at most."""
    chunk = keys.maybe("attention_chunk_size")
    return [None if (layer + 1) % 4 == 0 else chunk for layer in range(layers)]


def qwen_windows(keys: Keys, layers: int) -> list[int | None]:
    """The window is only for files that say so, and for layers from `max_window_layers` on."""
    if not keys.flag("use_sliding_window"):
        return unlimited(keys, layers)
    first = keys.count_or_none("max_window_layers")
    return _typed(keys, layers, lambda layer: layer >= first)


def _typed(keys: Keys, layers: int, limited: Callable[[int], bool]) -> list[int | None]:
    """By `layer_types`, where the file lists them; else by the family's pattern."""
    listed, window = keys.listed("layer_types", str), keys.maybe("sliding_window")
    if listed is None:
        return [window if limited(layer) else None for layer in range(layers)]
    if len(listed) != layers:
        msg = f"layer_types lists {len(listed)} layers, and num_hidden_layers is {layers}"
        raise ValueError(msg)
    unknown = sorted({str(kind) for kind in listed} - {"sliding_attention", "full_attention"})
    if unknown:
        msg = f"layer_types holds {', '.join(unknown)}; only sliding_attention and full_attention are known"
        raise ValueError(msg)
    return [window if kind == "sliding_attention" else None for kind in listed]


def llama_others(keys: Keys, model: Architecture) -> int:
    """Two norms to a layer and one at the end; biases of attention and of the feed-forward part where the file asks."""
    bias = _attention_bias(keys, model) if keys.flag("attention_bias") else 0
    feed_forward = 2 * keys.count("intermediate_size") + model.hidden if keys.flag("mlp_bias") else 0
    return _norms(model, 2) + _layers(model) * (bias + feed_forward)


def qwen2_others(keys: Keys, model: Architecture) -> int:
    """Biases of queries, keys and values; a gate of the shared expert."""
    attention = heads(keys)
    bias = attention.heads * attention.head_dim + 2 * attention.kv_heads * attention.head_dim
    gates = sum(part.count * model.hidden for part in model.layers if part.feed_forward.shared_width)
    return _norms(model, 2) + _layers(model) * bias + gates


def qwen3_others(keys: Keys, model: Architecture) -> int:
    """Norms of queries and keys."""
    return llama_others(keys, model) + _layers(model) * 2 * heads(keys).head_dim


def deepseek_others(keys: Keys, model: Architecture) -> int:
    """Norms of both latents, and a bias of each expert's score."""
    latents = keys.count_or_none("q_lora_rank") + keys.count("kv_lora_rank")
    scored = keys.word("model_type") != "deepseek_v2"
    scores = sum(part.count * part.feed_forward.experts for part in model.layers) if scored else 0
    return _norms(model, 2) + _layers(model) * latents + scores


def glm4_others(keys: Keys, model: Architecture) -> int:
    """Biases of queries, keys and values, norms of queries and keys where the file asks, and a bias of each expert's score."""
    attention = heads(keys)
    bias = (attention.heads + 2 * attention.kv_heads) * attention.head_dim if keys.flag("attention_bias") else 0
    norms = 2 * attention.head_dim if keys.flag("use_qk_norm") else 0
    scores = sum(part.count * part.feed_forward.experts for part in model.layers)
    return _norms(model, 2) + _layers(model) * (bias + norms) + scores


def gemma2_others(_keys: Keys, model: Architecture) -> int:
    """Four norms to a layer."""
    return _norms(model, 4)


def gemma3_others(keys: Keys, model: Architecture) -> int:
    """Four norms to a layer, and norms of queries and keys."""
    return _norms(model, 4) + _layers(model) * 2 * heads(keys).head_dim


def phi_others(keys: Keys, model: Architecture) -> int:
    """One norm with a bias to a layer, and biases of everything."""
    layer = 2 * model.hidden + _attention_bias(keys, model) + keys.count("intermediate_size") + model.hidden
    return _layers(model) * layer + 2 * model.hidden + model.vocabulary


def gpt_oss_others(keys: Keys, model: Architecture) -> int:
    """Biases of attention and router, and a sink to each head."""
    experts = keys.count("num_local_experts")
    return _norms(model, 2) + _layers(model) * (_attention_bias(keys, model) + heads(keys).heads + experts)


def _attention_bias(keys: Keys, model: Architecture) -> int:
    attention = heads(keys)
    return (attention.heads + 2 * attention.kv_heads) * attention.head_dim + model.hidden


def _norms(model: Architecture, each: int) -> int:
    return (each * _layers(model) + 1) * model.hidden


def _layers(model: Architecture) -> int:
    return sum(part.count for part in model.layers)
