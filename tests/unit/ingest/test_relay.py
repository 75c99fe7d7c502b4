"""The relay: what it takes in, what it keeps, what it delivers, and what it makes of each answer."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apportion.domain.errors import UsageError
from ingest.relay import door as door_module
from ingest.relay.delivery import Delivery
from ingest.relay.door import Door
from ingest.relay.entries import ENTRY_BYTES, Entry
from ingest.relay.intake import FullError, Intake
from ingest.relay.spool import Spool, SpoolError
from ingest.relay.upstream import RETRY_AFTER_SECONDS_MAX, Upstream, Verdict, retry_after
from tests.frozen import START, FrozenClock
from tests.unit.ingest.receiver import Receiver


def entry(body: bytes = b"{}", path: str = "/v1/usage") -> Entry:
    """A request that has just arrived."""
    return Entry(path=path, content_type="application/json", content_encoding="", body=body, received_at=START)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool."""
    opened = Spool(tmp_path / "relay.spool")
    yield opened
    opened.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that accepts, unless told otherwise."""
    listening = Receiver()
    yield listening
    listening.stop()


class Scripted:
    """An upstream that answers from a list, and then accepts."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts, self.sent = list(verdicts), []
        self.closed = False

    def deliver(self, one: Entry, key: str) -> Verdict:
        """The next answer."""
        self.sent.append((one.body, key))
        return self.verdicts.pop(0) if self.verdicts else Verdict("accepted", 200, "")

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def delivered(spool: Spool, upstream: Any, seconds: float = 5) -> Delivery:
    """Deliver until nothing waits, or the time is over."""
    delivery = Delivery(spool, upstream, chance=lambda: 1.0)
    delivery.start()
    delivery.drain(seconds)
    return delivery


def test_what_is_appended_is_there_after_reopening(spool: Spool) -> None:
    """Order, contents and keys stay; a number is never given twice, also after everything was removed."""
    assert spool.append([entry(b"1"), entry(b"2", "/v1/litellm?x=1")]) == [1, 2]
    first = spool.oldest()
    assert first is not None
    key = spool.key(first)
    spool.close()
    again = Spool(spool.path)
    found = again.oldest()
    assert found is not None
    assert (found, again.key(found)) == (first, key)
    assert (found.body, found.sequence, found.received_at) == (b"1", 1, START)
    again.remove(found)
    second = again.oldest()
    assert second is not None
    assert (second.body, second.path) == (b"2", "/v1/litellm?x=1")
    again.remove(second)

    assert again.oldest() is None
    assert again.append([entry()]) == [3]
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    again.close()


def test_another_spool_has_other_keys(spool: Spool, tmp_path: Path) -> None:
    """A spool that was deleted begins to count anew, and its keys are new all the same."""
    other = Spool(tmp_path / "other.spool")
    keys = {one.key(one.oldest() or entry()) for one in (spool, other) if one.append([entry()])}
    other.close()

    assert len(keys) == 2


def test_a_refused_request_blocks_nobody(spool: Spool) -> None:
    """It is set aside with its answer, listed, and delivered again before later ones when that is asked for."""
    spool.append([entry(b"bad"), entry(b"good")])
    first = spool.oldest()
    assert first is not None
    spool.refuse(first, 413, "too large " * 1000)
    second = spool.oldest()
    assert second is not None
    assert second.body == b"good"
    (refused,) = spool.refused()
    assert (refused.sequence, refused.status, refused.body_bytes, len(refused.answer)) == (1, 413, 3, 2000)
    held = spool.holding()
    assert (held.waiting, held.refused, held.refused_bytes) == (1, 1, ENTRY_BYTES + 3)

    assert (spool.retry_refused(), spool.oldest()) == (1, first)
    spool.refuse(first, 400, "no")
    assert (spool.drop_refused(), spool.refused(), spool.holding().waiting) == (1, [], 1)


