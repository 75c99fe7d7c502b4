"""The promises that need the counters of serving engines, by name, black-box: config text and files in, published results out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apportion.cli import main
from tests.properties.fleet_of_one import END, HOUR_COST, START, Fleet, config, event, sample, some_events

Open = Callable[..., Fleet]
POLICY = 'utilization = "{}"\nunlogged_tolerance = 0'


@pytest.fixture
def fleet_of(tmp_path: Path) -> Iterator[Open]:
    """Opens fleets, each in a folder of its own, and closes them."""
    opened: list[Fleet] = []

    def fleet(utilization: str) -> Fleet:
        opened.append(Fleet(tmp_path / f"fleet-{len(opened)}", config(policy=POLICY.format(utilization))))
        return opened[-1]

    yield fleet
    for one in opened:
        one.pipeline.close()


def reading(at: str, instance: str = "pod-a:8000", **counters: object) -> dict[str, Any]:
    """An engine sample of the fleet's model."""
    return {"sampled_at": at, "instance": instance, "model": "m", "software": "vllm", **counters}


def minute(number: int) -> str:
    """A minute of the fleet's hour."""
    return f"2026-10-05T12:{number:02d}:00Z"


@pytest.mark.parametrize("utilization", ["active", "capacity", "allocation"])
def test_a_lost_log_is_never_idle(fleet_of: Open, utilization: str) -> None:
    """What the engine did for a request whose log was lost is unattributed work: idle is what it is with the log, to the nano."""
    logs = [event("1", "search", 300_000), event("2", "ads", 700_000)]
    engine = [reading(START, prompt_tokens=0), reading(END, prompt_tokens=1_000_000)]
    bills = []
    for kept in (logs, logs[:1], []):
        fleet = fleet_of(utilization)
        fleet.ingest([sample("GPU-0", 0.75), sample("GPU-1", 0.75)], "gpu")
        fleet.ingest(engine, "engine")
        fleet.ingest(kept)
        bills.append(fleet.meter().costs("team_id"))
    whole, lost, silent = bills

    assert {bill.get("__idle__") for bill in bills} == {whole.get("__idle__")}
    assert lost == {**{team: cost for team, cost in whole.items() if team != "ads"}, "__unattributed__": whole["ads"]}
    assert silent["__unattributed__"] == whole["ads"] + whole["search"]
    assert {sum(bill.values()) for bill in bills} == {HOUR_COST}


def test_replica_restart_loses_no_tokens(fleet_of: Open) -> None:
    """A pod that began again, and one that took its place: all that they counted is in the logs, so nobody's share is nothing."""
    fleet = fleet_of("allocation")
    readings = [
        reading(START, prompt_tokens=10**9, started_at="2026-09-01T00:00:00Z"),
        reading(minute(10), prompt_tokens=10**9 + 400, started_at="2026-09-01T00:00:00Z"),
        reading(minute(20), prompt_tokens=150, started_at=minute(12)),
        reading(minute(30), prompt_tokens=50),  # began again, and nobody says when
        reading(minute(50), "pod-b:8000", prompt_tokens=300, started_at=minute(31)),
        reading(END, "pod-b:8000", prompt_tokens=400, started_at=minute(31)),
    ]
    fleet.ingest(readings, "engine")
    fleet.ingest([event("1", "search", 600), event("2", "ads", 400)])
    found = fleet.meter().costs("team_id")
    resets, counted = fleet.pipeline.ledger.session().row(
        "SELECT resets, prompt_tokens FROM metering.engine_usage_hourly"
    )

    assert found == {"search": HOUR_COST * 6 // 10, "ads": HOUR_COST * 4 // 10}
    assert (resets, counted) == (2, 1000)


def test_a_missing_engine_reading_is_absent_not_zero(fleet_of: Open) -> None:
    """An engine that tells nothing of the hour, or not of every kind of tokens, makes no team's tokens look like none."""
    bills = []
    for readings in (
        [],
        [reading(minute(30), requests_running=3)],
        [reading(minute(30), prompt_tokens=10**6)],
        [reading(START, output_tokens=5), reading(END, output_tokens=5 + 426)],
    ):
        fleet = fleet_of("allocation")
        fleet.ingest(readings, "engine")
        fleet.ingest(some_events())
        bills.append(fleet.meter().lines())

    assert bills[1:] == bills[:1] * 3


def test_reconcile_says_what_logs_do_not_explain(fleet_of: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """By pool for programs, hour by hour for people, from what was published, and a difference is no failure."""
    fleet = fleet_of("allocation")
    fleet.ingest(
        [reading(START, prompt_tokens=0, output_tokens=0), reading(END, prompt_tokens=1000, output_tokens=90)], "engine"
    )
    fleet.ingest([event("1", "search", 900, output_tokens=90)])
    fleet.meter()
    shared = ("--config", str(fleet.folder / "apportion.toml"))
    assert main(["reconcile", "--month", "2026-10", "--json", *shared]) == 0
    (pool,) = json.loads(capsys.readouterr().out)["pools"]
    assert main(["reconcile", "--since", START, "--until", END, "--pool", "pool", *shared]) == 0
    page = capsys.readouterr().out
    assert main(["reconcile", "--until", START, *shared]) == 0

    assert pool == {
        "pool": "pool", "engine_input_tokens": 1000, "logged_input_tokens": 900, "engine_output_tokens": 90, "logged_output_tokens": 90,
        "unlogged_input_tokens": 100, "unlogged_output_tokens": 0, "hours_by_cause": {"unlogged": 1},
    }  # fmt: skip
    assert page.splitlines()[-1].split() == [START, "one", "1,000", "900", "100", "90", "90", "0", "unlogged"]
    assert capsys.readouterr().out.startswith("No engine told its counters")
