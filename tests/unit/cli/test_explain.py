"""`apportion explain`: every figure leads down to what it is made of, and the parts add up to it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apportion.cli import main

HOUR = "2026-10-03T14:00Z"


def explained(capsys: pytest.CaptureFixture[str], demo: Path, *arguments: str) -> dict[str, Any]:
    """What `explain --json` says of the demo."""
    capsys.readouterr()
    assert main(["explain", "--json", "--config", str(demo / "apportion.toml"), *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def added(rows: list[dict[str, Any]], name: str = "effective_cost") -> Decimal:
    """The sum of an amount over rows."""
    return sum((Decimal(row[name]) for row in rows if row[name] is not None), Decimal(0))


def test_a_months_figure_is_the_sum_of_its_lines(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The month of a team: what was metered line by line, what settlement adds, and the dearest hours first."""
    found = explained(capsys, demo, "--month", "2026-10", "--team", "search")

    assert Decimal(found["effective_cost"]) == added(found["lines"]) > 0
    assert {row["cost_kind"] for row in found["settled"]} == {"idle", "overhead"}
    costs = [Decimal(row["effective_cost"]) for row in found["hours"]]
    assert costs == sorted(costs, reverse=True)
    assert len(costs) == 5


def test_an_hour_goes_down_to_rates_use_and_rungs(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Origin charges hold the deployment's cost, whose parts add up to it; of the rungs one is chosen, the others say why not."""
    found = explained(capsys, demo, "--hour", HOUR, "--team", "search")
    (hour,) = found["deployment_hours"]
    cost = hour["cost"]

    assert hour["deployment_id"] == "llama70b"
    assert [row["component"] for row in hour["origin_charges"]] == ["accelerator", "host"]
    assert Decimal(cost["effective_cost"]) <= added(hour["origin_charges"])
    assert Decimal(cost["workload"]) + Decimal(cost["unmeasured"]) + added(hour["idle"], "idle") == Decimal(
        cost["effective_cost"]
    )
    assert Decimal(cost["prefill"]) + Decimal(cost["decode"]) + Decimal(cost["unattributed"]) == Decimal(
        cost["workload"]
    )
    assert [row["phase_method"] for row in hour["phases"] if row["is_chosen"]] == ["weights/1"]
    assert all(row["failure"] for row in hour["phases"] if row["phase_method"] not in ("weights/1", "blended/1"))


def test_the_lines_of_every_deployment_make_its_workload(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for everybody, an hour's lines are the whole cost of the hour."""
    found = explained(capsys, demo, "--hour", HOUR)
    own = [line for line in found["lines"] if line["deployment_id"] == "llama70b"]
    (hour,) = [one for one in found["deployment_hours"] if one["deployment_id"] == "llama70b"]

    assert added(own) == Decimal(hour["cost"]["effective_cost"])


def test_people_read_it_from_top_to_bottom(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal: the figure, its origin, its use, the ladder with the chosen rung marked; of a month the next command."""
    capsys.readouterr()
    config = ["--config", str(demo / "apportion.toml")]
    assert main(["explain", "--hour", HOUR, "--team", "search", *config]) == 0
    hour = capsys.readouterr().out
    assert main(["explain", "--month", "2026-10", "--team", "search", *config]) == 0
    month = capsys.readouterr().out

    assert "rate card" in hour
    assert "idle: inactive" in hour
    assert "→  weights/1" in hour
    assert "no throughput is declared" in hour
    assert "To the bottom of one: add --hour 2026-10-" in month


@pytest.mark.parametrize(("arguments", "message"), [
    ((), "say which figure: --month 2026-10, or --hour"),
    (("--month", "october"), "--month 'october' is not a month"),
    (("--hour", "2026-10-03T14:30Z"), "is inside an hour; write its start"),
    (("--month", "2026-10", "--team", "nobody"), "teams with charges then: __idle__"),
    (("--month", "2031-01"), "charges reach from 2026-10-01 00:00 to"),
])  # fmt: skip
def test_a_question_without_an_answer_says_what_to_ask(
    demo: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    """Exit 2 and the next step."""
    capsys.readouterr()
    code = main(["explain", "--config", str(demo / "apportion.toml"), *arguments])

    assert code == 2
    assert message in capsys.readouterr().err
