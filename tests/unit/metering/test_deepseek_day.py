"""A published day of a fleet: 24 hours of DeepSeek's inference service, ended 2025-02-28, from tokens and nodes to prices.

Source: DeepSeek open-infra-index, day 6: 608 G input tokens (342 G of them from cache) and 168 G output tokens on 226.75 nodes
of 8 GPUs at 2 USD per GPU-hour; a node reads about 73,700 and makes about 14,800 tokens per second.
"""

from __future__ import annotations

from fractions import Fraction

from apportion.domain.money import NANO, half_even, split
from metering.efficiency import unit_price
from metering.efficiency.coefficients import throughput

INPUT, CACHED, OUTPUT = 608 * 10**9, 342 * 10**9, 168 * 10**9
COST_NANO = 87_072 * NANO
KNOWN = throughput(73_700 * 1000 // 8, 14_800 * 1000 // 8)
"""Of one GPU in eight of a node."""


def shares() -> dict[str, int]:
    """GPU-picoseconds of each phase, as an hour's work is weighed."""
    return {
        "prefill": (INPUT - CACHED) * KNOWN.uncached_input_ps + CACHED * KNOWN.cache_read_ps,
        "decode": OUTPUT * KNOWN.output_ps,
    }


def test_the_fleet_cost_87072_dollars() -> None:
    """226.75 nodes of 8 GPUs for a day at 2 USD, to the nano."""
    assert half_even(Fraction(unit_price.fleet_cost(Fraction("226.75"), 8, 24, 2 * NANO))) == COST_NANO


def test_the_phases_add_up_to_the_cost() -> None:
    """36,646 USD of prefill and 50,426 USD of decode, to the nano."""
    parts = split(COST_NANO, shares())

    assert sum(parts.values()) == COST_NANO
    assert {phase: nano // NANO for phase, nano in parts.items()} == {"prefill": 36_646, "decode": 50_425}


def test_input_costs_six_cents_and_output_thirty() -> None:
    """Each phase's cost over its own tokens: 0.060 and 0.300 USD per million."""
    parts = split(COST_NANO, shares())
    per_million = {
        phase: unit_price.per_million(Fraction(parts[phase], NANO), tokens)
        for phase, tokens in (("prefill", INPUT), ("decode", OUTPUT))
    }

    assert {phase: f"{float(usd):.3f}" for phase, usd in per_million.items()} == {"prefill": "0.060", "decode": "0.300"}


def test_the_throughputs_explain_the_nodes() -> None:
    """The day's tokens keep 226.86 nodes busy at the published speeds; 226.75 were occupied on average."""
    needed = unit_price.groups_needed(INPUT, 73_700) + unit_price.groups_needed(OUTPUT, 14_800)

    assert f"{float(needed):.2f}" == "226.86"
    assert abs(needed - Fraction("226.75")) / Fraction("226.75") < Fraction(1, 1000)


def test_revenue_at_list_prices_is_545_percent_above_cost() -> None:
    """Nine sixteenths of the input came from cache (56.3 % as printed), and pay the price of cache reads: 562,027 USD published, 562,100 of rounded tokens."""
    tokens = {"cache_read": CACHED, "uncached_input": INPUT - CACHED, "output": OUTPUT}
    prices = {"cache_read": Fraction("0.14"), "uncached_input": Fraction("0.55"), "output": Fraction("2.19")}
    revenue = unit_price.of_usage(tokens, prices)

    assert revenue == 562_100
    assert abs(revenue - 562_027) / 562_027 < Fraction(2, 10_000)
    assert unit_price.hit_rate(CACHED, INPUT) == Fraction(9, 16)
    assert int(100 * unit_price.margin(562_027, 87_072)) == 545


def test_one_cost_over_two_denominators_is_two_figures() -> None:
    """By output alone or by all tokens: alternatives, never addends."""
    by_output, by_all = unit_price.per_million(87_072, OUTPUT), unit_price.per_million(87_072, INPUT + OUTPUT)

    assert (f"{float(by_output):.4f}", f"{float(by_all):.4f}") == ("0.5183", "0.1122")
    assert by_output * OUTPUT == by_all * (INPUT + OUTPUT)
