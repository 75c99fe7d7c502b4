"""What metering wrote, read back in words."""

from __future__ import annotations

from apportion.domain.period import Period
from apportion.ledger.connection import Session
from tests.steps.metering.pencil import Charges

CHARGES = """
SELECT
    epoch_us(charge_period_start), pool_id, deployment_id, charge.provider, model_id, caller.caller, charge.tier, cost_kind, cause,
    token_kind, consumed_tokens, effective_cost_nano
FROM metering.charge_hourly AS charge
JOIN book.pool_key USING (pool_no)
JOIN book.deployment_key USING (deployment_no)
JOIN book.model USING (model_no)
JOIN raw.caller AS caller USING (caller_no)
"""


def nothing(session: Session, period: Period) -> None:
    """A settlement that has nothing to do."""


def charges(session: Session) -> Charges:
    """Every charge line in the pencil's form."""
    rows = session.rows(CHARGES)
    found: Charges = {row[:10]: row[10:] for row in rows}
    assert len(found) == len(rows)
    return found


def money(session: Session) -> dict[tuple[str, str, str], int]:
    """Nano by principal, cost kind and cause; tokens that have no price left out."""
    found: dict[tuple[str, str, str], int] = {}
    rows = session.rows(
        "SELECT principal, cost_kind, cause, SUM(effective_cost_nano)::BIGINT FROM metering.charge_hourly "
        "JOIN raw.caller USING (caller_no) WHERE effective_cost_nano IS NOT NULL GROUP BY ALL"
    )
    for principal, kind, cause, nano in rows:
        found[principal, kind, cause] = nano
    return found
