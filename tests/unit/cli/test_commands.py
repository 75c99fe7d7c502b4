"""The commands as a newcomer meets them: demo, init, check, and clear answers to mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apportion.cli import main
from apportion.cli.commands import COMMANDS


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    capsys.readouterr()
    code = main(list(arguments))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_demo_conserves_every_nano(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status of the demo's ledger: charges equal origin charges in every month, and every record is accounted for."""
    code, out, _ = said(capsys, "status", "--json", "--config", str(demo / "apportion.toml"))
    found = json.loads(out)

    assert code == 0
    assert [month["origin_cost"] for month in found["months"]] == [month["charged_cost"] for month in found["months"]]
    assert found["months"]
    counts = found["ingest"]
    assert counts["received"] == sum(
        counts[name] for name in ("landed", "duplicates", "superseded", "conflicts", "rejected")
    )


def test_the_demo_leaves_its_files(demo: Path) -> None:
    """Chargeback, config and inputs stay for a look."""
    names = {path.name for path in demo.iterdir()}

    assert {
        "chargeback-2026-10.csv",
        "chargeback-2026-10.parquet",
        "apportion.toml",
        "usage.ndjson",
        "gpu.ndjson",
    } <= names


def test_the_demo_never_overwrites_a_folder_of_yours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with other files in it is refused, and left as it was."""
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    code, _, err = said(capsys, "demo", "--out", str(tmp_path))

    assert code == 2
    assert "not an earlier demo" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_reports_of_the_demo_add_up(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it is summed by, a month has one total."""
    totals = set()
    for by in ("team", "team,model", "pool,cost_kind", "team,day", "model,hour"):
        code, out, _ = said(
            capsys, "report", "--month", "2026-10", "--by", by, "--json", "--config", str(demo / "apportion.toml")
        )
        assert code == 0
        totals.add(json.loads(out)["total"])

    assert len(totals) == 1