def test_two_relays_never_share_a_spool(spool: Spool) -> None:
    """The second is told; once the first has gone it may begin."""
    lock = spool.alone()
    with pytest.raises(SpoolError, match="another relay delivers this spool"):
        spool.alone()
    lock.close()
    spool.alone().close()


def test_a_spool_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    """Not a database, a folder, a disk without room: which file, why, what to look at."""
    (tmp_path / "text").write_text("no database " * 1000)
    for path in (tmp_path / "text", tmp_path):
        with pytest.raises(SpoolError, match="the spool cannot be used"):
            Spool(path)
    full = Spool(tmp_path / "full")
    full._adding.execute("PRAGMA max_page_count = 20")
    with pytest.raises(SpoolError, match="full"):
        full.append([entry(), entry(bytes(1 << 20))])
    assert full.holding().waiting == 0
    full.close()


def test_many_requests_share_a_commit(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives while one group is committed is the next group; every sender gets its own number."""
    groups, release = [], threading.Event()
    append = Spool.append

    def slow(self: Spool, entries: Any) -> list[int]:
        groups.append(len(entries))
        release.wait(5)
        return append(self, entries)

    monkeypatch.setattr(Spool, "append", slow)
    woken: list[int] = []
    intake = Intake(spool, bytes_max=1 << 20, delivering=lambda: woken.append(1))
    answers = [intake.submit(entry(str(number).encode())) for number in range(20)]
    release.set()

    assert sorted(answer.result(5) for answer in answers) == list(range(1, 21))
    intake.close()
    assert sum(groups) == 20
    assert len(groups) < 20
    assert len(woken) == len(groups)


def test_a_full_spool_says_so_and_takes_in_again_later(spool: Spool) -> None:
    """The bound counts what waits, what was refused, and what is being received; room comes back as requests go."""
    intake = Intake(spool, bytes_max=2 * ENTRY_BYTES, delivering=lambda: None)
    for _ in range(2):
        intake.reserve(ENTRY_BYTES)
        intake.submit(entry(b"")).result(5)
        intake.release(ENTRY_BYTES)
    with pytest.raises(FullError, match="the spool holds 1024 bytes of 1024"):
        intake.reserve(ENTRY_BYTES)
    assert intake.full()
    first = spool.oldest()
    assert first is not None
    spool.remove(first)
    intake.reserve(ENTRY_BYTES)

    assert intake.full()
    intake.close()


def test_memory_is_bounded_beside_the_disk(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies being received have a bound of their own."""
    monkeypatch.setattr("ingest.relay.intake.PENDING_BYTES_MAX", 1000)
    intake = Intake(spool, bytes_max=1 << 30, delivering=lambda: None)
    intake.reserve(900)
    with pytest.raises(FullError, match="900 bytes are being received"):
        intake.reserve(200)
    intake.close()


def test_nobody_is_acknowledged_when_the_commit_fails(spool: Spool) -> None:
    """Everyone of the group hears of it, and the next group is tried again."""
    intake = Intake(spool, bytes_max=1 << 30, delivering=lambda: None)
    spool._adding.execute("PRAGMA query_only = ON")
    with pytest.raises(SpoolError, match="the spool cannot be used"):
        intake.submit(entry()).result(5)
    spool._adding.execute("PRAGMA query_only = OFF")

    assert intake.submit(entry()).result(5) == 1
    intake.close()


@pytest.mark.parametrize(
    ("status", "headers", "what", "after"),
    [
        (200, {}, "accepted", None),
        (202, {}, "accepted", None),
        (204, {}, "accepted", None),
        (302, {"Location": "http://elsewhere"}, "again", None),
        (400, {}, "refused", None),
        (404, {}, "refused", None),
        (409, {}, "refused", None),
        (413, {}, "refused", None),
        (401, {}, "again", None),
        (403, {}, "again", None),
        (408, {}, "again", None),
        (429, {"Retry-After": "7"}, "again", 7.0),
        (500, {}, "again", None),
        (503, {"Retry-After": "Thu, 01 Oct 2026 00:01:00 GMT"}, "again", 60.0),
    ],
)
def test_what_an_answer_means(
    receiver: Receiver, status: int, headers: dict[str, str], what: str, after: float | None
) -> None:
    """Accepted, refused for good, or to be tried again; nobody's fault is nobody's refusal."""
    receiver.answers = [(status, headers, b"" if status == 204 else b"said")]
    upstream = Upstream(receiver.url, None, FrozenClock())
    verdict = upstream.deliver(entry(), "k-1")
    upstream.close()

    assert (verdict.what, verdict.status, verdict.after_seconds) == (what, status, after)


def test_a_delivery_is_the_request_as_it_came(receiver: Receiver) -> None:
    """Path with query, body, Content-Type and Content-Encoding; the key, and the relay's own token."""
    upstream = Upstream(f"{receiver.url}/behind/", "secret", FrozenClock())
    one = Entry(
        path="/v1/logs?a=b", content_type="application/x-protobuf", content_encoding="gzip", body=b"\x1f\x8b", received_at=START
    )  # fmt: skip
    assert upstream.deliver(one, "name-7").what == "accepted"
    assert upstream.deliver(one, "name-8").what == "accepted"
    upstream.close()
    ((path, headers, body), _) = receiver.seen

    assert (path, body) == ("/behind/v1/logs?a=b", b"\x1f\x8b")
    expected = {
        "idempotency-key": "name-7",
        "authorization": "Bearer secret",
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
    }
    assert {name: headers[name] for name in expected} == expected


def test_no_answer_is_tried_again(receiver: Receiver) -> None:
    """Nobody listens, or a kept connection was closed meanwhile: the latter costs nothing."""
    upstream = Upstream(receiver.url, None, FrozenClock())
    assert upstream.deliver(entry(), "k-1").what == "accepted"
    assert upstream._connection is not None
    upstream._connection.sock.shutdown(2)
    assert upstream.deliver(entry(), "k-2").what == "accepted"
    upstream.close()
    port = receiver.server_address[1]
    receiver.stop()
    verdict = Upstream(f"http://127.0.0.1:{port}", None, FrozenClock()).deliver(entry(), "k-3")

    assert (verdict.what, verdict.status) == ("again", 0)
    assert "no answer (" in verdict.said


@pytest.mark.parametrize(
    "url", ["apportion:8321", "ftp://x", "http://", "http://user:pw@x", "http://x:99999", "http://x?token=1"]
)
def test_a_receiver_must_be_a_plain_url(url: str) -> None:
    """Anything else is refused, and never shown: it may hold a secret."""
    with pytest.raises(UsageError, match="--to must be a URL such as") as caught:
        Upstream(url, None, FrozenClock())
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("", None), ("soon", None), ("0", 0.0), ("99999999999", RETRY_AFTER_SECONDS_MAX), ("Wed, 30 Sep 2026 00:00:00 GMT", 0.0), ("Wed, 30 Sep 2026 00:00:00", None)],
)  # fmt: skip
def test_retry_after_is_bounded(value: str | None, seconds: float | None) -> None:
    """A date in the past is now, a year is five minutes, and nonsense is nothing."""
    assert retry_after(value, datetime(2026, 10, 1, tzinfo=UTC)) == seconds


