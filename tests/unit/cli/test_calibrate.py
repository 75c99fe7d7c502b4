"""`apportion calibrate` and `apportion audit`: figures that are no numbers, and a ledger that another process holds."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from math import inf
from pathlib import Path

import pytest

from apportion.cli import main
from apportion.cli.calibrate import UNKNOWN, _remedy, _show, _told
from apportion.domain.period import HOUR, Period
from apportion.ledger.connection import Ledger
from metering.calibration import TERMS, Fit, _failure
from metering.least_squares import Solution
from tests.frozen import FrozenClock

HOLD_OPEN = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_every_failure_of_a_fit_is_told_at_once() -> None:
    """With a remedy for each, and not the second only once the first is mended."""
    solution = Solution(coefficients=(1.0, 1.0), r2=0.25, condition=99.0, residual_rms=0.0)
    said = _failure(dict.fromkeys(TERMS, 1), ("prompt", "decode"), solution, 0.9)
    assert said == (
        "tokens of its kinds come together (condition number 99.0, at most 30), so their times cannot be told apart; "
        "R2 is 0.250, and 0.9 is asked for"
    )

    start = FrozenClock().now()
    remedy = _remedy(
        Fit(
            deployment_no=1, window=Period(start, start + HOUR), hours=30, picoseconds=dict.fromkeys(TERMS, 1), failure=said,
            solution=solution,
        )
    )  # fmt: skip
    assert "choose a time in which prompts and outputs change apart" in remedy
    assert "; look for other work on these GPUs" in remedy


def test_the_table_of_a_fit_is_like_every_other(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Aligned columns under a rule, without a frame."""
    lines = printed(ledger, capsys, as_json=False).splitlines()
    at = lines.index("Time of a token")

    assert lines[at + 2].split() == ["tokens", "time", "unit", "fitted"]
    assert set(lines[at + 3]) == {"─", " "}
    assert "│" not in "".join(lines)


def printed(ledger: Ledger, capsys: pytest.CaptureFixture[str], *, as_json: bool) -> str:
    """What is printed of a fit whose figures are infinite."""
    start = FrozenClock().now()
    found = Fit(
        deployment_no=1, window=Period(start, start + HOUR), hours=30, source="gpu", terms=("prompt", "decode"),
        picoseconds=dict.fromkeys(TERMS, 1), failure="tokens of its kinds come together",
        solution=Solution(coefficients=(1.0, 1.0), r2=-inf, condition=inf, residual_rms=0.0),
    )  # fmt: skip
    told = {"deployment": "d", **_told(ledger.session(), found), "recorded": False}
    _show(told, found, argparse.Namespace(json=as_json, dry_run=True))
    return capsys.readouterr().out


def test_what_is_no_number_is_null_with_a_reason(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON knows no infinity, and a program that reads strictly must not stumble over one."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(printed(ledger, capsys, as_json=True), parse_constant=refuse)
    assert (found["r2"], found["condition"], found["unknown"]) == (None, None, UNKNOWN)


def test_what_is_no_number_is_told_in_words(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do instead."""
    said = " ".join(printed(ledger, capsys, as_json=False).split())
    assert "R2 none: every hour took the same time" in said
    assert "condition number infinite: the tokens of one kind are a mixture of others" in said
    assert "come together; choose a time in which prompts and outputs change apart" in said


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("calibrate", ("--deployment", "d")), ("audit", ("shares", "--day", "2026-10-01", "--deployment", "d"))],
)
def test_a_ledger_that_serve_holds_says_whom_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, arguments: tuple[str, ...]
) -> None:
    """The process, what it most likely is, and why the command cannot run beside it."""
    config, path = tmp_path / "apportion.toml", tmp_path / "l.duckdb"
    config.write_text('[ledger]\npath = "l.duckdb"\nbilling_currency = "USD"\n')
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        code = main([command, *arguments, "--config", str(config)])
        said = capsys.readouterr().err
        holder.communicate()

    assert code == 1
    assert f"process {holder.pid} has this ledger open, as `apportion serve` does while it runs" in said
    assert f"`apportion {command}` asks the ledger itself; stop that process, run this, and start it again" in said
