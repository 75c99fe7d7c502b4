"""Engine samples: canonical units, every way one can be wrong, and what tells engines apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.ingest.desk import Desk, engine_sample

BAD: dict[str, tuple[dict[str, Any] | bytes, str, str]] = {
    "not JSON": (b"{", "malformed", "not JSON"),
    "another kind": (
        {"event_id": "e", "tags": {}},
        "missing_field",
        "no instance and no sampled_at; is this an engine file?",
    ),
    "no instance": ({"instance": None}, "missing_field", "instance is absent"),
    "an empty instance": ({"instance": ""}, "missing_field", "instance is empty"),
    "an engine that is a number": ({"engine": 0}, "wrong_type", "engine is 0"),
    "a model that is an object": ({"model": {"x": "secret"}}, "wrong_type", "model is an object"),
    "a pod of 257 characters": ({"pod": "p" * 257}, "too_long", "pod has 257"),
    "no time": ({"sampled_at": None}, "missing_field", "sampled_at is absent"),
    "a time without zone": ({"sampled_at": "2026-10-15T11:00:00"}, "no_zone", "sampled_at"),
    "a time from 1969": ({"sampled_at": "1969-12-31T23:00:00Z"}, "too_old", "sampled_at"),
    "a start without zone": ({"started_at": "2026-10-15T11:00:00"}, "no_zone", "started_at"),
    "a start that is an epoch": ({"started_at": 1760000000}, "wrong_type", "started_at is 1760000000"),
    "a start that is no time": ({"started_at": "yesterday"}, "bad_time", "started_at"),
    "a start next year": ({"started_at": "2027-10-15T11:00:00Z"}, "too_far_ahead", "started_at"),
    "a counter with decimals": ({"prompt_tokens": 1.5}, "wrong_type", "prompt_tokens is 1.5"),
    "a counter as Prometheus writes it": (
        json.dumps(engine_sample(output_tokens=0)).replace(": 0", ": 1.234e+06").encode(),
        "wrong_type",
        "output_tokens",
    ),
    "a counter that is text": ({"requests": "12"}, "wrong_type", "requests"),
    "a counter that is a list": ({"cache_read_tokens": ["secret"]}, "wrong_type", "cache_read_tokens is a list"),
    "cached tokens of a tier beyond belief": (
        {"cache_read_host_tokens": 10**15 + 1},
        "too_large",
        "cache_read_host_tokens is 1000000000000001",
    ),
    "a negative counter": ({"aborted_requests": -1}, "negative", "aborted_requests is -1"),
    "a counter beyond all engines": ({"output_tokens": 10**15 + 1}, "too_large", "at most 1000000000000000"),
    "a counter beyond 63 bits": ({"requests": 2**63}, "too_large", "at most 1000000000000000"),
    "more operations than there were": ({"estimated_flops": 10**27 + 1}, "too_large", "estimated_flops"),
    "more bytes than there were": ({"estimated_bytes": 10**40}, "too_large", "estimated_bytes"),
    "half a request": ({"requests_running": 0.5}, "wrong_type", "requests_running"),
    "a queue beyond 31 bits": ({"requests_waiting": 2**31}, "too_large", "requests_waiting"),
    "negative seconds": ({"prefill_seconds": -0.1}, "negative", "prefill_seconds is -0.1"),
    "seconds that are text": ({"decode_seconds": "1 s"}, "wrong_type", "send a number of seconds"),
    "seconds that are NaN": (
        json.dumps(engine_sample(idle_seconds=float("nan"))).encode(),
        "wrong_type",
        "idle_seconds is NaN",
    ),
    "seconds of ages": ({"idle_seconds": 100_000_000_000.1}, "too_large", "idle_seconds"),
    "percent for a ratio": ({"kv_cache_ratio": 87}, "too_large", "kv_cache_ratio is 87"),
    "a negative ratio": ({"kv_cache_ratio": -0.01}, "negative", "kv_cache_ratio"),
}


@pytest.fixture(scope="module")
def sorted_out(shared_desk: Desk) -> Callable[[str], tuple[str, str, int]]:
    """Every bad sample in one file between sound ones; gives reason, detail and line by the case's name."""
    records: list[Any] = []
    for number, (bad, _, _) in enumerate(BAD.values()):
        sound = engine_sample(f"2026-10-15T10:{number:02d}:00Z")
        alone = isinstance(bad, bytes) or "event_id" in bad
        records += [sound, bad if alone else {k: v for k, v in (engine_sample() | bad).items() if v is not None}]  # type: ignore[operator]
    outcome = shared_desk.hand_in(*records, format_name="engine")
    assert (outcome.landed, outcome.rejected) == (len(BAD), len(BAD))
    return dict(zip(BAD, shared_desk.rejections("reason", "detail", "line"), strict=True)).__getitem__


@pytest.mark.parametrize("name", BAD)
def test_a_bad_sample_is_rejected_with_its_reason(sorted_out: Callable[[str], tuple[str, str, int]], name: str) -> None:
    """Reason, a detail that names field and value, and the line."""
    reason, detail, line = sorted_out(name)

    assert reason == BAD[name][1]
    assert BAD[name][2] in detail
    assert "secret" not in detail
    assert line == 2 * list(BAD).index(name) + 2


