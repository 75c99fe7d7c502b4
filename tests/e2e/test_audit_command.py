"""`apportion audit shares` on a simulated engine's hour: the teams, the money, and clear answers to mistakes."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from apportion.cli import main
from apportion.config.load import load
from apportion.domain.money import NANO
from apportion.domain.money import nano as nano_of
from apportion.pipeline import Pipeline
from attribution.sharing import by_team
from tests.bench.simulator import bases, product
from tests.bench.simulator.engine import Run, simulate
from tests.bench.simulator.recorded import recorded
from tests.bench.simulator.workloads import WORKLOADS
from tests.frozen import FrozenClock

ASK = ("audit", "shares", "--day", "2026-10-01")
TOTAL = 4 * 2_490_000_000


@pytest.fixture(scope="module")
def run() -> Run:
    """A crowd of one team beside a job that runs all the time."""
    workload = next(one for one in WORKLOADS if one.name == "day and night")
    return simulate(workload.card, workload.requests(0.3), 1)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where its ledger is, metered."""
    made = tmp_path_factory.mktemp("audited")
    product.metered([run], made)
    return made


def asked(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command on the folder's config."""
    code = main([*arguments, "--config", str(folder / "apportion.toml")])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_audit_is_the_integral_over_lives(folder: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """By team: tokens as charged, and processor sharing as the page of methods computes it in fractions."""
    code, out, _ = asked(folder, capsys, *ASK, "--deployment", "simulated", "--json")
    found = json.loads(out)

    expected = bases.processor_sharing(TOTAL, recorded(run)).teams
    teams = {team["team"]: team for team in found["teams"]}
    assert code == 0
    assert found["requests"] == len(run.served)
    assert nano_of(found["compared_cost"]) == TOTAL
    assert nano_of(found["left_out_cost"]) == 0
    assert sum(nano_of(team["by_tokens"]) for team in teams.values()) == TOTAL
    assert sum(nano_of(team["by_sharing"]) for team in teams.values()) == TOTAL
    assert all(abs(nano_of(teams[name]["by_sharing"]) - amount) <= 1 for name, amount in expected.items())
    assert set(teams) == set(expected)
    moved = sum(abs(nano_of(team["difference"])) for team in teams.values()) // 2
    assert nano_of(found["moved_cost"]) == moved > NANO
    assert found["moved_share"] == f"0.{moved * 10**6 // TOTAL:06d}"
    assert float(found["requests_at_once"]) > 1


def test_the_audit_can_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people: a line per team, what both add up to, and what the difference means; of a pool likewise."""
    code, out, _ = asked(folder, capsys, *ASK, "--pool", "simulated")

    assert code == 0
    assert "Workload of simulated on 2026-10-01" in out
    assert {"crowd", "job", "owl"} <= set(out.split())
    assert out.count("9.960000000") == 2
    assert "Nothing is charged by it." in out
    assert re.search(r"\(\d+\.\d\d % of\s+it\)", out)
    assert "left out" not in out


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("--day", "2026-13-01", "--pool", "simulated"), "write it as 2026-10-01"),
        (("--day", "2026-10-01", "--pool", "other"), "there are simulated"),
        (("--day", "2026-10-01", "--deployment", "other"), "there are simulated"),
        (("--day", "2026-10-02", "--pool", "simulated"), "run `apportion meter`, or name another day"),
    ],
)
def test_mistakes_get_a_clear_answer(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], answer: str
) -> None:
    """What cannot be audited is refused with the fix, as a mistake of usage."""
    code, _, err = asked(folder, capsys, "audit", "shares", *arguments)

    assert code == 2
    assert answer in err


def test_a_day_without_durations_is_told(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """There is work, and nothing to compare it with: exit code 1, with what events have to say."""
    silent = tmp_path / "silent"
    shutil.copytree(folder, silent)
    with duckdb.connect(silent / "apportion.duckdb") as ledger:
        ledger.execute("UPDATE raw.usage_event SET duration_us = NULL")
    code, out, _ = asked(silent, capsys, *ASK, "--pool", "simulated", "--json")
    shown, text, _ = asked(silent, capsys, *ASK, "--pool", "simulated")

    found = json.loads(out)
    assert (code, shown, found["requests"], found["compared_cost"]) == (1, 1, 0, "0.000000000")
    assert found["failure"].startswith("no request of the day tells how long it took")
    assert "nothing to compare: no request of the day tells how long it took" in text


APART = """
[ledger]
path = "apportion.duckdb"
billing_currency = "USD"
metered_from = 2026-10-01T00:00:00Z
[[pools]]
id = "p"
gpu = "H100_SXM"
gpus = 2
effective_from = 2026-10-01T00:00:00Z
[[deployments]]
id = "reader"
pool = "p"
gpus = 1
models = ["m"]
role = "prefill"
effective_from = 2026-10-01T00:00:00Z
[[deployments]]
id = "writer"
pool = "p"
gpus = 1
models = ["m"]
role = "decode"
effective_from = 2026-10-01T00:00:00Z
[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "2"
effective_from = 2026-10-01T00:00:00Z
[policy]
utilization = "allocation"
"""


def test_prompts_that_another_deployment_read_are_timed_where_they_were_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deployment of role prefill has work and no durations of its own: the audit names the deployment that has them."""
    (tmp_path / "apportion.toml").write_text(APART, encoding="utf-8")
    event = {
        "event_id": "e", "source": "g", "occurred_at": "2026-10-01T00:30:00Z", "model": "m", "principal": "k",
        "uncached_input_tokens": 9, "output_tokens": 9, "duration_ms": 1000,
    }  # fmt: skip
    (tmp_path / "u.ndjson").write_text(json.dumps(event) + "\n", encoding="utf-8")
    pipeline = Pipeline.open(
        load(tmp_path / "apportion.toml"), FrozenClock(datetime(2026, 10, 1, 3, tzinfo=UTC)), threads=1
    )
    pipeline.ingest([tmp_path / "u.ndjson"], "usage")
    pipeline.meter()
    pipeline.close()
    code, out, _ = asked(tmp_path, capsys, *ASK, "--deployment", "reader", "--json")
    answered, _, _ = asked(tmp_path, capsys, *ASK, "--deployment", "writer", "--json")

    assert (code, answered) == (1, 0)
    assert "for writer, where the requests ran on" in json.loads(out)["failure"]


def test_a_caller_that_was_never_attributed_is_unmapped(ledger) -> None:
    """Its part is shown under `__unmapped__`, and not lost."""
    with ledger.transaction() as session:
        session.do(
            "CREATE TEMP TABLE compared AS SELECT TIMESTAMP '2026-10-01' AS charge_period_start, 7 AS caller_no, 5 AS tokens_nano, 6 AS sharing_nano"
        )
        (found,) = by_team(session, "temp.compared")

    assert (found.team, found.tokens_nano, found.sharing_nano) == ("__unmapped__", 5, 6)
