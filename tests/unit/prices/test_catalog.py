"""The catalog of genai-prices as rows: dated, by tier, prompt length and time of day, exactly as it prices itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from genai_prices import Usage, calc_price
from hypothesis import event, given, settings
from hypothesis import strategies as st

from apportion.domain.period import FOREVER
from apportion.prices import catalog
from apportion.prices.catalog import CatalogPrice, prices
from apportion.prices.vendors import names, vendor

DAY_US = 86_400_000_000


def of(provider: str, model: str, when: datetime, tier: str = "", prompt: int = 1) -> CatalogPrice | None:
    """The one row that prices a request."""
    day_us = (when - when.replace(hour=0, minute=0, second=0, microsecond=0)) // timedelta(microseconds=1)
    fitting = [
        price
        for price in prices(provider, model)
        if price.tier == tier
        and price.effective.start <= when < price.effective.end
        and price.daily[0] <= day_us < price.daily[1]
        and (not price.above_input_tokens or prompt > price.above_input_tokens)
    ]
    bands = [price.above_input_tokens for price in fitting]
    assert len(bands) == len(set(bands))
    return max(fitting, key=lambda price: price.above_input_tokens, default=None)


def test_a_price_begins_on_its_day() -> None:
    """o3 fell from 10 to 2 dollars on 2025-06-10, at midnight UTC."""
    cut = datetime(2025, 6, 10, tzinfo=UTC)
    before, after = of("openai", "o3", cut - timedelta(microseconds=1)), of("openai", "o3", cut)

    assert before is not None
    assert after is not None
    assert (before.pico["uncached_input"], after.pico["uncached_input"]) == (10_000_000, 2_000_000)
    assert (before.effective.end, after.effective.end) == (cut, FOREVER)


def test_a_price_may_go_by_the_time_of_day() -> None:
    """DeepSeek's discount, 16:30 to 00:30 UTC, over midnight."""
    day = datetime(2025, 2, 28, tzinfo=UTC)
    moments = [timedelta(minutes=30), timedelta(hours=16, minutes=30), timedelta(hours=23), timedelta(minutes=29)]
    found = [of("deepseek", "deepseek-reasoner", day + moment) for moment in moments]

    assert [price.pico["uncached_input"] for price in found if price] == [550_000, 135_000, 135_000, 135_000]


def test_long_prompts_cost_more_as_a_whole() -> None:
    """Gemini 2.5 Pro above 200,000 tokens."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    at_n, above_n = (of("google", "gemini-2.5-pro", now, prompt=prompt) for prompt in (200_000, 200_001))

    assert at_n is not None
    assert above_n is not None
    assert (at_n.pico["uncached_input"], at_n.pico["output"]) == (1_250_000, 10_000_000)
    assert (above_n.pico["uncached_input"], above_n.pico["output"]) == (2_500_000, 15_000_000)


def test_a_tier_is_priced_from_when_the_catalog_knows_it() -> None:
    """Before, it would take the standard price in silence; there is no row then."""
    known = datetime(2026, 10, 14, tzinfo=UTC)
    batch = of("openai", "gpt-5", known, "batch")

    assert of("openai", "gpt-5", known - timedelta(seconds=1), "batch") is None
    assert batch is not None
    assert batch.pico["output"] == 5_000_000
    assert of("openai", "gpt-5", known, "no-such-tier") is None
    assert {price.tier for price in prices("azure", "gpt-5")} == {""}, "another seller's tiers are not known"


def test_no_cache_price_is_made_up() -> None:
    """Llama 4 at Together has no price for cached tokens; reasoning is output, and says so."""
    price = of("together_ai", "meta-llama/Llama-4-Scout-17B-16E-Instruct", datetime(2026, 11, 1, tzinfo=UTC))

    assert price is not None
    assert (price.pico["cache_read"], price.pico["cache_write"]) == (None, None)
    assert price.pico["reasoning"] == price.pico["output"]
    assert price.derived == {"reasoning": "output"}


def test_a_tier_says_what_it_takes_from_the_standard_one() -> None:
    """Gemini's batch prices name no cached tokens: the catalog prices those as ever."""
    price = of("gemini", "gemini-2.5-pro", datetime(2026, 11, 1, tzinfo=UTC), "batch")

    assert price is not None
    assert (price.pico["uncached_input"], price.pico["cache_read"]) == (625_000, 125_000)
    assert price.derived == {"cache_read": "standard", "reasoning": "output"}


