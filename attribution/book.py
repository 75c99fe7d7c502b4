"""What attribution follows: the policy in force, and digests that tell whether charges still follow this book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from apportion.domain.errors import LedgerError
from apportion.ledger.connection import Session

_POLICY: Final = "SELECT policy_version, idle, over FROM book.policy ORDER BY policy_version DESC LIMIT 1"

_FOLLOWED: Final = """
SELECT
    md5(concat_ws(chr(10),
        'rules', (SELECT string_agg(rule::VARCHAR, chr(10) ORDER BY rule_no) FROM book.directory_rule AS rule),
        'given', (SELECT string_agg(given::VARCHAR, chr(10) ORDER BY team) FROM book.cost_center AS given),
        'owners', (
            SELECT string_agg(concat_ws(' ', deployment_no, effective_from, effective_to, charge_to, owner), chr(10)
                ORDER BY deployment_no, effective_from)
            FROM book.deployment))),
    md5(concat_ws(chr(10),
        'held', (SELECT string_agg(held::VARCHAR, chr(10) ORDER BY held::VARCHAR) FROM book.entitlement AS held),
        'shared', (
            SELECT string_agg(concat_ws(' ', shared_cost_id, policy, effective_from, effective_to), chr(10)
                ORDER BY shared_cost_id, effective_from)
            FROM book.shared_cost),
        'shares', (
            SELECT string_agg(share::VARCHAR, chr(10) ORDER BY share::VARCHAR) FROM book.shared_cost_share AS share))),
    EXISTS (FROM book.shared_cost)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The current directory and policies, as far as attribution follows them.

    Attributes:
        policy_version: of the policy in force.
        idle: separate, proportional, even or entitlement.
        over: month or hour.
        shares_costs: whether there are shared costs to settle.
        directory_digest: of rules, given cost centers and owners: what callers and deployments map by.
        digest: of all that charges follow.
    """

    policy_version: int
    idle: str
    over: str
    shares_costs: bool
    directory_digest: str
    digest: str

    @classmethod
    def current(cls, session: Session) -> Self:
        """The book as it stands. Raises: LedgerError when the ledger holds no policy."""
        policies = session.rows(_POLICY)
        if not policies:
            msg = "this ledger holds no policy yet; run `apportion meter` with a config first"
            raise LedgerError(msg)
        version, idle, over = policies[0]
        directory, policies_digest, shares_costs = session.row(_FOLLOWED)
        return cls(
            policy_version=version,
            idle=idle,
            over=over,
            shares_costs=shares_costs,
            directory_digest=directory,
            digest=f"{version}-{directory}-{policies_digest}",
        )

    @property
    def settles(self) -> bool:
        """Whether the policies move anything."""
        return self.idle != "separate" or self.shares_costs

    @property
    def settling(self) -> frozenset[str]:
        """Tables of the settlement that these policies fill; the others stay empty."""
        wanted = {
            "attribution.settlement_weight": self.settles,
            "attribution.settlement": self.settles,
            "attribution.settlement_idle": self.idle != "separate",
            "attribution.reservation": self.idle == "entitlement",
            "attribution.settlement_shared": self.shares_costs,
        }
        return frozenset(name for name, is_filled in wanted.items() if is_filled)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What steps ask for by name."""
        return {"policy_version": self.policy_version, "idle": self.idle, "over": self.over}
