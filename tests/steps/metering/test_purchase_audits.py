"""The truths about purchases refuse to be broken: a term that does not add up, a credit that pays too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.domain.errors import AuditFailed
from apportion.domain.period import Period
from apportion.ledger.connection import Ledger, Session
from apportion.ledger.step import audit
from metering.steps import AUDITS
from tests.steps.metering import spending
from tests.steps.metering.facts import at, moment
from tests.steps.metering.spending import pool, rate

TERM = "effective_from = 2026-10-01T01:30:00Z\neffective_to = 2026-10-01T03:30:00Z\n"
TEXT = (
    pool() + rate() + f'[[commitments]]\nid = "r"\nkind = "reserved"\npools = ["p"]\ngpus = 6\nupfront = "7"\nper_gpu_hour = "1"\n{TERM}'
    + f'[[assets]]\nid = "a"\npool = "p"\ngpus = 2\ncapex = "9"\nlife_months = 1\n{TERM}'
    + f'[[credits]]\nid = "c"\npools = ["p"]\namount = "3"\n{TERM}'
)  # fmt: skip
TWO = Period(moment(at("02:00")), moment(at("03:00")))
CHEAPER = "UPDATE metering.commitment_hourly SET effective_cost_nano = effective_cost_nano - 1 WHERE cause <> ''"


def asked(session: Session, truth: str) -> None:
    """Ask one audit about the hour of the middle."""
    audit(session, [query for query in AUDITS if query.name == truth], TWO, {})


@pytest.fixture
def session(ledger: Ledger, tmp_path: Path) -> Session:
    """A ledger in which the whole term is metered, and nothing is wrong."""
    session = spending.booked(ledger, spending.configured(tmp_path, TEXT))
    spending.hours_metered(ledger, at("01:00"), at("04:00"))
    for query in AUDITS:
        asked(session, query.name)
    return session


@pytest.mark.parametrize(
    ("truth", "harm"),
    [
        ("commitment_effective_equals_billed", CHEAPER),
        ("commitment_effective_equals_billed", "UPDATE metering.commitment_hourly SET billed_cost_nano = 0 WHERE billed_cost_nano > 6000000000"),
        ("credits_pay_no_more_than_is_owed", "UPDATE metering.origin_charge_hourly SET effective_cost_nano = -99000000000 WHERE component = 'credit'"),
        ("credits_pay_no_more_than_is_owed", "UPDATE metering.credit_hourly SET applied_nano = granted_nano + 1"),
        ("every_paid_hour_has_a_charge", "DELETE FROM metering.origin_charge_hourly WHERE evidence = 'commitment/r' AND cause = ''"),
        ("every_owned_gpu_is_used_or_unused", "DELETE FROM metering.asset_hourly WHERE cause = 'unused_asset'"),
        ("every_owned_gpu_is_used_or_unused", "UPDATE metering.asset_hourly SET effective_cost_nano = effective_cost_nano + 1"),
        ("every_owned_gpu_is_used_or_unused", "UPDATE metering.asset_hourly SET paid_us = paid_us - 1"),
        ("allocated_cost_equals_origin_cost", "DELETE FROM metering.charge_hourly WHERE cause = 'unused_asset'"),
        ("allocated_cost_equals_origin_cost", "DELETE FROM metering.charge_hourly WHERE cause = 'unused_commitment'"),
    ],
)  # fmt: skip
def test_a_broken_truth_about_purchases_is_found(session: Session, truth: str, harm: str) -> None:
    """And by the audit that is meant for it."""
    session.do(harm)

    with pytest.raises(AuditFailed) as failed:
        asked(session, truth)
    assert failed.value.audit == truth


@pytest.mark.parametrize(
    "excuse",
    [
        f"DELETE FROM metering.commitment_hourly WHERE epoch_us(charge_period_start) = {at('03:00')}",
        f"INSERT INTO book.dirty_hour VALUES (make_timestamp({at('01:00')}), make_timestamp({at('01:00')}))",
    ],
)
def test_a_term_must_add_up_once_all_of_it_is_metered(session: Session, excuse: str) -> None:
    """Not while an hour of it is not metered yet, or waits to be metered again with another config."""
    session.do(CHEAPER)
    session.do(excuse)

    asked(session, "commitment_effective_equals_billed")
