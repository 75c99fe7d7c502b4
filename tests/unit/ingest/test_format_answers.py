"""What every format of logged answers keeps to: golden records, no words kept, nothing that stops a batch, one truth in all."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats import answers
from ingest.formats.anthropic import ANTHROPIC
from ingest.formats.bedrock import BEDROCK
from ingest.formats.cohere import COHERE
from ingest.formats.gemini import GEMINI
from ingest.formats.litellm import LITELLM
from ingest.formats.litellm_spend import LITELLM_SPEND
from ingest.formats.native import Native
from ingest.formats.openai import OPENAI, OPENAI_BATCH
from ingest.formats.sglang import SGLANG
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, Desk

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
FORMATS = (OPENAI, OPENAI_BATCH, ANTHROPIC, GEMINI, BEDROCK, COHERE, SGLANG, LITELLM_SPEND)
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
EVERY = pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
AT = "2026-10-15T11:00:00Z"


def records(format_: Native) -> list[dict[str, Any]]:
    """The golden records of a format."""
    return [json.loads(line) for line in (GOLDEN / f"{format_.name}.ndjson").read_text().splitlines()]


@EVERY
def test_golden_records(desk: Desk, golden: Callable[[str, str], None], format_: Native) -> None:
    """What becomes of each of them, field by field; the review of a change is the diff of these files."""
    desk.formats[format_.name] = format_
    outcome = desk.read(GOLDEN / f"{format_.name}.ndjson", format_.name)
    rows = [json.dumps(row) for row in desk.events()]

    assert outcome.received == outcome.landed
    golden(f"formats/{format_.name}_landed.ndjson", "\n".join(rows) + "\n")


@EVERY
def test_the_quarantine_keeps_no_words_and_no_person(desk: Desk, format_: Native) -> None:
    """Of rejected records only the values that are read are kept; keeping them again changes nothing."""
    desk.formats[format_.name] = format_
    desk.rules = type(desk.rules)(oldest=NOON, tags=desk.rules.tags, sample_hold=timedelta(seconds=120))
    outcome = desk.hand_in(*records(format_), format_name=format_.name)
    kept = [bytes(one) for one in desk.rejections("bytes")]

    assert (outcome.rejected, len(kept)) == (outcome.received, outcome.received)
    for one in kept:
        assert not [
            word for word in (b"nobody may keep", b"somebody@", b"spoofed", b"cust-881", b"10.20.3.4") if word in one
        ]
        assert format_.kept(one, b"", desk.rules.tags) == one


@EVERY
def test_what_is_kept_of_a_rejected_record_lands_once_it_may(desk: Desk, format_: Native) -> None:
    """Everything that is read was kept: the replayed events are those that the records would have been."""
    desk.formats[format_.name] = format_
    desk.clock = FrozenClock(NOON - timedelta(days=3))
    desk.hand_in(*records(format_), format_name=format_.name)
    assert desk.events() == []
    desk.clock = FrozenClock(NOON)
    desk.replay()
    replayed = desk.events()
    again = desk.hand_in(*records(format_), format_name=format_.name)

    assert (again.duplicates, again.conflicts, desk.events()) == (len(records(format_)), 0, replayed)


@EVERY
def test_no_time_is_invented(desk: Desk, format_: Native) -> None:
    """A record without a time lands nowhere, and its rejection says what to send."""
    desk.formats[format_.name] = format_
    desk.hand_in(*(untimed(one) for one in records(format_)), format_name=format_.name)

    assert desk.events() == []
    for reason, detail in desk.rejections("reason", "detail"):
        assert (reason, "absent" in detail) in {("bad_time", True), ("missing_field", True)}
        assert reason == "missing_field" or answers.TIME_FORM in detail


def untimed(record: Any) -> Any:
    """A record without anything that says when."""
    times = {"time", "timestamp", "created", "created_at", "completed_at", "createTime", "processed_time", "date", "endTime",
             "response_sent_to_client_ts"}  # fmt: skip
    if isinstance(record, dict):
        return {key: untimed(value) for key, value in record.items() if key not in times}
    return record


def test_each_record_is_signed_by_its_own_format_only() -> None:
    """So that `--format auto` recognises it; Anthropic's answer to InvokeModel is Anthropic's, wherever it was served."""

    def has(record: Any, keys: tuple[str, ...]) -> bool:
        return not keys or (isinstance(record, dict) and keys[0] in record and has(record[keys[0]], keys[1:]))

    for format_ in FORMATS:
        for one in FORMATS:
            signed = [
                any(all(has(record, keys) for keys in way) for way in one.signatures)
                for record in records(format_)
                if "msg_bdrk_1" not in json.dumps(record)
            ]
            assert any(signed) == (one is format_), (format_.name, one.name)


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, "", " ", "x", "'; --", "\\", "\ud800", "é" * 600, "1e5", "-0", 0, -1, 10**20, 10**38, 10**400, 1.5, 1e308, -1e-300,
     [], [1], {}, {"a": {"b": []}}]
)  # fmt: skip


@EVERY
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_of_any_field_stops_a_batch(desk: Desk, format_: Native, data: st.DataObject) -> None:
    """Whatever stands where: the record lands or is rejected, and the sound one beside it lands."""
    desk.formats[format_.name] = format_
    paths = [*format_.found.values(), *(keys for places in format_.tags.values() for keys in places), *format_.labels]
    places = st.sampled_from([keys[:length] for keys in paths for length in range(1, len(keys) + 1)])
    changes = data.draw(
        st.lists(st.lists(st.tuples(places, ODD), min_size=1, max_size=3), min_size=1, max_size=30), label="changes"
    )
    sound = records(format_)
    made = []
    for number, change in enumerate(changes):
        one = copy.deepcopy(sound[number % len(sound)])
        for keys, value in change:
            inner: Any = one
            for key in keys[:-1]:
                inner = inner.setdefault(key, {}) if isinstance(inner, dict) else None
            if isinstance(inner, dict):
                inner[keys[-1]] = value
        made.append(one)
    known = set(desk.events("event_id"))
    outcome = desk.hand_in(*made, sound[0], format_name=format_.name)

    assert outcome.received == len(made) + 1
    assert known <= set(desk.events("event_id"))
    assert desk.count("raw.usage_event") >= 1


def everywhere(
    uncached: int, read: int, written: int, output: int, reasoned: int
) -> list[tuple[Native, dict[str, Any]]]:
    """One usage in every dialect that can say it."""
    prompt, completion = uncached + read + written, output + reasoned
    chat = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoned},
    }
    responses = {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
        "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "output_tokens_details": {"reasoning_tokens": reasoned},
    }
    vllm = {**chat, "prompt_tokens_details": {"cached_tokens": read, "created_cache_tokens": written}}
    beside = {**chat, "completion_tokens": output, "total_tokens": prompt + completion}
    messages = {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written // 2,
            "ephemeral_1h_input_tokens": written - written // 2,
        },
        "output_tokens": completion,
        "output_tokens_details": {"thinking_tokens": reasoned},
    }
    spend = {
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "completion_tokens_details": {"reasoning_tokens": reasoned},
    }
    payload = {
        "prompt_tokens_details": {"cached_tokens": read, "cache_creation_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoned},
        "total_tokens": prompt + completion,
    }
    told = {"time": AT, "model": "m"}
    made: list[tuple[Native, dict[str, Any]]] = [
        (OPENAI, {**told, "id": "chat", "usage": chat}),
        (OPENAI, {**told, "id": "responses", "usage": responses}),
        (OPENAI, {**told, "id": "vllm", "response": {"usage": vllm}}),
        (OPENAI, {**told, "id": "xai", "usage": beside}),
        (OPENAI_BATCH, {**told, "id": "line", "custom_id": "c", "response": {"body": {"usage": chat}}}),
        (ANTHROPIC, {**told, "id": "messages", "usage": messages}),
        (BEDROCK, {**told, "id": "invoke", "usage": messages}),
        (
            LITELLM_SPEND,
            {"model": "m", "litellm_call_id": "spend", "endTime": AT, "prompt_tokens": prompt}
            | {"completion_tokens": completion, "metadata": {"additional_usage_values": spend}},
        ),
        (
            LITELLM,
            {"model": "m", "litellm_call_id": "payload", "endTime": 1792062000, "prompt_tokens": prompt}
            | {"completion_tokens": completion, "metadata": {"usage_object": payload}},
        ),
    ]
    if not written:
        gemini = {
            "promptTokenCount": prompt - uncached // 3,
            "toolUsePromptTokenCount": uncached // 3,
            "cachedContentTokenCount": read,
            "candidatesTokenCount": output,
            "thoughtsTokenCount": reasoned,
            "totalTokenCount": prompt + completion,
        }
        counts = {"prompt_tokens": prompt, "completion_tokens": completion, "cached_tokens": read}
        made += [
            (GEMINI, {**told, "id": "gemini", "usageMetadata": gemini}),
            (SGLANG, {**told, "id": "request", **counts, "reasoning_tokens": reasoned}),
        ]
    if not reasoned:
        converse = {
            "inputTokens": uncached,
            "outputTokens": output,
            "cacheReadInputTokens": read,
            "cacheWriteInputTokens": written,
            "totalTokens": prompt + output,
        }
        made += [(BEDROCK, {**told, "id": "converse", "usage": converse})]
    if not reasoned and not written:
        deepseek = {"prompt_cache_hit_tokens": read, "prompt_cache_miss_tokens": uncached}
        plain = {"prompt_tokens": prompt, "completion_tokens": output}
        timings = {"cache_n": read, "prompt_n": uncached, "predicted_n": output}
        tokens = {"input_tokens": prompt, "output_tokens": output}
        made += [
            (OPENAI, {**told, "id": "deepseek", "usage": {**plain, **deepseek}}),
            (OPENAI, {**told, "id": "llamacpp", "usage": plain, "timings": timings}),
            (COHERE, {**told, "id": "cohere", "usage": {"tokens": tokens, "cached_tokens": read}}),
        ]
    return made


COUNT = st.integers(0, 10**9) | st.integers(0, 3)


TRUTH = st.tuples(COUNT, COUNT, st.just(0) | COUNT, COUNT, st.just(0) | COUNT)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TRUTH, min_size=1, max_size=40))
def test_one_true_usage_reads_back_the_same_from_every_dialect(
    desk: Desk, truths: list[tuple[int, int, int, int, int]]
) -> None:
    """Whoever writes it, inside or beside one another: the same five counts, and none called partial."""
    desk.formats |= {format_.name: format_ for format_ in (*FORMATS, LITELLM)}
    with desk.ledger.transaction() as session:
        session.do("DELETE FROM raw.usage_event")
    expected: dict[str, tuple[int, ...]] = {}
    lines: dict[str, list[dict[str, Any]]] = {}
    for number, truth in enumerate(truths):
        for format_, record in everywhere(*truth):
            name = "litellm_call_id" if "litellm_call_id" in record else "id"
            record[name] += f"-{number}"
            expected[record[name]] = truth
            lines.setdefault(format_.name, []).append(record)
    for name, made in lines.items():
        desk.hand_in(*made, format_name=name)

    assert {name: tuple(counts) for name, *counts in desk.events("event_id", *TOKENS)} == expected
    assert "partial" not in desk.events("usage_quality")
