"""Whom and what landing believes, whoever reports: names, clocks, people and claims."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from ingest import registry
from ingest.formats.claims import MARK
from ingest.slices import RECORD_BYTES_MAX
from tests.unit.ingest.desk import NOON, Desk, event
from tests.unit.ingest.telemetry import END_NS, land, span, spans
from tests.unit.ingest.test_gateways import PERSON, log
from tests.unit.ingest.test_litellm import END, payload

AT = "2026-10-15T11:00:00Z"
USED = {"prompt_tokens": 30, "completion_tokens": 4}
TOLD = {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 1, "gen_ai.response.id": "r"}
HOUR_NS = 3_600_000_000_000
SPEND = {"request_id": "r", "api_key": "k", "model": "m", "endTime": AT, "prompt_tokens": 9, "completion_tokens": 9}


@pytest.fixture
def calls(fresh_desk: Desk) -> Desk:
    """A ledger of the test's own that reads every built-in format."""
    fresh_desk.formats |= registry.BUILT_IN
    return fresh_desk


def answered(**fields: Any) -> dict[str, Any]:
    """A logged answer in OpenAI's shape."""
    return {"id": "call", "time": AT, "model": "m", "usage": USED, **fields}


def test_an_adapter_keeps_its_own_name(calls: Desk) -> None:
    """A LoRA adapter is asked for by name, and engines count it under its base: an alias joins them, dated, when hours are metered."""
    calls.hand_in(answered(model="search-lora"), format_name="openai")
    calls.hand_in(payload(model="search-lora"), format_name="litellm")
    land(calls, "traces", spans(span({"gen_ai.request.model": "base", "gen_ai.response.model": "search-lora"} | TOLD)))

    assert set(calls.events("model")) == {"search-lora"}


def test_a_skewed_clock_is_placed_at_arrival_and_counted(calls: Desk) -> None:
    """Up to a day ahead, in every format; further ahead is no skew but an error."""
    ahead = (NOON + timedelta(hours=2)).isoformat()
    calls.hand_in(payload(endTime=END + 3 * 3600), format_name="litellm")
    calls.hand_in(answered(time=ahead), format_name="openai")
    land(calls, "traces", spans(span({"gen_ai.request.model": "m"} | TOLD, endTimeUnixNano=str(END_NS + 3 * HOUR_NS))))
    late = calls.hand_in(answered(id="next", time=(NOON + timedelta(days=2)).isoformat()), format_name="openai")

    assert set(calls.events("occurred_at")) == {"2026-10-15T12:00:00.000000Z"}
    assert (calls.totals()["skewed"], late.rejected) == (3, 1)


def written(desk: Desk) -> str:
    """Everything that the ledger holds of what arrived, as text."""
    session = desk.ledger.session()
    tables = "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name IN ('raw', 'book')"
    return "\n".join(str(row) for (table,) in session.rows(tables) for row in session.rows(f"SELECT * FROM {table}"))


def test_people_are_dropped_and_raw_keys_hashed(calls: Desk) -> None:
    """Mail addresses, IPs, user agents, prompts and keys: of none is anything left in the ledger, landed or quarantined."""
    people = {"user": PERSON, "end_user": PERSON, "requester_ip_address": "10.20.3.4", "user_agent": "curl/8"}
    person = {"metadata.user_api_key_user_email": PERSON, "metadata.user_api_key_end_user_id": PERSON}
    calls.allow("team", "project", "end_user", "user")
    for wrong in (None, -1):  # landed, then rejected
        given = {} if wrong is None else {"prompt_tokens": wrong}
        calls.hand_in(
            payload(person | {"metadata.user_api_key_hash": "sk-secret"} | given, **people), format_name="litellm"
        )
        calls.hand_in({**SPEND, **people, **given, "messages": "a secret prompt"}, format_name="litellm-spend")
        used = {"usage": {**USED, **given}}
        calls.hand_in(answered(choices=[{"message": "a secret answer"}], **people, **used), format_name="openai")
        for name in ("kong", "apisix", "langfuse", "portkey", "cloudflare"):
            calls.hand_in(log(name, {} if wrong is None else {"start_time": "x", "started_at": "x", "created_at": "x", "end_time": "x"}),
                          format_name=name)  # fmt: skip
    said = {"gen_ai.request.model": "m", "user.id": PERSON, "litellm.call_id": "c", "litellm.api_key.hash": "sk-secret"}
    land(calls, "traces", spans(span(said | TOLD | {"gen_ai.input.messages": "a secret prompt"})))
    found = written(calls)

    assert (len(calls.events()), len(calls.rejections("reason"))) == (9, 8)
    assert not [word for word in (PERSON, "10.20.3.4", "curl/8", "a secret", "sk-secret", "sk-") if word in found]
    assert hashlib.sha256(b"sk-secret").hexdigest() in found


