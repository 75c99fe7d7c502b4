"""A scrape of a hundred thousand series over loopback, against sending the same bytes from memory through a plain socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import fleet
import ledgers
from measure import Result, Setting, clocked, cost, rounds

from apportion.listener import listen
from exporters import results
from exporters.prometheus import Exposition
from exporters.scrape import Scrape

PLAIN_COST_MAX = 2.5
GZIP_COST_MAX = 0.5
SCRAPES = 20
"""Per round: one alone is shorter than a scheduler's slice."""

TEAMS, MODELS, KINDS = 250, 20, 5
SERIES_PER_KIND = 4
"""Cost and tokens, charged and credited."""

_FILL = """
INSERT INTO attribution.counter
SELECT
    metric, 'team-' || team, 'model-' || model, CASE metric WHEN 'cost' THEN 'pool' ELSE '' END,
    CASE metric WHEN 'cost' THEN 'workload' ELSE '' END,
    ['cache_read', 'cache_write', 'output', 'reasoning', 'uncached_input'][kind + 1], '', hash(team, model, kind) % 1000000000000,
    hash(kind, team, model) % 1000000000
FROM (VALUES ('cost'), ('tokens')) AS metrics(metric)
CROSS JOIN range($teams) AS teams(team) CROSS JOIN range($models) AS models(model) CROSS JOIN range($kinds) AS kinds(kind)
"""

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: text/plain\r\n%s\r\n"


def run(setting: Setting) -> list[Result]:
    """Plain and gzip, over connections that stay open as a scraper's do."""
    teams = setting.size(small=TEAMS // 10, full=TEAMS)
    series = teams * MODELS * KINDS * SERIES_PER_KIND
    page, seconds_to_render = rendered(setting, teams)
    plain, packed = page.body("", gzip=False)[0], page.body("", gzip=True)[0]
    assert plain.count(b"\n") >= series
    with (
        served_from_memory(plain) as floor,
        listen("127.0.0.1", 0, Scrape(page, lambda: "")) as listener,
        closing(socket.create_connection((str(listener.host), listener.port))) as ours,
    ):
        seconds = rounds(
            {
                "floor": lambda: scraped(floor, REQUEST % b"", len(plain)),
                "plain": lambda: scraped(ours, REQUEST % b"", len(plain)),
                "gzip": lambda: scraped(ours, REQUEST % b"Accept-Encoding: gzip\r\n", len(packed)),
            },
            setting.rounds,
        )
    size = f"{SCRAPES} scrapes of {series:,} series"
    return [
        cost(
            "plain",
            f"{size}, {len(plain) / 1e6:.1f} MB: the bytes from memory → /metrics",
            seconds["plain"],
            seconds["floor"],
            PLAIN_COST_MAX,
        ),
        cost(
            "gzip",
            f"{size}: the plain bytes from memory → /metrics in gzip",
            seconds["gzip"],
            seconds["floor"],
            GZIP_COST_MAX,
        ),
        Result(
            key="render",
            name=f"once per publish: rendering {series:,} series, plain and gzip, in both formats",
            figure=seconds_to_render,
            unit="s",
        ),
    ]


def rendered(setting: Setting, teams: int) -> tuple[Exposition, float]:
    """The page of published results with so many teams, and the seconds that rendering it took."""
    config = fleet.config(setting.work / "scrape")
    path = setting.work / "scrape.duckdb"
    with ledgers.empty(path, config) as ledger:
        ledger.session().do(_FILL, {"teams": teams, "models": MODELS, "kinds": KINDS})
        page = Exposition("USD", "bench")
        published = results.publish(ledger, ledgers.Fixed())
        seconds = clocked(lambda: page.update(published))
        published.unlink()
    ledgers.remove(path)
    return page, seconds


@contextmanager
def served_from_memory(body: bytes) -> Iterator[socket.socket]:
    """A connection to a thread that answers whatever it reads with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answering = threading.Thread(target=_answer, args=(theirs, body), daemon=True)
        answering.start()
        with closing(theirs), closing(ours):
            yield ours
            ours.shutdown(socket.SHUT_WR)
            answering.join()


def _answer(connection: socket.socket, body: bytes) -> None:
    while connection.recv(4096):
        connection.sendall(body)


def scraped(connection: socket.socket, request: bytes, length: int) -> float:
    """Seconds to ask and read to the end, as often as a round has it."""
    buffer = bytearray(1024 * 1024)

    def ask() -> None:
        for _ in range(SCRAPES):
            connection.sendall(request)
            _read(connection.recv_into, buffer, length)

    return clocked(ask)


def _read(receive: Callable[[bytearray], int], buffer: bytearray, length: int) -> None:
    """Read an answer of a known body; a head that begins it belongs to it."""
    read = receive(buffer)
    if buffer.startswith(b"HTTP/"):
        length += buffer.index(b"\r\n\r\n") + 4
    while read < length:
        read += receive(buffer)
