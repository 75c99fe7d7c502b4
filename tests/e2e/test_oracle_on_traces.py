"""The adapters of the traces agree with the reference totals, and the oracle keeps the law on all of them.

No product code runs here: this is what makes the yardstick of the other tests trustworthy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests import oracle
from tests.e2e import fleets, traces
from tests.oracle_fleet import fleet
from tests.oracle_month import Lines, attributed, settled
from tests.oracle_statement import statement, unit_costs
from tests.oracle_units import HOUR_US, hour_of, micros
from tests.oracle_usage import activity

pytestmark = pytest.mark.traces

GPU_SECONDS = {100: ("159.2984573416", "420.061732076"), 500: ("64.24126821563", "168.440782416")}
"""Busy and wall seconds of the vLLM runs as the reference gives them, by left rectangles."""


def totals(events: list[traces.Event], key: Callable[[traces.Event], str]) -> dict[str, dict[str, int]]:
    """Requests and tokens by a key, in the reference's reading: cached input is part of input."""
    found: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("requests", "input_tokens", "cached_tokens", "output_tokens"), 0)
    )
    for event in events:
        row, cached = found[key(event)], event.get("cache_read_tokens", 0)
        row["requests"] += 1
        row["input_tokens"] += event["uncached_input_tokens"] + cached
        row["cached_tokens"] += cached
        row["output_tokens"] += event["output_tokens"]
    return dict(found)


def expected(rows: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Reference rows, cached tokens 0 where the source knows none."""
    return {key: {"cached_tokens": 0, **row} for key, row in rows.items()}


def hour_label(event: traces.Event) -> str:
    """The hour as the reference writes it."""
    return f"{event['occurred_at'][:13]}:00:00Z"


@pytest.mark.parametrize("name", ["conv", "code"])
def test_azure_adapter_agrees_with_the_reference(name: str) -> None:
    """Requests and tokens by hour are the reference's."""
    events = [event for event in traces.azure().events if event["namespace"] == name]

    assert totals(events, hour_label) == expected(traces.reference(f"azure23_{name}")["by_hour"])


def test_agent_adapter_agrees_with_the_reference() -> None:
    """Requests, input, cached and output tokens by month, team and model, and by hour, are the reference's."""
    sessions, reference = traces.agent_sessions(), traces.reference("cc_traces_weka_dev_subset")

    assert totals(sessions.events, lambda e: f"{e['occurred_at'][:7]}|{e['principal'][4:11]}|{e['model']}") == expected(
        reference["by_month_team_model"]
    )
    assert totals(sessions.events, hour_label) == expected(reference["by_hour"])
    assert len({event["event_id"] for event in sessions.events}) == len(sessions.events)


def test_tenant_adapter_agrees_with_the_reference() -> None:
    """Requests and tokens of each of the 27 tenants are the reference's."""
    assert totals(traces.tenants().events, lambda e: e["tags"]["tenant"]) == expected(
        traces.reference("vtc_real_FCFS")["by_team"]
    )


@pytest.mark.parametrize("scale", GPU_SECONDS)
def test_busy_gpu_seconds_agree_with_the_reference(scale: int) -> None:
    """Busy time, over both hours the run touches, is the reference's to the microsecond, and the whole run is observed."""
    run = traces.vllm_run(scale)
    seen = activity(fleet(fleets.vllm(run)), run.samples).values()
    busy, wall = (Decimal(seconds) * 1_000_000 for seconds in GPU_SECONDS[scale])

    assert round(Decimal(sum(part.active_ppm_us for part in seen)) / 10**6) == round(busy)
    assert sum(part.observed_us for part in seen) == int(wall)


TRACES: dict[str, tuple[Callable[[], traces.Trace], Callable[[traces.Trace], fleets.Document]]] = {
    "azure": (traces.azure, fleets.azure),
    "agents": (traces.agent_sessions, fleets.agents),
    "tenants": (traces.tenants, fleets.tenants),
    "vllm": (lambda: traces.vllm_run(100), fleets.vllm),
}


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("utilization", fleets.UTILIZATIONS)
def test_the_oracle_keeps_the_law_on_real_traces(name: str, utilization: str) -> None:
    """Charges add up to what the fleet cost, every token has one line, and every settlement moves nothing in sum."""
    trace_of, document_of = TRACES[name]
    trace = trace_of()
    document = fleets.with_policy(document_of(trace), utilization=utilization)
    ours = fleet(document)
    hours = range(hour_of(micros(trace.start)), micros(trace.end), HOUR_US)
    rows = oracle.charges(ours, trace.events, trace.samples, hours)

    assert oracle.total(rows) == oracle.origin_total(ours, hours) > 0
    assert sum(row.tokens or 0 for row in rows.values()) == sum(_tokens(event) for event in trace.events)
    lines = attributed(ours, rows)
    assert sum(line.nano or 0 for line in lines.values()) == oracle.total(rows)
    for over in ("month", "hour"):
        for idle in fleets.IDLE_POLICIES:
            policies = fleet(fleets.with_policy(document, idle=idle, over=over))
            moves = settled(policies, lines, hours)

            assert sum(moves.values()) == 0
            _unit_costs_add_up(statement(policies, lines, moves))


def _tokens(event: traces.Event) -> int:
    return sum(count for field, count in event.items() if field.endswith("_tokens"))


def _unit_costs_add_up(lines: Lines) -> None:
    """Usage holds what tokens cost a team in a month; allocation also all it bears, if its tokens cost anything."""
    of_basis: dict[tuple[int, str, str], int] = defaultdict(int)
    for (month, team, _, _, basis), (cost, _) in unit_costs(lines).items():
        of_basis[month, team, basis] += cost
    priced: dict[tuple[int, str], int] = defaultdict(int)
    borne: dict[tuple[int, str], int] = defaultdict(int)
    for line, row in lines.items():
        if row.nano is not None:
            (priced if row.tokens else borne)[line.period, line.payer.team] += row.nano

    assert {(month, team): cost for (month, team, basis), cost in of_basis.items() if basis == "usage"} == priced
    for (month, team), cost in priced.items():
        assert of_basis[month, team, "allocation"] == cost + (borne[month, team] if cost else 0)
