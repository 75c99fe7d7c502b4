"""LiteLLM's price file: read exactly, matched by provider, compared with the catalog."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from apportion.domain.errors import ConfigError
from apportion.prices import catalog, doubts, litellm

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MODELS = """{
    "sample_spec": "a text",
    "gpt-5": {"litellm_provider": "openai", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
              "cache_read_input_token_cost": 1.3e-07, "input_cost_per_token_batches": 6.25e-07},
    "azure/gpt-5": {"litellm_provider": "azure", "input_cost_per_token": 2e-06},
    "gemini/gemini-2.5-pro": {"litellm_provider": "gemini", "input_cost_per_token_above_200k_tokens": 2.6e-06,
                              "output_cost_per_token": true},
    "gemini-2.5-pro": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1.25e-06}
}"""


@pytest.fixture
def prices(tmp_path: Path) -> litellm.PriceFile:
    """A small file, written on the first of October."""
    file = tmp_path / "prices.json"
    file.write_text(MODELS, encoding="utf-8")
    then = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
    os.utime(file, (then, then))
    return litellm.read(file)


def test_costs_are_exact(prices: litellm.PriceFile) -> None:
    """Dollars per token in scientific notation, as pico; what is no number is no price."""
    assert prices.pico("openai", "openai/gpt-5", "", 0) == {
        "uncached_input": 1_250_000,
        "cache_read": 130_000,
        "output": 10**7,
    }
    assert prices.pico("openai", "gpt-5", "batch", 0) == {"uncached_input": 625_000}
    assert prices.pico("gemini", "gemini-2.5-pro", "", 200_000) == {"uncached_input": 2_600_000}
    assert prices.pico("gemini", "gemini/gemini-2.5-pro", "", 0) == {}
    assert prices.pico("vertex_ai", "gemini-2.5-pro", "", 0) == {"uncached_input": 1_250_000}


def test_another_sellers_price_is_not_it(prices: litellm.PriceFile) -> None:
    """By the provider that the entry names; tiers and lengths that the file does not know have nothing."""
    assert prices.pico("azure", "gpt-5", "", 0) == {"uncached_input": 2_000_000}
    assert prices.pico("groq", "gpt-5", "", 0) == {}
    assert prices.pico("openai", "gpt-5", "scale", 0) == {}
    assert prices.pico("openai", "gpt-5", "", 1001) == {}


def test_a_file_says_which_it_is(prices: litellm.PriceFile, tmp_path: Path) -> None:
    """By its content, and the day it was written."""
    assert (prices.version, prices.dated) == (litellm.digest(tmp_path / "prices.json")[:12], date(2026, 10, 1))


@pytest.mark.parametrize(("content", "said"), [("{", "is not JSON"), ("[]", "no object of models")])
def test_another_file_is_told_apart(tmp_path: Path, content: str, said: str) -> None:
    """With what belongs there."""
    file = tmp_path / "prices.json"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigError, match=f"prices.litellm.*{said}"):
        litellm.read(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        litellm.digest(tmp_path / "none.json")


def test_a_disagreement_has_both_figures_and_dates(prices: litellm.PriceFile) -> None:
    """Only where both have a price in force, and not the same; what the catalog takes from another price is no figure of its."""
    names = [("openai", "gpt-5"), ("gemini", "gemini/gemini-2.5-pro"), ("nobody", "gpt-5")]
    found = doubts.compared(names, prices, NOW)

    assert [(one["model_id"], one["tier"], one["above_input_tokens"], one["token_kind"], one["price_pico"], one["other_pico"]) for one in found] == [
        ("gpt-5", "", 0, "cache_read", 125_000, 130_000),
        ("gemini/gemini-2.5-pro", "", 200_000, "uncached_input", 2_500_000, 2_600_000),
    ]  # fmt: skip
    assert {(one["source"], one["source_version"], one["other_date"]) for one in found} == {
        ("genai-prices", catalog.version(), "2026-10-01")
    }
    assert json.dumps(prices.models["gpt-5"], default=str)
