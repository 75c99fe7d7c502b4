"""The mapping that deploy/README.md gives for Envoy AI Gateway reads what Envoy writes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.config.load import load
from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger
from apportion.pipeline import Pipeline
from tests.frozen import FrozenClock
from tests.shared_data import REPOSITORY, shared
from tests.unit.ingest.desk import CONFIG

README = (REPOSITORY / "deploy" / "README.md").read_text(encoding="utf-8")
EVENTS = """
SELECT event_id, strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%fZ'), model_id, principal, uncached_input_tokens, cache_read_tokens,
    output_tokens, event.duration_us, status, usage_quality
FROM raw.usage_event AS event JOIN raw.series USING (series_no) JOIN book.model USING (model_no) JOIN raw.caller USING (caller_no)
ORDER BY event_id
"""


@pytest.fixture
def now() -> Clock:
    """After the sample was written."""
    return FrozenClock(datetime(2026, 11, 14, tzinfo=UTC))


def test_the_documented_mapping_reads_an_access_log(tmp_path: Path, ledger: Ledger, now: Clock) -> None:
    """Cached tokens leave the input; requests that broke off or were refused say so, and that nobody counted; `auto` recognises the log."""
    (snippet,) = [one for one in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if 'name = "envoy"' in one]
    config = tmp_path / "apportion.toml"
    config.write_text(CONFIG + snippet, encoding="utf-8")
    pipeline = Pipeline(load(config), ledger, now)
    report = pipeline.ingest([shared("samples", "envoy_ai_gateway_access_log.jsonl")], "auto")
    at = "2026-11-13T00:00:10.250000Z"

    assert (report.outcome.received, report.outcome.landed) == (3, 3)
    assert report.notes[0].endswith("read as envoy.")
    assert ledger.session().rows(EVENTS) == [
        (
            "8f0c-0001@2026-11-13T00:00:10.250Z",
            at,
            "qwen3-32b",
            "acme/search",
            560,
            2560,
            412,
            9_071_000,
            "success",
            "reported",
        ),
        ("8f0c-0004@2026-11-13T00:00:10.250Z", at, "qwen3-32b", "", 0, 0, 0, 9_071_000, "cancelled", "missing"),
        ("8f0c-0006@2026-11-13T00:00:10.250Z", at, "qwen3-32b", "acme/search", 0, 0, 0, 9_071_000, "failed", "missing"),
    ]
