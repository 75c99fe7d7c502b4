"""What is bought, what it costs and what it serves: dated rows, ids as text, money in integer nano."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from apportion.config.phases import CapacitySource, PhaseSplit, ServiceLevel, Throughput
from apportion.domain.period import Period

Utilization = Literal["active", "capacity", "allocation"]
SharedCostPolicy = Literal["proportional", "even", "fixed"]
ChargeTo = Literal["caller", "owner"]
Role = Literal["both", "prefill", "decode"]

UTILIZATIONS: Final[tuple[Utilization, ...]] = ("active", "capacity", "allocation")
SHARED_COST_POLICIES: Final[tuple[SharedCostPolicy, ...]] = ("proportional", "even", "fixed")
CHARGE_TOS: Final[tuple[ChargeTo, ...]] = ("caller", "owner")
ROLES: Final[tuple[Role, ...]] = ("both", "prefill", "decode")
COMPONENTS: Final = (
    "accelerator", "host", "energy", "storage", "network", "licence", "ops", "maintenance", "colocation", "financing",
)  # fmt: skip
RateUnit = Literal["gpu_hour", "gpu_second", "month", "year"]
RATE_UNITS: Final[tuple[RateUnit, ...]] = ("gpu_hour", "gpu_second", "month", "year")
"""What one price is for; months and years are those of the calendar, and of the whole pool."""
Purchase = Literal["on_demand", "spot", "serverless", "reserved", "owned"]
PURCHASES: Final[tuple[Purchase, ...]] = ("on_demand", "spot", "serverless", "reserved", "owned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Accelerators bought together; several of one id have disjoint ranges.

    Attributes:
        id: name of the pool.
        gpu: hardware catalog id.
        gpus: how many are paid for.
        effective: when.
    """

    id: str
    gpu: str
    gpus: int
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Globs by which events and GPU samples find a deployment; None matches anything, and all must match.

    Attributes:
        cluster: of events and samples.
        replica: of events.
        namespace: of events and samples.
        node: of samples.
        gpu_uuid: of samples.
        pod: of samples.
    """

    cluster: str | None
    replica: str | None
    namespace: str | None
    node: str | None
    gpu_uuid: str | None
    pod: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A dated part of one pool that serves models.

    Attributes:
        id: name of the deployment.
        pool: id of its pool, which is there all the time that this is.
        gpus: how many of the pool's it holds.
        models: what it serves; may be empty.
        utilization: its own policy, or None for the ledger's.
        capacity_per_gpu_hour: weighted tokens at the service level; set wherever utilization is capacity.
        owner: team, or empty.
        charge_to: who pays; owner only where there is one.
        role: phases it runs.
        match: how unnamed events and samples find it.
        effective: when.
        phase_split: its own policy, or None for the ledger's.
        throughput: known speed, or None.
        capacity_source: how its capacity is known.
        service_level: what its capacity is learned at, or None.
    """

    id: str
    pool: str
    gpus: int
    models: tuple[str, ...]
    utilization: Utilization | None
    capacity_per_gpu_hour: int | None
    owner: str
    charge_to: ChargeTo
    role: Role
    match: Match
    effective: Period
    phase_split: PhaseSplit | None = None
    throughput: Throughput | None = None
    capacity_source: CapacitySource = "declared"
    service_level: ServiceLevel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A row of the rate card; rows of one pool and component never overlap.

    Attributes:
        pool: id.
        component: one of `COMPONENTS`.
        unit: what the price is for.
        price_nano: for one unit, in 1e-9 of `currency`.
        list_nano: public price for one unit.
        purchase: how it is bought; a label.
        currency: ISO 4217 code, or None for the billing currency.
        source: where the price is from, for people.
        effective: when.
    """

    pool: str
    component: str
    unit: RateUnit
    price_nano: int
    list_nano: int
    purchase: Purchase
    currency: str | None
    source: str
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCost:
    """A monthly amount that no pool carries; rows of one id share policy and shares.

    Attributes:
        id: name of the cost.
        per_month_nano: in 1e-9 of the billing currency.
        policy: how it is settled.
        shares: team -> integer weight, only for `fixed`.
        effective: when.
    """

    id: str
    per_month_nano: int
    policy: SharedCostPolicy
    shares: Mapping[str, int]
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """GPUs of a pool reserved for a team.

    Attributes:
        pool: id.
        team: who holds them.
        gpus: how many.
        effective: when.
    """

    pool: str
    team: str
    gpus: int
    effective: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAlias:
    """A reported model name and the model it stands for.

    Attributes:
        alias: as reported.
        model: never an alias itself at the time.
        effective: when.
    """

    alias: str
    model: str
    effective: Period
