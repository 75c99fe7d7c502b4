"""A real LiteLLM proxy tells of its calls, straight, through the relay and in spans: each team pays what its keys asked for, to the nano."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients import calls
from tests.clients.litellm.proxy import proxy
from tests.clients.programs import until
from tests.clients.serving import RELAY_TOKEN, TOKEN, Charged, charged, relay, serving
from tests.clients.upstream import serving as upstream_serving

pytestmark = pytest.mark.component

UNTRACED = ("of nobody", "from the cache")
"""Calls that LiteLLM makes no span of: they never got as far as a model."""

KINDS = {"uncached": "uncached_input", "read": "cache_read", "output": "output", "reasoning": "reasoning"}


@dataclass(frozen=True)
class Told:
    """What was asked, what LiteLLM said of it to somebody else, and what the ledger came to hold.

    Attributes:
        asked: the calls.
        reached: how many of them the upstream saw.
        payloads: as LiteLLM wrote them, in the order of `asked.names`.
        received: records by outcome.
        charged: what was metered.
        logs: what serve, relay and LiteLLM said, and the ledger's bytes.
    """

    asked: calls.Asked
    reached: int
    payloads: Mapping[str, Mapping[str, Any]]
    received: Mapping[str, int]
    charged: Charged
    logs: bytes

    def event(self, name: str) -> dict[str, Any]:
        """The one event of a call, as the callback tells it."""
        (found,) = [row for row in self.by("litellm") if row["id"] == self.payloads[name]["litellm_call_id"]]
        return found

    def by(self, source: str) -> list[dict[str, Any]]:
        """The events that a source told."""
        return [row for row in self.charged.events if row["source"] == source]

    def counts(self, name: str) -> tuple[int, ...]:
        """Its tokens: uncached, read, output, reasoning."""
        event = self.event(name)
        return tuple(event[kind] for kind in KINDS)


def spans_to(port: int) -> dict[str, str]:
    """What LiteLLM has to be told to send its spans of calls."""
    return {
        "LITELLM_OTEL_V2": "true",
        "OTEL_EXPORTER": "otlp_http",
        "OTEL_ENDPOINT": f"http://127.0.0.1:{port}/v1/traces",
        "OTEL_HEADERS": f"authorization=Bearer {TOKEN}",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Every sort of call, metered: by the callback that names serve, by the one that deploy/README.md gives for the relay, and by spans."""
    folder = tmp_path_factory.mktemp("litellm")
    with upstream_serving() as upstream, serving(folder) as serve:
        with relay(folder, serve) as relayed:
            places = {"upstream": upstream.port, "serve": serve.port, "relay": relayed, "token": TOKEN}
            environment = {"GENERIC_LOGGER_HEADERS": f"Authorization=Bearer {RELAY_TOKEN}", **spans_to(serve.port)}
            with proxy(folder, "direct, apportion, witness, otel, preserve.events", environment, **places) as litellm:
                asked = calls.ask_everything(litellm, upstream)
                upstream.may_answer.set()
                expected = len(asked.names)
                until(lambda: len(upstream.payloads) >= expected, f"{expected} payloads", litellm.process, litellm.log)
                received = serve.until_received(3 * expected - len(UNTRACED))
        assert serve.stop() == 0, serve.log.read_text(encoding="utf-8")
    payloads = sorted(upstream.payloads, key=lambda one: float(one["startTime"]))
    logs = b"".join(file.read_bytes() for file in folder.glob("*.log")) + (folder / "apportion.duckdb").read_bytes()
    named = dict(zip(asked.names, payloads, strict=True))
    return Told(asked, len(upstream.asked), named, received, charged(folder), logs)


def test_each_call_is_an_event_though_it_came_twice(told: Told) -> None:
    """Twelve calls came straight and through the relay: each landed once, and once more as a duplicate; none contradicts itself."""
    assert len(told.asked.names) == len(told.by("litellm")) == 12
    assert {outcome: records for outcome, records in told.received.items() if records} == {
        "landed": 22,
        "duplicates": 12,
    }
    assert told.charged.rejections == []


def test_calls_that_end_while_a_batch_is_on_its_way_are_not_forgotten(told: Told) -> None:
    """The first batch to the witness was not answered before the last call was over; it has all of them, by the file in deploy/litellm."""
    assert len({payload["litellm_call_id"] for payload in told.payloads.values()}) == 12


def test_each_team_is_charged_what_was_asked(told: Told) -> None:
    """To the token and to the nano, by token kind; what LiteLLM itself had to estimate is added as LiteLLM counted it."""
    lines = {(team, kind): (tokens, nano) for team, _, _, kind, tokens, nano in told.charged.lines}

    assert lines == expected(told)
    assert {(team, center) for team, center, *_ in told.charged.lines} == {("search", "CC-100"), ("ads", "CC-200")}


