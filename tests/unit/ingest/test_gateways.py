"""Gateways' logs: Kong, APISIX, Portkey, Cloudflare and Langfuse, each with its dialect, whom it believes, and what it keeps."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import registry
from ingest.formats.apisix import APISIX
from ingest.formats.cloudflare import CLOUDFLARE
from ingest.formats.kong import KONG
from ingest.formats.langfuse import LANGFUSE
from ingest.formats.native import Native
from ingest.formats.portkey import PORTKEY
from tests.frozen import FrozenClock
from tests.shared_data import shared
from tests.unit.ingest.desk import NOON, Desk

GATEWAYS: dict[str, Native] = {one.name: one for one in (KONG, APISIX, LANGFUSE, PORTKEY, CLOUDFLARE)}
SAMPLES = {
    "kong": "kong_ai_log.json",
    "apisix": "apisix_llm_log.jsonl",
    "langfuse": "langfuse_observations_v2.jsonl",
    "portkey": "portkey_log_export.jsonl",
    "cloudflare": "cloudflare_ai_gateway_log.jsonl",
}
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
START_MS = int((NOON - timedelta(hours=1)).timestamp()) * 1000
START = "2026-10-15T11:00:00Z"
PERSON = "somebody@example.com"

BASE: dict[str, dict[str, Any]] = {
    "kong": {
        "request": {"id": "r-1", "uri": "/v1/chat/completions", "headers": {"authorization": "Bearer sk-secret"}},
        "response": {"status": 200},
        "latencies": {"request": 2500, "kong": 4},
        "started_at": START_MS,
        "client_ip": "10.20.3.4",
        "workspace_name": "default",
        "tries": [{"ip": "10.42.7.19", "port": 8000, "hostname": "llama.llm.svc"}],
        "consumer": {"id": "c-1", "username": "search", "tags": ["cc:CC-1"]},
        "route": {"id": "r-9", "name": "chat"},
        "service": {"id": "s-9", "name": "llm"},
        "ai": {
            "proxy": {
                "payload": {"request": "a secret prompt", "response": "a secret answer"},
                "meta": {
                    "request_model": "chat",
                    "response_model": "llama",
                    "provider_name": "openai",
                    "request_mode": "stream",
                },
                "usage": {"prompt_tokens": 1200, "completion_tokens": 300, "time_to_first_token": 250, "cost": 0.5},
            }
        },
    },
    "apisix": {
        "start_time": START_MS,
        "client_ip": "10.20.3.4",
        "route_id": "chat",
        "consumer": {"username": "search"},
        "request": {"uri": "/v1/chat/completions", "headers": {"x-request-id": "r-1", "authorization": "Bearer k"}},
        "response": {"status": 200},
        "llm_summary": {
            "model": "llama",
            "duration": 2500,
            "prompt_tokens": 1200,
            "completion_tokens": 300,
            "end_user_id": PERSON,
            "cache_read_input_tokens": 1024,
            "reasoning_tokens": 100,
        },
    },
    "langfuse": {
        "id": "obs-1",
        "type": "GENERATION",
        "trace_id": "t-1",
        "session_id": "s-1",
        "project_id": "prj-1",
        "start_time": "2026-10-15 11:00:00.000000",
        "end_time": "2026-10-15 11:00:02.500000",
        "updated_at": "2026-10-15 11:00:03.000000",
        "level": "DEFAULT",
        "provided_model_name": "llama",
        "usage_details": {
            "input": 176,
            "input_cached_tokens": 1024,
            "output": 200,
            "output_reasoning_tokens": 100,
            "total": 1500,
        },
        "cost_details": {"total": 0.5},
        "total_cost": 0.5,
        "latency": 2.5,
        "time_to_first_token": 0.25,
        "user_id": PERSON,
        "metadata": {"team": "somebody-else"},
        "input": "a secret prompt",
        "output": "a secret answer",
    },
    "portkey": {
        "id": "p-1",
        "trace_id": "t-1",
        "created_at": "2026-10-15T11:00:00.000Z",
        "is_success": 1,
        "ai_org": "anthropic",
        "ai_model": "claude",
        "req_units": 1200,
        "res_units": 300,
        "cost": 3.6,
        "request_url": "https://api.anthropic.com/v1/messages",
        "response_status_code": 200,
        "response_time": 2500,
        "cache_status": "MISS",
        "virtual_key": "vk-1",
        "metadata": {"_user": PERSON, "team": "somebody-else"},
    },
    "cloudflare": {
        "id": "cf-1",
        "created_at": START,
        "provider": "anthropic",
        "model": "claude",
        "cached": False,
        "cost": 0.03,
        "duration": 2500,
        "metadata": '{"team":"somebody-else","user":"somebody@example.com"}',
        "status_code": 200,
        "step": 0,
        "success": True,
        "tokens_in": 1200,
        "tokens_out": 300,
    },
}
EXPECTED: dict[str, tuple[str, str, str, list[int], str, str]] = {
    "kong": ("r-1", "2026-10-15T11:00:02.500000Z", "search", [1200, 0, 0, 300, 0], "self", "partial"),
    "apisix": (
        f"r-1@{START_MS}",
        "2026-10-15T11:00:02.500000Z",
        "search",
        [176, 1024, 0, 200, 100],
        "self",
        "reported",
    ),
    "langfuse": ("prj-1/obs-1", "2026-10-15T11:00:02.500000Z", "prj-1", [176, 1024, 0, 200, 100], "self", "reported"),
    "portkey": ("p-1", "2026-10-15T11:00:02.500000Z", "vk-1", [1200, 0, 0, 300, 0], "anthropic", "partial"),
    "cloudflare": ("cf-1", "2026-10-15T11:00:00.000000Z", "", [1200, 0, 0, 300, 0], "anthropic", "partial"),
}
CACHED: dict[str, dict[str, Any]] = {
    "kong": {"ai.proxy.cache": {"cache_status": "Hit"}},
    "portkey": {"cache_status": "SEMANTIC HIT"},
    "cloudflare": {"cached": True},
}
BAD_COUNT = {
    "kong": "ai.proxy.usage.prompt_tokens",
    "apisix": "llm_summary.prompt_tokens",
    "langfuse": "usage_details.input",
    "portkey": "req_units",
    "cloudflare": "tokens_in",
}
BAD_TIME = {
    "kong": "started_at",
    "apisix": "start_time",
    "langfuse": "end_time",
    "portkey": "created_at",
    "cloudflare": "created_at",
}


def log(name: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A sound record of a gateway; `changes` are by dotted path, and None stays null."""
    made = copy.deepcopy(BASE[name])
    for path, value in (changes or {}).items():
        *above, last = path.split(".")
        inner = made
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return made


