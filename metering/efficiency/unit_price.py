"""From the price of hours to the price of tokens: what a figure is divided by is in its name.

Amounts are in whole units of money; token prices are per million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from metering.efficiency.exact import Exact, ratio

MILLION = 1_000_000
SECONDS_PER_DAY = 86_400


def fleet_cost(nodes: Exact, gpus_per_node: int, hours: Exact, per_gpu_hour: Exact) -> Exact:
    """Of a mean number of nodes over a time."""
    return nodes * gpus_per_node * hours * per_gpu_hour


def per_million(cost: Exact, tokens: Exact) -> Fraction:
    """A cost by the tokens it is spread over. By output tokens or by all of them are alternatives, never addends."""
    return ratio(cost * MILLION, tokens)


def per_million_at(per_gpu_hour: Exact, tokens_per_second: Exact, gpus: int = 1) -> Fraction:
    """What a throughput makes of the price of an hour, at full load."""
    return ratio(per_gpu_hour * gpus * MILLION, tokens_per_second * 3600)


def of_usage(tokens: Mapping[str, int], price_per_million: Mapping[str, Exact]) -> Fraction:
    """The price of disjoint token kinds. Raises: ValueError for tokens of a kind that has no price: missing is not free."""
    unpriced = sorted(kind for kind, count in tokens.items() if count and kind not in price_per_million)
    if unpriced:
        msg = f"{', '.join(unpriced)} tokens have no price; add one"
        raise ValueError(msg)
    paid = sum((Fraction(price_per_million[kind]) * count for kind, count in tokens.items() if count), Fraction(0))
    return ratio(paid, MILLION)


def hit_rate(cache_read: int, prompt: int) -> Fraction:
    """Cached tokens by all of the prompt, of which they are a part."""
    return ratio(cache_read, prompt)


def margin(revenue: Exact, cost: Exact) -> Fraction:
    """Profit by cost: 5.45 where the revenue is 6.45 times the cost."""
    return ratio(revenue - cost, cost)


def groups_needed(tokens_per_day: int, tokens_per_second: Exact) -> Fraction:
    """Nodes, or GPUs, that a day's tokens keep busy all day at a throughput per node, or GPU."""
    return ratio(tokens_per_day, SECONDS_PER_DAY * tokens_per_second)
