"""Read a config file whole: every problem at once, each with its place, or a `Config` on which the rest can rely."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from apportion.config import (
    beginning_checks,
    capacity_checks,
    catalog_checks,
    costs_checks,
    costs_reading,
    directory_reading,
    discounts_checks,
    downtime_reading,
    fleet_checks,
    fleet_reading,
    models_checks,
    models_reading,
    phases_checks,
    placement_checks,
    policy_reading,
    prices_checks,
    prices_reading,
    services_reading,
    source_checks,
    sources_reading,
    unused_checks,
)
from apportion.config.costs_reading import PlacedCosts
from apportion.config.downtime import Downtime
from apportion.config.fleet_reading import Fleet
from apportion.config.limits import ERRORS_MAX, bounded
from apportion.config.model import Config
from apportion.config.models import Model
from apportion.config.policy import Policy
from apportion.config.services import LedgerConfig
from apportion.config.sources import Source
from apportion.config.tables import Placed, Problems, Table
from apportion.domain.errors import ConfigError


def load(path: Path) -> Config:
    """The config in a file, and in the files it names.

    Raises: ConfigError with every problem found, as `file:key: what is wrong; what to do`.
    """
    problems = Problems()
    root = Table(_document(path), f"{path.name}:", problems)
    beside = path.parent
    fleet = fleet_reading.read(root, beside)
    costs = costs_reading.read(root)
    policy = policy_reading.read(root.table("policy"))
    models = models_reading.read(root, beside)
    downtime = downtime_reading.read(root)
    ledger = services_reading.ledger(root.table("ledger"), beside)
    directory = directory_reading.read(root.table("directory"), beside)
    sources = sources_reading.read(root, beside)
    http, prometheus = services_reading.http(root.table("http")), services_reading.prometheus(root.table("prometheus"))
    schedule = services_reading.schedule(root.table("schedule"), beside)
    budgets = services_reading.budgets(root.table("budgets"))
    prices, own = prices_reading.read(root.table("prices"), beside, ledger.billing_currency)
    prices_checks.check(prices, own, costs.fx, fleet, ledger, problems, root.place("prices"))
    root.sound()
    _check_fleet(root, fleet, costs, policy, ledger)
    _check_service(root, fleet, policy, models, downtime, sources)
    source_checks.check(sources, http, problems, root.place("http"))
    if problems.errors:
        raise ConfigError(bounded(problems.errors, ERRORS_MAX))
    return Config(
        path=path,
        ledger=ledger,
        policy=policy,
        directory=directory,
        sources=tuple(row.item for row in sources),
        http=http,
        prometheus=prometheus,
        schedule=schedule,
        budgets_nano=budgets,
        prices=prices,
        warnings=tuple(problems.warnings),
        pools=tuple(row.item for row in fleet.pools),
        deployments=tuple(row.item for row in fleet.deployments),
        rates=tuple(row.item for row in fleet.rates),
        energy_rates=tuple(row.item for row in fleet.energy_rates),
        costs=costs.items(),
        shared_costs=tuple(row.item for row in fleet.shared_costs),
        entitlements=tuple(row.item for row in fleet.entitlements),
        model_aliases=tuple(row.item for row in fleet.aliases),
        models=tuple(row.item for row in models),
        downtime=tuple(row.item for row in downtime),
    )


def _check_fleet(root: Table, fleet: Fleet, costs: PlacedCosts, policy: Policy, ledger: LedgerConfig) -> None:
    problems = root.problems
    fleet_checks.check(fleet, policy, problems, root.place("policy.idle"))
    costs_checks.check(fleet, costs, ledger.billing_currency, problems)
    beginning_checks.check(fleet, costs, ledger.metered_from, problems)
    discounts_checks.check(fleet, costs, problems)
    unused_checks.check(fleet, costs, ledger.billing_currency, problems)
    catalog_checks.check(fleet, problems)


def _check_service(
    root: Table,
    fleet: Fleet,
    policy: Policy,
    models: Sequence[Placed[Model]],
    downtime: Sequence[Placed[Downtime]],
    sources: Sequence[Placed[Source]],
) -> None:
    problems = root.problems
    placement_checks.check(fleet, policy, problems)
    phases_checks.check(fleet, policy, models, sources, problems)
    models_checks.check(models, fleet, policy, problems, root.place("policy"))
    capacity_checks.check(fleet, models, downtime, policy, problems)
    downtime_reading.check(downtime, fleet, problems)


def _document(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"), parse_float=Decimal)
    except FileNotFoundError:
        problem = f"{path}: there is no config here; run `apportion init` to write one, or name yours with --config"
    except OSError as error:
        problem = f"{path}: cannot be read ({error.strerror}); give this user access to it, or correct the path"
    except UnicodeDecodeError as error:
        problem = f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8"
    except (ValueError, ArithmeticError, RecursionError) as error:
        # Besides TOMLDecodeError: integers of thousands of digits, exponents beyond Decimal, tables nested without end.
        problem = _malformed(path, str(error))
    raise ConfigError([problem])


def _malformed(path: Path, said: str) -> str:
    found = re.fullmatch(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", said, re.DOTALL)
    if found:
        what = found["what"][0].lower() + found["what"][1:]
        place = f"{path.name}:{found['line']}:{found['column']}"
        return f"{place}: this is not TOML, {what}; correct the line and run `apportion check`"
    return f"{path.name}: this is not TOML: {said}; correct it and run `apportion check`"
