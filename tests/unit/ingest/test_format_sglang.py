"""SGLang's request metrics: no time, no model, prompts inside what it repeats of the request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.formats.sglang import SGLANG
from tests.frozen import FrozenClock
from tests.shared_data import shared
from tests.unit.ingest.desk import NOON, Desk

TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
BASE: dict[str, Any] = {
    "time": "2026-10-15T11:00:00Z",
    "model": "llama",
    "request_parameters": '{"text": "a secret prompt"}',
    "id": "r-1",
    "finish_reason": {"type": "stop", "matched": 151645},
    "prompt_tokens": 3120,
    "completion_tokens": 412,
    "cached_tokens": 2560,
    "e2e_latency": 9.07,
}


@pytest.fixture
def sglang(desk: Desk) -> Desk:
    """A desk that reads SGLang's files."""
    desk.formats["sglang"] = SGLANG
    return desk


def landed(desk: Desk, **fields: Any) -> dict[str, Any]:
    """The one event that a record becomes."""
    desk.hand_in({**BASE, **fields}, format_name="sglang")
    (event,) = desk.events()
    return dict(event)


def test_the_file_alone_is_rejected_and_told_what_to_add(sglang: Desk) -> None:
    """It has neither time nor model; with both, it lands."""
    sglang.clock = FrozenClock(NOON.replace(year=2027))
    (line,) = shared("samples", "sglang_request_metrics.log").read_text().splitlines()
    sglang.hand_in(line, format_name="sglang")
    ((reason, detail),) = sglang.rejections("reason", "detail")
    sglang.hand_in({**json.loads(line), "time": "2026-11-13T00:00:19.320Z", "model": "qwen3-32b"}, format_name="sglang")

    assert reason in {"bad_time", "missing_field"}
    assert "as `time` beside the answer" in detail or "model" in detail
    assert sglang.events(*TOKENS, "duration_us") == [(560, 2560, 0, 412, 0, 9_070_000)]


def test_newer_releases_say_when_they_answered(sglang: Desk) -> None:
    """Then no time has to be added, and SGLang's own counts before what is."""
    event = landed(sglang, response_sent_to_client_ts=1792061999.9459763)

    assert event["occurred_at"] == "2026-10-15T10:59:59.945976Z"


def test_an_aborted_request_counts_what_was_made(sglang: Desk) -> None:
    """The engine worked until the client left."""
    event = landed(sglang, finish_reason={"type": "abort"}, completion_tokens=15)

    assert (event["status"], event["output_tokens"], event["usage_quality"]) == ("cancelled", 15, "partial")


@pytest.mark.parametrize(
    ("fields", "tokens", "quality"),
    [
        ({"reasoning_tokens": 120}, (560, 2560, 0, 292, 120), "reported"),
        ({"completion_tokens": None}, (560, 2560, 0, 0, 0), "reported"),
        ({"cached_tokens": None}, (3120, 0, 0, 412, 0), "partial"),
        ({"cached_tokens": 4000}, (3120, 4000, 0, 412, 0), "partial"),
        ({"reasoning_tokens": 500}, (560, 2560, 0, 412, 500), "partial"),
        ({"prompt_tokens": None, "completion_tokens": None, "cached_tokens": None}, (0, 0, 0, 0, 0), "missing"),
    ],
)
def test_what_is_inside_and_what_is_unknown(
    sglang: Desk, fields: dict[str, Any], tokens: tuple[int, ...], quality: str
) -> None:
    """Cached and reasoning tokens are inside; embeddings have no output; what was cached may be unknown."""
    event = landed(sglang, **fields)

    assert (tuple(event[name] for name in TOKENS), event["usage_quality"]) == (tokens, quality)


def test_an_answer_to_generate_is_read_too(sglang: Desk) -> None:
    """What the file writes stands there in `meta_info`."""
    meta = {
        "id": "r-2",
        "finish_reason": {"type": "length"},
        "prompt_tokens": 5,
        "completion_tokens": 32,
        "cached_tokens": 2,
    }
    record = {"time": "2026-10-15T11:00:00Z", "model": "m", "response": {"text": "a secret answer", "meta_info": meta}}
    sglang.hand_in(record, format_name="sglang")

    assert sglang.events("event_id", *TOKENS) == [("r-2", 3, 2, 0, 32, 0)]


def test_prompts_are_never_kept(sglang: Desk) -> None:
    """`request_parameters` repeats the request: a rejected record loses it."""
    sglang.hand_in({**BASE, "prompt_tokens": -1}, format_name="sglang")

    assert b"secret" not in bytes(sglang.rejections("bytes")[0])
