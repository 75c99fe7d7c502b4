"""The whole config: frozen values, money in integer nano, times in aware UTC, ranges as `Period`.

What is written where in the file is the readers' business (`load` and the modules beside it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from apportion.config.environment import Secret
from apportion.config.fleet import Deployment, Entitlement, ModelAlias, Pool, Rate, SharedCost, Utilization
from apportion.config.mapping import Mapping as SourceMapping
from apportion.config.plain import fields
from apportion.config.sources import Source
from apportion.config.values import loopback
from apportion.domain.period import Period

PhaseSplit = Literal["weights", "auto"]
IdlePolicy = Literal["separate", "proportional", "even", "entitlement"]
Over = Literal["month", "hour"]

PHASE_SPLITS: Final[tuple[PhaseSplit, ...]] = ("weights", "auto")
IDLE_POLICIES: Final[tuple[IdlePolicy, ...]] = ("separate", "proportional", "even", "entitlement")
OVERS: Final[tuple[Over, ...]] = ("month", "hour")
SYSTEM_TEAMS: Final = ("__idle__", "__overhead__", "__unmeasured__", "__unattributed__", "__unmapped__")
PROJECT_TAG: Final = "project"
"""The tag that is always on the allow-list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerConfig:
    """Which ledger, and in what money.

    Attributes:
        path: the DuckDB file; relative ones are beside the config file.
        billing_currency: ISO 4217 code.
        epoch: nothing that happened before it is accepted.
        metered_from: first hour to meter; None is wherever pools and events begin.
    """

    path: Path
    billing_currency: str
    epoch: datetime
    metered_from: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How hours are metered and months settled.

    Attributes:
        utilization: for deployments that say nothing else.
        phase_split: weights, or the best rung that has data.
        weights: token kind -> weight, all five, not all zero.
        idle: who bears idle cost.
        over: what idle and shared costs are weighed over.
        min_coverage_ppm: telemetry below it flags the hour; parts per million of the paid time.
        sample_hold_us: microseconds a GPU sample holds at most; no more than an hour.
        unlogged_tolerance_ppm: what engines may be ahead of the logs, in parts per million of their count, at no cost.
        late_limit_days: accepted age of live events.
        observers: globs of sources; of those that tell of one call, the first is metered.
    """

    utilization: Utilization
    phase_split: PhaseSplit
    weights: Mapping[str, Decimal]
    idle: IdlePolicy
    over: Over
    min_coverage_ppm: int
    sample_hold_us: int
    unlogged_tolerance_ppm: int
    late_limit_days: int
    observers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRule:
    """Who pays for which callers; every selector given must match.

    Attributes:
        principal: glob, or None for any.
        namespace: glob, or None for any.
        source: glob, or None for any.
        tags: (tag, glob) pairs by tag.
        team: who pays, or empty where `team_tag` says.
        team_tag: tag whose value is the team, or empty.
        team_name: for people; may be empty.
        project: may be empty.
        cost_center: may be empty.
        effective: when.
        where: `file:key` or `file:line` it was read from; not part of its value.
    """

    principal: str | None
    namespace: str | None
    source: str | None
    tags: tuple[tuple[str, str], ...]
    team: str
    team_tag: str
    team_name: str
    project: str
    cost_center: str
    effective: Period
    where: str = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Who pays for whom.

    Attributes:
        rules: first match wins; those of the file come after those of the config.
        file: the CSV they come from, if any.
        cost_centers: team -> cost center, for lines that no rule places.
        tags: keys to keep on the allow-list though no rule uses them.
    """

    rules: tuple[DirectoryRule, ...]
    file: Path | None
    cost_centers: Mapping[str, str]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a server listens.

    Attributes:
        host: name or address, without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine reach it."""
        return loopback(self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """The process's HTTP side.

    Attributes:
        listen: for everything that has no listener of its own.
        metrics_listen: for `/metrics` alone, or None to share.
        token: bearer token of the source called http, or None.
        body_bytes_max: of one request, decompressed.
        pending_bytes_max: of all requests that wait to be landed; at least `body_bytes_max`.
    """

    listen: Listener
    metrics_listen: Listener | None
    token: Secret | None
    body_bytes_max: int
    pending_bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """Bounds of `/metrics`.

    Attributes:
        max_label_sets: team and model pairs with labels of their own; the rest is `other`.
    """

    max_label_sets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What `serve` does by itself.

    Attributes:
        meter_every_seconds: pause between looks for due hours.
        chargeback_at: time of day in UTC.
        chargeback_dir: where the daily chargeback files go; relative ones are beside the config file.
    """

    meter_every_seconds: int
    chargeback_at: time
    chargeback_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything, checked as a whole.

    Attributes:
        path: the file it was read from.
        ledger: where it all goes.
        pools: in the order written, as are all lists.
        deployments: parts of pools.
        rates: the rate card.
        shared_costs: monthly amounts.
        entitlements: reservations.
        policy: metering and settlement.
        directory: who pays.
        model_aliases: names that stand for others.
        sources: where events come from, and formats of the user's own.
        http: listeners.
        prometheus: bounds of metrics.
        schedule: of `serve`.
        budgets_nano: team -> amount per month, in 1e-9 of the billing currency.
        warnings: sentences about what works but hardly as meant.
    """

    path: Path
    ledger: LedgerConfig
    pools: tuple[Pool, ...]
    deployments: tuple[Deployment, ...]
    rates: tuple[Rate, ...]
    shared_costs: tuple[SharedCost, ...]
    entitlements: tuple[Entitlement, ...]
    policy: Policy
    directory: Directory
    model_aliases: tuple[ModelAlias, ...]
    sources: tuple[Source, ...]
    http: Http
    prometheus: Prometheus
    schedule: Schedule
    budgets_nano: Mapping[str, int]
    warnings: tuple[str, ...] = field(compare=False)

    @property
    def tag_allow_list(self) -> frozenset[str]:
        """Tags that events keep: the project, those that rules read, and those the directory asks to keep."""
        used = {tag for rule in self.directory.rules for tag, _ in rule.tags}
        taken = {rule.team_tag for rule in self.directory.rules if rule.team_tag}
        return frozenset({PROJECT_TAG} | used | taken | set(self.directory.tags))

    def utilization_of(self, deployment: Deployment) -> Utilization:
        """The deployment's own utilization policy, else the ledger's."""
        return deployment.utilization or self.policy.utilization

    @property
    def mappings(self) -> Mapping[str, SourceMapping]:
        """Formats of the user's own, by the name that `ingest --format` takes."""
        return {source.name: source.mapping for source in self.sources if source.mapping}

    def resolved(self) -> dict[str, object]:
        """Plain texts, numbers, lists and tables with every default filled in, for people; secrets are masked."""
        return fields(self)
