"""How GPUs are paid for beyond plain prices: exchange rates, discounts, commitments, owned hardware and credits.

Amounts are integer nano of the row's own currency, percentages and rates exact decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from apportion.domain.coverage import Cover, Plan
from apportion.domain.period import Period

CommitmentKind = Literal["reserved", "savings"]
Depreciation = Literal["straight_line", "annuity"]

COMMITMENT_KINDS: Final[tuple[CommitmentKind, ...]] = ("reserved", "savings")
DEPRECIATIONS: Final[tuple[Depreciation, ...]] = ("straight_line", "annuity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fx:
    """An exchange rate; rows of one currency never overlap.

    Attributes:
        currency: ISO 4217 code, not that of the ledger.
        rate: units of the billing currency for one unit of it; at most nine decimals.
        effective: when.
    """

    currency: str
    rate: Decimal
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """A negotiated discount on the rate card; of one pool and component only one is in force at a time.

    Attributes:
        pools: ids.
        components: what it is on.
        percent: from 0 to 100, at most six decimals.
        effective: when.
    """

    pools: tuple[str, ...]
    components: tuple[str, ...]
    percent: Decimal
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """GPUs, or spend, promised for a term; used or not.

    Attributes:
        id: name of the commitment.
        kind: `reserved` GPUs or `savings` (spend per hour).
        pools: ids, in the order in which they take from it; the first bears what none takes.
        gpus: reserved ones; 0 for a savings plan.
        upfront_nano: paid at the start for the whole term.
        per_gpu_hour_nano: recurring, used or not; reservations only.
        per_hour_nano: committed spend, whenever it is paid; savings plans only.
        recurring_per_hour_nano: what of it is paid by the hour, used or not: all, where nothing is upfront; savings plans only.
        rates_nano: pool -> discounted price of a GPU-hour; savings plans only, every pool.
        currency: of all its amounts; None is the billing currency, as everywhere.
        effective: the term.
    """

    id: str
    kind: CommitmentKind
    pools: tuple[str, ...]
    gpus: int
    upfront_nano: int
    per_gpu_hour_nano: int
    per_hour_nano: int
    recurring_per_hour_nano: int
    rates_nano: Mapping[str, int]
    currency: str | None
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Hardware that is owned.

    Attributes:
        id: name of the asset.
        pool: whose GPUs it is.
        gpus: how many.
        capex_nano: what it cost.
        residual_nano: what it will be worth at the end of its life; at most capex.
        life_months: calendar months from the start of service.
        method: `straight_line`, or `annuity`, which adds the cost of capital.
        annual_rate: of the annuity, as a fraction; 0 for straight line.
        maintenance_per_year_nano: for a calendar year in service.
        colocation_per_month_nano: for a calendar month in service.
        currency: of all its amounts, or None.
        effective: in service; beyond its life it costs upkeep only.
    """

    id: str
    pool: str
    gpus: int
    capex_nano: int
    residual_nano: int
    life_months: int
    method: Depreciation
    annual_rate: Decimal
    maintenance_per_year_nano: int
    colocation_per_month_nano: int
    currency: str | None
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """An amount that somebody else pays, spread over its range; what an hour cannot use is lost.

    Attributes:
        id: name of the credit.
        amount_nano: in 1e-9 of the billing currency.
        pools: ids, in the order in which they are paid for.
        effective: when; it always ends.
    """

    id: str
    amount_nano: int
    pools: tuple[str, ...]
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Every table of this room, each in the order written.

    Attributes:
        fx: exchange rates.
        discounts: on the rate card.
        commitments: cover GPUs before assets do.
        assets: owned hardware.
        credits: paid by others.
    """

    fx: tuple[Fx, ...] = ()
    discounts: tuple[Discount, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    assets: tuple[Asset, ...] = ()
    credits: tuple[Credit, ...] = ()

    def covers(self) -> list[Cover]:
        """What pays for GPUs instead of the rate card, in the order in which it takes them."""
        reserved = [
            Cover(evidence=f"commitment/{row.id}", gpus=row.gpus, pools=row.pools, effective=row.effective)
            for row in self.commitments
            if row.kind == "reserved"
        ]
        owned = [
            Cover(evidence=f"asset/{row.id}", gpus=row.gpus, pools=(row.pool,), effective=row.effective)
            for row in self.assets
        ]
        return reserved + owned

    def plans(self) -> list[Plan]:
        """Savings plans, in the order written."""
        return [
            Plan(id=row.id, per_hour=row.per_hour_nano, pools=row.pools, rates=row.rates_nano, effective=row.effective)
            for row in self.commitments
            if row.kind == "savings"
        ]