CLAIMS: dict[str, dict[str, Any]] = {
    "litellm": payload(),
    "litellm-spend": {**SPEND, "request_tags": ["team:ads"]},
    "openai": answered(metadata={"cost_center": "CC-9"}),
    "openai-batch": {"id": "l", "custom_id": "1", "time": AT}
    | {"response": {"body": answered(metadata={"project_id": "x"})}},
    "bedrock": {"id": "b", "time": AT, "model": "m", "usage": {"inputTokens": 1, "outputTokens": 1}}
    | {"requestMetadata": {"Tenant": "ads"}},
    "langfuse": log("langfuse"),
    "portkey": log("portkey"),
    "cloudflare": log("cloudflare"),
}
"""Records whose callers wrote who is to pay into the request."""


@pytest.mark.parametrize("name", CLAIMS)
def test_attribution_spoofed_in_the_body_is_ignored_and_counted(calls: Desk, name: str) -> None:
    """The key's team stays, no tag says what was claimed, and the ledger tells how often that was tried; once per event."""
    calls.allow("team", "project", "cost_center", "tenant")
    first, again = (calls.hand_in(CLAIMS[name], format_name=name) for _ in range(2))
    tags = json.loads(calls.events("tags")[0])
    totals = "SELECT sum(records)::BIGINT FROM export.ingest_totals WHERE outcome = 'claimed'"

    assert tags == ({"team": "team-search", "project": "rag"} if name == "litellm" else {})
    assert (first.landed, first.claimed, again.duplicates, again.claimed) == (1, 1, 1, 0)
    assert calls.ledger.session().value(totals) == 1
    assert MARK not in str(calls.events())


def test_a_record_without_claims_is_not_counted_as_one(calls: Desk) -> None:
    """Tags and metadata that do not say who pays are nobody's business, nor are what the log itself says and canonical tags."""
    calls.hand_in(
        payload({"metadata.spend_logs_metadata": {"run": "teamwork"}, "metadata.requester_metadata": None}, request_tags=["env:prod", "team"]),
        payload({"litellm_call_id": "other", "metadata.spend_logs_metadata": None, "metadata.requester_metadata": None}, request_tags=None),
        format_name="litellm",
    )  # fmt: skip
    calls.hand_in(answered(team="ads", tags={"project": "x"}, metadata={"run": "7"}), format_name="openai")
    calls.hand_in(event(tags={"team": "ads"}))

    assert (len(calls.events()), calls.count("raw.claim")) == (4, 0)


def test_claims_are_counted_in_mixed_and_repeated_batches(calls: Desk) -> None:
    """Events of one caller with and without claims, some of them landed before: those that land are counted."""
    plain = {"metadata.spend_logs_metadata": None, "metadata.requester_metadata": None, "request_tags": None}
    mixed = [payload({"litellm_call_id": f"c{n}"} | (plain if n % 3 else {})) for n in range(9)]
    first = calls.hand_in(*mixed[:4], format_name="litellm")
    second = calls.hand_in(*mixed, format_name="litellm")

    assert (first.claimed, second.duplicates, second.claimed) == (2, 4, 1)


def test_a_record_that_is_passed_over_claims_nothing_again(calls: Desk) -> None:
    """After a batch with claims, one of a record too long to be read counts none of them a second time."""
    plain = {"metadata.spend_logs_metadata": None, "metadata.requester_metadata": None, "request_tags": None}
    records = [payload(), '{"id": "' + "x" * RECORD_BYTES_MAX + '"}', payload({"litellm_call_id": "c2"} | plain)]
    found = calls.hand_in(*records, format_name="litellm")

    assert (found.landed, found.rejected, found.claimed) == (2, 1, 1)
