"""Real traces through the product: tokens equal the reference totals, and every nano is where the oracle puts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from apportion.pipeline import Pipeline
from tests import oracle
from tests.e2e import fleets, product, traces
from tests.e2e.agreement import agrees

pytestmark = pytest.mark.traces

TEAM_MONTH_MODEL = "strftime(charge_period_start, '%Y-%m') || '|' || team || '|' || model_id"
HOUR = "strftime(charge_period_start, '%Y-%m-%dT%H:00:00Z')"

TRACES: dict[str, tuple[Callable[[], traces.Trace], Callable[[traces.Trace], fleets.Document]]] = {
    "azure": (traces.azure, fleets.azure),
    "agents": (traces.agent_sessions, fleets.agents),
    "tenants": (traces.tenants, fleets.tenants),
    "scale100": (lambda: traces.vllm_run(100), fleets.vllm),
}
SHORT = ("tenants", "scale100")
BUSY_SECONDS = {100: "159.2984573416", 500: "64.24126821563"}
"""GPU-seconds by left rectangles, as the reference gives them."""


@contextmanager
def metered(folder: Path, document: fleets.Document, trace: traces.Trace) -> Iterator[Pipeline]:
    """A ledger in which the trace has landed (Azure's files as they are) and every hour of its fleet is metered."""
    with product.opened(folder, document, trace.end + timedelta(hours=1)) as pipeline:
        if trace.name == "azure23":
            for name in fleets.AZURE_SERVICES:
                outcome = pipeline.ingest([traces.azure_file(name)], f"azure-{name}").outcome
                assert outcome.landed == outcome.received == sum(e["namespace"] == name for e in trace.events)
            pipeline.ingest([product.write_lines(folder / "gpu.ndjson", trace.samples)], "gpu")
        else:
            product.land(pipeline, folder, trace)
        pipeline.meter()
        yield pipeline


def expected(rows: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Reference rows, cached tokens 0 where the source knows none."""
    return {key: {"cached_tokens": 0, **row} for key, row in rows.items()}


@pytest.mark.parametrize("name", fleets.AZURE_SERVICES)
def test_azure_files_land_whole_through_the_csv_mapping(tmp_path: Path, name: str) -> None:
    """28,185 requests with seven decimals, no zone and CRLF: requests and tokens by hour and model are the reference's."""
    trace = traces.azure()
    with metered(tmp_path, fleets.azure(trace), trace) as pipeline:
        found = product.totals(pipeline.ledger.session(), f"model_id || '|' || {HOUR}")

    reference = traces.reference(f"azure23_{name}")["by_model_hour"][f"azure-{name}"]
    assert {key: row for key, row in found.items() if name in key} == expected(
        {f"azure-{name}|{hour}": row for hour, row in reference.items()}
    )


def test_agent_sessions_meter_to_the_reference(tmp_path: Path) -> None:
    """Sub-agents, cached input and empty answers: by month, team and model every token is the reference's."""
    trace = traces.agent_sessions()
    with metered(tmp_path, fleets.agents(trace), trace) as pipeline:
        assert product.totals(pipeline.ledger.session(), TEAM_MONTH_MODEL) == expected(
            traces.reference(trace.name)["by_month_team_model"]
        )
        assert product.totals(pipeline.ledger.session(), HOUR) == expected(traces.reference(trace.name)["by_hour"])


def test_tenants_meter_to_the_reference(tmp_path: Path) -> None:
    """Each of the 27 tenants has its own tokens."""
    trace = traces.tenants()
    with metered(tmp_path, fleets.tenants(trace), trace) as pipeline:
        assert product.totals(pipeline.ledger.session(), "team") == expected(traces.reference(trace.name)["by_team"])


@pytest.mark.parametrize("name", TRACES)
def test_every_policy_keeps_the_law(tmp_path: Path, name: str) -> None:
    """Under each utilization and idle policy every row is the oracle's and the month costs what the fleet cost.

    Who bears idle cost is no business of the hours, so that the long traces see each idle policy under one utilization.
    """
    trace_of, document_of = TRACES[name]
    trace = trace_of()
    document = document_of(trace)
    with metered(tmp_path, document, trace) as pipeline:
        for utilization in fleets.UTILIZATIONS:
            charges: oracle.Charges | None = None
            shown = fleets.IDLE_POLICIES if name in SHORT or utilization == "capacity" else fleets.IDLE_POLICIES[:1]
            for idle in shown:
                policy = fleets.with_policy(document, utilization=utilization, idle=idle)
                product.configure(pipeline, tmp_path, policy)
                pipeline.meter()

                charges = agrees(pipeline, policy, trace, charges)


@pytest.mark.parametrize("name", ["azure", "tenants"])
def test_settling_by_the_hour_keeps_the_law(tmp_path: Path, name: str) -> None:
    """Where each hour settles by itself, its rows are the oracle's too."""
    trace_of, document_of = TRACES[name]
    trace = trace_of()
    document = fleets.with_policy(document_of(trace), over="hour")
    with metered(tmp_path, document, trace) as pipeline:
        charges: oracle.Charges | None = None
        for idle in fleets.IDLE_POLICIES:
            policy = fleets.with_policy(document, idle=idle)
            product.configure(pipeline, tmp_path, policy)
            pipeline.meter()

            charges = agrees(pipeline, policy, trace, charges)


def test_another_idle_policy_meters_nothing_again(tmp_path: Path) -> None:
    """Who bears idle cost is no business of the hours: changing it settles anew and leaves them as they were metered."""
    trace = traces.azure()
    changed = fleets.with_policy(fleets.azure(trace), idle="even")
    with metered(tmp_path, fleets.azure(trace), trace) as pipeline:
        product.configure(pipeline, tmp_path, changed)

        assert pipeline.meter().hours == 0
        agrees(pipeline, changed, trace)


@pytest.mark.parametrize("scale", BUSY_SECONDS)
def test_busy_gpu_seconds_of_a_real_run(tmp_path: Path, scale: int) -> None:
    """Busy time is the reference's to the microsecond, and the run's cost splits by it, hour for hour."""
    trace = traces.vllm_run(scale)
    with metered(tmp_path, fleets.vllm(trace), trace) as pipeline:
        session = pipeline.ledger.session()
        hours = session.rows(
            "SELECT observed_us, active_ppm_us::VARCHAR FROM metering.gpu_activity_hourly ORDER BY charge_period_start"
        )
        costs = session.rows(
            "SELECT effective_cost_nano, paid_us, workload_nano, idle_nano, unmeasured_nano FROM metering.deployment_hourly "
            "WHERE deployment_no > 0 ORDER BY charge_period_start"
        )

    active = [int(ppm_us) for _, ppm_us in hours]
    assert round(Fraction(sum(active), 10**6)) == round(Decimal(BUSY_SECONDS[scale]) * 10**6)
    assert sum(observed for observed, _ in hours) == (trace.end - trace.start) // timedelta(microseconds=1)
    for (observed, _), ppm_us, (cost, paid, workload, idle, unmeasured) in zip(hours, active, costs, strict=True):
        assert observed == paid
        assert (workload, idle, unmeasured) == (cost * ppm_us // (paid * 10**6), cost - workload, 0)


def test_a_busy_counter_is_not_a_load(tmp_path: Path) -> None:
    """The same 500 prompts in 420 and in 168 seconds: the GPU looks as idle in both, and only `capacity` sees the load.

    By `active` a token of the light run costs more than twice that of the heavy run; by `capacity` both cost the same, and
    what the light run left unused is its idle cost.
    """
    price: dict[tuple[str, int], Fraction] = {}
    idle: dict[tuple[str, int], Fraction] = {}
    for scale in BUSY_SECONDS:
        trace = traces.vllm_run(scale)
        for utilization in ("active", "capacity"):
            folder = tmp_path / f"{scale}-{utilization}"
            folder.mkdir()
            with metered(folder, fleets.with_policy(fleets.vllm(trace), utilization=utilization), trace) as pipeline:
                price[utilization, scale], idle[utilization, scale] = _price_and_idle(pipeline)

    assert abs(idle["active", 100] - idle["active", 500]) < Fraction(1, 200)
    assert 2 * price["active", 500] < price["active", 100] < 3 * price["active", 500]
    assert abs(price["capacity", 100] - price["capacity", 500]) < price["capacity", 500] / 1_000_000
    assert idle["capacity", 500] < Fraction(15, 100) < Fraction(60, 100) < idle["capacity", 100]


def _price_and_idle(pipeline: Pipeline) -> tuple[Fraction, Fraction]:
    """Nano per output token, and the idle share of the run's cost."""
    session = pipeline.ledger.session()
    costs: dict[tuple[Any, ...], tuple[int, int]] = product.unit_costs(session)
    output = next(Fraction(*parts) for key, parts in costs.items() if key[3:] == ("output", "usage"))
    idle, whole = session.row(
        "SELECT sum(idle_nano)::BIGINT, sum(effective_cost_nano)::BIGINT FROM metering.deployment_hourly"
    )
    return output, Fraction(idle, whole)
