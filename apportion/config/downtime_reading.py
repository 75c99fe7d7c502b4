"""Read `[[downtime]]`, and hold it against the deployments it speaks of."""

from __future__ import annotations

from collections.abc import Sequence

from apportion.config import downtime
from apportion.config.downtime import Downtime
from apportion.config.fleet_checks import excesses
from apportion.config.fleet_reading import Fleet
from apportion.config.rows import GPUS_MAX
from apportion.config.tables import Placed, Problems, Table, each, listed
from apportion.config.values import span
from apportion.domain.effective import gaps


def read(root: Table) -> list[Placed[Downtime]]:
    """Every sound row, with its place."""
    return each(root, "downtime", _downtime)


def check(rows: Sequence[Placed[Downtime]], fleet: Fleet, problems: Problems) -> None:
    """Note downtime of deployments that are not there, and of more GPUs than they hold."""
    known = sorted({row.item.id for row in fleet.deployments})
    for name in dict.fromkeys(row.item.deployment for row in rows):
        down = [row for row in rows if row.item.deployment == name]
        held = [row.item for row in fleet.deployments if row.item.id == name]
        if not held:
            there = f"known are {listed(known)}" if known else "there are none"
            problems.error(
                f"{down[0].where}.deployment",
                f"unknown deployment {name!r}; {there}: correct it, or add a [[deployments]] table",
            )
            continue
        for row in down:
            for gap in gaps([deployment.effective for deployment in held], row.item.effective):
                problems.error(
                    row.where,
                    f"deployment {name!r} is down {span(gap)}, when it is not in force; date it within the deployment",
                )
        for period, gone, there_are in excesses([row.item for row in down], held):
            last = [row for row in down if row.item.effective.overlaps(period)][-1]
            problems.error(
                f"{last.where}.gpus",
                f"{gone} GPUs of deployment {name!r} are down {span(period)}, and it holds {there_are}; "
                "a GPU is down for one cause at a time",
            )


def _downtime(table: Table) -> Downtime:
    return Downtime(
        deployment=table.name("deployment"),
        gpus=table.integer("gpus", 1, GPUS_MAX),
        cause=table.choice("cause", downtime.CAUSES),
        effective=table.period(),
    )
