"""Batches over HTTP against the same file, and small requests of many clients against bare commits of the same rows.

The server is this process: its listener, intake and ledger as `serve` wires them. Clients are processes of their own.
"""

from __future__ import annotations

import http.client
import multiprocessing
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import duckdb
import fleet
import ledgers
from bench_ingest import COLUMNS, landed
from measure import THREADS, Result, Setting, clocked, cost, isolated, memory, peak_gib, rounds, speed

from apportion.config.load import load
from apportion.intake import arriving
from apportion.listener import listen
from apportion.pipeline import Pipeline
from ingest.outcome import Outcome
from ingest.supervise import Supervisor

SPEED_MIN = 0.5
COMMIT_COST_MAX = 4.0
PEAK_GIB_MAX = 1.5
BATCH_EVENTS = 10_000
SENDERS = 2
SMALL_EVENTS = 100
CLIENTS = 32
SLOWEST = 0.99


def run(setting: Setting) -> list[Result]:
    """Throughput of batches, latency of small requests, memory of the server."""
    count, posts = setting.size(small=100_000, full=1_000_000), setting.size(small=4, full=20)
    config = isolated(fleet.config, setting.work / "http")
    file = isolated(fleet.events, setting.work / f"events-{count}.ndjson", count)
    expected = Outcome(received=count, landed=count)
    seconds = rounds(
        {
            "floor": lambda: landed(file, setting.work / "file.duckdb", config, expected),
            "ours": lambda: sent(file, setting.work / "http.duckdb", config, count),
        },
        setting.rounds,
    )
    small = isolated(
        fleet.events, setting.work / f"small-{CLIENTS * posts}.ndjson", CLIENTS * posts * SMALL_EVENTS, step_us=1000
    )
    ours, alone, together = [], [], []
    for _ in range(setting.rounds):
        ours.append(isolated(slowest_post, small, setting.work / "small.duckdb", config))
        alone.append(isolated(slowest_commit, small, setting.work / "commit.duckdb", posts, 1))
        together.append(isolated(slowest_commit, small, setting.work / "commit.duckdb", posts, CLIENTS))
    name = (
        f"p99 of {SMALL_EVENTS} events: bare commit by one of {CLIENTS} clients → POST by one of {CLIENTS}, committed"
    )
    lone = f"p99 of {SMALL_EVENTS} events: bare commit by the only client → POST by one of {CLIENTS}, committed"
    peak = isolated(peak_of_server, file, setting.work / "peak.duckdb", config, count)
    return [
        speed(
            "speed",
            f"{count:,} events: ingest of the file → POST in batches of {BATCH_EVENTS:,}",
            seconds["ours"],
            seconds["floor"],
            SPEED_MIN,
        ),
        cost("p99", name, ours, together, COMMIT_COST_MAX),
        cost("p99_alone", lone, ours, alone),
        memory("peak memory of the server under batches", peak, PEAK_GIB_MAX),
    ]


@contextmanager
def serving(path: Path, config: Path) -> Iterator[tuple[int, Pipeline]]:
    """The HTTP side at work over an empty ledger. Gives its port."""
    pipeline = Pipeline(load(config), ledgers.empty(path, config), ledgers.Fixed())
    found = arriving(pipeline)
    supervisor = Supervisor(found.collectors, pipeline.clock)
    listener = listen("127.0.0.1", 0, found.app)
    supervisor.start()
    try:
        yield listener.port, pipeline
    finally:
        listener.close()
        supervisor.stop()
        found.app.close()
        pipeline.close()


def sent(file: Path, path: Path, config: Path, count: int) -> float:
    """Seconds until a file's events, sent in batches by two senders, are committed."""
    with serving(path, config) as (port, pipeline), _clients(SENDERS) as pool:
        list(pool.map(abs, range(SENDERS)))  # the processes are there
        seconds = clocked(lambda: list(pool.map(post_batches, [(file, port, turn) for turn in range(SENDERS)])))
        held = pipeline.ledger.session().value("SELECT count(*) FROM raw.usage_event")
        assert held == count, (held, count)
    ledgers.remove(path)
    return seconds


def post_batches(work: tuple[Path, int, int]) -> None:
    """Send every batch whose turn it is, one after the other."""
    file, port, turn = work
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    for number, batch in enumerate(batches(file, BATCH_EVENTS)):
        if number % SENDERS == turn:
            post(connection, batch)
    connection.close()


def batches(file: Path, events: int) -> Iterator[bytes]:
    """A file's lines, so many at a time."""
    with file.open("rb") as lines:
        while batch := b"".join(islice(lines, events)):
            yield batch


def post(connection: http.client.HTTPConnection, batch: bytes) -> None:
    """Send a batch and see it committed."""
    connection.request("POST", "/v1/usage", batch, {"Content-Type": "application/x-ndjson"})
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, said


def slowest_post(file: Path, path: Path, config: Path) -> float:
    """The 99th percentile of the seconds a small request takes while 32 clients send them."""
    with serving(path, config) as (port, _), _clients(1) as pool:
        seconds = pool.submit(small_posts, file, port).result()
    ledgers.remove(path)
    return percentile(seconds)


def small_posts(file: Path, port: int) -> list[float]:
    """Seconds of each request of 32 clients at once."""
    found = list(batches(file, SMALL_EVENTS))

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        mine = [clocked(lambda one=one: post(connection, one)) for one in found[number::CLIENTS]]  # type: ignore[misc]
        connection.close()
        return mine

    return in_threads(client)


def slowest_commit(file: Path, path: Path, posts: int, clients: int) -> float:
    """The 99th percentile of the seconds that a bare commit of the same rows takes, by one writer at a time."""
    ledgers.remove(path)
    connection = duckdb.connect(str(path), config={"threads": THREADS, "memory_limit": "1GB"})
    connection.execute(f"CREATE TABLE usage ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    spec = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    found, lock = list(batches(file, SMALL_EVENTS))[: posts * CLIENTS], threading.Lock()

    def client(number: int) -> list[float]:
        cursor, spool, mine = connection.cursor(), path.with_suffix(f".{number}"), []
        for one in found[number::clients]:
            began = time.perf_counter()
            spool.write_bytes(one)
            with lock:
                cursor.execute(f"INSERT INTO usage SELECT * FROM read_ndjson('{spool}', columns = {{{spec}}})")
            mine.append(time.perf_counter() - began)
        spool.unlink()
        return mine

    seconds = in_threads(client, clients)
    connection.close()
    ledgers.remove(path)
    return percentile(seconds)


def in_threads(client: object, clients: int = CLIENTS) -> list[float]:
    """What every client measured."""
    with ThreadPoolExecutor(clients) as pool:
        return [one for mine in pool.map(client, range(clients)) for one in mine]  # type: ignore[arg-type]


def percentile(seconds: Sequence[float]) -> float:
    """The value that 99 in a hundred do not exceed."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[round(SLOWEST * 100) - 1]


def peak_of_server(file: Path, path: Path, config: Path, count: int) -> float:
    """GiB that the server's process held while it took the batches."""
    sent(file, path, config, count)
    return peak_gib()


def _clients(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