@pytest.fixture
def gate(desk: Desk) -> Desk:
    """A desk that reads every built-in format."""
    desk.formats |= registry.BUILT_IN
    return desk


def landed(desk: Desk, name: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The one event that a record becomes."""
    desk.hand_in(log(name, changes), format_name=name)
    (event,) = desk.events()
    return dict(event)


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_record_becomes_an_event(gate: Desk, name: str) -> None:
    """Id, time of completion, trusted identity, disjoint counts, who served it, and how the counts are known."""
    event = landed(gate, name)
    found = (event["event_id"], event["occurred_at"], event["principal"], [event[kind] for kind in TOKENS])

    assert (*found, event["provider"], event["usage_quality"]) == EXPECTED[name]
    assert (event["source"], event["requests"], event["duration_us"], event["status"]) == (
        name,
        1,
        2_500_000,
        "success",
    )


@pytest.mark.parametrize("name", CACHED)
def test_an_answer_from_the_gateways_cache_used_no_tokens(gate: Desk, name: str) -> None:
    """It repeats the usage of the call that was cached, but no GPU worked: a request without tokens."""
    event = landed(gate, name, CACHED[name])

    assert [event[kind] for kind in TOKENS] == [0, 0, 0, 0, 0]
    assert (event["requests"], event["usage_quality"], event["ttft_us"]) == (1, "reported", None)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("kong", {"ai.proxy.usage": {}}),
        ("apisix", {"llm_summary": {"model": "llama"}}),
        ("langfuse", {"usage_details": {}}),
        ("portkey", {"req_units": 0, "res_units": 0}),
        ("cloudflare", {"tokens_in": None, "tokens_out": None}),
    ],
)
def test_counts_that_nobody_wrote_are_missing(gate: Desk, name: str, changes: dict[str, Any]) -> None:
    """A stream without usage, a call that failed: absent is not nothing."""
    assert landed(gate, name, changes)["usage_quality"] == "missing"


@pytest.mark.parametrize(
    ("name", "changes", "status"),
    [
        ("kong", {"response.status": 499}, "cancelled"),
        ("kong", {"response.status": 503}, "failed"),
        ("apisix", {"response.status": 499}, "cancelled"),
        ("apisix", {"response.status": 429}, "failed"),
        ("langfuse", {"level": "ERROR"}, "failed"),
        ("portkey", {"is_success": 0, "response_status_code": 500}, "failed"),
        ("portkey", {"is_success": 0, "response_status_code": 499}, "cancelled"),
        ("cloudflare", {"success": False, "status_code": 500}, "failed"),
        ("cloudflare", {"success": False, "status_code": None}, "failed"),
    ],
)
def test_calls_that_failed_or_were_given_up_say_so(gate: Desk, name: str, changes: dict[str, Any], status: str) -> None:
    """Their tokens, where there are any, count all the same."""
    event = landed(gate, name, changes)

    assert event["status"] == status
    assert sum(event[kind] for kind in TOKENS) == 1500


@pytest.mark.parametrize("name", GATEWAYS)
def test_what_a_caller_writes_is_no_identity(gate: Desk, name: str) -> None:
    """Metadata, end users, environments and header values never become tags or principals."""
    gate.allow("team", "user", "_user", "environment", "end_user_id")
    event = landed(gate, name, {"environment": "prod", "user": PERSON})

    assert (event["tags"], PERSON in json.dumps(event)) == ("{}", False)


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_quarantine_keeps_no_person_and_no_content(gate: Desk, name: str) -> None:
    """Of a rejected record only what is read is kept: no address, no user, no money, no prompt, no header."""
    gate.hand_in(log(name, {BAD_COUNT[name]: -1}), format_name=name)
    ((reason, kept),) = gate.rejections("reason", "bytes")
    text = bytes(kept).decode()

    assert reason == "negative"
    secrets = (PERSON, "secret", "10.20.3.4", "cost", "Bearer", "somebody-else", "/v1/messages")
    assert [secret for secret in secrets if secret in text and (name, secret) != ("apisix", "/v1/messages")] == []
    assert GATEWAYS[name].kept(bytes(kept), b"", gate.rules.tags) == bytes(kept)


@pytest.mark.parametrize("name", GATEWAYS)
def test_what_is_kept_of_a_rejected_record_lands_once_it_may(gate: Desk, name: str) -> None:
    """Everything that is read was kept: the replayed event is the one that the record would have been."""
    late = {"kong": START_MS + 2 * 86_400_000, "apisix": START_MS + 2 * 86_400_000}
    texts = {
        "langfuse": "2026-10-17 11:00:00.000000",
        "portkey": "2026-10-17T11:00:00.000Z",
        "cloudflare": "2026-10-17T11:00:00Z",
    }
    made = log(name, {BAD_TIME[name]: late.get(name, texts.get(name))})
    gate.hand_in(made, format_name=name)
    gate.clock = FrozenClock(NOON + timedelta(days=3))
    gate.replay()
    replayed = gate.events()
    again = gate.hand_in(made, format_name=name)

    assert len(replayed) == 1
    assert (again.duplicates, gate.events()) == (1, replayed)


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_bad_record_is_rejected_beside_a_good_one(gate: Desk, name: str) -> None:
    """Each with its reason; the good one lands, and the same file again changes nothing."""
    records: list[Any] = [
        log(name),
        log(name, {BAD_COUNT[name]: "many"}),
        log(name, {BAD_TIME[name]: "yesterday", "start_time": "yesterday"}),
        '{"torn',
    ]
    first = gate.hand_in(*records, format_name=name)
    again = gate.hand_in(*records, format_name=name)

    assert (first.landed, dict(first.rejections)) == (1, {"wrong_type": 1, "bad_time": 1, "malformed": 1})
    assert (again.landed, again.duplicates) == (0, 1)


@pytest.mark.parametrize(
    ("prompt", "read", "written", "uri", "tokens", "quality"),
    [
        (1200, 1024, 0, "/v1/chat/completions", [176, 1024, 0], "reported"),
        (10, 1024, 0, "/v1/chat/completions", [10, 1024, 0], "partial"),
        (3, 0, 12304, "/v1/messages", [3, 0, 12304], "reported"),
        (2000, 1024, 0, "/v1/messages?beta=true", [2000, 1024, 0], "reported"),
        (0, 1024, 0, "/v1/messages", [0, 1024, 0], "reported"),
    ],
)
def test_apisix_passes_on_what_the_providers_mean(
    gate: Desk, prompt: int, read: int, written: int, uri: str, tokens: list[int], quality: str
) -> None:
    """Cached tokens stand inside the prompt, but beside it in Anthropic's protocol; what contradicts this is flipped and marked."""
    used = {"prompt_tokens": prompt, "cache_read_input_tokens": read, "cache_creation_input_tokens": written}
    changes = {"request.uri": uri, **{f"llm_summary.{key}": value for key, value in used.items()}}
    event = landed(gate, "apisix", changes)

    assert [event[kind] for kind in TOKENS[:3]] == tokens
    assert event["usage_quality"] == quality


def test_apisix_knows_a_request_by_its_id_and_start(gate: Desk) -> None:
    """A caller may send an id, and send it twice; without the plugin that makes ids there is none."""
    outcome = gate.hand_in(
        log("apisix"),
        log("apisix", {"start_time": START_MS + 1}),
        log("apisix", {"request.headers": {}}),
        format_name="apisix",
    )

    assert (outcome.landed, dict(outcome.rejections)) == (2, {"missing_field": 1})


def test_kong_calls_of_several_plugins_are_not_added(gate: Desk) -> None:
    """Each plugin's object is a call of its own model: the proxied one is the event, old names of its counts no second one."""
    prompt = {"usage": {"prompt_tokens": 70, "completion_tokens": 7}, "meta": {"response_model": "small"}}
    twins = {"usage": {"prompt_token": 1200, "completion_token": 300}, "meta": {"response_model": "llama"}}
    event = landed(gate, "kong", {"ai.ai-request-transformer": prompt, "ai.ai-proxy": twins})

    assert (event["model"], event["uncached_input_tokens"], event["output_tokens"]) == ("llama", 1200, 300)


def test_kong_log_of_an_old_version(gate: Desk) -> None:
    """Before `ai.proxy` the object was named after the plugin, and the counts were singular."""
    old = {
        "usage": {"prompt_token": 28, "completion_token": 20, "total_tokens": 48},
        "meta": {"request_model": "command", "provider_name": "cohere", "response_model": "command"},
    }
    event = landed(gate, "kong", {"ai": {"ai-proxy-advanced": old}})

    assert (event["model"], event["provider"], event["uncached_input_tokens"], event["output_tokens"]) == (
        "command",
        "cohere",
        28,
        20,
    )


def test_kong_answers_by_its_last_try(gate: Desk) -> None:
    """OpenAI's protocol at an address of one's own is own GPUs, and the replica is the one that answered."""
    tries = [{"ip": "10.0.0.1", "port": 8000}, {"ip": "10.0.0.2", "port": 8000, "hostname": "b.llm.svc"}]
    event = landed(gate, "kong", {"tries": tries})

    assert (event["provider"], event["replica"]) == ("self", "b.llm.svc:8000")


def test_kong_before_openai_itself_is_openai(gate: Desk) -> None:
    """The protocol's name is the provider's only at the provider's address."""
    event = landed(gate, "kong", {"tries": [{"ip": "1.2.3.4", "port": 443, "hostname": "api.openai.com"}]})

    assert (event["provider"], event["replica"]) == ("openai", "")


def test_kong_consumer_named_by_a_mail_address_is_known_by_its_id(gate: Desk) -> None:
    """Addresses of people neither land nor stay in the quarantine."""
    person = {"consumer.username": PERSON}
    gate.hand_in(log("kong", person), log("kong", {**person, "ai.proxy.usage.prompt_tokens": -1}), format_name="kong")
    ((kept),) = gate.rejections("bytes")

    assert gate.events("principal") == ["c-1"]
    assert PERSON.encode() not in bytes(kept)


@pytest.mark.parametrize(
    ("used", "tokens", "quality"),
    [
        (
            {"input": 3, "cache_creation_input_tokens": 12304, "output": 550, "total": 12857},
            [3, 0, 12304, 550, 0],
            "reported",
        ),
        ({"input": 1200, "input_cached_tokens": 1024, "output": 300, "total": 1500}, [176, 1024, 0, 300, 0], "partial"),
        ({"input": 10, "output": 300, "output_reasoning_tokens": 100, "total": 310}, [10, 0, 0, 200, 100], "partial"),
        (
            {"input": 1200, "input_cached_tokens": 1024, "output": 300, "output_reasoning_tokens": 100, "total": 1500},
            [176, 1024, 0, 200, 100],
            "partial",
        ),
        ({"input": 10, "output": 20, "something_new": 5, "total": 35}, [10, 0, 0, 20, 0], "partial"),
        (
            {"input": 10, "input_audio_tokens": 5, "output": 20, "output_audio_tokens": 2, "total": 37},
            [15, 0, 0, 22, 0],
            "reported",
        ),
        ({"input": 10, "input_cached_tokens": 90, "output": 20}, [10, 90, 0, 20, 0], "reported"),
        ({"input": 7, "total": 7}, [7, 0, 0, 0, 0], "reported"),
    ],
)
def test_langfuse_buckets_are_disjoint_and_the_total_is_none(
    gate: Desk, used: dict[str, int], tokens: list[int], quality: str
) -> None:
    """Buckets stand side by side; a total that says otherwise turns them, and marks the event."""
    event = landed(gate, "langfuse", {"usage_details": used})

    assert [event[kind] for kind in TOKENS] == tokens
    assert event["usage_quality"] == quality


@pytest.mark.parametrize("sort", ["SPAN", "AGENT", "TOOL", "EVENT"])
def test_langfuse_spans_are_no_calls(gate: Desk, sort: str) -> None:
    """An agent's span repeats what the calls below it used: it never lands, whatever it says."""
    outcome = gate.hand_in(log("langfuse", {"type": sort}), format_name="langfuse")

    assert dict(outcome.rejections) == {"missing_field": 1}


def test_langfuse_update_supersedes_what_was_exported_before(gate: Desk) -> None:
    """The same observation, exported again after it was scored or completed, is a later revision."""
    later = {"updated_at": "2026-10-15 11:30:00.000000", "usage_details.output": 210, "usage_details.total": 1510}
    gate.hand_in(log("langfuse"), format_name="langfuse")
    gate.hand_in(log("langfuse", later), format_name="langfuse")

    assert gate.events("output_tokens") == [210]


def test_langfuse_projects_do_not_share_ids(gate: Desk) -> None:
    """Applications choose the ids of observations; one cannot take another project's."""
    outcome = gate.hand_in(log("langfuse"), log("langfuse", {"project_id": "prj-2"}), format_name="langfuse")

    assert outcome.landed == 2


def test_portkey_retries_and_fallbacks_share_the_trace(gate: Desk) -> None:
    """Exports need not have ids: then trace and time name the event, and each attempt is one."""
    attempts: list[dict[str, Any]] = [
        {"id": None},
        {"id": None, "created_at": "2026-10-15T11:00:01.000Z", "ai_org": "openai", "is_success": 0},
    ]
    outcome = gate.hand_in(*(log("portkey", one) for one in attempts), format_name="portkey")

    assert outcome.landed == 2
    assert gate.events("trace_id") == ["t-1", "t-1"]


def test_portkey_before_an_engine_of_ones_own(gate: Desk) -> None:
    """OpenAI's protocol at an address that is not OpenAI's is own GPUs; of the address only the host is kept."""
    changes = {"ai_org": "openai", "request_url": "http://user:word@llama.llm.svc:8000/v1/chat/completions?key=1"}
    event = landed(gate, "portkey", changes)

    assert (event["provider"], event["replica"]) == ("self", "llama.llm.svc:8000")


def test_cloudflare_steps_of_a_fallback_are_attempts(gate: Desk) -> None:
    """Each step is an entry with its own id and outcome."""
    steps: list[dict[str, Any]] = [
        {"id": "cf-1", "success": False, "status_code": 500, "tokens_in": 0, "tokens_out": 0},
        {"id": "cf-2", "step": 1},
    ]
    gate.hand_in(*(log("cloudflare", step) for step in steps), format_name="cloudflare")

    assert gate.events("event_id", "status", "usage_quality") == [
        ("cf-1", "failed", "missing"),
        ("cf-2", "success", "partial"),
    ]


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        "",
        " ",
        "x",
        "'; --",
        "\\",
        "\ud800",
        "é" * 600,
        "1e5",
        "-0",
        0,
        -1,
        10**20,
        10**38,
        10**400,
        1.5,
        1e308,
        -1e-300,
        [],
        [1],
        {},
        {"a": {"b": []}},
        "9999-12-31 23:59:59.999999",
        "0001-01-01T00:00:00Z",
        253402300799999,
        10**18,
        2**63 - 1,
        999999999.999999999,
        "294247-01-10 04:00:54",
        "infinity",
    ]
)


