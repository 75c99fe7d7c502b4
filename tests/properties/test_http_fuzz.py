"""Whatever is sent, the HTTP side answers: never 5xx but the deliberate 503, never unbounded, never with what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate
from ingest.formats.ndjson import Ndjson
from ingest.http import bodies, openapi
from ingest.http.answers import Refusal
from ingest.http.documents import load
from ingest.http.limits import Hold, Room
from ingest.http.routes import ROUTES
from ingest.kinds import KINDS, USAGE
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, engine_sample, event, lines, sample
from tests.unit.ingest.door import TOKEN, Door, opened

FORMAT = Ndjson("usage", USAGE)
PATHS = [route.path.replace("{format}", "gpu") for route in ROUTES]
DELIBERATE = {200, 400, 401, 404, 405, 408, 413, 415, 422, 429, 503}
SOUND = lines([event("sound"), event("other")])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    clock = FrozenClock(NOON)
    with Ledger(tmp_path_factory.mktemp("fuzz") / "apportion.duckdb") as ledger:
        migrate(ledger, clock)
        with opened(ledger, clock, body_bytes_max=1024 * 1024) as found:
            yield found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
fields = st.sampled_from([*USAGE.columns, *KINDS["gpu"].columns])
records = st.dictionaries(fields, json_values, max_size=12)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Sound bodies with bytes taken out, put in or doubled."""
    body = bytearray(draw(st.sampled_from([SOUND, lines([sample()]), json.dumps([event("a")]).encode()])))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(body)


payloads = st.one_of(
    st.binary(max_size=300),
    mangled(),
    st.lists(records, max_size=4).map(lambda found: json.dumps(found).encode()),
    records.map(lambda found: json.dumps(found).encode()),
    st.lists(st.one_of(records.map(lambda found: json.dumps(found).encode()), st.binary(max_size=30)), max_size=5).map(
        b"\n".join
    ),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content_Type": st.sampled_from(
            ["application/json", "application/x-protobuf", "application/x-ndjson", "a/b", ";"]
        ),
        "Content_Encoding": st.sampled_from(["gzip", "identity", "deflate", "zstd", "gzip;q=1"]),
        "Authorization": st.sampled_from(
            ["", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN},{TOKEN}", f"bearer {TOKEN}"]
        ),
        "Idempotency_Key": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300).map(str.strip),
        "Accept": st.just("*/*"),
    },
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=payloads, headers=headers, packed=st.booleans())
def test_every_request_is_answered_on_purpose(
    door: Door, path: str, body: bytes, headers: dict[str, str], packed: bool
) -> None:
    """Any body, any of the headers that are read: a deliberate code, counts that add up, and room given back."""
    reply = door.post(path, gzip.compress(body) if packed else body, **headers)

    assert reply.status in DELIBERATE
    assert door.intake._room.held == 0
    assert TOKEN.encode() not in reply.body
    if reply.status == 200 and "accepted" in reply.body.decode():
        said = reply.said
        names = ("accepted", "duplicates", "superseded", "conflicts", "rejected")
        assert said["received"] == sum(said[name] for name in names)
        assert len(said["rejections"]) + said["rejections_omitted"] == said["rejected"] + said["conflicts"]
        assert all(1 <= one["record"] <= said["received"] for one in said["rejections"])


@given(body=payloads)
def test_records_are_told_apart_or_refused(body: bytes) -> None:
    """As many records as lines that are not blank, each line ended; or a refusal, never another exception."""
    try:
        found = load(body, FORMAT)
    except Refusal:
        return

    assert found.records == len([line for line in found.data.split(b"\n") if line and not line.isspace()])
    assert found.lines == found.data.count(b"\n")
    assert not found.data or found.data.endswith(b"\n")


@given(st.lists(records, min_size=1, max_size=5), st.sampled_from([None, 1]))
def test_an_array_is_its_elements_as_lines(found: list[dict[str, Any]], indent: int | None) -> None:
    """However it is laid out, every element is the line that it would have been."""
    loaded = load(json.dumps(found, indent=indent).encode(), FORMAT)

    assert [json.dumps(json.loads(line)) for line in loaded.data.splitlines()] == [json.dumps(one) for one in found]