def test_readings_land_in_canonical_units(desk: Desk) -> None:
    """Seconds to the microsecond, half-even from the decimal text, the ratio in parts per million; counters as they are."""
    desk.hand_in(
        engine_sample(
            engine="1",
            started_at="2019-10-15T09:00:00+02:00",
            prompt_tokens=10**15,
            cache_read_tokens=0,
            cache_read_host_tokens=3,
            cache_read_storage_tokens=10**15,
            requests=7,
            aborted_requests=1,
            estimated_flops=10**27,
            estimated_bytes=2**64,
            requests_running=2**31 - 1,
            requests_waiting=0,
            kv_cache_ratio=0.1234565,
            idle_seconds=100_000_000_000,
            cluster="c",
            node="n",
            deployment="d",
            namespace="ns",
            pod="p",
            replica="r",
        ),
        format_name="engine",
    )

    assert desk.engines() == [
        {
            "instance": "10.0.0.5:8000",
            "engine": "1",
            "model": "llama",
            "sampled_at": "2026-10-15T11:00:00.000000Z",
            "software": "vllm",
            "cluster": "c",
            "node": "n",
            "deployment": "d",
            "namespace": "ns",
            "pod": "p",
            "replica": "r",
            "started_at": "2019-10-15T07:00:00.000000Z",
            "prompt_tokens": 10**15,
            "cache_read_tokens": 0,
            "cache_read_host_tokens": 3,
            "cache_read_storage_tokens": 10**15,
            "output_tokens": 100,
            "requests": 7,
            "aborted_requests": 1,
            "prefill_us": None,
            "decode_us": None,
            "idle_us": 10**17,
            "estimated_flops": 10**27,
            "estimated_bytes": 2**64,
            "requests_running": 2**31 - 1,
            "requests_waiting": 0,
            "kv_cache_ppm": 123_456,
        }
    ]


SECONDS = {
    "0": 0,
    "1": 1_000_000,
    "12.5": 12_500_000,
    "0.0000005": 0,
    "0.0000015": 2,
    "0.00000050001": 1,
    "5.000000000000001e-7": 1,
    "1.5e3": 1_500_000_000,
    "123456789.123456": 123_456_789_123_456,
    "1e11": 10**17,
}


def test_seconds_are_exact_microseconds(desk: Desk) -> None:
    """Halves go to the even neighbour, and the smallest excess over a half goes up."""
    records = [
        json.dumps(engine_sample(f"2026-10-15T11:00:{number:02d}Z", decode_seconds=0)).replace(
            '"decode_seconds": 0', f'"decode_seconds": {text}'
        )
        for number, text in enumerate(SECONDS)
    ]
    desk.hand_in(*records, format_name="engine")

    assert desk.engines("decode_us") == list(SECONDS.values())


def test_absent_readings_are_unknown(desk: Desk) -> None:
    """Never zero; a null is absent, and who names no model serves the empty name."""
    desk.hand_in(
        {"instance": "E", "sampled_at": "2026-10-15T11:00:00Z", "requests": None, "idle_seconds": None},
        format_name="engine",
    )

    (landed,) = desk.engines()
    assert {name: value for name, value in landed.items() if value not in {"", None}} == {
        "instance": "E",
        "sampled_at": "2026-10-15T11:00:00.000000Z",
    }
    assert landed["output_tokens"] is None
    assert landed["model"] == ""


def test_engines_are_told_apart_by_instance_index_and_model(fresh_desk: Desk) -> None:
    """Each counts by itself; one seen in two places is one engine with two series, and its model is in the dictionary."""
    fresh_desk.hand_in(
        engine_sample(),
        engine_sample(engine="1"),
        engine_sample(model="other"),
        engine_sample("2026-10-15T11:00:15Z", model="other", pod="second"),
        format_name="engine",
    )

    assert (fresh_desk.count("raw.engine"), fresh_desk.count("raw.engine_series")) == (3, 4)
    assert fresh_desk.engines("engine", "model", "pod") == [
        ("", "llama", ""),
        ("", "other", ""),
        ("", "other", "second"),
        ("1", "llama", ""),
    ]
    models = fresh_desk.ledger.session().rows("SELECT model_id FROM book.model ORDER BY model_no")
    assert models == [("",), ("llama",), ("other",)]


def test_what_was_refused_lands_when_it_is_tried_again(desk: Desk) -> None:
    """A time too far ahead comes within reach; what the quarantine kept is the whole sample, and nothing beside it."""
    ahead = engine_sample("2026-10-17T09:00:00Z", output_tokens=7, prompt="secret")
    rejected = desk.hand_in(ahead, format_name="engine").rejected
    (kept,) = desk.rejections("bytes")
    desk.clock.advance(timedelta(days=2))
    outcome = desk.replay()

    assert (rejected, outcome.landed) == (1, 1)
    assert b"secret" not in kept
    assert desk.engines("sampled_at", "output_tokens") == [("2026-10-17T09:00:00.000000Z", 7)]