def test_deliveries_keep_their_order(spool: Spool) -> None:
    """What has to wait is overtaken by nobody, and is sent again with the same key."""
    spool.append([entry(b"1"), entry(b"2"), entry(b"3")])
    upstream = Scripted(
        Verdict("again", 503, "busy", 0.0), Verdict("accepted", 200, ""), Verdict("again", 0, "gone", 0.0)
    )
    delivery = delivered(spool, upstream)

    assert [body for body, _ in upstream.sent] == [b"1", b"1", b"2", b"2", b"3"]
    assert upstream.sent[0][1] == upstream.sent[1][1]
    assert (delivery.delivered, delivery.trouble, spool.holding().waiting, upstream.closed) == (3, "", 0, True)


def test_a_refused_delivery_is_set_aside(spool: Spool) -> None:
    """Those behind it arrive."""
    spool.append([entry(b"1"), entry(b"2")])
    delivered(spool, Scripted(Verdict("refused", 413, "too large")))

    assert [(one.sequence, one.answer) for one in spool.refused()] == [(1, "too large")]
    assert spool.holding().waiting == 0


def test_draining_ends_in_time_and_keeps_the_rest(spool: Spool) -> None:
    """A receiver that is down does not hold up the end; what waits, and why, can be seen."""
    spool.append([entry(b"1")])
    delivery = delivered(spool, Scripted(*[Verdict("again", 0, "no answer", 100.0)] * 3), seconds=0.1)

    assert spool.holding().waiting == 1
    assert delivery.trouble == "entry 1 to /v1/usage waits: no answer"


