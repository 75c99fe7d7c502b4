"""`apportion explain`: every figure leads down to what it is made of, and the parts add up to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from apportion.cli import main
from exporters import explanation, explanation_screen
from exporters.amounts import percent

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


def test_amounts_are_text_and_all_else_stays() -> None:
    """Every nano becomes nine decimals under its name without the unit, however deep; what is unpriced stays empty."""
    assert explanation.shown({"lines": [{"idle_nano": -1, "cost_nano": None, "tokens": 7}], "is_chosen": True}) == {
        "lines": [{"idle": "-0.000000001", "cost": None, "tokens": 7}], "is_chosen": True,
    }  # fmt: skip


def test_a_name_cannot_move_the_cursor() -> None:
    """What a model is called is printed without its control characters."""
    line = {
        "pool_id": "", "deployment_id": "", "provider": "p", "tier": "", "model_id": "m\x1b[2J", "cost_kind": "external", "cause": "no_price",
        "token_kind": "output", "allocation_method": "", "confidence": "", "hours": 1, "consumed_tokens": 5,
        "effective_cost_nano": None,
    }  # fmt: skip
    hour = datetime(2026, 10, 3, 14, tzinfo=UTC)
    found = {
        "period_start": hour, "period_end": hour, "team_id": "a\nb", "model_id": None, "deployment_id": None,
        "pool_id": None, "billing_currency": "USD", "effective_cost_nano": 0, "settled_cost_nano": None, "lines": [line],
        "causes": [], "deployment_hours": [], "external": [], "metered_to": hour,
    }  # fmt: skip
    page = StringIO()
    explanation_screen.show(found, Console(file=page, width=200))

    assert "\x1b" not in page.getvalue()
    assert "unpriced" in page.getvalue()
    assert page.getvalue().startswith("a�b, 2026-10-03 14:00")


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
    assert 'phase_split = "weights" by the policy; taken: weights/1, as asked' in hour
    assert "its 4.000 of the pool's 8.000 GPU-hours" in hour
    assert "To the bottom of one: --hour 2026-10-" in month
    assert "from settlement" in month


@pytest.mark.parametrize(("arguments", "message"), [
    ((), "say which figure: --month 2026-10, or --hour"),
    (("--month", "october"), "--month 'october' is not a month"),
    (("--hour", "2026-10-03T14:30Z"), "is inside an hour; write its start"),
    (("--month", "2026-10", "--team", "serach"), "team 'serach' has no charge from 2026-10-01 00:00 to 2026-11-01 00:00; teams that have: search, research, "),
    (("--month", "2026-10", "--deployment", "lama8b"), "deployments that have: llama8b, llama70b, coder."),
    (("--month", "2026-10", "--model", "gpt4"), "models that have: gpt-4o, "),
    (("--month", "2026-10", "--pool", "l40"), "pools that have: l40s-batch, h100-prod."),
    (("--hour", "2026-10-01T14:00Z", "--deployment", "coder"), "(it has some from 2026-10-03 00:00 to "),
    (("--month", "2026-10", "--team", "search", "--model", "gpt-4o"), "model 'gpt-4o' has no charge with team 'search'"),
    (("--month", "2026-10", "--team", "search", "--model", "gpt-4o", "--deployment", "coder"), "have no charge in common"),
    (("--month", "2026-10", "--hour", "2026-10-03T14:00Z"), "--hour and --month are two figures; say one of them."),
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


@pytest.mark.parametrize(
    "team", ["search", "support", "__idle__", "__overhead__", "__unattributed__", "__unmeasured__", "__unmapped__"]
)
def test_a_teams_month_leads_to_its_chargeback(demo: Path, capsys: pytest.CaptureFixture[str], team: str) -> None:
    """What was metered and what settlement adds is, to the nano, what the month's chargeback says of the team."""
    found = explained(capsys, demo, "--month", "2026-10", "--team", team)
    report = ["report", "--month", "2026-10", "--by", "team", "--format", "json"]
    assert main([*report, "--config", str(demo / "apportion.toml")]) == 0
    lines = json.loads(capsys.readouterr().out)["rows"]

    charged = added([line for line in lines if line["team_id"] == team and line["effective_cost"]])
    assert Decimal(found["charged_cost"]) == charged == Decimal(found["effective_cost"]) + added(found["settled"])


@pytest.mark.parametrize(
    "arguments",
    [(), ("--team", "search"), ("--team", "__idle__"), ("--model", "llama-3.1-8b"), ("--deployment", "coder")],
)
def test_what_was_asked_about_is_all_there_in_the_parts(
    demo: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Of each part of a deployment's hour it says what the question's lines bear: together they are the figure, and never more than a part."""
    found = explained(capsys, demo, "--hour", HOUR, *arguments)
    elsewhere = added([line for line in found["lines"] if line["cost_kind"] in ("overhead", "external")])

    asked = [Decimal(part) for hour in found["deployment_hours"] for part in hour["asked"].values()]
    assert sum(asked) + elsewhere == Decimal(found["effective_cost"]) > 0
    for hour in found["deployment_hours"]:
        assert all(Decimal(hour["asked"][part]) <= Decimal(hour["cost"][part]) for part in hour["asked"])
        assert added(hour["idle"], "asked") == Decimal(hour["asked"]["idle"])


def test_times_are_rfc_3339(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read times with a T and a Z, however deep."""
    found = explained(capsys, demo, "--hour", HOUR, "--team", "search")

    assert (found["period_start"], found["period_end"]) == ("2026-10-03T14:00:00Z", "2026-10-03T15:00:00Z")
    assert found["deployment_hours"][0]["origin_charges"][0]["charge_period_start"] == "2026-10-03T14:00:00Z"


def test_percentages_round_and_add_up() -> None:
    """Half to even: two parts of a whole that are shown still add up to it, ties included."""
    assert [percent(1, 3), percent(2, 3)] == ["33.33 %", "66.67 %"]
    assert [percent(1, 16), percent(15, 16)] == ["6.25 %", "93.75 %"]
    assert [percent(1, 160), percent(159, 160)] == ["0.62 %", "99.38 %"]
    assert [percent(3, 800), percent(797, 800)] == ["0.38 %", "99.62 %"]
    assert percent(0, 0) == ""
