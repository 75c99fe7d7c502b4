"""What scrapers are answered: three pages, negotiated, nothing echoed."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Iterator

import pytest

from apportion.listener import Listening, listen
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
def listener(page: Fixed, reason: list[str]) -> Iterator[Listening]:
    with listen("127.0.0.1", 0, scrape.Scrape(page, lambda: "".join(reason))) as running:
        yield running


@pytest.fixture
def client(listener: Listening) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(listener.host, listener.port, timeout=10)
    yield connection
    connection.close()


def ask(
    client: http.client.HTTPConnection, method: str, path: str, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    client.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = client.getresponse()
    return response, response.read()


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


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(client: http.client.HTTPConnection, method: str) -> None:
    """405 with what is allowed, and the connection ends, for a body may follow."""
    response, _ = ask(client, method, "/metrics")

    assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")
    assert response.getheader("Connection") == "close"


def test_the_server_does_not_introduce_itself(client: http.client.HTTPConnection) -> None:
    """No name or version of software in any header."""
    response, _ = ask(client, "GET", "/healthz")

    assert {name.lower() for name, _ in response.getheaders()} == {"content-type", "content-length"}