def test_backoff_doubles_to_a_minute() -> None:
    """Half a second at first; a chance takes up to half of it."""
    delivery = Delivery(None, None, chance=lambda: 0.0)  # type: ignore[arg-type]

    assert [delivery._backoff() for _ in range(9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    delivery._failures, delivery._chance = 1, lambda: 1.0
    assert delivery._backoff() == 0.5


def test_a_delivery_that_breaks_is_tried_again(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of the program costs an attempt, and never the thread or the request."""
    spool.append([entry(b"1")])

    class Broken(Scripted):
        def deliver(self, one: Entry, key: str) -> Verdict:
            verdict = super().deliver(one, key)
            if len(self.sent) == 1:
                raise RuntimeError("a mistake")
            return verdict

    assert delivered(spool, Broken()).delivered == 1
    assert "a delivery went wrong" in caplog.text


class Front:
    """A door with everything behind it, asked without a network."""

    def __init__(self, spool: Spool, *, token: str | None = None, bytes_max: int = 1 << 20) -> None:
        self.clock = FrozenClock()
        self.delivery = Delivery(spool, Scripted())  # type: ignore[arg-type]
        self.intake = Intake(spool, bytes_max=bytes_max, delivering=self.delivery.wake)
        self.door = Door(spool, self.intake, self.delivery, self.clock, token=token, body_bytes_max=1000)

    def ask(
        self,
        method: str,
        path: str,
        *chunks: bytes,
        headers: dict[str, str] | None = None,
        ends: bool = True,
        stalls: bool = False,
        query: bytes = b"",
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of the answer."""
        parts = chunks or (b"",)
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": not ends or number < len(parts)}
            for number, chunk in enumerate(parts, 1)
        ]
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if stalls:
                await asyncio.Event().wait()
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        given = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query, "headers": given
        }  # fmt: skip
        asyncio.run(self.door(scope, receive, send))
        answered = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        return said[0]["status"], answered, said[1]["body"].decode()


@pytest.fixture
def front(spool: Spool) -> Iterator[Front]:
    """A door without a token, for bodies of 1,000 bytes."""
    made = Front(spool)
    yield made
    made.intake.close()


def test_a_request_is_answered_once_it_is_kept(front: Front, spool: Spool) -> None:
    """202, and the spool has it byte for byte, with what says what it is."""
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip", "authorization": "Bearer sender"}
    status, _, said = front.ask("POST", "/v1/usage", b"ab", b"cd", headers=headers, query=b"x=1")
    kept = spool.oldest()

    assert (status, json.loads(said)) == (202, {"entry": 1})
    assert kept is not None
    assert (kept.path, kept.body, kept.content_type, kept.content_encoding) == (
        "/v1/usage?x=1", b"abcd", "application/x-ndjson", "gzip"
    )  # fmt: skip
    assert b"sender" not in spool.path.read_bytes() + spool.path.with_name("relay.spool-wal").read_bytes()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/usage", 405), ("POST", "/", 404), ("POST", "/v1/", 404), ("POST", "/v1/../metrics", 404), ("POST", "/v1/%2e%2e/x", 404), ("POST", "/healthz", 405), ("POST", "/v1/a b", 404)],
)  # fmt: skip
def test_only_paths_of_ingest_are_taken(front: Front, spool: Spool, method: str, path: str, status: int) -> None:
    """Nothing reaches another page of the receiver through the relay."""
    assert front.ask(method, path, b"x")[0] == status
    assert spool.holding().waiting == 0


