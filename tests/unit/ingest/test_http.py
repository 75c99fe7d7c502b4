"""The HTTP side of ingest: what is taken, what is refused, and what each is answered."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from apportion.domain.errors import ConfigError, LedgerError
from apportion.ledger.connection import Ledger
from ingest.http import app, bodies
from ingest.http.auth import Tokens
from ingest.http.collector import HttpCollector
from ingest.http.limits import Room
from ingest.land import Lander
from ingest.slices import RECORD_BYTES_MAX
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, RULES, engine_sample, event, lines, sample
from tests.unit.ingest.door import TOKEN, Door, opened

CLEAN = {"conflicts": 0, "duplicates": 0, "rejected": 0, "rejections": [], "rejections_omitted": 0, "superseded": 0}


@pytest.fixture
def door(ledger: Ledger, clock: FrozenClock) -> Iterator[Door]:
    clock.set(NOON)
    with opened(ledger, clock) as found:
        yield found


@pytest.mark.parametrize(
    "body",
    [
        lines([event("a"), event("b")]),
        lines([event("a"), event("b")]).rstrip(),
        b"\r\n" + lines([event("a"), "", event("b"), " "]).replace(b"\n", b"\r\n"),
        json.dumps([event("a"), event("b")]).encode(),
        json.dumps([event("a"), event("b")], indent=2).encode(),
        b"\xef\xbb\xbf [" + json.dumps(event("a")).encode() + b" ,\n" + json.dumps(event("b")).encode() + b"] \n",
        json.dumps(event("a"), indent=2).encode() + b"\n" + json.dumps(event("b"), indent=2).encode(),
    ],
)
def test_records_come_in_lines_or_in_an_array(door: Door, body: bytes) -> None:
    """NDJSON, blank lines and all, one array, or objects as people write them: the same events land."""
    reply = door.post("/v1/usage", body)

    assert (reply.status, reply.said) == (200, {**CLEAN, "received": 2, "accepted": 2})
    assert door.ids() == ["a", "b"]


def test_what_happened_to_each_record_is_said(door: Door) -> None:
    """Counts add up, and rejections are numbered within the body, whatever was sent before."""
    door.post("/v1/usage", [event("a"), {"event_id": 1}])
    reply = door.post(
        "/v1/usage", [event("b"), event("a"), event("a", output_tokens=11), event("c", output_tokens=-1), 7]
    )

    assert reply.said == {
        "received": 5,
        "accepted": 1,
        "duplicates": 1,
        "superseded": 0,
        "conflicts": 1,
        "rejected": 2,
        "rejections": [
            {
                "record": 3,
                "reason": "conflict",
                "detail": "same id and revision as a record that landed first, with other content; the first stays",
            },
            {"record": 4, "reason": "negative", "detail": "output_tokens is -1; counts are zero or more"},
            {"record": 5, "reason": "malformed", "detail": "a JSON number, not an object"},
        ],
        "rejections_omitted": 0,
    }
    assert door.ledger.session().rows("SELECT record FROM raw.rejection ORDER BY rejection_no")[0] == (2,)


def test_only_the_first_hundred_rejections_are_named(door: Door) -> None:
    """The rest is counted, and all are in the quarantine."""
    reply = door.post("/v1/usage", [event("a"), *({"event_id": f"x{n}"} for n in range(130))])

    assert (reply.status, reply.said["rejected"]) == (200, 130)
    assert [one["record"] for one in reply.said["rejections"]] == list(range(2, 102))
    assert reply.said["rejections_omitted"] == 30
    assert door.ledger.session().value("SELECT count(*) FROM raw.rejection") == 130


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/records/gpu"])
def test_gpu_samples_are_taken(door: Door, path: str) -> None:
    """By their own endpoint, or by the name of their format."""
    reply = door.post(path, [sample()])

    assert reply.said == {**CLEAN, "received": 1, "accepted": 1}
    assert door.ledger.session().value("SELECT count(*) FROM raw.gpu_sample") == 1


@pytest.mark.parametrize("path", ["/v1/engine", "/v1/records/engine"])
def test_engine_samples_are_taken(door: Door, path: str) -> None:
    """By their own endpoint, or by the name of their format."""
    reply = door.post(path, [engine_sample(), engine_sample(output_tokens=-1)])

    assert (reply.said["received"], reply.said["accepted"], reply.said["rejected"]) == (2, 1, 1)
    assert reply.said["rejections"][0]["reason"] == "negative"
    assert door.ledger.session().value("SELECT count(*) FROM raw.engine_sample") == 1


def test_an_empty_body_is_nothing(door: Door) -> None:
    """No record, no transaction, no error."""
    for body in (b"", b" \n", b"[]", gzip.compress(b"")):
        encoding = "gzip" if body[:1] == b"\x1f" else ""
        assert door.post("/v1/usage", body, Content_Encoding=encoding).said == {**CLEAN, "received": 0, "accepted": 0}
    assert door.ledger.session().value("SELECT count(*) FROM raw.batch") == 0


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'[{"event_id": 1}, {]', "the body is no whole JSON array; nothing of it was kept"),
        (b'[{"event_id": 1}', "the body is no whole JSON array; nothing of it was kept"),
        (b'[{"event_id": 1}] x', "the body is no whole JSON array; nothing of it was kept"),
        (b"[" * 100_000, "the body is no whole JSON array; nothing of it was kept"),
        (b"hello", "the body holds no JSON object that can be read: send NDJSON, one array, or one object"),
        (b'{"event_id": ', "the body holds no JSON object that can be read: send NDJSON, one array, or one object"),
        (b"\x1f\x8b\x08", "the body holds no JSON object that can be read: send NDJSON, one array, or one object"),
    ],
)
def test_a_body_in_which_nothing_can_be_read_is_refused(door: Door, body: bytes, sentence: str) -> None:
    """400, and nothing of it is landed or kept."""
    reply = door.post("/v1/usage", body)

    assert (reply.status, reply.said) == (400, {"error": sentence})
    assert door.ledger.session().value("SELECT count(*) FROM raw.batch") == 0


def test_a_broken_line_costs_itself_only(door: Door) -> None:
    """The other lines land, also where the first is the broken one."""
    reply = door.post("/v1/usage", b'{"event_id": \n' + lines([event("a")]))

    assert (reply.said["accepted"], reply.said["rejected"]) == (1, 1)
    assert door.ids() == ["a"]


def test_a_record_that_is_too_long_costs_itself_only(ledger: Ledger, clock: FrozenClock) -> None:
    """It is rejected as oversized; the records around it land."""
    clock.set(NOON)
    overlong = event("b", tags={"project": "x" * RECORD_BYTES_MAX})
    with opened(ledger, clock, body_bytes_max=4 * RECORD_BYTES_MAX, pending_bytes_max=8 * RECORD_BYTES_MAX) as door:
        reply = door.post(
            "/v1/usage", gzip.compress(lines([event("a"), overlong, event("c")]), 1), Content_Encoding="gzip"
        )

    assert (reply.said["accepted"], reply.said["rejected"]) == (2, 1)
    assert [(one["record"], one["reason"]) for one in reply.said["rejections"]] == [(2, "oversized")]


def test_gzip_is_unpacked(door: Door) -> None:
    """One member or several, padded or not."""
    packed = gzip.compress(lines([event("a")])) + gzip.compress(lines([event("b")])) + b"\0\0"
    reply = door.post("/v1/usage", packed, Content_Encoding="GZIP")

    assert (reply.status, reply.said["accepted"]) == (200, 2)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not gzip", 400),
        (gzip.compress(lines([event("a")]))[:-4], 400),
        (gzip.compress(lines([event("a")]))[:-8] + bytes(8), 400),
        (gzip.compress(b"") * 65, 400),
        (gzip.compress(bytes(64 * 1024 * 1024), 9), 413),
    ],
)
def test_gzip_that_is_none_or_a_bomb_is_refused(door: Door, body: bytes, status: int) -> None:
    """Damaged, cut short, in a thousand pieces, or far larger unpacked."""
    reply = door.post("/v1/usage", body, Content_Encoding="gzip")

    assert reply.status == status
    assert door.ids() == []
    assert door.intake._room.held == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": ""}, 415),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": "application/json; charset=utf-8"}, 200),
        ({"Content_Type": "Application/X-NDJSON"}, 200),
        ({"Content_Encoding": "br"}, 415),
        ({"Content_Encoding": "gzip, gzip"}, 415),
        ({"Content_Encoding": "identity"}, 200),
        ({"Idempotency_Key": "k" * 256}, 200),
        ({"Idempotency_Key": "k" * 257}, 400),
        ({"Idempotency_Key": "a b"}, 400),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"bearer  {TOKEN} "}, 200),
    ],
)
def test_heads_are_read_strictly(door: Door, headers: dict[str, str], status: int) -> None:
    """What is not understood is refused before the body is read."""
    reply = door.post("/v1/usage", lines([event("a")]), **headers)

    assert reply.status == status
    assert door.ids() == (["a"] if status == 200 else [])
    if status == 401:
        assert reply.headers["www-authenticate"] == 'Bearer realm="apportion"'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/usage", 405),
        ("PUT", "/v1/usage", 405),
        ("POST", "/v1/usage/", 404),
        ("POST", "/v1/records/csv-of-mine", 404),
        ("POST", "/v1/records/", 404),
        ("POST", "/v1/records/usage/x", 404),
        ("GET", "/", 404),
        ("GET", "/openapi.json", 200),
        ("HEAD", "/openapi.json", 200),
        ("POST", "/openapi.json", 405),
    ],
)
def test_what_there_is_and_is_not(door: Door, method: str, path: str, status: int) -> None:
    """Paths and methods outside the table are said to be so, and nothing that was asked for is echoed."""
    headers = {"Content_Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    reply = door.ask(method, path, b"{}" if method in {"POST", "PUT"} else b"", **headers)

    assert reply.status == status
    assert b"csv-of-mine" not in reply.body


def test_a_body_above_the_bound_is_refused_before_it_is_sent(door: Door) -> None:
    """By its Content-Length, and by its bytes where it comes in chunks; the sender sees the answer."""
    for body in (bytes(5 * 1024 * 1024), (bytes(1024) for _ in range(5 * 1024))):
        reply = door.ask(
            "POST",
            "/v1/usage",
            body,  # type: ignore[arg-type]
            Content_Type="application/json",
            Authorization=f"Bearer {TOKEN}",
        )
        assert (reply.status, reply.headers["connection"]) == (413, "close")


def test_a_key_is_answered_once(door: Door) -> None:
    """The same key and body get the first answer again, counted from the first time, and land nothing."""
    body = lines([event("a"), {"event_id": "x"}])
    first = door.post("/v1/usage", body, Idempotency_Key="k-1")
    again = door.post("/v1/usage", gzip.compress(body), Idempotency_Key="k-1", Content_Encoding="gzip")
    other = door.post("/v1/usage", lines([event("b")]), Idempotency_Key="k-1")
    fresh = door.post("/v1/usage", body, Idempotency_Key="k-2")

    assert "idempotent-replayed" not in first.headers
    assert (again.status, again.headers["idempotent-replayed"], again.body) == (200, "true", first.body)
    assert other.status == 422
    assert (fresh.said["accepted"], fresh.said["duplicates"]) == (0, 1)
    assert door.ids() == ["a"]
    assert door.ledger.session().value("SELECT count(*) FROM raw.batch") == 2


def test_keys_outlive_the_process(ledger: Ledger, clock: FrozenClock) -> None:
    """After a restart the ledger answers, and positions go on."""
    clock.set(NOON)
    body = lines([event("a")])
    with opened(ledger, clock) as door:
        first = door.post("/v1/usage", body, Idempotency_Key="k")
    with opened(ledger, clock) as door:
        again = door.post("/v1/usage", body, Idempotency_Key="k")
        door.post("/v1/usage", [event("b"), {"event_id": "x"}])

    assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
    assert ledger.session().rows("SELECT stream, record FROM raw.rejection") == [("http:gateway#usage", 3)]


def test_requests_that_wait_share_a_transaction(door: Door) -> None:
    """While one is landed the others gather; each is answered for its own records, two of one key one after the other."""
    bodies_ = [lines([event(f"e{n}"), {"event_id": "bad"}]) for n in range(8)]
    replies = together(door, [(body, f"k{n % 4}" if n < 4 else "") for n, body in enumerate(bodies_)])
    session = door.ledger.session()

    assert [(one.status, one.said["accepted"], one.said["rejections"][0]["record"]) for one in replies] == [
        (200, 1, 2)
    ] * 8
    assert session.value("SELECT count(*) FROM raw.batch") < 8
    assert session.value("SELECT count(*) FROM raw.batch_part") == 8
    assert session.rows("SELECT record FROM raw.rejection ORDER BY record") == [(2 * n,) for n in range(1, 9)]


def test_one_key_twice_at_once_lands_once(door: Door) -> None:
    """Whichever comes second waits for the first, and gets its answer."""
    replies = together(door, [(lines([event("a")]), "k"), (lines([event("a")]), "k"), (lines([event("b")]), "k")])
    codes = sorted(one.status for one in replies)

    assert codes in ([200, 200, 422], [200, 422, 422])
    assert len(door.ids()) == 1


def together(door: Door, requests: list[tuple[bytes, str]]) -> list[object]:
    """Send requests while the ledger is held, so that they gather, then let go."""
    replies: list[object] = [None] * len(requests)

    def send(number: int, body: bytes, key: str) -> None:
        replies[number] = door.post("/v1/usage", body, **({"Idempotency_Key": key} if key else {}))

    threads = [threading.Thread(target=send, args=(n, *request)) for n, request in enumerate(requests)]
    with door.ledger.transaction():
        for thread in threads:
            thread.start()
        while door.intake._room.held < sum(len(body) for body, _ in requests):
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join(60)
    return replies


def test_a_request_that_waited_too_long_is_withdrawn(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, and it is never landed afterwards; one that was taken is waited for."""
    monkeypatch.setattr(app, "WAIT_SECONDS_MAX", 0.05)
    replies = []
    first = threading.Thread(target=lambda: replies.append(door.post("/v1/usage", [event("taken")])))
    with door.ledger.transaction():
        first.start()
        while door.intake._room.held == 0 or not door.collectors[0]._desks or _waits(door):
            threading.Event().wait(0.001)
        late = door.post("/v1/usage", [event("late")])
    first.join(60)

    assert (late.status, late.headers["retry-after"]) == (503, "5")
    assert [one.status for one in replies] == [200]
    assert door.ids() == ["taken"]


