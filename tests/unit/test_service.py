"""The service between its jobs: readiness, records and the daily file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.config import template
from apportion.config.load import load
from apportion.domain.errors import LedgerError
from apportion.pipeline import Pipeline
from apportion.service import Service
from tests.frozen import FrozenClock

NOW = datetime(2026, 10, 3, 0, 30, tzinfo=UTC)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """The fleet that `init` writes, two days old and without a single event."""
    config, _ = template.write(tmp_path, effective_from=datetime(2026, 10, 1, tzinfo=UTC))
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
