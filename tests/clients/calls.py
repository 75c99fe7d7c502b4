"""What is asked of a real LiteLLM proxy, and what that comes to: two teams, and each way in which a call can end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.clients.litellm.proxy import ADS, SEARCH, Proxy
from tests.clients.serving import NANO_PER_WEIGHTED_TOKEN, WEIGHTS
from tests.clients.upstream import Upstream

SPOOFED = {
    "user": "team-search",
    "metadata": {
        "user_api_key_team_id": "team-search",
        "user_api_key_team_alias": "team-search",
        "team_id": "team-search",
        "team": "team-search",
        "cost_center": "CC-100",
        "spend_logs_metadata": {"team": "team-search", "cost_center": "CC-100"},
        "requester_metadata": {"team": "team-search"},
        "tags": ["team:team-search", "cost_center:CC-100"],
    },
}
"""What a caller of the other team writes into its request."""

SPOOFED_HEADERS = {
    "x-litellm-tags": "team:team-search",
    "x-litellm-spend-logs-metadata": json.dumps({"team": "team-search", "cost_center": "CC-100"}),
    "x-litellm-end-user-id": "team-search",
}


@dataclass
class Asked:
    """What was asked for, call by call.

    Attributes:
        tokens: (team, token kind) -> tokens of every call whose counts the upstream told.
        names: what a call was about, in the order of the calls.
        statuses: what LiteLLM answered, by name.
    """

    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)

    def call(
        self,
        proxy: Proxy,
        name: str,
        key: str,
        usage: Mapping[str, int],
        *,
        counts: bool = True,
        more: str = "",
        **how: Any,
    ) -> None:
        """One call whose upstream tells this usage.

        Args:
            proxy: that is called.
            name: what it is about.
            key: whose it is.
            usage: `prompt`, `completion`, `cached` and `reasoning` tokens.
            counts: whether a GPU worked for it and told what it did.
            more: wishes of the upstream besides.
            how: of the body and the headers.
        """
        message = " ".join([*(f"{kind}={number}" for kind, number in usage.items()), more]).strip()
        self.names.append(name)
        self.statuses[name], _ = proxy.chat(key, message, **how)
        if counts:
            team, cached, thought = TEAMS[key], usage.get("cached", 0), usage.get("reasoning", 0)
            self.tokens[team, "uncached_input"] += usage["prompt"] - cached
            self.tokens[team, "cache_read"] += cached
            self.tokens[team, "output"] += usage["completion"] - thought
            self.tokens[team, "reasoning"] += thought

    def told(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(team, token kind) -> tokens and nano-dollars that have to be on its lines."""
        return {
            key: (tokens, tokens * WEIGHTS[key[1]] * NANO_PER_WEIGHTED_TOKEN)
            for key, tokens in self.tokens.items()
            if tokens
        }


TEAMS = {SEARCH: "search", ADS: "ads"}


def ask_everything(proxy: Proxy, upstream: Upstream) -> Asked:
    """One call of every sort."""
    asked = Asked()
    asked.call(proxy, "plain", SEARCH, {"prompt": 1200, "cached": 1024, "completion": 30, "reasoning": 12})
    asked.call(proxy, "of the other team", ADS, {"prompt": 300, "completion": 41})
    usage = {"stream_options": {"include_usage": True}}
    asked.call(proxy, "streamed", SEARCH, {"prompt": 101, "cached": 64, "completion": 21}, stream=True, **usage)
    asked.call(proxy, "streamed without asking for usage", ADS, {"prompt": 103, "completion": 23}, stream=True)
    silent: dict[str, Any] = {"more": "silent=1", "counts": False, "stream": True}
    asked.call(proxy, "streamed and never told", ADS, {"prompt": 107, "completion": 29}, **silent)
    asked.call(proxy, "failed", ADS, {"prompt": 109, "completion": 31}, more="fail=503", counts=False)
    asked.call(proxy, "of nobody", "sk-of-nobody", {"prompt": 113, "completion": 37}, counts=False)
    cached: dict[str, Any] = {"cache": {"use-cache": True}}
    asked.call(proxy, "put into the cache", SEARCH, {"prompt": 127, "completion": 43}, **cached)
    asked.call(proxy, "from the cache", SEARCH, {"prompt": 127, "completion": 43}, counts=False, **cached)
    asked.call(proxy, "mocked", ADS, {"prompt": 10, "completion": 20}, model="mock")
    asked.call(proxy, "spoofed", ADS, {"prompt": 131, "completion": 47}, headers=SPOOFED_HEADERS, **SPOOFED)
    asked.names.append("left by its client")
    proxy.leave(SEARCH, "prompt=137 completion=53 hold=1", lines=4)
    assert upstream.gone.wait(60), "LiteLLM goes on reading for a client that has left"
    return asked