def _waits(door: Door) -> bool:
    return bool(next(iter(door.collectors[0]._desks.values())).line._waiting)


def test_no_room_is_said_and_given_back(ledger: Ledger, clock: FrozenClock) -> None:
    """503 with Retry-After once too many bytes wait; afterwards there is room again."""
    clock.set(NOON)
    with opened(ledger, clock, pending_bytes_max=1000) as door:
        refused = door.post("/v1/usage", lines([event("a")]) + b" " * 1000)
        taken = door.post("/v1/usage", lines([event("a")]))

    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert taken.status == 200


def test_a_source_pays_for_what_it_sends(ledger: Ledger, clock: FrozenClock) -> None:
    """A body larger than the burst is taken, and the next one waits until it is paid for."""
    clock.set(NOON)
    now = [0.0]
    source = HttpCollector("gateway", ledger, RULES, clock, events_per_second=1, stopwatch=lambda: now[0])
    with opened(ledger, clock, collectors=[source]) as door:
        taken = door.post("/v1/usage", [event(f"e{n}") for n in range(30)])
        refused = door.post("/v1/usage", [event("late")])
        now[0] = 20.0
        later = door.post("/v1/usage", [event("late")])

    assert (taken.status, refused.status, later.status) == (200, 429, 200)
    assert refused.headers["retry-after"] == "20"


