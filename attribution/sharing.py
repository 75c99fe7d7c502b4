"""Both divisions of an audit by team: whose callers they were when they ran, whoever pays for the deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apportion.ledger.connection import Session

_BY_TEAM: Final = """
SELECT COALESCE(payer.team, '__unmapped__') AS team, SUM(compared.tokens_nano)::BIGINT, SUM(compared.sharing_nano)::BIGINT
FROM {table} AS compared
LEFT JOIN attribution.caller_team AS payer  -- NULL: a caller that was never attributed
    ON payer.caller_no = compared.caller_no
    AND compared.charge_period_start >= payer.effective_from AND compared.charge_period_start < payer.effective_to
GROUP BY ALL
ORDER BY team
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamShare:
    """A team's part of the compared workload.

    Attributes:
        team: by the directory.
        tokens_nano: by token weights, as charged.
        sharing_nano: by processor sharing.
    """

    team: str
    tokens_nano: int
    sharing_nano: int


def by_team(session: Session, table: str) -> list[TeamShare]:
    """A table of (charge_period_start, caller_no, tokens_nano, sharing_nano) by team, in the order of names."""
    return [
        TeamShare(team=team, tokens_nano=tokens, sharing_nano=sharing)
        for team, tokens, sharing in session.rows(_BY_TEAM.format(table=table))
    ]
