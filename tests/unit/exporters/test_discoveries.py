"""What `check` is told of a fleet by its own records."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from apportion.ledger.connection import Ledger, Session, read_only
from exporters.discoveries import FINDINGS, discovered
from exporters.results import publish
from tests.frozen import FrozenClock
from tests.unit.exporters.books import PUBLISHED_AT, SQL

HOUR = "TIMESTAMP '2026-10-01 00:00'"
PLACED = f"""
DELETE FROM raw.source;
INSERT INTO raw.source VALUES (1, 'litellm'), (2, 'otel');
DELETE FROM metering.deployment_hourly;
INSERT INTO raw.caller VALUES (1, '1', 'litellm', 'key-a', '', '{{}}'), (2, '2', 'litellm', 'key-b', 'chat', '{{"team":"x"}}');
INSERT INTO attribution.caller_team VALUES
    (1, TIMESTAMP '2020-01-01', TIMESTAMP '9999-01-01', 0, 'search', '', '', ''),
    (2, TIMESTAMP '2020-01-01', TIMESTAMP '9999-01-01', -1, '__unmapped__', '', '', '');
INSERT INTO metering.placed_usage_hourly (charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, tier,
    uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, requests, events) VALUES
    ({HOUR}, 1, 1, 'self', 1, 1, '', 10, 5, 0, 15, 0, 2, 2),
    ({HOUR}, 0, 0, 'self', 1, 2, '', 4, 3, 2, 1, 0, 1, 1),
    ({HOUR}, 0, 0, 'openai', 2, 2, '', 100, 0, 0, 0, 0, 1, 1);
INSERT INTO raw.series
SELECT number, source_no, 1, 1, 'self', '', '', '', 'success', quality, '', '', ''
FROM (VALUES (1, 1, 'reported'), (2, 1, 'missing'), (3, 1, 'estimated'), (4, 2, 'partial'))
    AS series (number, source_no, quality);
INSERT INTO raw.usage_event BY NAME
SELECT source_no, 'e' || number AS event_id, {HOUR} + INTERVAL 1 MINUTE AS occurred_at, series_no, 0 AS revision,
    0 AS uncached_input_tokens, 0 AS cache_read_tokens, 0 AS cache_write_tokens, 0 AS output_tokens, 0 AS reasoning_tokens,
    1 AS requests, 1 AS batch_no
FROM (VALUES (1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 1, 3), (5, 2, 4)) AS event (number, source_no, series_no);
INSERT INTO raw.skewed_event VALUES (2, 'e5', {HOUR} + INTERVAL 91 SECOND, {HOUR} + INTERVAL 90 SECOND),
    (2, 'e6', {HOUR} + INTERVAL 2500 MILLISECOND, {HOUR});
INSERT INTO metering.deployment_hourly BY NAME
SELECT {HOUR} + INTERVAL 1 HOUR * number AS charge_period_start, 1 AS pool_no, 1 AS deployment_no, 1 AS paid_us, 0 AS effective_cost_nano,
    'active' AS utilization, observed_us, 0 AS active_ppm_us, low_coverage, 0 AS prefill_weight, 0 AS decode_weight, 0 AS workload_nano,
    0 AS idle_nano, '' AS idle_cause, 0 AS unmeasured_nano, 0 AS prefill_nano, 0 AS decode_nano, 0 AS unattributed_nano,
    '' AS allocation_method, '' AS confidence
FROM (VALUES (0, 0, TRUE), (-1, 1, TRUE), (-2, 1, FALSE), (-30, 0, TRUE)) AS hour (number, observed_us, low_coverage);
INSERT INTO book.policy BY NAME
SELECT 1 AS policy_version, 'weights' AS phase_split, 'idle' AS idle, 'month' AS over, 900000 AS min_coverage_ppm, 60000000 AS sample_hold_us,
    10 AS weight_scale, 1 AS uncached_input_weight, 1 AS cache_read_weight, 1 AS cache_write_weight, 1 AS output_weight,
    1 AS reasoning_weight, '' AS digest, TIMESTAMP '2026-10-01' AS known_from;
INSERT INTO metering.metered_hour VALUES ({HOUR} - INTERVAL 2 HOUR, {HOUR}, 1), ({HOUR} - INTERVAL 3 HOUR, {HOUR}, 1);
INSERT INTO metering.deployment_cost_hourly BY NAME
SELECT {HOUR} - INTERVAL 1 HOUR * number AS charge_period_start, 1 AS pool_no, 2 AS deployment_no, 1 AS paid_us, 0 AS effective_cost_nano,
    'capacity' AS utilization, 200::HUGEINT * 3600000000 AS capacity_token_us
FROM range(4) AS hour (number);
INSERT INTO metering.downtime_hourly VALUES ({HOUR} - INTERVAL 1 HOUR, 1, 2, 'lost', 1, 100::HUGEINT * 3600000000),
    ({HOUR} - INTERVAL 3 HOUR, 1, 2, 'lost', 1, 200::HUGEINT * 3600000000);
