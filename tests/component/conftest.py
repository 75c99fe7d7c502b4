"""Real programs of the outside world: found, started on free loopback ports, stopped by their own process id.

Where one is not installed the test is skipped with the reason; in CI, where it must be, that is a failure.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

PATIENCE_SECONDS = 30
DEPLOY = Path(__file__).parents[2] / "deploy"


def tool(name: str) -> str:
    """Path of a program, or the end of the test."""
    found = shutil.which(name)
    if found:
        return found
    reason = f"{name} is not installed; on Debian: apt-get install prometheus"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def promtool() -> str:
    return tool("promtool")


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true answer of a condition, asked ten times a second for a bounded time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        threading.Event().wait(0.1)
    pytest.fail(f"{what}: not within {PATIENCE_SECONDS} s")


@dataclass
class Prometheus:
    """A running Prometheus.

    Attributes:
        url: its address.
        log: where it writes.
    """

    url: str
    log: Path

    def get(self, path: str, **parameters: str) -> Any:
        """`data` of an API answer; a query that Prometheus refuses fails the test with its words."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{parameters}: {error.read().decode()}")

    def query(self, expression: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an instant query."""
        parameters = {"query": expression} | ({"time": f"{at:.3f}"} if at is not None else {})
        data = self.get("query", **parameters)
        assert data["resultType"] == "vector"
        return [(found["metric"], float(found["value"][1])) for found in data["result"]]

    def ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as response:
                return bool(response.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def module_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Prometheus]]:
    """Starts a Prometheus with the shipped configuration, but that it scrapes the given target four times a second."""
    program, tmp_path = tool("prometheus"), tmp_path_factory.mktemp("prometheus")
    running: list[subprocess.Popen[bytes]] = []

    def start(target: str) -> Prometheus:
        config, port, log = tmp_path / "prometheus.yml", free_port(), tmp_path / "prometheus.log"
        shipped = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
        config.write_text(shipped.replace("apportion:8321", target).replace("30s", "250ms").replace("10s", "250ms"))
        with log.open("wb") as output:
            running.append(
                subprocess.Popen(
                    [
                        program,
                        f"--config.file={config}",
                        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                        f"--web.listen-address=127.0.0.1:{port}",
                        "--log.level=warn",
                    ],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=tmp_path,
                )
            )
        server = Prometheus(f"http://127.0.0.1:{port}", log)
        until(server.ready, "Prometheus ready")
        return server

    yield start
    for process in running:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real Kafka broker for the whole session; nobody kills this one."""
    from tests.component.broker import real_broker

    with real_broker(tmp_path_factory.mktemp("kafka"), secured=True) as broker:
        yield broker


@pytest.fixture(scope="session")
def any_kafka(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The real broker where there can be one, else librdkafka's mock, loudly."""
    from tests.component.broker import MockBroker, mock_instead, why_no_broker

    if reason := why_no_broker():
        mock_instead(reason)
        yield MockBroker()
    else:
        yield request.getfixturevalue("kafka")


@pytest.fixture
def closed_sockets(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The Kafka client leaves sockets whose connection failed to the garbage collector, which warns of them: here, and in no later test.

    What was logged of an error holds it, and so its sockets.
    """
    yield
    caplog.get_records("call").clear()
    gc.collect()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """The Kafka client leaves sockets whose connection failed to the garbage collector, which warns of them."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            gc.collect()