def test_the_token_decides_the_source(ledger: Ledger, clock: FrozenClock) -> None:
    """Each source has streams of its own, named after it and not after what it says."""
    clock.set(NOON)
    sources = [HttpCollector(name, ledger, RULES, clock) for name in ("one", "two")]
    with opened(ledger, clock, collectors=sources, tokens=Tokens({"one": "t1", "two": "t2"}, open_to=None)) as door:
        for token in ("t1", "t2"):
            door.token = token
            door.post("/v1/usage", [event(f"of {token}", source="whatever")])
    streams = ledger.session().rows("SELECT stream FROM raw.stream_position ORDER BY ALL")

    assert streams == [("http:one#usage",), ("http:two#usage",)]


def test_a_source_sends_its_own_kind_only(ledger: Ledger, clock: FrozenClock) -> None:
    """A gateway's token cannot say how busy a GPU was, in whatever format."""
    clock.set(NOON)
    with opened(ledger, clock, collectors=[HttpCollector("gateway", ledger, RULES, clock, kind="usage")]) as door:
        taken, refused = door.post("/v1/usage", [event("a")]), door.post("/v1/samples", [sample()])

    assert (taken.status, refused.status) == (200, 403)
    assert refused.said["error"] == "source gateway sends usage records, and these are gpu"
    assert ledger.session().value("SELECT count(*) FROM raw.gpu_sample") == 0


