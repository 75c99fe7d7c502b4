"""Providers as gateways and price lists spell them, by one name each: that of the genai-prices catalog where it has one."""

from __future__ import annotations

import re
from typing import Final

_VENDORS: Final = {
    "anthropic": r"anthropic",
    "aws": r"aws.*|bedrock.*|amazon.*",
    "azure": r"azure.*|az\.ai\..*",
    "cerebras": r"cerebras",
    "cloudflare": r"cloudflare|workers-ai",
    "cohere": r"cohere(_chat)?",
    "databricks": r"databricks",
    "deepseek": r"deepseek",
    "fireworks": r"fireworks(_ai|-ai|\.ai)?(-embedding-models)?",
    "google": r"google.*|vertex.*|gemini|palm|gcp(\..*)?",
    "groq": r"groq",
    "mistral": r"mistral(_ai|ai|-ai)?",
    "moonshotai": r"moonshot(ai)?",
    "openai": r"openai(_like)?|text-completion-openai",
    "openrouter": r"openrouter",
    "perplexity": r"perplexity",
    "together": r"together([_-]?ai)?",
    "voyageai": r"voyage(ai)?",
    "x-ai": r"x[_-]?ai",
}


def vendor(provider: str) -> str:
    """The one name of a provider; in lower case as it is where nothing is known of it."""
    lowered = provider.lower().strip()
    return next((name for name, spelt in _VENDORS.items() if re.fullmatch(spelt, lowered)), lowered)


def names(provider: str, model: str) -> list[str]:
    """What a price list may call a model, likeliest first: as it is, and without its provider's name and a slash before it."""
    before, slash, rest = model.partition("/")
    return [model, rest] if slash and rest and vendor(before) == vendor(provider) else [model]
