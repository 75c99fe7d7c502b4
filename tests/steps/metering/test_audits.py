"""Each truth refuses to be broken: one tampered row is found, named and shown."""

from __future__ import annotations

from typing import Any

import pytest

from apportion.domain.errors import AuditFailed
from apportion.domain.period import Period
from apportion.ledger.step import audit
from metering.steps import AUDITS
from tests.steps.metering.engine_facts import Count
from tests.steps.metering.facts import HOUR, Deployment, Event, Facts, Pool, Rate, Sample, Shared, at, moment

NOON = at("12:00")
FACTS = Facts(
    pools=(Pool(gpus=2),), rates=(Rate(nano=1000),), shared=(Shared(id="s", nano=744_000),), deployments=(Deployment(),), hold=HOUR,
    samples=(Sample(at=NOON, ppm=500_000, deployment="d"),),
    events=(
        Event(at=NOON, tokens=(("output", 6), ("cache_read", 5))), Event(at=NOON, model="x", tokens=(("output", 7),)),
        Event(at=NOON, provider="openai", tokens=(("output", 8),)),
    ),
    counts=(Count(at=NOON, output=0, prompt=0), Count(at=NOON + HOUR, output=60, prompt=9)))  # fmt: skip
PLACED = "cost_kind = 'workload' AND cause = ''"


@pytest.mark.parametrize(
    ("truth", "harm"),
    [
        (
            "allocated_cost_equals_origin_cost",
            f"UPDATE metering.charge_hourly SET effective_cost_nano = effective_cost_nano + 1 WHERE {PLACED}",
        ),
        ("allocated_cost_equals_origin_cost", "DELETE FROM metering.charge_hourly WHERE cost_kind = 'overhead'"),
        ("allocated_cost_equals_origin_cost", "DELETE FROM metering.origin_charge_hourly WHERE pool_no = 0"),
        (
            "deployment_cost_equals_origin_cost",
            "UPDATE metering.deployment_hourly SET effective_cost_nano = 0, idle_nano = 0 WHERE deployment_no = 0",
        ),
        (
            "deployment_cost_equals_origin_cost",
            "UPDATE metering.deployment_hourly SET idle_nano = idle_nano - 1 WHERE deployment_no > 0",
        ),
        (
            "deployment_cost_equals_origin_cost",
            "UPDATE metering.deployment_hourly SET decode_nano = decode_nano + 1 WHERE deployment_no > 0",
        ),
        ("external_cost_is_its_price", "DELETE FROM metering.charge_hourly WHERE cost_kind = 'external'"),
        (
            "external_cost_is_its_price",
            "UPDATE metering.charge_hourly SET effective_cost_nano = 0 WHERE cause = 'no_price'",
        ),
        ("external_cost_is_its_price", "UPDATE metering.external_usage_hourly SET consumed_tokens = 7"),
        ("every_event_is_placed_once", "DELETE FROM metering.placed_usage_hourly WHERE provider = 'openai'"),
        (
            "every_event_is_placed_once",
            "INSERT INTO metering.placed_usage_hourly FROM metering.placed_usage_hourly LIMIT 1",
        ),
        (
            "every_event_is_placed_once",
            "INSERT INTO metering.observed_usage_hourly SELECT charge_period_start, 1, 1, 1, 0 FROM metering.placed_usage_hourly LIMIT 1",
        ),
        ("every_paid_hour_has_a_charge", "DELETE FROM metering.origin_charge_hourly WHERE component = 'accelerator'"),
        (
            "every_paid_hour_has_a_charge",
            "UPDATE metering.origin_charge_hourly SET paid_us = paid_us - 1 WHERE component = 'accelerator'",
        ),
        ("every_token_is_on_a_line", "DELETE FROM metering.charge_hourly WHERE cause = 'no_price'"),
        (
            "every_token_is_on_a_line",
            "UPDATE metering.placed_usage_hourly SET reasoning_tokens = 1 WHERE provider = 'openai'",
        ),
        (
            "every_token_is_on_a_line",
            f"UPDATE metering.charge_hourly SET token_kind = 'reasoning' WHERE token_kind = 'output' AND {PLACED}",
        ),
        ("every_token_is_on_a_line", "DELETE FROM metering.charge_hourly WHERE cause = 'unlogged'"),
        ("idle_has_its_causes", "UPDATE metering.idle_hourly SET idle_nano = idle_nano + 1 WHERE cause = 'inactive'"),
        ("idle_has_its_causes", "DELETE FROM metering.idle_hourly WHERE cause = 'unscheduled'"),
        (
            "idle_has_its_causes",
            (
                "UPDATE metering.idle_hourly SET idle_nano = -1 WHERE cause = 'inactive'; "
                "INSERT INTO metering.idle_hourly SELECT charge_period_start, pool_no, deployment_no, 'lost', idle_nano + 1 "
                "FROM metering.deployment_hourly WHERE deployment_no > 0"
            ),
        ),
        ("unlogged_tokens_are_nobodys", "DELETE FROM metering.charge_hourly WHERE cause = 'unlogged'"),
        (
            "unlogged_tokens_are_nobodys",
            "UPDATE metering.reconciliation_hourly SET unlogged_cache_read_tokens = 1 WHERE deployment_no > 0",
        ),
        (
            "unlogged_tokens_are_nobodys",
            "UPDATE metering.charge_hourly SET caller_no = 0 WHERE token_kind = 'cache_read'",
        ),
        ("no_negative_charge", f"UPDATE metering.charge_hourly SET effective_cost_nano = -1 WHERE {PLACED}"),
        ("no_negative_charge", "UPDATE metering.charge_hourly SET consumed_tokens = -1 WHERE cause = 'unplaced'"),
        ("unpriced_is_explained", f"UPDATE metering.charge_hourly SET effective_cost_nano = NULL WHERE {PLACED}"),
        ("unpriced_is_explained", "UPDATE metering.charge_hourly SET effective_cost_nano = 0 WHERE cause = 'unplaced'"),
    ],
)
def test_a_broken_truth_is_found(metered, truth: str, harm: str) -> None:
    """And nothing is found before it is broken."""
    session = metered(FACTS, NOON, NOON + HOUR)
    (query,) = [query for query in AUDITS if query.name == truth]
    period = Period(moment(NOON), moment(NOON + HOUR))
    values: dict[str, Any] = {}
    audit(session, [query], period, values)
    session.do(harm)

    with pytest.raises(AuditFailed) as failed:
        audit(session, [query], period, values)
    assert (failed.value.audit, failed.value.rows[0][0]) == (truth, moment(NOON))


def test_audits_look_at_their_period_only(metered) -> None:
    """Harm done to the hour before is that hour's."""
    session = metered(FACTS, NOON, NOON + HOUR)
    session.do("UPDATE metering.charge_hourly SET effective_cost_nano = -7")

    audit(session, AUDITS, Period(moment(NOON + HOUR), moment(NOON + HOUR)), {})
