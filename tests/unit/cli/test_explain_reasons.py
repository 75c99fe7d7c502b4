"""`apportion explain`: why a figure is what it is, who asked for it, and what somebody can do about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from apportion.cli import main
from apportion.ledger.connection import Ledger, read_only
from exporters import causes

HOUR = "2026-10-03T14:00Z"


def explained(capsys: pytest.CaptureFixture[str], demo: Path, *arguments: str) -> dict[str, Any]:
    """What `explain --json` says of the demo."""
    capsys.readouterr()
    assert main(["explain", "--json", "--config", str(demo / "apportion.toml"), *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_who_asked_for_the_phase_split_and_why_it_was_not_taken(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deployment that asks for more than is known is split by weights: who asked, for what, and why not stands beside it."""
    own = copied(demo, tmp_path)
    config = own / "apportion.toml"
    asked = config.read_text(encoding="utf-8").replace("[policy]\n", '[policy]\nphase_split = "auto"\n')
    config.write_text(
        asked.replace('id = "llama70b"\n', 'id = "llama70b"\nphase_split = "throughput"\n'), encoding="utf-8"
    )
    assert main(["meter", "--since", HOUR, "--until", "2026-10-03T15:00Z", "--config", str(config)]) == 0
    found = explained(capsys, own, "--hour", HOUR)
    choices = {
        hour["deployment_id"]: hour["phase_choice"] for hour in found["deployment_hours"] if hour["phase_choice"]
    }

    assert choices["llama70b"] == {
        "phase_split": "throughput", "policy_phase_split": "auto", "phase_method": "weights/1", "asked_by": "deployment",
        "failure": "no throughput is declared",
    }  # fmt: skip
    assert choices["coder"] == {
        "phase_split": "auto", "policy_phase_split": "auto", "phase_method": "weights/1", "asked_by": "policy", "failure": "",
    }  # fmt: skip
    assert main(["explain", "--hour", HOUR, "--config", str(config)]) == 0
    screen = capsys.readouterr().out
    assert (
        'phase_split = "throughput" by the deployment, where the policy says auto; taken: weights/1, since throughput'
        in screen
    )
    assert 'phase_split = "auto" by the policy; taken: weights/1, the best rung that can say' in screen


def test_an_hour_from_before_rungs_were_kept_says_how_to_get_them(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger that was upgraded has hours without rungs: the command that meters their month again stands there, and works."""
    own = copied(demo, tmp_path)
    with Ledger(own / "apportion.duckdb") as ledger, ledger.transaction() as session:
        session.do("DELETE FROM metering.phase_method_hourly")
        session.do("UPDATE metering.phase_share_hourly SET phase_split = ''")
    (own / "apportion.results.duckdb").unlink()
    config = ["--config", str(own / "apportion.toml")]
    assert main(["meter", "--since", "2026-10-01T00:00Z", "--until", "2026-10-01T01:00Z", *config]) == 0
    (before,) = explained(capsys, own, "--hour", HOUR, "--team", "search")["deployment_hours"]
    assert "before the rungs of its phase split were kept" in before["note"]
    assert before["phase_choice"]["asked_by"] == ""

    command = before["note"].split("`")[1].split()
    assert command[:4] == ["apportion", "meter", "--since", "2026-10-01T00:00Z"]
    assert main([*command[1:], *config]) == 0
    (after,) = explained(capsys, own, "--hour", HOUR, "--team", "search")["deployment_hours"]
    assert "note" not in after
    assert after["phase_choice"]["asked_by"] == "policy"


def test_results_of_an_earlier_version_ask_to_be_published_again(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A results file without what an explanation reads is no traceback and no name of a table."""
    own = copied(demo, tmp_path)
    with Ledger(own / "apportion.results.duckdb") as results, results.transaction() as session:
        session.do("DROP TABLE phase_choices")
    capsys.readouterr()

    assert main(["explain", "--hour", HOUR, "--config", str(own / "apportion.toml")]) == 1
    assert (
        "published by an earlier version of apportion; `apportion meter` publishes them again"
        in capsys.readouterr().err
    )


def test_every_cause_of_the_demo_says_what_to_do(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unpriced, idle, unmeasured, unattributed and shared lines each lead to somebody and a next step."""
    found = {one["cause"]: one["who_can_act"] for one in explained(capsys, demo, "--month", "2026-10")["causes"]}

    assert {"no_price", "inactive", "unscheduled", "unmeasured", "busy_no_tokens", "overhead"} <= set(found)
    assert "[[prices.overrides]]" in found["no_price"]
    assert all(": " in said for said in found.values())


def test_only_causes_of_the_lines_are_told(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines do not say who is unmapped, so that only who asks about the unmapped is told what to do about them."""
    pool = explained(capsys, demo, "--month", "2026-10", "--pool", "l40s-batch")
    unmapped = explained(capsys, demo, "--month", "2026-10", "--team", "__unmapped__")

    said = {line["cause"] or line["cost_kind"] for line in pool["lines"]}
    assert {one["cause"] for one in pool["causes"]} <= said
    assert "__unmapped__" in {one["cause"] for one in unmapped["causes"]}


def test_no_line_of_the_demo_lacks_a_cause_that_is_known(demo: Path) -> None:
    """Whatever metering writes as a cause is in the table of causes, but for names of shared costs."""
    results = read_only(demo / "apportion.results.duckdb")
    found = results.rows("SELECT DISTINCT cause FROM chargeback_hourly WHERE cause <> '' AND cost_kind <> 'overhead'")

    assert len(found) >= 5
    assert {cause for (cause,) in found} <= set(causes.CAUSES)


def copied(demo: Path, folder: Path) -> Path:
    """A copy of the demo, to change."""
    return Path(shutil.copytree(demo, folder / "demo"))
