"""A real trace through the commands as a user types them: ingest, meter, report."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apportion.cli import main
from tests import oracle
from tests.e2e import fleets, product, traces
from tests.oracle_fleet import fleet
from tests.oracle_month import attributed, settled
from tests.oracle_statement import statement

pytestmark = pytest.mark.traces


@pytest.fixture
def apportion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command of the Azure fleet's config and gives what it printed as JSON."""
    config = tmp_path / "apportion.toml"
    document = fleets.with_policy(fleets.azure(traces.azure()), idle="proportional")
    config.write_text(fleets.toml(document), encoding="utf-8")

    def run(*arguments: str) -> Any:
        code = main([*arguments, "--config", str(config), "--json"])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return json.loads(printed.out)

    return run


def test_a_month_is_reported_to_the_nano(apportion: Any, tmp_path: Path) -> None:
    """Two exports are read as they are, reading them again lands nothing, and the report is the oracle's month."""
    trace = traces.azure()
    document = fleets.with_policy(fleets.azure(trace), idle="proportional")
    samples = product.write_lines(tmp_path / "gpu.ndjson", trace.samples)

    landed = [
        apportion("ingest", str(traces.azure_file(name)), "--format", f"azure-{name}")["landed"]
        for name in ("conv", "code")
    ]
    again = apportion("ingest", str(traces.azure_file("conv")), "--format", "azure-conv")
    apportion("ingest", str(samples), "--format", "gpu")
    metered = apportion("meter", "--since", "2023-11-16T18:00Z", "--until", "2023-11-16T20:00Z")
    report = apportion("report", "--month", "2023-11")

    assert landed == [19_366, 8_819]
    assert again["landed"] == 0
    assert (metered["hours"], metered["refused"]) == (2, {})
    expected = _expected(document, trace)
    assert _amounts(report["rows"]) == expected
    assert Decimal(report["total"]) == sum(cost for _, cost in expected.values() if cost)


Amounts = dict[tuple[str, ...], tuple[int | None, Decimal | None]]


def _amounts(rows: list[dict[str, Any]]) -> Amounts:
    found: Amounts = {}
    for row in rows:
        key = tuple(
            row[name]
            for name in (
                "team_id",
                "cost_center",
                "provider",
                "model_id",
                "pool_id",
                "deployment_id",
                "cost_kind",
                "cause",
                "token_kind",
            )
        )
        tokens, cost = row["consumed_quantity"], row["effective_cost"]
        assert key not in found
        assert cost is None or len(cost.partition(".")[2]) == 9
        found[key] = int(tokens) if tokens else None, Decimal(cost) if cost else None
    return found


def _expected(document: fleets.Document, trace: traces.Trace) -> Amounts:
    ours, hours = fleet(document), product.hours_of(trace)
    lines = attributed(ours, oracle.charges(ours, trace.events, trace.samples, hours))
    return {
        (
            line.payer.team,
            line.payer.cost_center,
            line.provider,
            line.model,
            line.pool,
            line.deployment,
            line.cost_kind,
            line.cause,
            line.token_kind,
        ): (row.tokens, None if row.nano is None else Decimal(row.nano).scaleb(-9))
        for line, row in statement(ours, lines, settled(ours, lines, hours)).items()
    }
