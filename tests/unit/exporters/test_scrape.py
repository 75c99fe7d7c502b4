"""The listener: three pages, one send each, bounded connections, nothing echoed."""

from __future__ import annotations

import gzip
import http.client
import socket
from collections.abc import Iterator

import pytest

from apportion.domain.errors import UsageError
from exporters import scrape

PLAIN = b"# HELP apportion_x X.\n" * 200_000


class Fixed:
    """A page of known bytes, larger than any socket buffer; says which Accept it was asked with."""

    def __init__(self) -> None:
        self.accept = ""

    def body(self, accept: str, *, gzip: bool) -> tuple[bytes, str, str]:
        self.accept = accept
        return (PACKED, "text/plain", "gzip") if gzip else (PLAIN, "text/plain", "")


PACKED = gzip.compress(PLAIN, 1, mtime=0)


@pytest.fixture
def reason() -> list[str]:
    return []


@pytest.fixture
def page() -> Fixed:
    return Fixed()


@pytest.fixture
def listener(page: Fixed, reason: list[str]) -> Iterator[scrape.Serving]:
    with scrape.serve_in_thread("127.0.0.1", 0, page, lambda: "".join(reason)) as running:
        yield running


@pytest.fixture
def client(listener: scrape.Serving) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(listener.host, listener.port, timeout=10)
    yield connection
    connection.close()


def ask(
    client: http.client.HTTPConnection, method: str, path: str, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    client.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = client.getresponse()
    return response, response.read()


def raw(listener: scrape.Serving, request: bytes) -> bytes:
    with socket.create_connection((listener.host, listener.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_metrics_arrive_whole_and_the_connection_is_kept(client: http.client.HTTPConnection) -> None:
    """A page larger than the socket buffer arrives byte for byte, twice over one connection."""
    first, body = ask(client, "GET", "/metrics")
    ours = client.sock
    second, again = ask(client, "GET", "/metrics?ignored=1")

    assert (first.status, second.status) == (200, 200)
    assert body == again == PLAIN
    assert first.getheader("Content-Length") == str(len(PLAIN))
    assert client.sock is ours


def test_gzip_is_sent_to_who_takes_it(client: http.client.HTTPConnection) -> None:
    """The packed bytes travel, labelled, and unpack to the page."""
    response, body = ask(client, "GET", "/metrics", Accept_Encoding="deflate, gzip")

    assert response.getheader("Content-Encoding") == "gzip"
    assert gzip.decompress(body) == PLAIN


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.1", True),
        ("identity", False),
        ("*", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("gzip;q=0, *", False),
        ("br, gzip;q=1.0", True),
        ("x-gzip-ish", False),
    ],
)
def test_which_headers_take_gzip(header: str, taken: bool) -> None:
    """Named or by the star, and not refused by quality 0; the name decides over the star."""
    assert scrape.takes_gzip(header) is taken


def test_the_accept_header_reaches_the_page(client: http.client.HTTPConnection, page: Fixed) -> None:
    """Formats are negotiated by the page."""
    ask(client, "GET", "/metrics", Accept="application/openmetrics-text;version=1.0.0")

    assert page.accept == "application/openmetrics-text;version=1.0.0"


def test_head_has_the_headers_and_no_body(client: http.client.HTTPConnection) -> None:
    """HEAD says how long GET would be."""
    response, body = ask(client, "HEAD", "/metrics")

    assert (response.status, response.getheader("Content-Length"), body) == (200, str(len(PLAIN)), b"")


def test_readiness_says_why_not(client: http.client.HTTPConnection, reason: list[str]) -> None:
    """503 with the sentence while not ready, 200 after; health does not depend on it."""
    reason.append("nothing has been published yet")
    waiting = ask(client, "GET", "/readyz")
    alive = ask(client, "GET", "/healthz")
    reason.clear()
    ready = ask(client, "GET", "/readyz")

    assert (waiting[0].status, waiting[1]) == (503, b"nothing has been published yet\n")
    assert (alive[0].status, alive[1]) == (200, b"ok\n")
    assert (ready[0].status, ready[1]) == (200, b"ready\n")


def test_other_paths_are_not_found(client: http.client.HTTPConnection) -> None:
    """What was asked for is not echoed."""
    response, body = ask(client, "GET", "/<script>")

    assert (response.status, body) == (404, b"there is /metrics, /healthz and /readyz\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_refused(client: http.client.HTTPConnection, method: str) -> None:
    """405 with what is allowed, and the connection ends, for a body may follow."""
    response, _ = ask(client, method, "/metrics")

    assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")
    assert response.getheader("Connection") == "close"


def test_the_server_does_not_introduce_itself(client: http.client.HTTPConnection) -> None:
    """No name or version of software in any header."""
    response, _ = ask(client, "GET", "/healthz")

    assert {name.lower() for name, _ in response.getheaders()} == {"content-type", "content-length"}


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(200)) + b"\r\n", b"431"),
    ],
)
def test_unreadable_requests_end_the_connection(listener: scrape.Serving, request_bytes: bytes, status: bytes) -> None:
    """A short answer in our own words, then the end."""
    received = raw(listener, request_bytes)

    assert received.split(b" ", 2)[1] == status
    assert b"Connection: close" in received
    assert b"Server:" not in received
    assert b"xxxx" not in received


