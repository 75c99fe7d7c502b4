"""The product driven as its commands drive it, and its tables read back in the oracle's words."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from apportion.config.load import load
from apportion.config.model import Config
from apportion.ledger.connection import Session
from apportion.pipeline import Pipeline
from tests.blank import blank
from tests.e2e.fleets import Document, toml
from tests.e2e.traces import Trace
from tests.frozen import FrozenClock
from tests.oracle import Charges, Key, Measure
from tests.oracle_commitments import Amounts, Charge, Rows
from tests.oracle_engines import Growth, Place
from tests.oracle_fleet import KINDS
from tests.oracle_month import Line, Lines, Move, Moves, Payer
from tests.oracle_phases import Coefficient, Shares
from tests.oracle_units import HOUR_US, hour_of, micros

HOUR_CHARGES = """
SELECT charge.charge_period_start, pool_id, deployment_id, charge.provider, model_id, caller.caller, charge.tier, cost_kind, cause,
    token_kind, consumed_tokens, effective_cost_nano
FROM metering.charge_hourly AS charge
JOIN book.pool_key USING (pool_no) JOIN book.deployment_key USING (deployment_no) JOIN book.model USING (model_no)
JOIN raw.caller AS caller USING (caller_no)
"""
MONTH_LINES = """
SELECT billing_period, team, team_name, project, cost_center, provider, model_id, pool_id, deployment_id, tier, cost_kind, cause,
    token_kind, consumed_tokens::BIGINT, effective_cost_nano::BIGINT
FROM attribution.charge_monthly
JOIN book.pool_key USING (pool_no) JOIN book.deployment_key USING (deployment_no) JOIN book.model USING (model_no)
"""
ENGINE_HOURS = """
SELECT charge_period_start, deployment_id, model_id, engines, observed_us, cache_split_known, resets, prompt_tokens,
    cache_read_tokens, output_tokens, requests, aborted_requests, prefill_us, decode_us, idle_us, cache_read_host_tokens,
    cache_read_storage_tokens, border_prompt_tokens, border_cache_read_tokens, border_output_tokens, beyond_prompt_tokens,
    beyond_output_tokens
FROM metering.engine_usage_hourly JOIN book.deployment_key USING (deployment_no) JOIN book.model USING (model_no)
"""
ORIGIN_CHARGES = """
SELECT charge_period_start, pool_id, component, evidence, currency, cause, effective_cost_nano, billed_cost_nano, list_cost_nano,
    contracted_cost_nano, cost_in_currency_nano
FROM metering.origin_charge_hourly JOIN book.pool_key USING (pool_no) WHERE pool_no <> 0
"""
COEFFICIENTS = """
SELECT deployment_id, model_id, method, effective_from, effective_to, uncached_input_ps, cache_read_ps, cache_write_ps, output_ps,
    reasoning_ps, context_as, failure
FROM metering.phase_coefficient JOIN book.deployment_key USING (deployment_no) JOIN book.model USING (model_no)
"""
PHASES = """
SELECT charge_period_start, deployment_id, phase_method, prefill_share::VARCHAR, decode_share::VARCHAR
FROM metering.phase_method_hourly JOIN book.deployment_key USING (deployment_no)
"""
SETTLEMENT = """
SELECT charge_period_start, team, pool_id, cost_kind, shared_cost_id, effective_cost_nano
FROM attribution.settlement JOIN book.pool_key USING (pool_no)
"""
UNIT_COSTS = """
SELECT billing_period, team, model_id, token_kind, basis, effective_cost_nano::BIGINT, consumed_tokens::BIGINT
FROM attribution.unit_cost_monthly JOIN book.model USING (model_no)
"""
REFERENCE_TOTALS = """
SELECT {key} AS key, sum(usage.requests)::BIGINT, sum(uncached_input_tokens + cache_read_tokens)::BIGINT,
    sum(cache_read_tokens)::BIGINT, sum(output_tokens)::BIGINT
FROM metering.placed_usage_hourly AS usage
JOIN book.model USING (model_no)
JOIN attribution.caller_team AS payer ON payer.caller_no = usage.caller_no
    AND payer.effective_from <= charge_period_start AND charge_period_start < payer.effective_to