def test_nobody_takes_all_the_room() -> None:
    """A source that holds its share is refused, and the others are not."""
    room = Room(100, 60)
    room.take(60, "greedy")
    with pytest.raises(app.Refusal):
        room.take(1, "greedy")
    room.take(40, "other")
    with pytest.raises(app.Refusal):
        room.take(1, "third")
    room.give(60, "greedy")
    room.take(60, "third")

    assert room.held == 100


@pytest.mark.parametrize("token", ["", "two words", "line\n", "schlüssel"])
def test_a_token_that_no_header_can_carry_is_refused_at_once(token: str) -> None:
    """Instead of answering 401 for ever; the message does not say the token."""
    with pytest.raises(ConfigError) as caught:
        Tokens({"one": token}, open_to=None)

    assert str(caught.value).startswith("sources:one: has a token with a space")
    assert not token or token not in str(caught.value)


def test_without_a_token_requests_are_taken_where_it_is_said() -> None:
    """On loopback; elsewhere 401 says what to configure; one token anywhere closes it everywhere."""
    assert Tokens({}, open_to="http").source([]) == "http"
    assert Tokens({"gateway": "t"}, open_to="http").open_to is None
    with pytest.raises(app.Refusal, match="no token is configured"):
        Tokens({}, open_to=None).source([b"Bearer x"])


