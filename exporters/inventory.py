"""GPUs of each pool as configured, held against those that telemetry saw: where they differ, since when, and the rows to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from rich.console import Console

from apportion.catalog import products
from apportion.config.values import stamp
from apportion.domain.period import HOUR, Period
from apportion.ledger.connection import Session
from exporters.columns import Column, show_columns

_HOURS: Final = """
SELECT pool_id, charge_period_start, gpu, gpus, seen_gpu, nodes, devices
FROM inventory
WHERE ($since::TIMESTAMP IS NULL OR charge_period_start >= $since) AND ($until::TIMESTAMP IS NULL OR charge_period_start < $until)
ORDER BY pool_id, charge_period_start
"""
NOTHING: Final = (
    "Telemetry saw no GPU in this time, so there is nothing to hold the pools against. Scrape an exporter as a [[sources]] table, or "
    "give a page of kube-state-metrics with --kubernetes."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Hours in a row in which a pool was the same, in the config and to telemetry.

    Attributes:
        pool: id; empty for GPUs that no deployment, or deployments of several pools, claim.
        during: from the first hour to the end of the last.
        gpu: as configured.
        gpus: as configured; 0 where the pool is not in force.
        seen_gpu: product names that samples gave.
        devices: distinct GPUs seen; 0 where there was no telemetry.
        nodes: where they were.
    """

    pool: str
    during: Period
    gpu: str
    gpus: int
    seen_gpu: str
    devices: int
    nodes: str

    @property
    def real_gpu(self) -> str:
        """The catalog id of what was seen where that is one known product, else as configured, else what was seen."""
        return products.gpu_of(self.seen_gpu) or self.gpu or self.seen_gpu

    @property
    def differs(self) -> bool:
        """Whether telemetry contradicts the config; its silence does not."""
        return self.devices > 0 and (self.devices != self.gpus or self.real_gpu != self.gpu)


def compared(results: Session, *, since: datetime | None = None, until: datetime | None = None) -> list[Stretch]:
    """Every pool in a time, hour after hour joined where nothing changes; from published results."""
    hours = [
        Stretch(
            pool=pool,
            during=Period(hour, hour + HOUR),
            gpu=gpu,
            gpus=gpus,
            seen_gpu=seen_gpu,
            devices=int(devices),
            nodes=nodes,
        )
        for pool, hour, gpu, gpus, seen_gpu, nodes, devices in results.rows(_HOURS, {"since": since, "until": until})
    ]
    return list(_joined(hours))


def pool_rows(stretches: Sequence[Stretch]) -> str:
    """`[[pools]]` tables, dated, of every pool that telemetry contradicts; hours without telemetry stay as configured."""
    contradicted = {one.pool for one in stretches if one.differs and one.pool}
    rows = [
        replace(one, gpu=one.real_gpu, seen_gpu="", gpus=one.devices or one.gpus, devices=0, nodes="")
        for one in stretches
        if one.pool in contradicted and (one.devices or one.gpus)
    ]
    written: list[str] = []
    for _, group in groupby(_joined(rows), key=lambda one: one.pool):
        pool = list(group)
        written += [_row(one, is_last=one is pool[-1]) for one in pool]
    return "\n".join(written)


def as_records(stretches: Iterable[Stretch]) -> list[dict[str, Any]]:
    """Stretches for JSON."""
    return [
        {
            "pool": one.pool, "effective_from": stamp(one.during.start), "effective_to": stamp(one.during.end), "gpu": one.gpu,
            "gpus": one.gpus, "seen_gpu": one.seen_gpu, "devices": one.devices, "nodes": one.nodes, "differs": one.differs,
        }
        for one in stretches
    ]  # fmt: skip


def show(stretches: Sequence[Stretch], console: Console) -> None:
    """Print what differs, GPUs of no pool, and the rows to write."""
    if not any(one.devices for one in stretches):
        console.print(NOTHING, markup=False, soft_wrap=True)
        return
    differing = [one for one in stretches if one.differs]
    if not differing:
        console.print("Every pool has the GPUs that telemetry sees.")
        return
    columns: Mapping[str, Sequence[str]] = {
        "pool": [one.pool or "(none)" for one in differing],
        "from": [stamp(one.during.start) for one in differing],
        "to": [stamp(one.during.end) for one in differing],
        "configured": [f"{one.gpus} {one.gpu}".rstrip() for one in differing],
        "seen": [f"{one.devices} {one.seen_gpu}" for one in differing],
        "on": [one.nodes for one in differing],
    }
    show_columns(
        "Pools and telemetry",
        [Column(name, list(cells), wraps=name == "on") for name, cells in columns.items()],
        console,
    )
    if any(not one.pool for one in differing):
        console.print(
            "GPUs of pool (none) are claimed by no deployment, or by several pools: let a `match` fit them.",
            soft_wrap=True,
        )
    if rows := pool_rows(stretches):
        console.print(
            "If telemetry is right, these rows say so. They stand for that time only: end an earlier row where the first begins, and "
            "give the last one the effective_to that the pool has.\n",
            soft_wrap=True,
        )
        console.print(rows, markup=False, soft_wrap=True)


def _joined(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    last: Stretch | None = None
    for one in stretches:
        if last and last.during.end == one.during.start and replace(last, during=one.during) == one:
            last = replace(last, during=Period(last.during.start, one.during.end))
            continue
        if last:
            yield last
        last = one
    if last:
        yield last


def _row(one: Stretch, *, is_last: bool) -> str:
    lines = [
        "[[pools]]",
        f'id = "{one.pool}"',
        f'gpu = "{one.gpu}"',
        f"gpus = {one.gpus}",
        f"effective_from = {stamp(one.during.start)}",
    ]
    if not is_last:
        lines.append(f"effective_to = {stamp(one.during.end)}")
    return "\n".join([*lines, ""])
