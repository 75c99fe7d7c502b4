"""What the quarantine keeps of a record: enough to mend and replay it, and never what a prompt said."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from ingest.formats import redaction
from ingest.rejections import BYTES_MAX, KEEP_DAYS, expire
from ingest.slices import RECORD_BYTES_MAX
from tests.unit.ingest.desk import Desk, event, lines

SECRET = "my doctor says"
FIELDS = ("event_id", "model", "tags", "output_tokens", "ttft_ms", "principal")
TAGS = ("team",)


def ledger_bytes(desk: Desk) -> bytes:
    """Everything the ledger wrote down."""
    desk.ledger.session().do("CHECKPOINT")
    return b"".join(path.read_bytes() for path in desk.ledger.path.parent.glob("apportion.duckdb*") if path.is_file())


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        (b'{"event_id": "a",  "output_tokens": -1.50}', b'{"event_id": "a",  "output_tokens": -1.50}'),
        (b'{"event_id": "a", "prompt": "S", "output_tokens": -1}', b'{"event_id":"a","output_tokens":-1}'),
        (
            b'{"event_id": "\\u00e9", "output_tokens": 1e400, "ttft_ms": 0.10000000000000000001, "x": 1}',
            '{"event_id":"é","output_tokens":1e400,"ttft_ms":0.10000000000000000001}'.encode(),
        ),
        (b'{"event_id": {"prompt": "S"}, "model": ["S"]}', b'{"event_id":{},"model":[]}'),
        (b'{"tags": {"team": "t", "prompt": "S"}, "event_id": null}', b'{"event_id":null,"tags":{"team":"t"}}'),
        (b'{"tags": {"team": {"prompt": "S"}}}', b'{"tags":{"team":{}}}'),
        (b'{"tags": ["S"], "output_tokens": true}', b'{"output_tokens":true,"tags":[]}'),
        (b'{"event_id": "first", "event_id": "second", "x": 1}', b'{"event_id":"first"}'),
        (b'{"event_id": "a", "model": "ll', b'{"event_id": "a", "model": "ll'),
        (b'{"event_id": "a", "mod', b'{"event_id": "a", "mod'),
        (b'{"event_id": "a", "output_tokens": 1', b'{"event_id": "a", "output_tokens": 1'),
        (b'{"event_id": "a", "tags": {"team": "t"}, "model"', b'{"event_id": "a", "tags": {"team": "t"}, "model"'),
        (b'{"event_id": "a", "tags": {"prompt": "S"}, "model"', b'{"event_id": "a",'),
        (b'{"event_id": "a", "tags": {"prompt": "S', b'{"event_id": "a",'),
        (b'{"event_id": "a", "prompt": "S', b'{"event_id": "a",'),
        (b'{"event_id": "a", "model": "m"} S', b'{"event_id": "a",'),
        (b'{"event_id": "a" S "model": "m"}', b"{"),
        (b'S", "model": "m"}', None),
        (b"S", None),
        (b'["S"]', None),
        (b'"S"', None),
        (b"\xff\xfe", None),
        (b'{"event_id": "\xff", "model": "m"}', b'{"event_id": "\xff", "model": "m"}'),
    ],
)
def test_only_fields_of_the_contract_are_kept(record: bytes, kept: bytes | None) -> None:
    """A record that parses loses other fields; of one that does not, what reads as known fields from its start stays."""
    assert redaction.canonical(record, FIELDS, TAGS) == kept


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        (b'{"usage": {"in": 1, "out": 2}, "id": "a"}', b'{"usage": {"in": 1, "out": 2}, "id": "a"}'),
        (b'{"usage": {"in": 1, "out": 2, "text": "S"}, "id": "a"}', b'{"usage":{"in":1,"out":2},"id":"a"}'),
        (b'{"usage": {"in": {"S": "S"}}, "id": "a"}', b'{"usage":{"in":{}},"id":"a"}'),
        (b'{"usage": [1, 2], "choices": ["S"]}', b"{}"),
        (b'{"id": "a", "usage": "S"}', b'{"id":"a"}'),
        (b'{"id": "a"', None),
        (b"[1]", None),
    ],
)
def test_only_mapped_values_are_kept(record: bytes, kept: bytes | None) -> None:
    """Of an export read by a mapping only the values that the mapping reads; of one that does not parse, nothing."""
    assert redaction.picked(record, [("usage", "in"), ("usage", "out"), ("id",)]) == kept


def test_no_prompt_reaches_the_ledger(desk: Desk) -> None:
    """Not from sound records, not from rejected ones, not from conflicts, not from lines that are no JSON: nowhere in the file."""
    content = {
        "prompt": SECRET,
        "messages": [{"role": "user", "content": SECRET}],
        "tags": {"team": "t", "note": SECRET},
    }
    desk.describe("""
[[sources]]
name = "log"
kind = "usage"
format = "json"
columns = { event_id = "id", model = "model", output_tokens = "usage.out" }
time = { column = "at", format = "iso" }

