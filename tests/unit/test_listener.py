"""The listener: what uvicorn leaves open is bounded, answers under way finish, and a taken port is said."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from apportion import listener as listening
from apportion.domain.errors import UsageError
from apportion.listener import App, Listening, Receive, Scope, Send, by_path, listen


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers how many bytes of a body came."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = f"{scope['method']} {size}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Gate:
    """An app whose answers wait."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let them go."""
        self._loop.call_soon_threadsafe(self._open.set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        self.entered.set()
        await self._open.wait()
        await hello(scope, receive, send)


@pytest.fixture
def running() -> Iterator[Listening]:
    with listen("127.0.0.1", 0, hello) as found:
        yield found


def connected(to: Listening) -> socket.socket:
    return socket.create_connection((to.host, to.port), timeout=10)


def read(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def raw(to: Listening, request: bytes) -> bytes:
    with connected(to) as connection:
        connection.sendall(request)
        return read(connection)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"h: x\r\n" * 20_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nh: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
    ],
)
def test_unreadable_requests_end_the_connection(
    running: Listening, request_bytes: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A short answer in our own words, then the end; nothing is logged."""
    caplog.set_level(logging.DEBUG)
    received = raw(running, request_bytes)

    assert received.split(b" ", 2)[1] == status
    assert b"connection: close" in received
    assert b"server:" not in received.lower()
    assert b"xxxx" not in received
    assert "xxxx" not in caplog.text


def test_a_body_is_not_taken_for_the_next_request(running: Listening) -> None:
    """A GET with a body is answered once, and the request after it once more."""
    inner = b"GET /metrics HTTP/1.1\r\n\r\n"
    received = raw(
        running, b"GET / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%sGET / HTTP/1.0\r\n\r\n" % (len(inner), inner)
    )

    assert received.count(b"HTTP/1.1 200") == 2
    assert b"GET 25" in received
    assert received.endswith(b"GET 0")


def test_an_upgrade_with_a_body_is_refused(running: Listening) -> None:
    """The parser passes the body of an upgrade over, so it is never taken for an empty one; without a body it is served."""
    head = b"%s / HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n%s"

    assert raw(running, head % (b"POST", 3, b"abc")).startswith(b"HTTP/1.1 400 Upgrade Not Supported\r\n")
    assert raw(running, head % (b"GET", 0, b"")).endswith(b"GET 0")


def test_connections_are_bounded() -> None:
    """One connection too many is told to come back; a slot that frees up serves again."""
    with listen("127.0.0.1", 0, hello, connections_max=2) as running:
        held = [connected(running) for _ in range(2)]
        for connection in held:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        with connected(running) as one_more:
            refused = read(one_more)
        for connection in held:
            connection.close()

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in refused


def test_a_head_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a silent connection nor one that trickles its headers is kept."""
    monkeypatch.setattr(listening, "HEAD_SECONDS_MAX", 0.05)
    with listen("127.0.0.1", 0, hello) as running, connected(running) as silent, connected(running) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nh: ")

        assert read(silent) == b""
        assert read(slow) == b""


def test_a_reader_that_stalls_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for much and takes nothing loses the connection, and with it what was kept to be sent."""
    monkeypatch.setattr(listening, "STALL_SECONDS_MAX", 0.05)
    ended = threading.Event()

    async def endless(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": bytes(1 << 18), "more_body": True})
        ended.set()

    with listen("127.0.0.1", 0, endless) as running, connected(running) as stalled:
        stalled.sendall(b"GET / HTTP/1.1\r\n\r\n")

        assert ended.wait(10)


def test_closing_lets_an_answer_finish(running: Listening) -> None:
    """A request under way is answered; then its connection ends and the port is free."""
    del running
    gate = Gate()
    first = listen("127.0.0.1", 0, gate)
    with connected(first) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert gate.entered.wait(10)
        closing = threading.Thread(target=first.close)
        closing.start()
        gate.open()
        received = read(connection)
        closing.join(10)
    first.close()
    with listen("127.0.0.1", first.port, hello) as second:
        assert second.port == first.port

    assert received.endswith(b"GET 0")


def test_closing_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """An answer that does not come is given up after the bound, an idle connection at once."""
    gate = Gate()
    first = listen("127.0.0.1", 0, gate, drain_seconds=0)
    with connected(first) as connection, connected(first) as idle:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert gate.entered.wait(10)
        first.close()

        assert b"200" not in read(connection)
        assert read(idle) == b""
    assert "secret" not in caplog.text


def test_paths_are_shared_out() -> None:
    """A page has its own app; every other path goes to the rest."""

    def named(name: bytes) -> App:
        async def app(_: Scope, __: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            await send({"type": "http.response.body", "body": name})

        return app

    with listen("127.0.0.1", 0, by_path({"/a": named(b"a")}, named(b"z"))) as running:
        answers = [
            raw(running, b"GET %s HTTP/1.0\r\n\r\n" % path)[-1:] for path in (b"/a", b"/a?x=1", b"/a/", b"/", b"/b")
        ]

    assert answers == [b"a", b"a", b"z", b"z", b"z"]


def test_a_port_in_use_is_said_with_what_to_do(running: Listening) -> None:
    """The sentence names the address and both ways out."""
    with pytest.raises(
        UsageError, match=rf"127\.0\.0\.1:{running.port}: another program listens there; stop it, or set"
    ):
        listen("127.0.0.1", running.port, hello)


def test_a_name_that_does_not_resolve_is_said() -> None:
    """A host name nobody knows is a sentence, not a traceback."""
    with pytest.raises(
        UsageError, match=r"cannot listen on no\.such\.host\.invalid:1: .+; use an address of this machine"
    ):
        listen("no.such.host.invalid", 1, hello)


def test_an_address_that_is_not_ours_is_said() -> None:
    """An address of another machine is not an internal error."""
    with pytest.raises(UsageError, match="no such address"):
        listen("192.0.2.1", 0, hello)


def test_loopback_of_ipv6_is_served() -> None:
    """An IPv6 host is a host like any other."""
    with listen("::1", 0, hello) as running:
        assert raw(running, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
