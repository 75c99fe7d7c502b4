"""`apportion check`: what the ledger shows of the config, and large configs in few lines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from apportion.cli import main

OCTOBER = "effective_from = 2026-10-01T00:00:00Z\n"


def checked(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> str:
    """What `check` prints of the config in a folder."""
    assert main(["check", "--no-probe", "--config", str(folder / "apportion.toml"), *options]) == 0
    return capsys.readouterr().out


def test_a_forced_method_that_says_nothing_is_shown_by_the_ledger(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No calibration is stored, so the newest hour of each deployment could not be split by it; one that is not forced is not told."""
    folder = tmp_path / "demo"
    shutil.copytree(demo, folder)
    config = folder / "apportion.toml"
    assert "is to be split by" not in checked(capsys, folder)

    written = config.read_text()
    config.write_text(written.replace("[policy]", '[policy]\nphase_split = "regression"'))
    out = checked(capsys, folder)
    assert (
        "deployment 'coder' is to be split by regression, which says nothing of its newest hour, 2026-10-07T23:00Z: no "
        "calibration is in force; such hours are split by weights; run `apportion calibrate --deployment coder`"
    ) in out
    assert out.count("is to be split by") == 3
    assert sum("is to be split by" in said for said in json.loads(checked(capsys, folder, "--json"))["warnings"]) == 3

    config.write_text(written.replace("[policy]", '[policy]\nphase_split = "auto"'))
    assert "is to be split by" not in checked(capsys, folder)


def test_a_large_config_is_told_in_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first rows of long lists and the first warnings of a kind, each with how many more there are; JSON has all of them."""
    pool = f'[[pools]]\nid = "p"\ngpu = "L4"\ngpus = 500\n{OCTOBER}'
    rate = f'[[rates]]\npool = "p"\ncomponent = "accelerator"\nper_gpu_hour = "1"\n{OCTOBER}'
    rows = "".join(
        f'[[deployments]]\nid = "d{n}"\npool = "p"\ngpus = 1\nmodels = ["m{n}"]\ncapacity_source = "learned"\n{OCTOBER}'
        for n in range(500)
    )
    (tmp_path / "apportion.toml").write_text(
        f'[ledger]\npath = "l.duckdb"\nbilling_currency = "USD"\n{pool}{rate}{rows}'
    )

    out = checked(capsys, tmp_path)
    assert len(out.splitlines()) < 250
    assert '"and 498 more; --json prints all"' in out
    assert "apportion.toml:deployments.capacity_source: 497 more like the last one" in out
    assert "500 warnings" in out
    found = json.loads(checked(capsys, tmp_path, "--json"))
    assert (len(found["config"]["deployments"]), len(found["warnings"])) == (500, 500)
