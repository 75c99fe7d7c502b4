"""Counters that only rise, though months are restated: what a month says now, less what it said last, is added to one
of two twins. `charged - credited` is always what statements say, and both survive restarts: the ledger keeps them.

Labels are bounded: the first team and model pairs keep labels of their own, later ones are `other`, and once there they
stay, so that no series ever loses what it counted. System teams' own lines are few and always keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apportion.domain.clock import Clock
from apportion.domain.period import Period
from apportion.ledger import step
from apportion.ledger.connection import Session
from apportion.ledger.step import Query

LABEL_SETS_MAX: Final = 5000
"""Team and model pairs; each makes at most some dozens of series, over pools, cost kinds and token kinds."""

_LABEL_NEW_PAIRS: Final = r"""
INSERT INTO attribution.label_set BY NAME
SELECT
    team, model,
    ROW_NUMBER() OVER (ORDER BY team, model)
        > $label_sets_max - (SELECT COUNT(*) FROM attribution.label_set WHERE NOT in_other) AS in_other
FROM (
    SELECT DISTINCT charge.team, model.model_id AS model
    FROM attribution.charge_monthly AS charge
    JOIN book.model AS model USING (model_no)
    WHERE charge.billing_period = $month AND NOT (charge.team LIKE '\_\_%' ESCAPE '\' AND model.model_id = '')
) AS pair
ANTI JOIN attribution.label_set USING (team, model)
"""

_RAISE: Final = """
UPDATE attribution.counter AS counter
SET charged = counter.charged + change.charged, credited = counter.credited + change.credited
FROM attribution.counter_change AS change
WHERE change.billing_period = $month AND counter.metric = change.metric AND counter.team = change.team
    AND counter.model = change.model AND counter.pool = change.pool AND counter.cost_kind = change.cost_kind
    AND counter.token_kind = change.token_kind AND counter.state = change.state
"""

_ADD: Final = """
INSERT INTO attribution.counter BY NAME
SELECT metric, team, model, pool, cost_kind, token_kind, state, charged, credited
FROM attribution.counter_change
ANTI JOIN attribution.counter USING (metric, team, model, pool, cost_kind, token_kind, state)
WHERE billing_period = $month
"""


def count(session: Session, steps: Mapping[str, Query], month: Period, clock: Clock, *, label_sets_max: int) -> None:
    """Move the counters to what a settled month says, inside the caller's transaction."""
    session.do(_LABEL_NEW_PAIRS, {"month": month.start, "label_sets_max": label_sets_max})
    step.run(session, [steps["attribution.net_monthly"], steps["attribution.counter_change"]], month, {}, clock)
    session.do(_RAISE, {"month": month.start})
    session.do(_ADD, {"month": month.start})
    step.run(session, [steps["attribution.published"]], month, {}, clock)