def test_two_sources_with_one_token_are_refused() -> None:
    """The token says who sends; the message names both and never the token."""
    with pytest.raises(ConfigError) as caught:
        Tokens({"one": TOKEN, "two": TOKEN}, open_to=None)

    assert str(caught.value) == "sources:two: has the token of one; give each HTTP source a token of its own"


def test_trouble_with_the_ledger_is_503_and_passes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost: the sender is told to come back, the source shows the reason, and later it works again."""
    sound = Lander.land_parts

    def failing(*_: object, **__: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(Lander, "land_parts", failing)
    refused = door.post("/v1/usage", [event("a")])
    monkeypatch.setattr(Lander, "land_parts", sound)
    while (again := door.post("/v1/usage", [event("a")])).status == 503:
        threading.Event().wait(0.05)

    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert "disk" not in refused.body.decode()
    assert again.said["accepted"] == 1


def test_one_request_that_cannot_be_landed_does_not_cost_the_others(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they cannot be landed together, each is tried by itself."""
    sound = Lander.land_parts

    def picky(self: Lander, piece: object, **options: object) -> object:
        if b"poison" in piece.data:  # type: ignore[attr-defined]
            raise LedgerError("no")
        return sound(self, piece, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Lander, "land_parts", picky)
    replies = together(door, [(lines([event(name)]), "") for name in ("a", "poison", "b", "c")])

    assert [one.status for one in replies] == [200, 503, 200, 200]  # type: ignore[attr-defined]
    assert door.ids() == ["a", "b", "c"]


def test_draining_refuses_what_is_new(door: Door) -> None:
    """503, and the connection ends."""
    door.intake.draining = True
    reply = door.post("/v1/usage", [event("a")])

    assert (reply.status, reply.headers["connection"], reply.headers["retry-after"]) == (503, "close", "5")


def test_a_source_that_does_not_run_is_said(door: Door) -> None:
    """Before its collector runs, or while it backs off, requests are told to come back."""
    door.collectors[0]._health = None

    assert door.post("/v1/usage", [event("a")]).status == 503


def test_answers_are_counted_until_they_are_taken_away(door: Door) -> None:
    """By endpoint of the table and by code; what could not be written down can be put back."""
    door.post("/v1/usage", [event("a")])
    door.post("/v1/records/gpu", [sample()])
    door.post("/v1/records/none", [])
    door.ask("GET", "/some/thing")
    drained = door.intake.responses.drain()

    assert dict(drained) == {
        ("/v1/usage", 200): 1,
        ("/v1/records/{format}", 200): 1,
        ("/v1/records/{format}", 404): 1,
        ("other", 404): 1,
    }
    assert dict(door.intake.responses.drain()) == {}
    door.intake.responses.restore(drained)
    assert door.intake.responses.drain() == drained


