"""What a fleet is and what happened on it, in a notation for tests: times are microseconds since 1970, money is nano.

`load` writes facts straight into `raw` and `book`. Surrogate numbers run against the order of the texts, so that a tie
broken by number instead of by text shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apportion.ledger.connection import Session
from tests.steps.metering import weight_facts
from tests.steps.metering.engine_facts import Count, tables
from tests.steps.metering.weight_facts import Down, Weighed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3_600_000_000
FOREVER = (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
PREFILL = ("uncached_input", "cache_read", "cache_write")
DECODE = ("output", "reasoning")
KINDS = PREFILL + DECODE


def at(text: str) -> int:
    """A time of day of 2026-10-01, as `01:30`, or any ISO time; UTC."""
    moment = datetime.fromisoformat(text if "-" in text else f"2026-10-01 {text}").replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(us: int) -> datetime:
    """The aware time of microseconds."""
    return EPOCH + timedelta(microseconds=us)


def caller(principal: str, namespace: str = "") -> str:
    """A caller as its dictionary keeps it."""
    return json.dumps(["test", principal, namespace, {}], separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Dated:
    """Anything in force from `start` until `end`."""

    start: int = 0
    end: int = FOREVER


@dataclass(frozen=True, kw_only=True)
class Pool(Dated):
    """GPUs bought together."""

    id: str = "p"
    gpus: int = 1


@dataclass(frozen=True, kw_only=True)
class Deployment(Dated):
    """A part of a pool; `match` holds LIKE patterns by field."""

    id: str = "d"
    pool: str = "p"
    gpus: int = 1
    models: tuple[str, ...] = ("m",)
    utilization: str = "active"
    capacity: int | None = None
    match: tuple[tuple[str, str], ...] = ()
    role: str = "both"
    phase_split: str = "weights"
    throughput: tuple[int | None, int | None, int | None] = (None, None, None)
    capacity_source: str = "declared"


@dataclass(frozen=True, kw_only=True)
class Coefficient(Dated):
    """GPU time per token of a method: `ps` is uncached input, cache read, cache write, output, reasoning."""

    deployment: str = "d"
    model: str = ""
    method: str = "regression/1"
    ps: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    context_as: int = 0
    confidence: str = "calibrated"
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Rate(Dated):
    """A price per GPU-hour."""

    pool: str = "p"
    component: str = "accelerator"
    nano: int = 3_000_000_000


@dataclass(frozen=True, kw_only=True)
class Shared(Dated):
    """A monthly amount."""

    id: str
    nano: int


@dataclass(frozen=True, kw_only=True)
class Alias(Dated):
    """Another name of a model."""

    alias: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """Usage: `tokens` by kind; `duration` is None where it is unknown."""

    at: int
    principal: str = "key"
    namespace: str = ""
    model: str = "m"
    tier: str = ""
    provider: str = "self"
    deployment: str = ""
    cluster: str = ""
    replica: str = ""
    status: str = "success"
    quality: str = "reported"
    duration: int | None = None
    tokens: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A GPU reading; `ppm` None is unknown."""

    at: int
    ppm: int | None
    gpu: str = "gpu-0"
    deployment: str = ""
    cluster: str = ""
    node: str = ""
    namespace: str = ""
    pod: str = ""
    mig: str = ""
    product: str = "H100"
    power: int | None = None
    energy: int | None = None


