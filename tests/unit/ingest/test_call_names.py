"""What a call is known by: each format fills in the names that other observers of the call see too, kept as digests."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.registry import find
from tests.unit.ingest.desk import Desk, event, name
from tests.unit.ingest.telemetry import land, span, spans

CALL: dict[str, Any] = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 7}


def named(desk: Desk) -> list[tuple[int | None, int | None]]:
    """The names of every event that landed, by id."""
    return [names for _, names in sorted(desk.names().items())]


def test_names_are_kept_as_digests_and_empty_ones_are_none(desk: Desk) -> None:
    """They are only ever compared; text is not needed for that."""
    desk.hand_in(
        event("a", response_id="chatcmpl-1", call_id="é\\"), event("b", response_id="", call_id="c"), event("c")
    )

    assert named(desk) == [(name("chatcmpl-1"), name("é\\")), (None, name("c")), (None, None)]


@pytest.mark.parametrize("field", ["response_id", "call_id"])
@pytest.mark.parametrize(
    ("value", "reason"), [("x" * 513, "too_long"), (7, "wrong_type"), ("a\tb", "control_character")]
)
def test_a_name_is_text_of_at_most_512_characters(desk: Desk, field: str, value: object, reason: str) -> None:
    """As with other ids."""
    outcome = desk.hand_in(event("a", **{field: value}), event("b", **{field: "x" * 512}))

    assert (outcome.landed, dict(outcome.rejections)) == (1, {reason: 1})


def test_another_name_is_another_content(desk: Desk) -> None:
    """The same event that names another call contradicts the first; a higher revision amends it, and history keeps both."""
    desk.hand_in(event("a", call_id="c"))
    again, other = desk.hand_in(event("a", call_id="c")), desk.hand_in(event("a", call_id="d"))
    amended = desk.hand_in(event("a", call_id="d", revision=1))
    history = desk.ledger.session().rows("SELECT response_key, call_key FROM raw.superseded_event")

    assert (again.duplicates, other.conflicts, amended.superseded) == (1, 1, 1)
    assert (named(desk), history) == ([(None, name("d"))], [(None, name("c"))])


@pytest.mark.parametrize(
    ("format_name", "record", "names"),
    [
        ("openai", {"id": "chatcmpl-1", "object": "chat.completion", "created": 1792062000, "model": "m"}, ("chatcmpl-1", None)),
        ("anthropic", {"id": "msg_1", "request_id": "req_1", "model": "m", "stop_reason": "end_turn"}, ("msg_1", "req_1")),
        ("gemini", {"responseId": "g-1", "modelVersion": "m"}, ("g-1", None)),
        ("bedrock", {"requestId": "r-1", "modelId": "m", "output": {"outputBodyJson": {"id": "msg_1"}}}, ("msg_1", "r-1")),
        ("cohere", {"id": "c-1", "model": "m"}, ("c-1", None)),
        ("sglang", {"model": "m", "meta_info": {"id": "s-1", "prompt_tokens": 1}}, ("s-1", None)),
        ("openai", {"id": "mine", "response": {"id": "chatcmpl-2", "model": "m"}}, ("chatcmpl-2", None)),
        ("litellm", {"id": "chatcmpl-3", "litellm_call_id": "l-3"}, ("chatcmpl-3", "l-3")),
        ("litellm", {"id": "chatcmpl-3_cache_hit1792.5", "litellm_call_id": "l-4", "cache_hit": True}, ("chatcmpl-3", "l-4")),
        ("litellm-spend", {"request_id": "chatcmpl-3_cache_hit1792.5", "litellm_call_id": "l-4"}, ("chatcmpl-3", "l-4")),
        ("litellm-spend", {"request_id": "batch_1_cost", "litellm_call_id": "l-5"}, (None, "l-5")),
        ("openai-batch", {"id": "batch_req_1", "response": {"body": {"id": "chatcmpl-b", "model": "m"}}}, ("chatcmpl-b", None)),
    ],
)  # fmt: skip
def test_a_format_names_the_call(
    desk: Desk, format_name: str, record: dict[str, Any], names: tuple[str | None, str | None]
) -> None:
    """By the answer's own id, also where a log adds one of its own, and by the gateway's."""
    found = find(format_name, {})
    assert found is not None
    desk.formats[format_name] = found
    at = {"time": "2026-10-15T11:00:00Z", "timestamp": "2026-10-15T11:00:00Z", "endTime": "2026-10-15T11:00:00Z"}
    at |= {"endTime": "1792062000"} if format_name == "litellm" else {}
    outcome = desk.hand_in({**at, "model": "m", **record}, format_name=format_name)

    assert outcome.landed == 1, desk.rejections("detail")
    assert named(desk) == [tuple(map(name, names))]


@pytest.mark.parametrize("format_name", ["kong", "apisix", "langfuse", "portkey", "cloudflare"])
def test_ids_that_nobody_else_knows_name_no_call(format_name: str) -> None:
    """A gateway's own request id, or an observation's: it names the event, and that is all."""
    found = find(format_name, {})
    assert found is not None
    fields = getattr(found, "fields", {})

    assert not {"response_id", "call_id"} & set(fields)


@pytest.mark.parametrize(
    ("said", "fields", "source", "names"),
    [
        ({"gen_ai.response.id": "r"}, {}, "otel", ("r", None)),
        ({"gen_ai.response.id": "r"}, {"kind": 2}, "otel:server", ("r", None)),
        ({"gen_ai.response.id": "r", "litellm.call_id": "c"}, {}, "otel:litellm", ("r", "c")),
        ({"litellm.call_id": "c"}, {}, "otel:litellm", (None, "c")),
        ({"gen_ai.request.id": "r"}, {"name": "llm_request", "kind": 2}, "otel:engine", ("r", None)),
        ({}, {}, "otel", (None, None)),
    ],
)
def test_spans_say_who_observed_and_what_the_call_is_called(
    desk: Desk, said: dict[str, Any], fields: dict[str, Any], source: str, names: tuple[str | None, str | None]
) -> None:
    """Each kind of observer is a source of its own, so that all of them land."""
    land(desk, "traces", spans(span({**CALL, **said}, **fields)))

    assert desk.events("source") == [source]
    assert named(desk) == [tuple(map(name, names))]