@pytest.mark.parametrize("name", GATEWAYS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_of_any_field_stops_a_batch(gate: Desk, name: str, data: st.DataObject) -> None:
    """Whatever stands where: the record lands or is rejected, and the sound one beside it lands."""
    paths = [keys[:length] for keys in GATEWAYS[name].found.values() for length in range(1, len(keys) + 1)]
    changes = data.draw(st.lists(st.tuples(st.sampled_from(paths), ODD), min_size=1, max_size=10))
    made = []
    for keys, value in changes:
        one: Any = log(name)
        inner = one
        for key in keys[:-1]:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner[keys[-1]] = value
        made.append(one)
    outcome = gate.hand_in(*made, log(name), format_name=name)

    assert outcome.received == len(changes) + 1
    assert EXPECTED[name][0] in gate.events("event_id")


@pytest.mark.parametrize("name", GATEWAYS)
def test_no_extreme_of_any_field_stops_a_batch(gate: Desk, name: str) -> None:
    """Numbers and times at the ends of what SQL can hold, each at every place, are values and no errors."""
    extremes = [10**18, 2**63, -(10**18), 999999999.999999999, "9999-12-31T23:59:59.999999999Z"]
    extremes += ["294247-01-10 04:00:54", "infinity", "9e18"]
    made = []
    for keys in GATEWAYS[name].found.values():
        for extreme in extremes:
            one: Any = log(name)
            inner = one
            for key in keys[:-1]:
                inner = inner.setdefault(key, {}) if isinstance(inner, dict) else {}
            inner[keys[-1]] = extreme
            made.append(one)
    outcome = gate.hand_in(*made, log(name), format_name=name)

    assert outcome.received == len(made) + 1
    assert EXPECTED[name][0] in gate.events("event_id")


def test_golden_gateways(gate: Desk, golden: Callable[[str, str], None]) -> None:
    """What becomes of each gateway's log as it really writes it, field by field; the review of a change is the diff of this file."""
    gate.clock = FrozenClock(datetime(2026, 11, 14, tzinfo=UTC))
    gate.allow("route", "service", "workspace", "team")
    for name, sample in SAMPLES.items():
        text = shared("samples", sample).read_text(encoding="utf-8")
        records = [json.loads(text)] if sample.endswith(".json") else [json.loads(line) for line in text.splitlines()]
        assert gate.hand_in(*records, format_name=name).landed == len(records)

    golden("formats/gateways_landed.ndjson", "".join(f"{json.dumps(row)}\n" for row in gate.events()))