def expected(told: Told) -> dict[tuple[str, str], tuple[int, int]]:
    """The lines of the month, of what the upstream told and of what LiteLLM estimated."""
    whole = calls.Asked(told.asked.tokens.copy())
    for name, team in {"streamed and never told": "ads", "left by its client": "search"}.items():
        said = told.payloads[name]
        whole.tokens[team, "uncached_input"] += said["prompt_tokens"]
        whole.tokens[team, "output"] += said["completion_tokens"]
    return whole.told()


def test_spans_of_the_same_calls_are_counted_once(told: Told) -> None:
    """LiteLLM's own spans tell of ten of the calls again: they land, and the callback is believed, so that no line has them."""
    spans = told.by("otel:litellm")
    tokens = sum(span[kind] for span in spans for kind in KINDS)

    assert len(spans) == len(told.asked.names) - len(UNTRACED) == sum(events for *_, events, _ in told.charged.observed)
    assert [(source, believed, count) for source, believed, _, count in told.charged.observed if count] == [
        ("otel:litellm", "litellm", tokens)
    ]


def test_every_nano_of_the_fleet_is_on_a_line(told: Told) -> None:
    """Charges add up to the cost of the pool, whatever came."""
    assert told.charged.conserved == 0


def test_a_stream_tells_its_usage_whether_its_caller_asks_or_not(told: Told) -> None:
    """LiteLLM asks the engine for the usage of every stream, so that both are exact."""
    assert told.counts("streamed") == (37, 64, 21, 0)
    assert told.counts("streamed without asking for usage") == (103, 0, 23, 0)
    assert told.event("streamed")["quality"] == told.event("streamed without asking for usage")["quality"] == "reported"


def test_of_a_stream_whose_engine_tells_nothing_litellm_s_own_count_is_taken(told: Told) -> None:
    """LiteLLM counts words for itself then and does not say so: only the engine's counters tell that 107 and 29 were meant."""
    said = told.payloads["streamed and never told"]

    assert told.counts("streamed and never told") == (said["prompt_tokens"], 0, said["completion_tokens"], 0)
    assert 0 < said["completion_tokens"] < 29


def test_a_failed_call_is_an_event_without_tokens(told: Told) -> None:
    """The engine refused; who asked is known, and what it cost is not."""
    assert told.asked.statuses["failed"] == 503
    assert told.event("failed").items() >= {"status": "failed", "quality": "missing", "team": "team-ads"}.items()
    assert told.counts("failed") == (0, 0, 0, 0)


def test_an_answer_from_the_cache_used_no_gpu(told: Told) -> None:
    """The same question again never reached the engine: one request, no tokens."""
    assert told.payloads["from the cache"]["cache_hit"] is True
    assert told.counts("put into the cache") == (127, 0, 43, 0)
    assert told.counts("from the cache") == (0, 0, 0, 0)
    assert told.event("from the cache")["requests"] == 1
    assert told.reached == len(told.asked.names) - len(["of nobody", "from the cache", "mocked"])


def test_a_client_that_leaves_is_cancelled_and_estimated(told: Told) -> None:
    """LiteLLM calls it a success with the error code 499, and counts what it had passed on."""
    said, event = told.payloads["left by its client"], told.event("left by its client")

    assert (said["status"], said["error_information"]["error_code"]) == ("success", "499")
    assert (event["status"], event["quality"], event["team"]) == ("cancelled", "estimated", "team-search")
    assert 0 < event["output"] < 53


def test_what_a_caller_writes_changes_nobodys_bill(told: Told) -> None:
    """Team and cost center in the body, its metadata, its tags and headers: the key's team pays all the same."""
    event, plain = told.event("spoofed"), told.event("of the other team")

    assert told.asked.statuses["spoofed"] == 200
    assert (
        (event["team"], event["principal"]) == (plain["team"], plain["principal"]) == ("team-ads", event["principal"])
    )


def test_a_key_that_nobody_gave_out_is_refused_and_never_kept(told: Told) -> None:
    """It is known by its hash only, belongs to no team and used nothing; no key is in a log or in the ledger."""
    assert told.asked.statuses["of nobody"] == 401
    assert told.event("of nobody")["principal"] == hashlib.sha256(b"sk-of-nobody").hexdigest()
    assert (told.event("of nobody")["team"], told.counts("of nobody")) == (None, (0, 0, 0, 0))
    assert [key for key in (b"sk-of-nobody", b"sk-search-key", b"sk-ads-key", TOKEN.encode()) if key in told.logs] == []


def test_a_mocked_model_is_metered_like_any_other(told: Told) -> None:
    """LiteLLM invents ten and twenty tokens for an answer that it makes up itself."""
    assert told.counts("mocked") == (10, 0, 20, 0)
