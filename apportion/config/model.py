"""The whole config: frozen values, money in integer nano, times in aware UTC, ranges as `Period`.

What is written where in the file is the readers' business (`load` and the modules beside it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apportion.config.costs import Costs
from apportion.config.directory import PROJECT_TAG, Directory
from apportion.config.downtime import Downtime
from apportion.config.energy import EnergyRate
from apportion.config.fleet import Deployment, Entitlement, ModelAlias, Pool, Rate, SharedCost, Utilization
from apportion.config.mapping import Mapping as SourceMapping
from apportion.config.models import Model
from apportion.config.phases import PhaseSplit
from apportion.config.plain import fields
from apportion.config.policy import Policy
from apportion.config.prices import Prices
from apportion.config.services import Http, LedgerConfig, Prometheus, Schedule
from apportion.config.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything, checked as a whole.

    Attributes:
        path: the file it was read from.
        ledger: where it all goes.
        pools: in the order written, as are all lists.
        deployments: parts of pools.
        rates: the rate card.
        energy_rates: of it what prices kilowatt-hours.
        costs: exchange rates, discounts, commitments, owned hardware and credits.
        shared_costs: monthly amounts.
        entitlements: reservations.
        policy: metering and settlement.
        directory: who pays.
        model_aliases: names that stand for others.
        models: what is known of models beyond their names.
        downtime: GPU time that cannot serve.
        sources: where events come from, and formats of the user's own.
        http: listeners.
        prometheus: bounds of metrics.
        schedule: of `serve`.
        budgets_nano: team -> amount per month, in 1e-9 of the billing currency.
        prices: of external providers.
        warnings: sentences about what works but hardly as meant.
    """

    path: Path
    ledger: LedgerConfig
    pools: tuple[Pool, ...]
    deployments: tuple[Deployment, ...]
    rates: tuple[Rate, ...]
    energy_rates: tuple[EnergyRate, ...]
    costs: Costs
    shared_costs: tuple[SharedCost, ...]
    entitlements: tuple[Entitlement, ...]
    policy: Policy
    directory: Directory
    model_aliases: tuple[ModelAlias, ...]
    models: tuple[Model, ...]
    downtime: tuple[Downtime, ...]
    sources: tuple[Source, ...]
    http: Http
    prometheus: Prometheus
    schedule: Schedule
    budgets_nano: Mapping[str, int]
    prices: Prices
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

    def phase_split_of(self, deployment: Deployment) -> PhaseSplit:
        """The deployment's own way to split its work, else the ledger's."""
        return deployment.phase_split or self.policy.phase_split

    @property
    def mappings(self) -> Mapping[str, SourceMapping]:
        """Formats of the user's own, by the name that `ingest --format` takes."""
        return {source.name: source.mapping for source in self.sources if source.mapping}

    def resolved(self) -> dict[str, object]:
        """Plain texts, numbers, lists and tables with every default filled in, for people; secrets are masked."""
        made = fields(self)
        del made["costs"]
        return made | fields(self.costs)
