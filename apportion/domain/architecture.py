"""The shape of a decoder model: what a token multiplies with, and what it leaves in the KV cache. Exact integers throughout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One layer's attention: of heads (MHA, GQA, MQA), or latent (MLA) where `kv_rank` is set.

    Attributes:
        heads: query heads.
        kv_heads: key and value heads; of latent attention as many as query heads, which nothing caches.
        head_dim: width of a query and a key; of latent attention with the rotary part.
        value_dim: width of a value.
        query_rank: width that queries are compressed to; 0 where they are not.
        kv_rank: width of the latent that keys and values are made of; 0 where they are cached themselves.
        rope_dim: width of the rotary key that is cached beside the latent; 0 without one.
    """

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    query_rank: int = 0
    kv_rank: int = 0
    rope_dim: int = 0

    def parameters(self, hidden: int) -> int:
        """Weights of the projections, without biases. Source: efficiency of dense and of DeepSeek-V2's attention."""
        if not self.kv_rank:
            keys_and_values = self.kv_heads * (self.head_dim + self.value_dim)
            return hidden * (self.heads * self.head_dim + keys_and_values) + self.heads * self.value_dim * hidden
        queries = (
            self.query_rank * (hidden + self.heads * self.head_dim)
            if self.query_rank
            else hidden * self.heads * self.head_dim
        )
        up = self.kv_rank * self.heads * (self.head_dim - self.rope_dim + self.value_dim)
        return queries + hidden * (self.kv_rank + self.rope_dim) + up + self.heads * self.value_dim * hidden

    def pair_flops(self, *, absorbed: bool = False) -> int:
        """FLOPs of one query with one token of context: scores and the weighted sum of values, of all query heads.

        Args:
            absorbed: latent attention as decode kernels compute it, on the latent itself: more FLOPs, far fewer bytes.
        """
        if absorbed and self.kv_rank:
            return 2 * self.heads * (self.kv_rank + self.rope_dim) + 2 * self.heads * self.kv_rank
        return 2 * self.heads * (self.head_dim + self.value_dim)

    def kv_elements(self, tensor_parallel: int = 1) -> int:
        """Elements that all GPUs of a tensor-parallel group together cache for one token.

        Heads are spread over the group, and repeated where there are fewer of them than GPUs; a latent is on every GPU.
        """
        if self.kv_rank:
            return (self.kv_rank + self.rope_dim) * tensor_parallel
        held = -(-self.kv_heads // tensor_parallel) * tensor_parallel
        return held * (self.head_dim + self.value_dim)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """One layer's feed-forward part: dense, or a mixture where there are `experts`.

    Attributes:
        projections: 3 of a gated one, 2 of a plain one.
        width: of the dense part, or of one expert.
        experts: how many a token can be routed to; 0 for a dense one.
        experts_active: how many it is routed to.
        shared_width: width of what every token passes besides; 0 for none.
        expert_bias: parameters of one expert beyond its projections.
    """

    projections: int
    width: int
    experts: int = 0
    experts_active: int = 0
    shared_width: int = 0
    expert_bias: int = 0

    def expert_parameters(self, hidden: int) -> int:
        """Of one expert, or of the whole dense part."""
        return self.projections * hidden * self.width + self.expert_bias

    def every_token_parameters(self, hidden: int) -> int:
        """Of the router and of what every token passes, in a mixture."""
        return (self.projections * self.shared_width + self.experts) * hidden

    def parameters(self, hidden: int) -> int:
        """All of them."""
        return self.every_token_parameters(hidden) + max(1, self.experts) * self.expert_parameters(hidden)

    def active_parameters(self, hidden: int) -> int:
        """Those that one token is multiplied with."""
        return self.every_token_parameters(hidden) + (self.experts_active or 1) * self.expert_parameters(hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Layers of one shape.

    Attributes:
        count: how many.
        attention: of each.
        feed_forward: of each.
        window: tokens that a query looks back at most, itself included; None for all of them.
    """

    count: int
    attention: Attention
    feed_forward: FeedForward
    window: int | None = None

    def seen(self, context: int) -> int:
        """How many tokens of a context are read."""
        return context if self.window is None else min(context, self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A decoder model.

    Attributes:
        family: what its makers call the kind, such as `llama`.
        hidden: width of the residual stream.
        vocabulary: tokens it knows.
        tied: whether the LM head is the input embedding.
        layers: by shape.
        other_parameters: norms, biases and whatever else is not a projection.
    """

    family: str
    hidden: int
    vocabulary: int
    tied: bool
    layers: tuple[Layers, ...]
    other_parameters: int

    @property
    def head_parameters(self) -> int:
        """Of the LM head, which every token that is made passes, tied or not."""
        return self.hidden * self.vocabulary

    @property
    def parameters(self) -> int:
        """All that are stored."""
        stored = self.head_parameters * (1 if self.tied else 2) + self.other_parameters
        return stored + sum(
            part.count * (part.attention.parameters(self.hidden) + part.feed_forward.parameters(self.hidden))
            for part in self.layers
        )

    @property
    def linear_parameters(self) -> int:
        """Those of the layers' projections that one token is multiplied with; neither embedding nor LM head."""
        return sum(
            part.count * (part.attention.parameters(self.hidden) + part.feed_forward.active_parameters(self.hidden))
            for part in self.layers
        )

    @property
    def active_parameters(self) -> int:
        """Those that one generated token is multiplied with: an input embedding is looked up, the LM head is not."""
        return self.linear_parameters + self.head_parameters

    def plain(self) -> dict[str, Any]:
        """Plain numbers and texts, from which `restored` makes it again."""
        return asdict(self)


def restored(plain: Mapping[str, Any]) -> Architecture:
    """An architecture from what `Architecture.plain` gave."""
    layers = tuple(
        Layers(
            count=part["count"],
            window=part["window"],
            attention=Attention(**part["attention"]),
            feed_forward=FeedForward(**part["feed_forward"]),
        )
        for part in plain["layers"]
    )
    return Architecture(**{**plain, "layers": layers})