def test_a_body_is_not_taken_for_the_next_request(listener: scrape.Serving) -> None:
    """A GET with a body is answered once, and what follows is not parsed."""
    received = raw(
        listener, b"GET /healthz HTTP/1.1\r\nContent-Length: 30\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n\r\n\r\n\r\n"
    )

    assert received.count(b"HTTP/1.1 ") == 1


def test_connections_are_bounded(listener: scrape.Serving) -> None:
    """One connection too many is told to come back; a slot that frees up serves again."""
    held = [socket.create_connection((listener.host, listener.port), timeout=10) for _ in range(scrape.CONNECTIONS_MAX)]
    for connection in held:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection((listener.host, listener.port), timeout=10) as one_more:
        refused = one_more.recv(65536)
    for connection in held:
        connection.close()

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in refused


def test_closing_ends_idle_connections_and_frees_the_port(page: Fixed) -> None:
    """An idle scraper does not hold up the end, and the port can be taken again at once."""
    first = scrape.serve_in_thread("127.0.0.1", 0, page, lambda: "")
    with socket.create_connection((first.host, first.port), timeout=10) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        idle.recv(65536)
        first.close()
        first.close()
        assert idle.recv(65536) == b""
    with scrape.serve_in_thread("127.0.0.1", first.port, page, lambda: "") as second:
        assert second.port == first.port


def test_a_port_in_use_is_said_with_what_to_do(listener: scrape.Serving, page: Fixed) -> None:
    """The sentence names the address and both ways out."""
    with pytest.raises(
        UsageError, match=rf"127\.0\.0\.1:{listener.port}: another program listens there; stop it, or set"
    ):
        scrape.serve_in_thread("127.0.0.1", listener.port, page, lambda: "")


def test_a_name_that_does_not_resolve_is_said(page: Fixed) -> None:
    """A host name nobody knows is a sentence, not a traceback."""
    with pytest.raises(
        UsageError, match=r"cannot listen on no\.such\.host\.invalid:1: .+; use an address of this machine"
    ):
        scrape.serve_in_thread("no.such.host.invalid", 1, page, lambda: "")


def test_an_address_that_is_not_ours_is_said(page: Fixed) -> None:
    """An address of another machine is not an internal error."""
    with pytest.raises(UsageError, match="no such address"):
        scrape.serve_in_thread("192.0.2.1", 0, page, lambda: "")


def test_loopback_of_ipv6_is_served(page: Fixed) -> None:
    """An IPv6 host is a host like any other."""
    with scrape.serve_in_thread("::1", 0, page, lambda: "") as listener:
        assert raw(listener, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
