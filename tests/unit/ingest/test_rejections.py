"""Every way a usage event can be wrong: its reason, what it says, and that nothing else suffers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.ingest.desk import NOON, Desk, event, lines


@dataclass(frozen=True)
class Case:
    """A line, and how it is rejected: the reason, and words that the detail holds."""

    line: bytes
    reason: str
    words: tuple[str, ...]


def raw(field: str, text: str) -> bytes:
    """An event with one field's JSON text written as given."""
    return (
        json.dumps(event("bad")).removesuffix("}").replace(f'"{field}"', '"_"').encode()
        + f', "{field}": {text}}}'.encode()
    )


def case(reason: str, *words: str, **fields: object) -> Case:
    """An event with fields that are wrong."""
    return Case(json.dumps(event("bad") | fields).encode(), reason, words)


def absent(field: str) -> Case:
    """An event without a field."""
    return Case(
        json.dumps({name: value for name, value in event("bad").items() if name != field}).encode(),
        "missing_field",
        (field, "absent"),
    )


COUNTS = (
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "requests",
    "revision",
)
TEXTS = (
    "model",
    "provider",
    "cluster",
    "deployment",
    "replica",
    "principal",
    "namespace",
    "trace_id",
    "session_id",
    "tier",
    "language",
    "region",
)
MEASURES = ("ttft_ms", "duration_ms", "queue_ms")
CASES: dict[str, Case] = {
    "not JSON": Case(b'{"event_id": "x", ', "malformed", ("not JSON", "character")),
    "words": Case(b"GET /v1/chat/completions 200", "malformed", ("not JSON",)),
    "two objects on a line": Case(lines([event("x")])[:-1] + lines([event("y")])[:-1], "malformed", ("Extra data",)),
    "a list": Case(b'["x"]', "malformed", ("array, not an object",)),
    "a number": Case(b"17", "malformed", ("number, not an object",)),
    "a text": Case(b'"x"', "malformed", ("text, not an object",)),
    "null": Case(b"null", "malformed", ("not an object",)),
    "not UTF-8": Case(b'{"event_id": "\xff"}', "malformed", ("not UTF-8",)),
    "a NUL byte": Case(b'{"event_id": "x\0"}', "malformed", ("not JSON",)),
    "a raw tab in a text": Case(b'{"event_id": "x\ty"}', "malformed", ("control character",)),
    "half a surrogate pair": Case(raw("model", '"\\ud800"'), "malformed", ("surrogate",)),
    "another BOM": Case(b"\xef\xbb\xbf" + json.dumps(event("bad")).encode(), "malformed", ("BOM",)),
    "another kind of object": Case(
        b'{"level": "info", "msg": "started"}', "missing_field", ("no event_id and no occurred_at", "usage file")
    ),
    "an empty object": Case(b"{}", "missing_field", ("no event_id and no occurred_at",)),
    "nulls only": Case(
        b'{"event_id": null, "source": null, "occurred_at": null, "model": null}', "missing_field", ("event_id",)
    ),
    **{f"no {field}": absent(field) for field in ("event_id", "source", "occurred_at", "model")},
    **{
        f"empty {field}": case("missing_field", field, "is empty", **{field: ""})
        for field in ("event_id", "source", "model")
    },
    **{
        f"null {field}": case("missing_field", field, **{field: None})
        for field in ("event_id", "source", "occurred_at", "model")
    },
    **{
        f"{field} is a number": case("wrong_type", field, "17", "send text", **{field: 17})
        for field in ("event_id", "source", *TEXTS)
    },
    **{
        f"{field} is a word": case("wrong_type", field, "true", **{field: True})
        for field in ("event_id", "model", "trace_id")
    },
    **{
        f"{field} is an object": case("wrong_type", field, "an object", **{field: {"x": "secret"}})
        for field in ("event_id", "source", "principal", "session_id")
    },
    **{
        f"{field} is a list": case("wrong_type", field, "a list", **{field: ["secret"]})
        for field in ("event_id", "namespace")
    },
    **{
        f"{field} is {value!r}": case("wrong_type", field, "send a whole number", **{field: value})
        for field in COUNTS
        for value in ("12", 1.5, 1e3, True, {"x": 1}, [1])
    },
    **{f"{field} is -1": case("negative", field, "-1", "zero or more", **{field: -1}) for field in COUNTS},
    **{
        f"{field} is absurd": case("too_large", field, "at most 10000000000", **{field: 10_000_000_001})
        for field in COUNTS[:5]
    },
    "a count of 40 digits": case("too_large", "output_tokens", output_tokens=10**40),
    "a million and one requests": case("too_large", "requests", "1000001", "at most 1000000", requests=1_000_001),
    "a revision beyond 32 bits": case("too_large", "revision", "at most 2147483647", revision=2**31),
    **{f"{field} is text": case("wrong_type", field, "send a number", **{field: "12"}) for field in MEASURES},
    **{
        f"{field} is {value}": case("wrong_type", field, "send a number", **{field: value})
        for field in MEASURES
        for value in (True, [1])
    },
    "a latency is NaN": Case(raw("ttft_ms", "NaN"), "wrong_type", ("ttft_ms", "NaN")),
    **{f"{field} is negative": case("negative", field, "-0.5", **{field: -0.5}) for field in MEASURES},
    "a latency is absurd": case("too_large", "duration_ms", "not believed", duration_ms=1e30),
    "a time without a zone": case(
        "no_zone", "occurred_at", "2026-10-15T11:00:00", "end it in Z", occurred_at="2026-10-15T11:00:00"
    ),
    "a time without a zone, in words": case("no_zone", "occurred_at", occurred_at="2026-10-15 11:00"),
    "a time that is a number": case("wrong_type", "occurred_at", "1792", "RFC 3339", occurred_at=1792062000),
    "a time that is text": case("bad_time", "occurred_at", "yesterday", "RFC 3339", occurred_at="yesterday"),
    "a day that does not exist": case("bad_time", "2026-02-30", occurred_at="2026-02-30T11:00:00Z"),
    "an hour that does not exist": case("bad_time", "T24:00:00Z", occurred_at="2026-10-15T24:00:00Z"),
    "an offset that does not exist": case("bad_time", "+99:99", occurred_at="2026-10-15T11:00:00+99:99"),
    "an empty time": case("bad_time", "occurred_at", occurred_at=""),
    "an event from 1969": case("too_old", "1969-12-31", "2020-01-01T00:00:00Z", occurred_at="1969-12-31T23:59:59Z"),
    "an event just before the epoch": case("too_old", "2019-12-31", occurred_at="2019-12-31T23:59:59.999999Z"),
    "an event from next year": case(
        "too_far_ahead",
        "2027-10-15",
        "more than a day ahead of 2026-10-15T12:00:00Z",
        occurred_at="2027-10-15T11:00:00Z",
    ),
    "just more than a day ahead": case("too_far_ahead", occurred_at="2026-10-16T12:00:00.000001Z"),
    "a control character in an id": case("control_character", "event_id", event_id="x\x07y"),
    "a NUL in a text": case("control_character", "model", model="x\0y"),
    "a line end in a text": case("control_character", "principal", principal="x\ny"),
    "a DEL in a text": case("control_character", "trace_id", trace_id="x\x7fy"),
    "a tab in a tag": case("control_character", "tag team", tags={"team": "x\ty"}),
    "an id of 513 characters": case("too_long", "event_id has 513 characters", "at most 512", event_id="é" * 513),
    "a model of 257 characters": case("too_long", "model has 257", model="m" * 257),
    "a principal of 513 characters": case("too_long", "principal", principal="p" * 513),
    "a trace of 513 characters": case("too_long", "trace_id", trace_id="t" * 513),
    "a tag of 257 characters": case("too_long", "tag team has 257", tags={"team": "t" * 257}),
    "an unknown status": case("unknown_value", "status", "ok", "success, failed or cancelled", status="ok"),
    "an empty status": case("unknown_value", "status", status=""),
    "an unknown quality": case("unknown_value", "usage_quality", "guessed", "estimated", usage_quality="guessed"),
    "tags that are a list": case("wrong_type", "tags is a list", tags=["team"]),
    "tags that are text": case("wrong_type", "tags", tags="team=ads"),
    "a tag that is a number": case("wrong_type", "tag team is 5", "send text", tags={"team": 5}),
    "a tag that is an object": case("wrong_type", "tag team is an object", tags={"team": {"x": "secret"}}),
    "65 tags": case("too_many_tags", "65 tags", "at most 64", tags={f"t{number}": "x" for number in range(65)}),
}
SOUND: dict[str, dict[str, Any]] = {
    "the largest count": {"output_tokens": 10_000_000_000},
    "zero requests": {"requests": 0},
    "exactly a day ahead": {"occurred_at": "2026-10-16T12:00:00Z"},
    "the epoch itself": {"occurred_at": "2020-01-01T00:00:00Z"},
    "twelve decimals of a second": {"occurred_at": "2026-10-15T11:00:00.123456789012Z"},
    "an offset without a colon": {"occurred_at": "2026-10-15T11:00:00+0000"},
    "an id of 512 characters": {"event_id": "é" * 512},
    "a model of 256 characters": {"model": "m" * 256},
    "64 tags": {"tags": {f"t{number}": "x" for number in range(64)}},
    "a dropped tag of any type": {"tags": {"other": {"deep": [1]}, "team": "t"}},
    "a null tag": {"tags": {"team": None}},
    "unknown fields": {"prompt": "x", "messages": [{"role": "user"}]},
    "a latency of zero": {"ttft_ms": 0},
    "a latency of minus zero": {"ttft_ms": -0.0},
}