def test_without_engines_there_is_nothing_to_reconcile(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo has no engine samples: that is said in words, and is no failure."""
    config = str(demo / "apportion.toml")
    code, out, _ = said(capsys, "reconcile", "--config", config)
    json_code, listed, _ = said(capsys, "reconcile", "--month", "2026-10", "--json", "--config", config)

    assert (code, json_code) == (0, 0)
    assert "No engine told its counters" in out
    assert {cause for pool in json.loads(listed)["pools"] for cause in pool["hours_by_cause"]} == {"no_telemetry"}


def test_a_month_without_charges_names_those_there_are(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asking for another month is answered with the months that exist."""
    code, _, err = said(capsys, "report", "--month", "2025-01", "--config", str(demo / "apportion.toml"))

    assert code != 0
    assert "2026-10" in err


def test_engine_samples_are_read_once_and_accounted_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of them lands, again it lands nothing, and `status` counts them beside the others; the quarantine can be tried again."""
    (tmp_path / "a.toml").write_text('[ledger]\npath = "a.duckdb"\nbilling_currency = "USD"\n', encoding="utf-8")
    file, config = tmp_path / "engines.ndjson", ["--json", "--config", str(tmp_path / "a.toml")]
    sound = [
        {"sampled_at": f"2026-10-15T1{hour}:00:00Z", "instance": "10.0.0.5:8000", "output_tokens": hour}
        for hour in range(3)
    ]
    wrong = {"sampled_at": "2026-10-15T13:00:00Z", "instance": "10.0.0.5:8000", "output_tokens": 1.5}
    file.write_text("".join(json.dumps(one) + "\n" for one in [*sound, wrong]), encoding="utf-8")
    copy = tmp_path / "copy.ndjson"
    copy.write_bytes(file.read_bytes())
    first, again = (
        json.loads(said(capsys, "ingest", str(path), "--format", "engine", *config)[1]) for path in (file, copy)
    )
    code, out, _ = said(capsys, "ingest", "--replay-rejections", *config)
    assert said(capsys, "meter", *config)[0] == 0
    counts = json.loads(said(capsys, "status", *config)[1])["ingest"]

    assert (first["landed"], first["rejected"], first["rejections"]) == (3, 1, {"wrong_type": 1})
    assert (again["landed"], again["duplicates"], again["rejected"]) == (0, 3, 1)
    assert (code, json.loads(out)["rejected"]) == (0, 2)
    assert (counts["adds_up"], counts["formats"]["engine"]["landed"]) == (True, 3)


def test_a_config_to_start_from_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`init` then `check` works as it stands, and a second `init` overwrites nothing."""
    assert said(capsys, "init", str(tmp_path))[0] == 0
    code, out, _ = said(capsys, "check", "--config", str(tmp_path / "apportion.toml"))
    again, _, err = said(capsys, "init", str(tmp_path))

    assert (code, again) == (0, 2)
    assert "ok" in out
    assert "apportion.toml" in err


def test_check_tells_what_the_fleet_sent(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pools and models by name, and the principal that nobody maps with its share and the remedy."""
    code, out, _ = said(capsys, "check", "--no-probe", "--config", str(demo / "apportion.toml"))

    assert code == 0
    assert "pools seen in 2026-10: h100-prod, l40s-batch\n" in out
    assert "models seen in 2026-10: " in out
    assert "warning principal key-intern-laptop (gateway) has no team (" in out
    assert "add a rule for it to [directory]\n" in out


def test_check_names_every_problem_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two mistakes are two sentences, each with file, key and fix; the exit code says config."""
    config = tmp_path / "apportion.toml"
    config.write_text(
        '[ledger]\npath = "a.duckdb"\nbilling_currency = "USD"\ncolour = "red"\n[policy]\nidle = "never"\n',
        encoding="utf-8",
    )
    code, _, err = said(capsys, "check", "--config", str(config))

    assert code == 2
    assert "colour" in err
    assert "policy.idle" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["report", "--month", "October"], "write it as 2026-10"),
        (["report", "--month", "2026-10", "--by", "day,hour"], "day or hour, not both"),
        (["report", "--month", "2026-10", "--by", "colour"], "colour"),
        (["report", "--month", "2026-10", "--format", "parquet"], "--out"),
        (["reconcile", "--month", "October"], "write it as 2026-10"),
        (["reconcile", "--month", "2026-10", "--since", "2026-10-01T00:00Z"], "--month is the whole time"),
        (["reconcile", "--since", "2026-10-02T00:00Z", "--until", "2026-10-02T00:00Z"], "is not before --until"),
        (["reconcile", "--until", "noon"], "write it as 2026-10-01T00:00Z"),
        (["meter", "--since", "yesterday"], "write it as 2026-10-01T00:00Z"),
        (["meter", "--since", "2026-10-01T00:00"], "has no zone"),
        (["meter", "--since", "2026-10-01T00:30Z"], "inside an hour"),
        (["ingest"], "name files"),
        (["ingest", "x.csv", "--format", "nothing"], "no format named 'nothing'"),
        (["ingest", "absent.ndjson"], "absent.ndjson"),
    ],
)
def test_mistakes_are_answered_with_the_next_step(
    demo: Path, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong argument ends in a sentence on stderr and a code that is not zero, never in a traceback."""
    code, _, err = said(capsys, *arguments, "--config", str(demo / "apportion.toml"))

    assert code in (1, 2)
    assert expected in err
    assert "Traceback" not in err


def test_errors_are_json_where_a_program_reads_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json an error is an object with its kind and sentence."""
    code, out, _ = said(capsys, "status", "--json", "--config", str(tmp_path / "absent.toml"))

    assert code == 2
    assert json.loads(out)["error"] == "ConfigError"


def test_options_may_stand_before_or_after_the_command(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`apportion --json status` and `apportion status --json` are the same."""
    config = ["--config", str(demo / "apportion.toml")]

    assert said(capsys, "--json", *config, "status")[1] == said(capsys, "status", "--json", *config)[1]


def test_every_command_has_a_module() -> None:
    """What `--help` lists can be run."""
    import importlib

    for name in COMMANDS:
        assert callable(importlib.import_module(f"apportion.cli.{name}").run)
