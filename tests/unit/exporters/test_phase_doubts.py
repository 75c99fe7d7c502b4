"""Deployments whose newest hour says nothing of the method that is forced on them, read from published phase methods."""

from __future__ import annotations

from apportion.ledger.connection import Ledger
from exporters import phase_doubts


def test_the_newest_hour_of_a_forced_method_is_told(ledger: Ledger) -> None:
    """An older failure, another method's, and that of a deployment that forces nothing are not."""
    session = ledger.session()
    session.do("""
        CREATE TEMP TABLE phase_methods AS SELECT * FROM (VALUES
            (TIMESTAMP '2026-10-01 00:00', 'cured', 'roofline/1', 'none'), (TIMESTAMP '2026-10-01 01:00', 'cured', 'roofline/1', ''),
            (TIMESTAMP '2026-10-01 00:00', 'ill', 'roofline/1', ''), (TIMESTAMP '2026-10-01 01:00', 'ill', 'roofline/1', 'too large'),
            (TIMESTAMP '2026-10-01 01:00', 'ill', 'regression/1', 'none'), (TIMESTAMP '2026-10-01 01:00', 'free', 'roofline/1', 'none')
        ) AS row (charge_period_start, deployment_id, phase_method, failure)
    """)
    (said,) = phase_doubts.warnings(session, {"cured": "roofline", "ill": "roofline", "free": "auto"})
    assert said.startswith(
        "deployment 'ill' is to be split by roofline, which says nothing of its newest hour, 2026-10-01T01:00Z: too large;"
    )