@pytest.fixture(scope="module")
def sorted_out(shared_desk: Desk) -> Callable[[str], Any]:
    """Every case in one file between sound events; gives the rejection of a case by its name."""
    records: list[bytes] = []
    for number, bad in enumerate(CASES.values()):
        records += [b"", json.dumps(event(f"good-{number}")).encode(), bad.line]
    outcome = shared_desk.hand_in(*records)
    assert (outcome.received, outcome.landed, outcome.rejected) == (2 * len(CASES), len(CASES), len(CASES))
    rejections = shared_desk.rejections()
    assert len(rejections) == len(CASES)
    return dict(zip(CASES, rejections, strict=True)).__getitem__


@pytest.mark.parametrize("name", CASES)
def test_a_bad_record_is_rejected_with_its_reason(sorted_out: Callable[[str], Any], name: str) -> None:
    """The reason is from a small vocabulary; the detail names the field, the value and the next step; place and digest are exact."""
    rejection, bad, number = sorted_out(name), CASES[name], list(CASES).index(name)

    assert rejection["reason"] == bad.reason
    assert [word for word in bad.words if word not in rejection["detail"]] == []
    assert (rejection["record"], rejection["line"]) == (2 * number + 2, 3 * number + 3)
    assert rejection["digest"] == hashlib.sha256(bad.line).hexdigest()
    assert "secret" not in rejection["detail"]
    assert (rejection["kind"], rejection["format"], rejection["rejected_at"], rejection["replayed_at"]) == (
        "usage",
        "usage",
        NOON,
        None,
    )