def test_nothing_that_is_sent_is_logged_or_repeated(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Neither tokens nor bodies, sound or broken, show in a log line or in an answer to somebody else."""
    caplog.set_level(logging.DEBUG)
    door.post("/v1/usage", b'{"prompt": "SECRET-PROMPT"}')
    door.post("/v1/usage", b'[{"prompt": "SECRET-PROMPT"')
    door.post("/v1/usage", b"SECRET-PROMPT", Authorization="Bearer SECRET-WRONG")
    door.post("/v1/traces", b"SECRET-PROMPT", Content_Type="application/x-protobuf")
    said = caplog.text + repr(door.intake._tokens) + repr(vars(door.intake._tokens))
    said += "".join(f"{reply.headers} {reply.body!r}" for reply in door.sent)

    assert "SECRET" not in said
    assert TOKEN not in said


def test_slow_bodies_are_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, the connection ends, and nothing is kept."""
    import socket

    monkeypatch.setattr(bodies, "IDLE_SECONDS_MAX", 0.05)
    with socket.create_connection((door.listening.host, door.listening.port), timeout=10) as slow:
        slow.sendall(
            f"POST /v1/usage HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        received = slow.recv(65536)

    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in received
    assert door.intake._room.held == 0


def span(number: int, **attributes: object) -> dict[str, object]:
    """A span of a model call, in OTLP's JSON."""
    said = {
        "gen_ai.request.model": "llama",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        **attributes,
    }
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat llama",
        "kind": 3,
        "startTimeUnixNano": "1792062000000000000",
        "endTimeUnixNano": "1792062001000000000",
        "attributes": [
            {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
            for key, value in said.items()
        ],
    }


def exported(*spans: object) -> dict[str, object]:
    """A request of an exporter."""
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def test_otlp_is_answered_as_otlp_asks(door: Door) -> None:
    """Empty where everything was taken, a partial success where not, a status where nothing could be read."""
    taken = door.post("/v1/traces", exported(span(1)))
    partly = door.post("/v1/traces", exported(span(2), span(3, **{"gen_ai.request.model": "m" * 300})))
    refused = door.post("/v1/traces", b'{"resourceSpans": 7}')

    assert (taken.status, taken.headers["content-type"], taken.said) == (200, "application/json", {})
    assert int(partly.said["partialSuccess"]["rejectedSpans"]) == 1
    assert partly.said["partialSuccess"]["errorMessage"].startswith("record 2: too_long: model has 300 characters")
    assert (refused.status, list(refused.said)) == (400, ["message"])
    assert len(door.ids()) == 2


def test_otlp_of_which_nothing_can_be_taken_is_told_so(door: Door) -> None:
    """With nothing rejected: names may be misspelt. Beside spans that were taken the rest is no warning."""
    other = span(1)
    other["attributes"] = [{"key": "llm.tokens", "value": {"intValue": "7"}}]
    nothing = door.post("/v1/traces", exported(other, other))
    mixed = door.post("/v1/traces", exported(other, span(2)))

    assert (nothing.status, nothing.said) == (
        200,
        {"partialSuccess": {"errorMessage": "2 spans carried no usage and were ignored"}},
    )
    assert (mixed.said, len(door.ids())) == ({}, 1)


def test_rejected_samples_are_told_in_data_points(door: Door) -> None:
    """That is what their sender counts: every reading of a sample is gone with it."""
    made = [
        {"name": name, "gauge": {"dataPoints": [point | {"asDouble": value}]}}
        for name, value in (("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1.5), ("DCGM_FI_DEV_POWER_USAGE", 300.0), ("up", 1.0))
        for point in (
            {
                "timeUnixNano": "1792062000000000000",
                "attributes": [{"key": "UUID", "value": {"stringValue": "GPU-1"}}],
            },
        )
    ]
    answer = door.post("/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": made}]}]})
    partial = answer.said["partialSuccess"]

    assert partial["rejectedDataPoints"] == "2"
    assert partial["errorMessage"].endswith("; 1 data points are of metrics that are not read and were ignored")


def test_otlp_in_protobuf_is_answered_in_protobuf(door: Door) -> None:
    """Sound requests, and a `google.rpc.Status` for those that are refused, before and after their body is read."""
    kind = "application/x-protobuf"
    empty = door.post("/v1/metrics", b"", Content_Type=kind)
    broken = door.post("/v1/logs", b"\xff", Content_Type=kind)
    foreign = door.post("/v1/logs", b"", Content_Type=kind, Authorization="Bearer x" * 30)

    assert (empty.status, empty.headers["content-type"], empty.body) == (200, kind, b"")
    for reply, status in ((broken, 400), (foreign, 401)):
        assert (reply.status, reply.headers["content-type"]) == (status, kind)
        assert reply.body[:1] == b"\x12"
        assert len(reply.body) == reply.body[1] + 2
