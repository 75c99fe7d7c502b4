"""FLOPs of tokens through a model, forward; one multiplication with its addition is two.

Source: Kaplan et al. 2020, 2.1, with the attention term of query heads (not of KV heads) and the LM head, without the input
embedding. Norms, activations and softmax are left out: about a thousandth.
"""

from __future__ import annotations

from apportion.domain.architecture import Architecture


def linear(model: Architecture) -> int:
    """Of one token through the layers' projections: of a mixture, through the experts it is routed to."""
    return 2 * model.linear_parameters


def head(model: Architecture) -> int:
    """Of one token through the LM head."""
    return 2 * model.head_parameters


def attention(model: Architecture, context: int, *, absorbed: bool = False) -> int:
    """Of one query with so many tokens of context, in all layers; a layer with a window reads no more than that."""
    return sum(part.count * part.attention.pair_flops(absorbed=absorbed) * part.seen(context) for part in model.layers)


def decode_token(model: Architecture, context: int, *, absorbed: bool = False) -> int:
    """Of one generated token that reads so many tokens of context."""
    return linear(model) + head(model) + attention(model, context, absorbed=absorbed)


def decode(model: Architecture, tokens: int, context: int, *, absorbed: bool = False) -> int:
    """Of so many tokens generated one after the other: the first reads `context` tokens, each later one reads one more."""
    through = tokens * (linear(model) + head(model))
    return through + _pairs(model, context, context + tokens - 1, absorbed=absorbed)


def prefill(model: Architecture, tokens: int, cached: int = 0, *, causal: bool = True) -> int:
    """Of so many new prompt tokens behind so many cached ones; the LM head is passed once, by the last.

    With `causal` a token reads those before it and itself; without, each reads all of the prompt, as vLLM's estimates and the
    convention for training (6N + 12LHQT) have it, which is about 4 % more on 2,048 tokens of a 7B model.
    """
    if tokens == 0:
        return 0
    through = tokens * linear(model) + head(model)
    if causal:
        return through + _pairs(model, cached + 1, cached + tokens, absorbed=False)
    return through + tokens * attention(model, cached + tokens)


def training_token(parameters: int, layers: int, heads: int, head_dim: int, sequence: int) -> int:
    """Of one token forward and backward, 6N + 12LHQT without causal halving. Source: Chowdhery et al. 2022, appendix B."""
    return 6 * parameters + 12 * layers * heads * head_dim * sequence


def _pairs(model: Architecture, first: int, last: int, *, absorbed: bool) -> int:
    """Of queries that read first, first + 1, ..., last tokens."""
    return sum(
        part.count * part.attention.pair_flops(absorbed=absorbed) * _seen(part.window, first, last)
        for part in model.layers
    )


def _seen(window: int | None, first: int, last: int) -> int:
    """Sum of min(tokens, window) for tokens from first to last."""
    if last < first:
        return 0
    grown = last if window is None else max(first - 1, min(last, window))
    limited = (last - grown) * (window or 0)
    return (first + grown) * (grown - first + 1) // 2 + limited