def test_one_bad_record_never_blocks_its_batch(sorted_out: Callable[[str], Any], shared_desk: Desk) -> None:
    """Whatever stands beside them, all sound events land."""
    assert sorted_out("not JSON")
    assert shared_desk.events("event_id") == sorted(f"good-{number}" for number in range(len(CASES)))


def test_what_is_just_inside_the_limits_lands(desk: Desk) -> None:
    """The other side of every edge is not rejected."""
    outcome = desk.hand_in(*(event(f"fine {name}") | fields for name, fields in SOUND.items()))

    assert desk.rejections("detail") == []
    assert outcome.landed == len(SOUND)


def test_each_bad_record_alone_gets_the_same_reason(desk: Desk) -> None:
    """What stands beside a record never changes its reason: here each comes in a file of its own."""
    names = [
        "not JSON",
        "half a surrogate pair",
        "nulls only",
        "an empty object",
        "a NUL byte",
        "65 tags",
        "output_tokens is -1",
        "a number",
    ]
    for name in names:
        desk.hand_in(CASES[name].line)

    assert desk.rejections("reason") == [CASES[name].reason for name in names]
    assert desk.events() == []


def test_json_nested_very_deep_stops_nothing(desk: Desk) -> None:
    """Beside the contract's fields it is skipped like anything else there; in one of them it is the wrong type."""

    def nested(name: str, depth: int) -> bytes:
        return (
            json.dumps(event(f"{name}-{depth}")).removesuffix("}").encode()
            + f', "{name}": '.encode()
            + b"[" * depth
            + b"]" * depth
            + b"}"
        )

    def tags(depth: int) -> bytes:
        return (
            json.dumps(event(f"tags-{depth}")).removesuffix("}").encode()
            + b', "tags": '
            + b'{"team":' * depth
            + b"1"
            + b"}" * depth
            + b"}"
        )

    deep = [128, 900, 300_000]
    outcome = desk.hand_in(
        *(nested("x", depth) for depth in deep),
        *(nested("tags", depth) for depth in deep),
        *(tags(depth) for depth in deep),
    )

    assert desk.events("event_id") == ["x-128", "x-300000", "x-900"]
    assert (outcome.landed, outcome.rejections) == (3, {"wrong_type": 6})


def test_rejections_are_counted_by_reason(desk: Desk) -> None:
    """The outcome, the batch and the quarantine agree."""
    outcome = desk.hand_in(event("a"), event("b", output_tokens=-1), event("c", output_tokens=-1), b"x")

    assert outcome.as_dict()["rejections"] == {"malformed": 1, "negative": 2}
    assert desk.totals() == {
        "received": 4,
        "landed": 1,
        "duplicates": 0,
        "superseded": 0,
        "conflicts": 0,
        "rejected": 3,
        "skewed": 0,
        "dropped_tags": 0,
    }


def test_the_source_of_a_rejection_is_kept_where_it_could_be_read(desk: Desk) -> None:
    """Rejections can be laid at somebody's door."""
    desk.hand_in(event("a", source="vllm", output_tokens=-1), b"x", event("b", source={"prompt": "secret"}))

    assert desk.rejections("source") == ["vllm", "", ""]


def test_more_sources_than_labels_are_rejected_and_stop_nothing(fresh_desk: Desk) -> None:
    """A column mistaken for the source cannot fill the dictionary and block every later file."""
    fresh_desk.ledger.session().do("INSERT INTO raw.source SELECT range, 'old-' || range FROM range(1, 31999)")
    outcome = fresh_desk.hand_in(
        event("a", source="new-1"), event("b", source="new-2"), event("c", source="new-3"), event("d", source="old-7")
    )

    assert (outcome.landed, outcome.rejections) == (3, {"too_many_sources": 1})
    assert fresh_desk.hand_in(event("e", source="new-4"), event("f", source="new-1")).landed == 1
