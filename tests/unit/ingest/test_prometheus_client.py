"""Conversations with exporters and servers: bounded in time and size, and never with anybody who was not named."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from apportion.config.environment import Secret
from apportion.config.sources import PrometheusSource
from apportion.domain.errors import ConfigError
from ingest.prometheus.authorization import authorization
from ingest.prometheus.client import Client, FetchError, basic, bearer
from ingest.prometheus.server import Server
from tests.ports import free_port
from tests.unit.ingest.exporter import Answer, Asked, exporter

PAGE = b"up 1\n" * 1000


def fetched(answer: Answer | Callable[[Asked], Answer], *, limit: int = 100_000, **how: Any) -> bytes:
    """What a client makes of an answer."""
    with exporter(answer if callable(answer) else lambda _: answer) as other:
        client = Client(f"{other.url}/metrics", **{"seconds": 5.0, **how})
        try:
            return client.get(client.path, limit=limit)
        finally:
            client.close()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(PAGE),
        Answer(gzip.compress(PAGE), headers={"Content-Encoding": "gzip"}),
        Answer(PAGE, headers={"Content-Length": ""}),
        Answer(b"1388\r\n" + PAGE + b"\r\n0\r\n\r\n", headers={"Content-Length": "", "Transfer-Encoding": "chunked"}),
    ],
)
def test_an_answer_however_it_is_sent(answer: Answer) -> None:
    """Whole, packed, until the end of the connection, or in chunks."""
    assert fetched(answer) == PAGE


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(PAGE, headers={"Content-Length": "9999"}, drip=True), "gave no answer in 0.2 seconds"),
        (Answer(PAGE, drip=True), "gave no answer in 0.2 seconds"),
        (
            Answer(b"1388\r\n" + PAGE[:100], headers={"Content-Length": "", "Transfer-Encoding": "chunked"}),
            "gave no answer (",
        ),
        (
            Answer(gzip.compress(PAGE)[:-9], headers={"Content-Encoding": "gzip"}),
            "ended before all of the answer had arrived",
        ),
        (Answer(b"no gzip", headers={"Content-Encoding": "gzip"}), "gave no answer (Error -3"),
        (Answer(b"<h1>no\nsuch page</h1>", status=404), "answers 404 <h1>no such page</h1>"),
        (Answer(b"", status=401), "answers 401; correct token, or username and password"),
        (Answer(b"x" * 100_001), "has more than 100000 bytes, and no more are read"),
    ],
)
def test_an_answer_that_is_none(answer: Answer, said: str) -> None:
    """In a sentence that says what was met."""
    with pytest.raises(FetchError) as raised:
        fetched(answer, seconds=0.2)

    assert str(raised.value).startswith(said)


def test_a_small_answer_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    """Ten billion bytes behind a megabyte of gzip stop at the limit."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = packer.compress(bytes(1 << 24))
    block = packer.compress(bytes(1 << 24))
    bomb = zeros + block * 600

    with pytest.raises(FetchError) as raised:
        fetched(Answer(bomb, headers={"Content-Encoding": "gzip"}))

    assert raised.value.too_large


def test_nobody_there_is_said_so() -> None:
    """With the system's own word."""
    with pytest.raises(FetchError, match=r"gave no answer \(Connection refused\)"):
        Client(f"http://127.0.0.1:{free_port()}/", seconds=5).get("/")


def test_redirects_are_followed_on_the_same_host_only() -> None:
    """Credentials go to whom the config names."""
    seen: list[Asked] = []

    def elsewhere(asked: Asked) -> Answer:
        seen.append(asked)
        return Answer(b"", status=302, headers={"Location": f"{other.url}/metrics"})

    with exporter(PAGE) as other:
        with pytest.raises(FetchError, match="which is another place; name that one, if it is meant"):
            fetched(elsewhere, authorization=bearer("secret"))
        assert other.asked == []
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert (
        fetched(
            lambda asked: Answer(PAGE) if asked.path == "/m?a=b" else Answer(status=301, headers={"Location": "m?a=b"})
        )
        == PAGE
    )
    with pytest.raises(FetchError, match="redirects more than 3 times"):
        fetched(Answer(status=307, headers={"Location": "/metrics"}))


def test_a_connection_is_kept_and_made_again() -> None:
    """Many answers come over one; one that was let go of meanwhile is no failure."""
    with exporter(PAGE) as first:
        client = Client(first.url, seconds=5)
        assert [client.get("/") for _ in range(3)] == [PAGE] * 3
        assert first.connections == 1
        port = int(first.url.rpartition(":")[2])
        sock = client._connection.sock  # type: ignore[union-attr]
        sock.shutdown(socket.SHUT_RDWR)
        assert client.get("/") == PAGE
        assert (first.connections, port) == (2, int(first.url.rpartition(":")[2]))
        client.close()


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_whoever_drips_for_ever_is_left_at_the_deadline(head: bytes, drop: bytes) -> None:
    """A byte now and then keeps no conversation alive, also where only its end would end the answer."""
    with dripping(head, drop) as url, pytest.raises(FetchError, match=r"gave no answer in 0\.3 seconds"):
        Client(url, seconds=0.3).get("/")


def test_whoever_drips_before_the_answer_begins_is_cut_off() -> None:
    """By whoever watches; the library would read a header line for ever."""
    with dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x") as url:
        server = Server(PrometheusSource(server=url), "", seconds=0.3)
        with pytest.raises(FetchError):
            server.now()
        server.close()


@contextmanager
def dripping(head: bytes, drop: bytes) -> Iterator[str]:
    """Somebody who begins an answer, and goes on a little every ten milliseconds, until nobody listens."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(head)
            while not over.wait(0.01):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        serving.join()


def test_a_form_is_sent_as_one() -> None:
    """Queries are too long for a URL."""
    with exporter(lambda asked: Answer(asked.body.encode())) as other:
        client = Client(other.url, seconds=5, authorization=basic("u", "p"))
        assert client.post("/api", "a=b", limit=100) == b"a=b"
        client.close()
    assert other.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert other.asked[0].headers["authorization"] == "Basic dTpw"


def test_a_conversation_can_be_ended_from_outside() -> None:
    """Whoever drips header by header is not waited for."""
    with exporter(lambda _: Answer(PAGE, drip=True)) as other:
        client = Client(other.url, seconds=30)
        failed: list[FetchError] = []

        def ask() -> None:
            with pytest.raises(FetchError) as raised:
                client.get("/")
            failed.append(raised.value)

        asking = threading.Thread(target=ask)
        asking.start()
        while not other.asked:
            threading.Event().wait(0.01)
        while asking.is_alive():
            client.abort()
            asking.join(0.01)
        client.close()
    assert len(failed) == 1


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token, or a user with a password; what is not set is an error, and nothing is sent where nothing is configured."""
    monkeypatch.setenv("METRICS_SECRET", "s")
    held, missing = Secret("METRICS_SECRET"), Secret("METRICS_NOT_SET")

    assert authorization(PrometheusSource()) == ""
    assert authorization(PrometheusSource(token=held)) == "Bearer s"
    assert authorization(PrometheusSource(username="u", password=held)) == basic("u", "s")
    with pytest.raises(ConfigError, match="METRICS_NOT_SET: is not set"):
        authorization(PrometheusSource(token=missing))
