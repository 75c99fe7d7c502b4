"""Bytes of the KV cache: per token, per sequence, in blocks, and over a tensor-parallel group."""

from __future__ import annotations

from fractions import Fraction

from apportion.domain.architecture import Architecture
from metering.efficiency.exact import Exact, ratio


def bytes_per_token(model: Architecture, element_bytes: Exact, tensor_parallel: int = 1) -> Exact:
    """Of one more token in every layer, over all GPUs of a group: 2·L·h_kv·d_h·b of heads, L·(rank + rope)·b of a latent.

    A latent has no factor 2, and is held by every GPU of the group. Scales of a quantised cache are not counted.
    """
    return element_bytes * sum(part.count * part.attention.kv_elements(tensor_parallel) for part in model.layers)


def bytes_of_context(model: Architecture, context: int, element_bytes: Exact, tensor_parallel: int = 1) -> Exact:
    """Of a sequence: layers with a window hold no more than that."""
    return element_bytes * sum(
        part.count * part.attention.kv_elements(tensor_parallel) * part.seen(context) for part in model.layers
    )


def allocated_tokens(tokens: int, block: int) -> int:
    """Tokens that a sequence takes room for where memory is given out in blocks."""
    return -(-tokens // block) * block


def expected_waste_tokens(block: int) -> Fraction:
    """What the last block of a sequence wastes on average: (block - 1) / 2 tokens."""
    return Fraction(block - 1, 2)


def waste(live: Exact, allocated: Exact) -> Fraction:
    """The part of allocated memory that holds no token: 1 - live / allocated. Source: Kwon et al. 2023, figure 2."""
    return 1 - ratio(live, allocated)


def capacity_tokens(memory_bytes: Exact, weight_bytes: Exact, other_bytes: Exact, token_bytes: Exact) -> int:
    """Whole tokens that fit beside weights, activations and graphs; 0 where those alone do not."""
    return max(0, ratio(memory_bytes - weight_bytes - other_bytes, token_bytes).__floor__())