INSERT INTO metering.deployment_hourly BY NAME
SELECT {HOUR} - INTERVAL 1 HOUR * number AS charge_period_start, 1 AS pool_no, 2 AS deployment_no, 1 AS paid_us, 0 AS effective_cost_nano,
    'capacity' AS utilization, 0 AS observed_us, 0 AS active_ppm_us, FALSE AS low_coverage, prefill AS prefill_weight, decode AS decode_weight,
    0 AS workload_nano, 0 AS idle_nano, '' AS idle_cause, 0 AS unmeasured_nano, 0 AS prefill_nano, 0 AS decode_nano,
    0 AS unattributed_nano, '' AS allocation_method, '' AS confidence
FROM (VALUES (0, 1500, 500), (1, 800, 537), (2, 1000, 1001), (3, 9000, 0)) AS hour (number, prefill, decode);
DELETE FROM metering.reconciliation_hourly;
INSERT INTO metering.reconciliation_hourly BY NAME
SELECT {HOUR} AS charge_period_start, 1 AS pool_no, 1 AS deployment_no, 1 AS model_no, 1 AS engines, 1 AS observed_us,
    100 AS engine_input_tokens, 40 AS engine_cache_read_tokens, 20 AS engine_output_tokens, 80 AS logged_input_tokens,
    0 AS logged_cache_read_tokens, 20 AS logged_output_tokens, 2 AS logged_requests, 0 AS crossing_input_tokens,
    0 AS crossing_output_tokens, 12 AS unlogged_uncached_input_tokens, 8 AS unlogged_cache_read_tokens, 0 AS unlogged_output_tokens,
    'unlogged' AS cause;
UPDATE raw.rejection SET reason = 'sampled' WHERE rejection_no = 4;
UPDATE raw.batch SET dropped_tags = 7 WHERE batch_no = 1;
"""


@pytest.fixture
def told(kept: Ledger) -> Callable[[str], Session]:
    """Results of the small ledger with more rows."""

    def publish_with(sql: str) -> Session:
        with kept.transaction() as session:
            session.do(SQL)
            session.do(sql)
        return read_only(publish(kept, FrozenClock(PUBLISHED_AT)))

    return publish_with


def test_everything_that_is_lost_or_unmapped_is_told(told: Callable[[str], Session]) -> None:
    """Kind, subject, how much of how much: sources by their events, models and callers by tokens, deployments by hours."""
    found = discovered(told(PLACED))

    assert [(one.finding, one.subject, one.affected, one.total, one.unit) for one in found.findings] == [
        ("claimed_identity", "usage", 7, 90, "events"),
        ("clock_ahead", "otel", 2, None, "events"),
        ("dropped_tags", "usage", 7, None, "tags"),
        ("estimated_usage", "litellm", 1, 4, "events"),
        ("exceeded_capacity", "quiet", 2, 3, "hours"),
        ("missing_usage", "litellm", 1, 4, "events"),
        ("no_gpu_telemetry", "llama70b", 1, 3, "hours"),
        ("partial_usage", "otel", 1, 1, "events"),
        ("sampled_spans", "usage", 1, None, "records"),
        ("thin_gpu_telemetry", "llama70b", 1, 3, "hours"),
        ("unlogged_tokens", "llama70b", 20, 120, "tokens"),
        ("unmapped_caller", "key-b", 10, 40, "tokens"),
        ("unplaced_model", "llama-3.1-70b", 10, 40, "tokens"),
        ("untold_cache_reads", "llama70b", 40, 80, "tokens"),
    ]
    assert {one.finding for one in found.findings} == FINDINGS


def test_a_line_says_what_how_much_and_what_to_do(told: Callable[[str], Session]) -> None:
    """One sentence for people, with the flag to set."""
    lines = {one.finding: one.line for one in discovered(told(PLACED)).findings}

    assert lines["missing_usage"] == (
        "litellm reports requests without token counts (1 of 4 events, 25.0%); ask for them: clients set "
        'stream_options = {"include_usage": true}, or vLLM runs with --enable-force-include-usage'
    )
    assert lines["clock_ahead"].startswith("the clock of otel runs ahead, by up to 3 s (2 events); ")
    assert lines["exceeded_capacity"] == (
        "deployment quiet did up to 1.33 times its capacity; such hours count as fully used, and none of them as idle (2 of 3 hours, "
        "66.7%); write the capacity_per_gpu_hour that it reaches: `apportion calibrate --capacity --deployment quiet` learns it from hours "
        "that met the service level"
    )
    assert lines["unmapped_caller"].startswith(
        'principal key-b (litellm, namespace chat, tags {"team":"x"}) has no team (10 of 40 '
    )


def test_a_healthy_ledger_has_nothing_to_tell(told: Callable[[str], Session]) -> None:
    """Pools and models are named all the same."""
    found = discovered(
        told(
            "DELETE FROM raw.claim; DELETE FROM metering.deployment_hourly; DELETE FROM metering.reconciliation_hourly"
        )
    )

    assert found.month == "2026-10"
    assert (found.pools, found.models, found.findings) == (("h100-prod",), ('gpt-"x"\\y', "llama-3.1-70b"), ())


def test_every_finding_of_the_view_has_its_advice() -> None:
    """Whoever adds one to the SQL says what to do about it."""
    schema = Path(discovered.__code__.co_filename).parents[1] / "apportion" / "ledger" / "schema"
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(schema.glob("*discovery*.sql")))
    named = set(re.findall(r"SELECT\s+'(\w+)'", text)) | {
        f"{quality}_usage" for quality in ("missing", "estimated", "partial")
    }

    assert named == FINDINGS
