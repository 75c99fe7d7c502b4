"""What the fleet's rows must hold together: known pools, disjoint ranges, no more deployed than bought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, Protocol, TypeVar

from apportion.config.fleet import Deployment, Entitlement, Rate, SharedCost
from apportion.config.fleet_reading import Fleet
from apportion.config.policy import Policy
from apportion.config.tables import Placed, Problems, listed
from apportion.config.values import span
from apportion.domain.effective import Dated, first_overlap, gaps
from apportion.domain.period import Period

Row = TypeVar("Row", bound=Dated)


class Counted(Protocol):
    """A dated number of GPUs."""

    @property
    def gpus(self) -> int:
        """How many."""
        ...

    @property
    def effective(self) -> Period:
        """When."""
        ...


SEVERAL: Final = "set effective_to on the earlier; where these are different costs, write their sum, or one of them as another component"
"""What to do about two rates of one component: amounts of different units have no sum."""


def check(fleet: Fleet, policy: Policy, problems: Problems, place: str) -> None:
    """Note everything that single rows cannot show; `place` is that of the idle policy."""
    _known_pools(fleet, problems)
    _disjoint(fleet, problems)
    _deployed_within_bought(fleet, problems)
    _entitled_within_bought(fleet, problems)
    if policy.idle == "entitlement" and not fleet.entitlements:
        problems.warning(
            place, "is entitlement, and there are no [[entitlements]], so all idle cost stays __idle__; add them"
        )
    _one_policy_each(fleet.shared_costs, problems)
    _capacity_known(fleet.deployments, policy, problems)


def _known_pools(fleet: Fleet, problems: Problems) -> None:
    rows: Iterable[Placed[Deployment] | Placed[Rate] | Placed[Entitlement]] = [
        *fleet.deployments,
        *fleet.rates,
        *fleet.entitlements,
    ]
    for row in rows:
        known_pool(fleet, row.item.pool, f"{row.where}.pool", problems)


def known_pool(fleet: Fleet, pool: str, where: str, problems: Problems) -> None:
    """Note a pool that no table defines."""
    if pool not in fleet.pool_ids:
        known = f"known are {listed(fleet.pool_ids)}" if fleet.pool_ids else "there are none"
        problems.error(where, f"unknown pool {pool!r}; {known}: correct it, or add a [[pools]] table")


def _disjoint(fleet: Fleet, problems: Problems) -> None:
    end_it = "set effective_to on the earlier"
    rename = f"{end_it}, or use another id"
    add_up = f"{end_it}, or write one row with the sum"
    apart(fleet.pools, lambda row: ("pool", row.id), rename, problems)
    apart(fleet.deployments, lambda row: ("deployment", row.id), rename, problems)
    apart(fleet.rates, lambda row: (f"{row.component} rate of pool", row.pool), SEVERAL, problems)
    apart(fleet.shared_costs, lambda row: ("shared cost", row.id), rename, problems)
    apart(fleet.entitlements, lambda row: (f"entitlement of {row.team!r} to pool", row.pool), add_up, problems)


def apart(rows: Sequence[Placed[Row]], key: Callable[[Row], tuple[str, str]], remedy: str, problems: Problems) -> None:
    """No two rows of one key, which is in words, are in force at once."""
    groups: defaultdict[tuple[str, str], list[Placed[Row]]] = defaultdict(list)
    for row in rows:
        groups[key(row.item)].append(row)
    for (what, name), group in groups.items():
        both = first_overlap([row.item for row in group])
        if both:
            one, other = (next(row for row in group if row.item is item) for item in both)
            problems.error(
                other.where,
                f"{what} {name!r} is in force {span(other.item.effective)}, and overlaps {one.where}, in force "
                f"{span(one.item.effective)}; {remedy}",
            )


def _deployed_within_bought(fleet: Fleet, problems: Problems) -> None:
    for pool_id in fleet.pool_ids:
        bought = [row.item for row in fleet.pools if row.item.id == pool_id]
        placed = [row for row in fleet.deployments if row.item.pool == pool_id]
        if not bought:
            continue
        for row in placed:
            for gap in gaps([pool.effective for pool in bought], row.item.effective):
                problems.error(
                    row.where,
                    f"deployment {row.item.id!r} is in force {span(gap)}, when its pool {pool_id!r} is not; "
                    "date it within the pool's ranges, or extend the pool",
                )
        for period, deployed, paid in excesses([row.item for row in placed], bought):
            last = [row for row in placed if row.item.effective.overlaps(period)][-1]
            problems.error(
                f"{last.where}.gpus",
                f"{deployed} GPUs of pool {pool_id!r} are deployed {span(period)}, and {paid} are bought; "
                "deploy fewer, or add a [[pools]] row for the resize",
            )


def _entitled_within_bought(fleet: Fleet, problems: Problems) -> None:
    for pool_id in fleet.pool_ids:
        bought = [row.item for row in fleet.pools if row.item.id == pool_id]
        placed = [row for row in fleet.entitlements if row.item.pool == pool_id]
        for period, entitled, paid in excesses([row.item for row in placed], bought):
            last = [row for row in placed if row.item.effective.overlaps(period)][-1]
            problems.warning(
                f"{last.where}.gpus",
                f"{entitled} GPUs of pool {pool_id!r} are reserved {span(period)}, and {paid} are bought; "
                "reserve fewer, or add a [[pools]] row for the resize",
            )


def excesses(taken: Sequence[Counted], bought: Sequence[Counted]) -> Iterator[tuple[Period, int, int]]:
    """(period, taken, bought) wherever more GPUs are taken than what is in force has; both in any order."""
    edges = sorted({edge for row in (*taken, *bought) for edge in (row.effective.start, row.effective.end)})
    last: tuple[Period, int, int] | None = None
    for start, end in pairwise(edges):
        used = sum(row.gpus for row in taken if row.effective.start <= start < row.effective.end)
        paid = sum(row.gpus for row in bought if row.effective.start <= start < row.effective.end)
        if not 0 < paid < used:
            continue
        if last and last[0].end == start and last[1:] == (used, paid):
            last = (Period(last[0].start, end), used, paid)
            continue
        if last:
            yield last
        last = (Period(start, end), used, paid)
    if last:
        yield last


def _one_policy_each(shared_costs: Sequence[Placed[SharedCost]], problems: Problems) -> None:
    """A month may hold several rows of one id, and is settled once."""
    first: dict[str, Placed[SharedCost]] = {}
    for row in shared_costs:
        seen = first.setdefault(row.item.id, row)
        if (seen.item.policy, seen.item.shares) != (row.item.policy, row.item.shares):
            problems.error(
                f"{row.where}.policy",
                f"shared cost {row.item.id!r} has another policy or other shares at {seen.where}; make them equal, "
                "or give this one an id of its own",
            )


def _capacity_known(deployments: Sequence[Placed[Deployment]], policy: Policy, problems: Problems) -> None:
    for row in deployments:
        if (row.item.utilization or policy.utilization) == "capacity" and row.item.capacity_per_gpu_hour is None:
            problems.error(
                f"{row.where}.capacity_per_gpu_hour",
                'is missing, and utilization is "capacity"; add the weighted tokens per GPU-hour at the service level, '
                'or set utilization = "active" here',
            )