def test_bodies_are_bounded(front: Front, spool: Spool) -> None:
    """Announced or not; nothing of them is kept, and the room is given back."""
    assert front.ask("POST", "/v1/usage", b"x", headers={"content-length": "1001"})[0] == 413
    assert front.ask("POST", "/v1/usage", b"x" * 600, b"x" * 600)[0] == 413
    assert front.ask("POST", "/v1/usage", b"x", ends=False)[0] == 400
    assert front.ask("POST", "/v1/usage", b"x", headers={"content-type": "x" * 300})[0] == 400

    assert (front.intake._pending, spool.holding().waiting) == (0, 0)


def test_a_sender_that_stalls_is_let_go(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not arrive in time is no request."""
    monkeypatch.setattr(door_module, "CHUNK_SECONDS_MAX", 0.01)

    assert front.ask("POST", "/v1/usage", b"x", stalls=True)[0] == 408


def test_a_full_spool_is_503_and_not_ready(spool: Spool) -> None:
    """With the time to come again; the pages say why."""
    front = Front(spool, bytes_max=ENTRY_BYTES)
    assert front.ask("POST", "/v1/usage")[0] == 202
    status, headers, said = front.ask("POST", "/v1/usage", b"x")
    assert (status, headers["retry-after"], "the spool holds 512 bytes of 512" in said) == (503, "5", True)
    status, _, said = front.ask("GET", "/readyz")
    assert (status, said.splitlines()) == (
        503,
        [
            "the spool is full",
            "1 requests wait, 512 bytes",
            "0 requests were refused and set aside; see `apportion relay --list-refused`",
            "receiver: accepts",
        ],
    )
    front.intake.close()


def test_a_broken_spool_is_503_without_its_inside(front: Front, spool: Spool) -> None:
    """The sender keeps its request; what exactly is wrong stands in the log."""
    spool._adding.execute("PRAGMA query_only = ON")
    status, headers, said = front.ask("POST", "/v1/usage", b"x")

    assert (status, "retry-after" in headers, str(spool.path) in said) == (503, True, False)


def test_a_token_is_asked_for(spool: Spool) -> None:
    """The right one only, compared in constant time; the pages need none."""
    front = Front(spool, token="right")
    for wrong in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "right"},
        {"authorization": "Bearer r\xefght"},
    ):
        assert front.ask("POST", "/v1/usage", b"x", headers=wrong)[0] == 401
    assert front.ask("POST", "/v1/usage", b"x", headers={"authorization": "bearer right"})[0] == 202
    assert [front.ask("GET", page)[0] for page in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]
    front.intake.close()


def test_metrics_say_what_waits(front: Front, spool: Spool) -> None:
    """Counts, bytes and the age of the oldest; the age is absent where nothing waits."""
    assert "oldest_age" not in front.ask("GET", "/metrics")[2]
    spool.append([entry(b"1"), entry(b"22")])
    first = spool.oldest()
    assert first is not None
    spool.refuse(first, 400, "no")
    front.clock.advance(timedelta(seconds=90))
    said = front.ask("GET", "/metrics")[2]

    assert [line for line in said.splitlines() if not line.startswith("#")] == [
        "apportion_relay_waiting_requests 1",
        "apportion_relay_waiting_bytes 514",
        "apportion_relay_refused_requests 1",
        "apportion_relay_refused_bytes 513",
        "apportion_relay_delivered_requests_total 0",
        "apportion_relay_oldest_age_seconds 90.0",
    ]


def test_delivered_bodies_leave_nothing_behind(spool: Spool) -> None:
    """What was delivered is wiped from the file's pages, not only unlinked."""
    spool.append([entry(b"a prompt nobody should find")])
    delivered(spool, Scripted())
    spool._other.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert b"a prompt" not in spool.path.read_bytes()
    assert spool.holding().waiting == 0