GROUP BY ALL
"""


@contextmanager
def opened(folder: Path, document: Document, now: datetime) -> Iterator[Pipeline]:
    """The pipeline of a config in a folder, which may hold a ledger already."""
    blank(folder / "apportion.duckdb")
    with Pipeline.open(_config(folder, document), FrozenClock(now), threads=2) as pipeline:
        yield pipeline


def configure(pipeline: Pipeline, folder: Path, document: Document) -> None:
    """Go on with another config, as after a restart."""
    pipeline.config = _config(folder, document)


def _config(folder: Path, document: Document) -> Config:
    path = folder / "apportion.toml"
    path.write_text(toml(document), encoding="utf-8")
    return load(path)


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Records as canonical NDJSON."""
    path.write_text(
        "".join(json.dumps(record, default=float, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
    return path


def land(pipeline: Pipeline, folder: Path, trace: Trace) -> None:
    """Ingest a trace's events, samples and readings as canonical files."""
    usage = pipeline.ingest([write_lines(folder / "usage.ndjson", trace.events)], "usage").outcome
    gpu = pipeline.ingest([write_lines(folder / "gpu.ndjson", trace.samples)], "gpu").outcome

    assert (usage.received, usage.rejected, usage.conflicts) == (len(trace.events), 0, 0)
    assert (gpu.received, gpu.rejected, gpu.conflicts) == (len(trace.samples), 0, 0)
    if trace.readings:
        engine = pipeline.ingest([write_lines(folder / "engine.ndjson", trace.readings)], "engine").outcome
        assert (engine.received, engine.rejected, engine.conflicts) == (len(trace.readings), 0, 0)


def hours_of(trace: Trace) -> range:
    """Every hour of a trace's fleet."""
    return range(hour_of(micros(trace.start)), micros(trace.end), HOUR_US)


def engine_hours(session: Session, hours: range) -> dict[Place, Growth]:
    """Every row of metering.engine_usage_hourly, which is of these hours only."""
    rows = session.rows(ENGINE_HOURS)
    found = {
        Place(micros(row[0]), *row[1:3]): Growth(*row[3:5], row[7:-5], *row[5:7], row[-5:-2], row[-2:]) for row in rows
    }
    assert len(found) == len(rows)
    assert all(place.hour in hours for place in found)
    return found


def hour_charges(session: Session) -> Charges:
    """Every row of metering.charge_hourly."""
    rows = session.rows(HOUR_CHARGES)
    found = {Key(micros(row[0]), *row[1:10]): Measure(*row[10:]) for row in rows}
    assert len(found) == len(rows)
    return found


def origin_charges(session: Session) -> dict[int, Rows]:
    """Rows of metering.origin_charge_hourly of pools that say anything, by hour."""
    found: dict[int, Rows] = defaultdict(dict)
    for row in session.rows(ORIGIN_CHARGES):
        if any(row[6:]):
            assert Charge(*row[1:6]) not in found[micros(row[0])]
            found[micros(row[0])][Charge(*row[1:6])] = Amounts(*row[6:])
    return dict(found)


def coefficients(session: Session) -> list[Coefficient]:
    """Every row of metering.phase_coefficient but throughputs, which the oracle knows by itself."""
    return [
        Coefficient(
            deployment=row[0],
            model=row[1],
            method=row[2],
            during=(micros(row[3]), micros(row[4])),
            kinds=tuple(zip(KINDS, row[5:10], strict=True)),
            context_as=row[10],
            failure=row[11],
        )
        for row in session.rows(COEFFICIENTS)
        if not row[2].startswith("throughput")
    ]


def phases(session: Session) -> dict[tuple[int, str], dict[str, Shares | None]]:
    """Every row of metering.phase_method_hourly of hours and deployments with a share; None where the method failed."""
    found: dict[tuple[int, str], dict[str, Shares | None]] = defaultdict(dict)
    for hour, deployment, method, prefill, decode in session.rows(PHASES):
        found[micros(hour), deployment][method] = None if prefill is None else Shares(int(prefill), int(decode))
    return {where: rungs for where, rungs in found.items() if any(rungs.values())}


def gpu_time(session: Session) -> dict[tuple[str, str], int]:
    """Counted GPU time of all months by pool and state, in microseconds, without what is 0."""
    rows = session.rows(
        "SELECT pool, state, SUM(charged - credited) FROM attribution.counter WHERE metric = 'gpu_us' GROUP BY ALL"
    )
    return {(pool, state): int(us) for pool, state, us in rows if us}


def month_lines(session: Session) -> Lines:
    """Every row of attribution.charge_monthly, methods and confidence added up."""
    found: Lines = {}
    for row in session.rows(MONTH_LINES):
        key = Line(micros(row[0]), Payer(*row[1:5]), *row[5:13])
        before = found.get(key, Measure(None, None))
        found[key] = Measure(_sum(before.tokens, row[13]), _sum(before.nano, row[14]))
    return found


def settlement(session: Session) -> Moves:
    """Every row of attribution.settlement."""
    rows = session.rows(SETTLEMENT)
    found = {Move(micros(row[0]), *row[1:5]): int(row[5]) for row in rows}
    assert len(found) == len(rows)
    return found


def unit_costs(session: Session) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Every row of attribution.unit_cost_monthly."""
    return {(micros(row[0]), *row[1:5]): (row[5], row[6]) for row in session.rows(UNIT_COSTS)}


def totals(session: Session, key: str) -> dict[str, dict[str, int]]:
    """Requests and tokens by a key, as the reference totals count them."""
    return {
        row[0]: dict(zip(("requests", "input_tokens", "cached_tokens", "output_tokens"), row[1:], strict=True))
        for row in session.rows(REFERENCE_TOTALS.format(key=key))
    }


def _sum(before: int | None, added: int | None) -> int | None:
    return added if before is None else before if added is None else before + added
