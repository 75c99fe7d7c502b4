"""A real Prometheus scrapes an engine and a GPU, and is asked for what it found; the same exporter is scraped directly."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apportion.cli import probe
from apportion.config.load import load
from apportion.domain.clock import Clock, SystemClock
from apportion.intake import arriving
from apportion.pipeline import Pipeline
from ingest.prometheus import querying
from ingest.supervise import Supervisor
from tests.component.conftest import Prometheus, until
from tests.frozen import FrozenClock
from tests.unit.ingest.exporter import Answer, Asked, exporter

pytestmark = pytest.mark.component

STEP = 7
"""Tokens from one scrape to the next."""
CONFIG = """
[ledger]
path = "apportion.duckdb"
billing_currency = "USD"

[[sources]]
name = "metrics"
collector = "prometheus"
"""


class Fleet:
    """An engine that counts, and a GPU, as one exporter tells of both.

    Attributes:
        served: (tokens, when the process began) of every page, in order.
        is_away: whether it answers nothing of use.
        refused: how often it has been asked meanwhile.
    """

    def __init__(self) -> None:
        self.served: list[tuple[int, int]] = []
        self.is_away, self.refused = False, 0
        self._tokens, self._began = 0, int(datetime.now(UTC).timestamp()) - 1000
        self._lock = threading.Lock()

    def restart(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._tokens, self._began = 0, self._began + 500

    def __call__(self, _: Asked) -> Answer:
        with self._lock:
            if self.is_away:
                self.refused += 1
                return Answer(status=503)
            self._tokens += STEP
            self.served.append((self._tokens, self._began))
            page = (
                f"process_start_time_seconds {self._began}\n"
                f'vllm:generation_tokens_total{{engine="0",model_name="m"}} {self._tokens}.0\n'
                f'vllm:request_success_total{{engine="0",model_name="m",finished_reason="stop"}} {self._tokens}.0\n'
                f'vllm:request_success_total{{engine="0",model_name="m",finished_reason="abort"}} 1\n'
                f'DCGM_FI_PROF_GR_ENGINE_ACTIVE{{UUID="GPU-1",Hostname="n1",pod="p"}} 0.5\n'
            )
            return Answer(page.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})


@contextlib.contextmanager
def collecting(folder: Path, source: str, clock: Clock) -> Iterator[Pipeline]:
    """The config's sources at work, as `serve` wires them."""
    (folder / "apportion.toml").write_text(CONFIG + source)
    with Pipeline.open(load(folder / "apportion.toml"), clock) as pipeline:
        supervisor = Supervisor(arriving(pipeline).collectors, clock)
        supervisor.start()
        try:
            yield pipeline
        finally:
            supervisor.stop()


def engines(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    """(tokens, when the process began) as the ledger has them, in the order of their times."""
    return pipeline.ledger.session().rows(
        "SELECT output_tokens, epoch(started_at)::BIGINT FROM raw.engine_sample ORDER BY sampled_at"
    )


def lived(fleet: Fleet) -> None:
    """Scrapes, a gap, a restart and scrapes again."""
    until(lambda: len(fleet.served) >= 4, "four scrapes")
    fleet.is_away = True
    until(lambda: fleet.refused, "a scrape of nothing")
    fleet.restart()
    fleet.is_away = False
    begun = len(fleet.served)
    until(lambda: len(fleet.served) >= begun + 4, "four scrapes after the restart")


def test_what_a_server_scraped_is_in_the_ledger_exactly_once(
    tmp_path: Path, module_prometheus: Callable[[str], Prometheus], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backfilled from its raw samples: every scrape with its own time and value, counter resets as they were."""
    monkeypatch.setattr(querying, "LAG_MS", 0)  # every scrape is over before anything is asked
    fleet = Fleet()
    with exporter(fleet) as listening:
        instance = listening.url.removeprefix("http://")
        server = module_prometheus(instance)
        lived(fleet)
        fleet.is_away = True
        until(lambda: server.query(f'up{{instance="{instance}"}} == 0'), "a scrape of nothing")
    clock = FrozenClock(datetime.now(UTC) + timedelta(minutes=10))
    since = f"{clock.now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    source = f'server = "{server.url}"\nmatch = \'{{job=~".+"}}\'\nstart = {since}\nlabels = {{ deployment = "job" }}\n'

    for _ in range(2):  # a second run finds that it has read all of it
        with collecting(tmp_path, source, clock) as pipeline:
            until(lambda: has_read(pipeline, max(stamps(server, instance))), "all windows")
            rows = engines(pipeline)
            stored = [(tokens, began) for tokens, began in fleet.served if (tokens, began) in rows]
            assert rows == stored
            assert len(rows) >= len(fleet.served) - 1  # the last may have been under way
            assert pipeline.ledger.session().row(
                "SELECT DISTINCT instance, engine, model_id, software, deployment FROM raw.engine JOIN raw.engine_series USING (engine_no) "
                "JOIN book.model USING (model_no)"
            ) == (instance, "0", "m", "vllm", server.query(f'up{{instance="{instance}"}}')[0][0]["job"])
            assert gpu_samples(pipeline) == len(rows)
            assert times(pipeline) == stamps(server, instance)
    (seen,) = [look for look in probe.probe(load(tmp_path / "apportion.toml")) if look.source == "metrics"]
    assert seen.well is False
    assert "has no series of engines or GPUs now" in seen.said


def has_read(pipeline: Pipeline, moment: int) -> bool:
    """Whether both streams stand behind a time, in milliseconds since 1970."""
    found = pipeline.ledger.session().rows("SELECT position FROM raw.stream_position")
    return len(found) == 2 and min(row[0] for row in found) >= moment


def gpu_samples(pipeline: Pipeline) -> int:
    """How many there are of the one device."""
    return int(pipeline.ledger.session().value("SELECT count(*) FROM raw.gpu_sample WHERE active_ppm = 500000"))


def times(pipeline: Pipeline) -> list[int]:
    """Milliseconds since 1970 of the engine's samples."""
    return [
        row[0]
        for row in pipeline.ledger.session().rows("SELECT epoch_ms(sampled_at) FROM raw.engine_sample ORDER BY ALL")
    ]


def stamps(server: Prometheus, instance: str) -> list[int]:
    """Milliseconds since 1970 of the scrapes that the server keeps."""
    found = server.get("query", query=f'vllm:generation_tokens_total{{instance="{instance}"}}[1h]')
    return [round(at * 1000) for at, _ in found["result"][0]["values"]]


def test_an_exporter_scraped_directly_says_the_same(tmp_path: Path) -> None:
    """Every page that was served is a row, across a gap and a restart; `check` says what there is."""
    fleet = Fleet()
    with exporter(fleet) as listening:
        source = f'targets = ["{listening.url}"]\ninterval_seconds = 1\nconstants = {{ cluster = "eu" }}\n'
        with collecting(tmp_path, source, SystemClock()) as pipeline:
            lived(fleet)
            until(lambda: len(engines(pipeline)) == len(fleet.served), "the last round")
        served = list(fleet.served)
        with Pipeline.open(load(tmp_path / "apportion.toml"), SystemClock()) as pipeline:
            assert engines(pipeline) == served[: len(engines(pipeline))]
            assert len(engines(pipeline)) >= 8
            assert gpu_samples(pipeline) == len(engines(pipeline))
        (seen,) = [look for look in probe.probe(load(tmp_path / "apportion.toml")) if look.source == "metrics"]

    assert (seen.well, seen.said) == (
        True,
        f"{listening.url}/metrics has 5 series: vllm (1 engine of m), dcgm (1 GPU)",
    )
