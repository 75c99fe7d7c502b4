"""What headers of steps and audits promise beyond names: types, order, and that nothing is left out."""

from __future__ import annotations

import pytest

from apportion.ledger.connection import Ledger
from apportion.ledger.step import Query
from metering.steps import AUDITS, STEPS

VIEWS = {
    "metering.consumption_hourly": {
        "metering.placed_usage_hourly",
        "metering.prefill_place_hourly",
        "metering.reconciliation_hourly",
    },
    "metering.purchase_hourly": {
        "metering.card_charge_hourly",
        "metering.commitment_hourly",
        "metering.asset_hourly",
        "metering.energy_charge_hourly",
    },
}
"""Views that steps read, by the tables they are made of."""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_answers_in_the_types_of_its_table(ledger: Ledger, step: Query) -> None:
    """Every column of the table is filled, under its name, in its own type, so that no insert ever converts."""
    session = ledger.session()
    values = dict.fromkeys(step.params)
    filled = {row[0]: row[1] for row in session.rows(f"DESCRIBE {step.sql}", values)}
    table = {row[0]: row[1] for row in session.rows(f"DESCRIBE {step.name}")}

    assert filled == table
    session.do(f"EXPLAIN {step.sql}", values)


def test_steps_run_after_what_they_read() -> None:
    """A step reads only what ingest, the book and the steps before it wrote."""
    written: set[str] = {"metering.phase_coefficient"}  # calibration writes it, whenever it is asked to
    for step in STEPS:
        own = {table for name in step.reads if name.startswith("metering.") for table in VIEWS.get(name, {name})}

        assert own <= written
        written.add(step.name)


def test_every_table_of_hours_has_a_step(ledger: Ledger) -> None:
    """Each table of the metering schema is filled by a step, but for the records of hours themselves."""
    tables = ledger.session().rows(
        "SELECT 'metering.' || table_name FROM duckdb_tables() WHERE schema_name = 'metering'"
    )

    assert {name for (name,) in tables} - {step.name for step in STEPS} == {
        "metering.metered_hour",
        "metering.phase_coefficient",
        "metering.refused_hour",
    }


def test_every_truth_is_asked() -> None:
    """The audits of a span, by name."""
    assert {audit.name for audit in AUDITS} == {
        "allocated_cost_equals_origin_cost", "deployment_cost_equals_origin_cost", "every_event_is_placed_once", "every_paid_hour_has_a_charge",
        "commitment_effective_equals_billed", "credits_pay_no_more_than_is_owed", "every_token_is_on_a_line", "no_negative_charge", "idle_has_its_causes", "unlogged_tokens_are_nobodys", "unpriced_is_explained",
        "external_cost_is_its_price", "every_owned_gpu_is_used_or_unused",
    }  # fmt: skip