@dataclass(frozen=True, kw_only=True)
class EnergyRate(Dated):
    """A price of electricity; `pue` in parts per million."""

    pool: str = "p"
    nano: int = 100_000_000
    pue: int = 1_000_000
    watts: int = 700


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A whole fleet and its history; `weights` are scaled by `weight_scale`."""

    pools: tuple[Pool, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    rates: tuple[Rate, ...] = ()
    energy_rates: tuple[EnergyRate, ...] = ()
    shared: tuple[Shared, ...] = ()
    aliases: tuple[Alias, ...] = ()
    events: tuple[Event, ...] = ()
    samples: tuple[Sample, ...] = ()
    counts: tuple[Count, ...] = ()
    coefficients: tuple[Coefficient, ...] = ()
    weights: dict[str, int] = field(
        default_factory=lambda: {
            "uncached_input": 10,
            "cache_read": 1,
            "cache_write": 10,
            "output": 60,
            "reasoning": 60,
        }
    )
    weight_scale: int = 10
    weighed: Weighed = field(default_factory=Weighed)
    downs: tuple[Down, ...] = ()
    hold: int = 120_000_000
    min_coverage_ppm: int = 900_000
    tolerance_ppm: int = 10_000


EMPTIED = (
    "raw.usage_event", "raw.series", "raw.source", "raw.gpu_sample", "raw.gpu_series", "raw.gpu_device", "raw.dirty_hour",
    "raw.engine", "raw.engine_series", "raw.engine_sample", "metering.engine_usage_hourly", "metering.reconciliation_hourly",
    "book.pool", "book.deployment", "book.deployment_model", "book.model_alias", "book.rate", "book.energy_rate", "book.fx", "book.discount",
    "book.commitment", "book.coverage", "book.savings", "book.asset", "book.credit", "book.shared_cost", "book.policy",
    "book.dirty_hour", "metering.metered_hour", "metering.refused_hour", "metering.series_place", "metering.placed_usage_hourly",
    "metering.observed_event", "metering.observed_usage_hourly", "metering.external_usage_hourly", "book.price",
    "metering.pool_energy_hourly", "metering.energy_charge_hourly",
    "metering.gpu_place", "metering.inventory_hourly",
    "metering.price_segment", "metering.card_charge_hourly", "metering.commitment_hourly", "metering.asset_hourly",
    "metering.credit_pool_hourly", "metering.credit_hourly",
    "metering.origin_charge_hourly", "metering.gpu_activity_hourly", "metering.deployment_cost_hourly",
    "metering.model_usage_hourly", "metering.phase_method_hourly", "metering.phase_coefficient",
    "metering.phase_share_hourly", "metering.deployment_hourly", "metering.charge_hourly",
    "book.model_weight", "book.model_adapter", "book.downtime", "metering.engine_place_hourly", "metering.engine_state_hourly",
    "metering.prefill_place_hourly", "metering.prefill_unplaced_hourly", "metering.downtime_hourly", "metering.idle_hourly",
    "metering.cache_tier_hourly",
)  # fmt: skip


def load(session: Session, facts: Facts) -> None:
    """Replace whatever is in the ledger by these facts; every hour with an event or a sample is dirty."""
    for table in EMPTIED:
        session.do(f"DELETE FROM {table}")
    models = [d for deployment in facts.deployments for d in deployment.models] + [e.model for e in facts.events]
    models += [c.model for c in facts.counts] + [*facts.weighed.models] + [base for base, _ in facts.weighed.adapters]
    models += [name for alias in facts.aliases for name in (alias.alias, alias.model)]
    model_no = _dictionary(session, "book.model", models)
    pool_no = _dictionary(
        session,
        "book.pool_key",
        [p.id for p in facts.pools] + [part.pool for part in (*facts.rates, *facts.energy_rates, *facts.deployments)],
    )
    deployment_no = _dictionary(session, "book.deployment_key", [d.id for d in facts.deployments])
    _insert(session, "book.pool", [[pool_no[p.id], "H100", p.gpus, *_dates(p)] for p in facts.pools])
    for d in facts.deployments:
        match = dict(d.match)
        patterns = [match.get(name) for name in ("cluster", "replica", "namespace", "node", "gpu_uuid", "pod")]
        row = [deployment_no[d.id], pool_no[d.pool], d.gpus, d.utilization, d.capacity, "", "caller", d.role, *patterns]
        speed = [d.phase_split, *d.throughput, d.capacity_source]
        _insert(session, "book.deployment", [[*row, *_dates(d), *speed]])
        _insert(
            session, "book.deployment_model", [[deployment_no[d.id], model_no[model], *_dates(d)] for model in d.models]
        )
    _insert(
        session,
        "metering.phase_coefficient",
        [
            [
                deployment_no[c.deployment],
                model_no[c.model],
                c.method,
                *_dates(c),
                *c.ps,
                c.context_as,
                c.confidence,
                "{}",
                c.failure,
            ]
            for c in facts.coefficients
        ],
    )
    _insert(
        session,
        "book.rate (pool_no, component, price_nano, list_nano, effective_from, effective_to)",
        [[pool_no[r.pool], r.component, r.nano, r.nano, *_dates(r)] for r in facts.rates],
    )
    _insert(
        session, "book.energy_rate", [[pool_no[r.pool], r.nano, r.pue, r.watts, *_dates(r)] for r in facts.energy_rates]
    )
    _insert(session, "book.shared_cost", [[s.id, s.nano, "proportional", *_dates(s)] for s in facts.shared])
    _insert(session, "book.model_alias", [[a.alias, model_no[a.model], *_dates(a)] for a in facts.aliases])
    policy = [1, "weights", "separate", "month", facts.min_coverage_ppm, facts.hold, facts.weight_scale]
    _insert(
        session,
        "book.policy",
        [
            [
                *policy,
                *(facts.weights[kind] for kind in KINDS),
                "",
                moment(0),
                facts.tolerance_ppm,
                "[]",
                facts.weighed.context,
                facts.weighed.tiers_text,
                facts.weighed.host,
                facts.weighed.storage,
            ]
        ],
    )
    land(session, facts.events, model_no)
    sample(session, facts.samples)
    always = [moment(0), moment(FOREVER)]
    given = weight_facts.tables(facts.weighed, facts.downs, (model_no, deployment_no), always, moment)
    for table, rows in given.items():
        _insert(session, table, rows)
    for table, rows in tables(facts.counts, model_no, moment).items():
        _insert(session, table, rows)
    _mark(session, (c.at for c in facts.counts))


def land(session: Session, events: Iterable[Event], model_no: dict[str, int]) -> None:
    """Write events as ingest would."""
    events = list(events)
    session.do("DELETE FROM raw.caller WHERE caller_no > 0")
    callers = {caller(e.principal, e.namespace): e for e in events}
    caller_no = {name: number for number, name in enumerate(sorted(callers, reverse=True), 1)}
    series: dict[tuple[Any, ...], int] = {}
    rows = []
    for number, e in enumerate(events):
        who = model_no[e.model], caller_no[caller(e.principal, e.namespace)]
        series_no = series.setdefault(
            (*who, e.provider, e.cluster, e.deployment, e.replica, e.status, e.quality, e.tier), len(series) + 1
        )
        counts = [dict(e.tokens).get(kind, 0) for kind in KINDS]
        rows.append(
            [1, f"e{number}", moment(e.at), series_no, 0, None, None, *counts, 1, None, e.duration, None, 1, None, None]
        )
    _insert(
        session,
        "raw.caller",
        [
            [number, name, "test", callers[name].principal, callers[name].namespace, "{}"]
            for name, number in caller_no.items()
        ],
    )
    _insert(session, "raw.series", [[series_no, 1, *key, "", ""] for key, series_no in series.items()])
    _insert(session, "raw.usage_event", rows)
    _mark(session, (e.at for e in events))


def sample(session: Session, samples: Iterable[Sample]) -> None:
    """Write GPU samples as ingest would."""
    samples = list(samples)
    device_no = {device: number for number, device in enumerate(sorted({(s.gpu, s.mig) for s in samples}), 1)}
    series: dict[tuple[Any, ...], int] = {}
    rows = []
    for s in samples:
        series_no = series.setdefault(
            (device_no[s.gpu, s.mig], s.product, s.cluster, s.node, s.deployment, s.namespace, s.pod), len(series) + 1
        )
        readings = [s.ppm, *[None] * 4, s.power, s.energy]
        rows.append([moment(s.at), device_no[s.gpu, s.mig], series_no, *readings, 1])
    _insert(session, "raw.gpu_device", [[number, *device] for device, number in device_no.items()])
    _insert(session, "raw.gpu_series", [[series_no, *key, ""] for key, series_no in series.items()])
    _insert(session, "raw.gpu_sample", rows)
    _mark(session, (s.at for s in samples))


def _mark(session: Session, times: Iterable[int]) -> None:
    marked = [moment(hour) for (hour,) in session.rows("SELECT epoch_us(charge_period_start) FROM raw.dirty_hour")]
    hours = {moment(us - us % HOUR) for us in times} - set(marked)
    _insert(session, "raw.dirty_hour", [[hour, hour] for hour in sorted(hours)])


def _dictionary(session: Session, table: str, names: Iterable[str]) -> dict[str, int]:
    session.do(f"DELETE FROM {table} WHERE {table.split('.')[1].removesuffix('_key')}_no > 0")
    numbers = {name: number for number, name in enumerate(sorted(set(names) - {""}, reverse=True), 1)}
    _insert(session, table, [[number, name] for name, number in numbers.items()])
    return {"": 0, **numbers}


def _dates(dated: Dated) -> list[datetime]:
    return [moment(dated.start), moment(dated.end)]


def _insert(session: Session, table: str, rows: list[list[Any]]) -> None:
    if rows:
        places = ", ".join(f"({', '.join('?' * len(row))})" for row in rows)
        session.do(f"INSERT INTO {table} VALUES {places}", [value for row in rows for value in row])
