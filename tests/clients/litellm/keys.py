"""Who may call the proxy, in place of its database: LiteLLM's `custom_auth`. Runs in LiteLLM's process, not in the tests'."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

KEYS: dict[str, dict[str, Any]] = {
    "sk-search-key": {"team_id": "team-search", "team_alias": "Search", "key_alias": "search-prod", "user_id": "alice"},
    "sk-ads-key": {"team_id": "team-ads", "team_alias": "Ads", "key_alias": "ads-prod", "user_id": "bob"},
}


async def user_api_key_auth(request: object, api_key: str) -> UserAPIKeyAuth:
    """What is known of a key."""
    del request
    if api_key not in KEYS:
        raise HTTPException(status_code=401, detail="no such key")
    return UserAPIKeyAuth(api_key=api_key, **KEYS[api_key])
