"""The service between its jobs: readiness, records and the daily file."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.config import template
from apportion.config.load import load
from apportion.domain.errors import LedgerError, UsageError
from apportion.health import HealthLog
from apportion.pipeline import Pipeline
from apportion.service import Service
from tests.blank import blank
from tests.frozen import FrozenClock

NOW = datetime(2026, 10, 3, 0, 30, tzinfo=UTC)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """The fleet that `init` writes, two days old and without a single event."""
    config, _ = template.write(tmp_path, effective_from=datetime(2026, 10, 1, tzinfo=UTC))
    blank(tmp_path / "apportion.duckdb")
    with Pipeline.open(load(config), FrozenClock(NOW), threads=1) as opened:
        yield opened


def test_it_is_ready_once_something_is_published(pipeline: Pipeline) -> None:
    """Before the first run readiness says why not; after it, nothing is wrong."""
    service = Service(pipeline)
    before = service.readiness()
    said = service.meter()

    assert "nothing has been published yet" in before
    assert said == "48 hours metered"
    assert service.readiness() == ""


def test_a_failed_run_is_visible_until_one_succeeds(pipeline: Pipeline) -> None:
    """A failure shows in readiness, in the metrics and in the ledger, and a later success clears it."""
    service = Service(pipeline)
    service.meter()
    service.record("meter", "failed", "the disk is full", NOW, 1.5)
    failed = service.readiness()
    service.record("meter", "ok", "1 hour metered", NOW, 1.5)
    page, _, _ = service.exposition.body("", gzip=False)

    assert failed == "the last metering run failed: the disk is full"
    assert service.readiness() == ""
    assert b'outcome="failed"' in page
    assert pipeline.ledger.session().rows("SELECT job, outcome, duration_us FROM ledger.job_run ORDER BY outcome") == [
        ("meter", "failed", 1_500_000),
        ("meter", "ok", 1_500_000),
    ]


def test_a_port_that_is_taken_is_a_sentence(pipeline: Pipeline) -> None:
    """Nothing was begun that has to be ended, and the next step is named."""
    where = pipeline.config.http.listen
    with (
        socket.create_server((where.host, where.port)),
        pytest.raises(UsageError, match="another program listens there"),
    ):
        Service(pipeline).run_until(threading.Event())


def test_a_ledger_that_cannot_be_written_is_not_ready(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness says so while it lasts, and answers that could not be written down are not forgotten."""
    service = Service(pipeline)
    service.meter()

    def full(*_: object) -> None:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(HealthLog, "write", full)
        service.write_down()
        during = service.readiness()
    service.write_down()

    assert during == "the ledger cannot be written: the disk is full"
    assert service.readiness() == ""


def test_the_daily_file_is_the_month(pipeline: Pipeline) -> None:
    """The chargeback job writes the current month, and the one before only where it has charges."""
    service = Service(pipeline)
    with pytest.raises(LedgerError, match="nothing has been published yet"):
        service.chargeback()
    service.meter()
    said = service.chargeback()
    written = sorted(path.name for path in pipeline.config.schedule.chargeback_dir.iterdir())

    assert written == ["chargeback-2026-10.csv"]
    assert "chargeback-2026-10.csv" in said