[[sources]]
name = "table"
kind = "usage"
format = "csv"
columns = { event_id = "id", model = "model", output_tokens = "out" }
time = { column = "at", format = "iso" }
""")
    desk.hand_in(
        event("a") | content,
        event("b", output_tokens=-1) | content,
        event("a", output_tokens=11) | content,
        event("c", model={"prompt": SECRET}),
        event("d", tags=[SECRET]),
        event("e", source={"prompt": SECRET}),
        f'{{"event_id": "f", "prompt": "{SECRET}',
        f'{SECRET}", "output_tokens": 1}}',
        SECRET,
    )
    log = {
        "id": "g",
        "model": "m",
        "at": "2026-10-15T11:00:00Z",
        "usage": {"out": -1, "text": SECRET},
        "prompt": SECRET,
    }
    desk.hand_in(log, log | {"id": {"x": SECRET}}, json.dumps(log)[:-1], format_name="log")
    desk.read(
        desk.file(
            f'id,at,model,out,prompt\nh,2026-10-15T11:00:00Z,m,-1,"{SECRET}, he"\ni,2026-10-15T11:00:00Z,m,1,{SECRET}, she\n'.encode()
        ),
        "table",
    )

    assert desk.totals()["rejected"] == 12
    assert desk.totals()["conflicts"] == 1
    assert SECRET.encode() not in ledger_bytes(desk)


def test_digest_is_of_all_bytes_whatever_is_kept(desk: Desk) -> None:
    """The digest finds the record again in its file."""
    bad = json.dumps(event("a", output_tokens=-1, prompt=SECRET)).encode()
    desk.hand_in(bad)

    ((digest, kept),) = desk.rejections("digest", "bytes")
    assert digest == hashlib.sha256(bad).hexdigest()
    assert json.loads(kept) == event("a", output_tokens=-1)


def test_a_crlf_is_part_of_no_value(desk: Desk) -> None:
    """Bytes are those of the record, its line end apart."""
    bad = json.dumps(event("a", output_tokens=-1)).encode()
    desk.read(desk.file(bad + b"\r\n"))

    assert desk.rejections("bytes") == [bad + b"\r"]


def test_at_most_64_kib_are_kept(desk: Desk) -> None:
    """The beginning of a longer record, and the digest of all of it."""
    bad = json.dumps(event("a", principal="p" * 100_000)).encode()
    desk.hand_in(bad)

    ((kept, digest, reason),) = desk.rejections("bytes", "digest", "reason")
    assert (kept, digest, reason) == (bad[:BYTES_MAX], hashlib.sha256(bad).hexdigest(), "too_long")


@pytest.mark.parametrize("compressed", [False, True])
def test_an_oversized_record_is_passed_over(desk: Desk, compressed: bool) -> None:
    """One rejection for it, however long it is, with its place and digest; what stands before and after lands."""
    good = [json.dumps(event(name)).encode() for name in "abc"]
    bad = json.dumps(event("x", prompt="y" * (RECORD_BYTES_MAX + 7_000_000))).encode()
    whole = lines([good[0], bad, good[1], b"nope", good[2]])
    outcome = desk.read(desk.file(gzip.compress(whole, 1) if compressed else whole))

    assert (outcome.landed, outcome.rejections) == (3, {"oversized": 1, "malformed": 1})
    assert desk.rejections("reason", "line", "record", "digest") == [
        ("oversized", 2, 2, hashlib.sha256(bad).hexdigest()),
        ("malformed", 4, 4, hashlib.sha256(b"nope").hexdigest()),
    ]
    assert str(len(bad) + 1) in desk.rejections("detail")[0]
    assert desk.rejections("bytes")[0] == json.dumps(event("x")).encode()[:-1] + b", "[:1]


def test_a_record_of_just_8_mib_is_read(desk: Desk) -> None:
    """The limit is a limit of one byte, wherever the file's chunks end."""

    def sized(name: str, size: int) -> bytes:
        empty = json.dumps(event(name, note="")).encode()
        return empty.replace(b'"note": ""', b'"note": "' + b"n" * (size - len(empty)) + b'"')

    outcome = desk.hand_in(event("a"), sized("b", RECORD_BYTES_MAX), sized("c", RECORD_BYTES_MAX + 1), event("d"))

    assert (outcome.landed, outcome.rejections) == (3, {"oversized": 1})
    assert desk.events("event_id") == ["a", "b", "d"]


def test_a_slice_of_nothing_but_rejections_fits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go to the quarantine in groups, numbered through."""
    monkeypatch.setattr("ingest.rejections.GROUP_BYTES", 500)
    desk.hand_in(*(event(f"e{number}", output_tokens=-number) for number in range(1, 8)))

    assert desk.rejections("rejection_no", "record") == [(number, number) for number in range(1, 8)]


def test_bytes_expire_and_the_rest_stays(desk: Desk) -> None:
    """After thirty days only who, where and why are left; a day earlier everything is."""
    desk.hand_in(event("a", output_tokens=-1))
    desk.clock.advance(timedelta(days=KEEP_DAYS))
    assert expire(desk.ledger, desk.clock) == 0
    desk.clock.advance(timedelta(seconds=1))

    assert expire(desk.ledger, desk.clock) == 1
    assert desk.rejections("bytes", "reason", "line") == [(None, "negative", 1)]


def test_rejected_parquet_rows_keep_no_other_columns(desk: Desk, tmp_path: Path) -> None:
    """A row is kept as canonical JSON of the contract's columns, so that it can be replayed as such."""
    path = tmp_path / "x.parquet"
    duckdb.sql(f"""
        COPY (SELECT 'a' AS event_id, 's' AS source, 'm' AS model, -1 AS output_tokens, '{SECRET}' AS prompt,
            MAP {{'team': 't', 'note': '{SECRET}'}} AS tags, TIMESTAMPTZ '2026-10-15 11:00:00+00' AS occurred_at)
        TO '{path}' (FORMAT parquet)""")
    desk.read(path)

    (kept,) = desk.rejections("bytes")
    assert json.loads(kept) == {
        "event_id": "a",
        "source": "s",
        "model": "m",
        "output_tokens": -1,
        "tags": {"team": "t"},
        "occurred_at": "2026-10-15T11:00:00.000000Z",
    }
    assert SECRET.encode() not in ledger_bytes(desk)