@given(body=st.binary(max_size=3000), cut=st.integers(0, 200), junk=st.binary(max_size=40))
def test_gzip_is_unpacked_or_refused(body: bytes, cut: int, junk: bytes) -> None:
    """Whole it is what was packed; cut or followed by junk it is refused, and never more than the bound."""
    packed = gzip.compress(body)
    room = Room(10_000)
    hold = Hold(room)

    assert bodies.unpacked(packed, "gzip", hold, 5000) == body
    with contextlib.suppress(Refusal):
        assert body.startswith(bodies.unpacked(packed[: len(packed) - cut] + junk, "gzip", hold, 5000))
    hold.release()
    assert room.held == 0


def test_a_bomb_takes_no_memory() -> None:
    """A gigabyte of zeros in a megabyte is given up at the bound, a few steps of memory later."""
    zeros = gzip.compress(bytes(256 * 1024 * 1024), 9)
    hold = Hold(Room(1 << 40))
    tracemalloc.start()
    with pytest.raises(Refusal, match="413"):
        bodies.unpacked(zeros * 4, "gzip", hold, 4 * 1024 * 1024)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 16 * 1024 * 1024


def test_an_endless_body_takes_no_memory() -> None:
    """Ten gigabytes in chunks, one line: given up at the bound, and given back."""
    asked = 0
    room = Room(1 << 40)

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 65536, "more_body": asked < 160_000}

    hold = Hold(room)
    with pytest.raises(Refusal, match="413"):
        asyncio.run(bodies.received(receive, hold, 4 * 1024 * 1024))
    hold.release()

    assert asked == 65
    assert room.held == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 500_000, id="deep array"),
        pytest.param(b'{"tags":' * 100_000, id="deep object"),
        pytest.param(b'{"tags":' * 50_000 + b"1" + b"}" * 50_000, id="deep and closed"),
        pytest.param(lines([{**event("t"), "tags": {f"k{n}": "v" for n in range(40_000)}}]), id="tags"),
        pytest.param(b"x" * 1_000_000, id="one line"),
        pytest.param(b"\n" * 1_000_000, id="blank lines"),
        pytest.param(b"{}\n" * 300_000, id="empty objects"),
        pytest.param(b'{"event_id": ' + b"9" * 500_000 + b"}", id="long number"),
    ],
)
def test_extremes_are_answered(door: Door, body: bytes) -> None:
    """Depth, width, length and number are bounded by themselves, and the next request is served."""
    assert door.post("/v1/usage", body).status in {200, 400, 413}
    assert door.post("/v1/usage", SOUND).status == 200


def test_the_document_describes_what_ingest_reads() -> None:
    """Every canonical field and nothing else, every route, and an answer for every refusal that there is."""
    found = json.loads(openapi.document(ROUTES, 1000))
    schemas = found["components"]["schemas"]

    assert list(schemas["UsageEvent"]["properties"]) == list(KINDS["usage"].columns)
    assert list(schemas["GpuSample"]["properties"]) == list(KINDS["gpu"].columns)
    assert list(schemas["EngineSample"]["properties"]) == list(KINDS["engine"].columns)
    assert [path for path in found["paths"] if path != "/openapi.json"] == [route.path for route in ROUTES]


def test_what_the_document_requires_is_required(door: Door) -> None:
    """An event of the required fields alone lands; without one of them it does not."""
    schemas = json.loads(openapi.document(ROUTES, 1000))["components"]["schemas"]
    for path, name, record in (
        ("/v1/usage", "UsageEvent", event("required")),
        ("/v1/samples", "GpuSample", sample(gpu_uuid="GPU-required")),
        ("/v1/engine", "EngineSample", engine_sample(instance="required")),
    ):
        least = {field: record[field] for field in schemas[name]["required"]}
        assert door.post(path, [least]).said["accepted"] == 1
        for field in least:
            assert door.post(path, [{k: v for k, v in least.items() if k != field}, least]).said["rejected"] == 1


def test_schemathesis_finds_nothing(door: Door) -> None:
    """Requests made from the published document are answered as it says: codes, content types, schemas."""
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_dict(door.ask("GET", "/openapi.json").said)
    schema.config.base_url = f"http://{door.listening.host}:{door.listening.port}"
    # Not asked: whether a record that breaks its schema is refused. It is rejected by itself, in an answer of 200.
    judged_by_record = {"negative_data_rejection", "positive_data_acceptance"}
    names = [name for name in schemathesis.checks.CHECKS.get_all_names() if name not in judged_by_record]
    checks = schemathesis.checks.CHECKS.get_by_names(names)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        _tried(operation, checks)

    assert len(operations) == len(ROUTES) + 1


def _tried(operation: Any, checks: list[Any]) -> None:
    """Some requests for one operation."""

    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def holds(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=checks)

    holds()