@pytest.mark.parametrize(
    ("provider", "model", "pico"),
    [
        ("openai", "gpt-4o-2024-08-06", 2_500_000),
        ("openai", "openai/gpt-4o-2024-08-06", 2_500_000),
        ("azure", "gpt-4o-2024-08-06", 2_500_000),
        ("azure.ai.openai", "gpt-4o-2024-08-06", 2_500_000),
        ("anthropic", "claude-sonnet-4-5-20250929", 3_000_000),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3_300_000),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3_300_000),
        ("vertex_ai", "gemini-2.5-pro", 1_250_000),
        ("gcp.gemini", "gemini-2.5-pro", 1_250_000),
        ("gemini", "gemini/gemini-2.5-pro", 1_250_000),
        ("xai", "grok-4", 3_000_000),
        ("x_ai", "grok-4", 3_000_000),
    ],
)
def test_names_of_our_sources_are_understood(provider: str, model: str, pico: int) -> None:
    """Providers as gateways and conventions spell them, models with dates and prefixes."""
    price = of(provider, model, datetime(2026, 11, 1, tzinfo=UTC))

    assert price is not None
    assert price.pico["uncached_input"] == pico


def test_what_is_unknown_has_no_price() -> None:
    """No guess by the model's name at a provider that the catalog does not know, nor the other way round."""
    assert prices("nobody", "gpt-4o") == []
    assert prices("openai", "claude-sonnet-4-5") == []
    assert prices("openai", "*") == []
    assert vendor("Nobody ") == "nobody"
    assert names("openai", "azure/gpt-4o") == ["azure/gpt-4o"]


MODELS = [
    ("openai", "gpt-4o"), ("openai", "o3"), ("openai", "gpt-5.4"), ("anthropic", "claude-sonnet-4-5"), ("google", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat"), ("x-ai", "grok-4"), ("openai", "gpt-5"),
]  # fmt: skip
KINDS = ("uncached_input", "cache_read", "cache_write", "output")


@settings(max_examples=60)
@given(
    minutes=st.integers(0, 3 * 366 * 1440), model=st.sampled_from(MODELS),
    tier=st.sampled_from(["", "", "batch", "flex", "priority"]), counts=st.tuples(*[st.integers(0, 200_000)] * 4),
)  # fmt: skip
def test_rows_price_as_the_catalog_does(
    minutes: int, model: tuple[str, str], tier: str, counts: tuple[int, int, int, int]
) -> None:
    """Any time, model, tier and counts: the sum over kinds is what the library itself answers."""
    when = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    uncached, read, written, output = counts
    tier = tier if of(*model, when, tier, uncached + read + written) else ""
    row = of(*model, when, tier, uncached + read + written)
    assert row is not None
    if row.pico["cache_write"] is None:  # it would be priced as input, which no row does
        uncached, written = uncached + written, 0
    event(tier or "standard")
    context = {"": None, "batch": {"processing": "batch"}}.get(tier, {"service_tier": tier})
    usage = Usage(
        input_tokens=uncached + read + written, cache_read_tokens=read, cache_write_tokens=written, output_tokens=output
    )
    answered = calc_price(usage, model[1], provider_id=model[0], genai_request_timestamp=when, price_context=context)
    ours = sum(
        count * (row.pico[kind] or 0) for kind, count in zip(KINDS, (uncached, read, written, output), strict=True)
    )

    assert ours == answered.total_price * 10**12


def test_the_version_is_the_installed_one() -> None:
    """It stands on every row."""
    assert catalog.version().split(".")[0].isdigit()
