"""`serve` as a real process: it answers, holds the ledger alone, and leaves cleanly."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from apportion import simulation
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 90


def apportion(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "apportion", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def fetch(url: str) -> tuple[int, str]:
    """Status and text of a page; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder with a config, landed usage, and nothing metered yet."""
    folder, port = tmp_path_factory.mktemp("fleet"), free_port()
    config, usage, _ = simulation.write(folder)
    config.write_text(config.read_text(encoding="utf-8") + f'\n[http]\nlisten = "127.0.0.1:{port}"\n', encoding="utf-8")
    landed = apportion("ingest", str(usage), "--json", folder=folder)
    assert landed.returncode == 0, landed.stderr
    return folder, port


@pytest.fixture(scope="module")
def serving(fleet: tuple[Path, int]) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """A `serve` that is ready; stopped by its pid at the end, if a test did not stop it."""
    folder, port = fleet
    process = subprocess.Popen(
        [sys.executable, "-m", "apportion", "serve"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while fetch(f"http://127.0.0.1:{port}/readyz")[0] != 200:
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            assert time.monotonic() < deadline, "serve was not ready in time"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)  # or until it dies
        yield process, folder, port
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def test_metrics_say_what_the_report_says(serving: tuple[subprocess.Popen[str], Path, int]) -> None:
    """The month to date on /metrics adds up to the total that `report` prints while `serve` runs."""
    from decimal import Decimal

    _, folder, port = serving
    months = json.loads(apportion("status", "--json", folder=folder).stdout)["months"]
    newest = months[-1]["month"]
    report = json.loads(apportion("report", "--month", newest, "--json", folder=folder).stdout)
    _, page = fetch(f"http://127.0.0.1:{port}/metrics")
    lines = [line for line in page.splitlines() if line.startswith("apportion_month_to_date_cost_usd{")]

    assert sum(Decimal(line.rsplit(" ", 1)[1]) for line in lines) == Decimal(report["total"])
    assert "apportion_conserved 1" in page


def test_a_second_process_is_refused_by_name(serving: tuple[subprocess.Popen[str], Path, int]) -> None:
    """While `serve` holds the ledger, `meter` and `ingest` name its pid and say what to do."""
    process, folder, _ = serving
    for command in (["meter"], ["ingest", "usage.ndjson"]):
        refused = apportion(*command, folder=folder)

        assert refused.returncode == 1
        assert f"process {process.pid} has this ledger open" in refused.stderr


def test_sigterm_ends_it_cleanly(serving: tuple[subprocess.Popen[str], Path, int]) -> None:
    """SIGTERM ends it with code 0, the port is free, and the ledger opens again with everything in it."""
    process, folder, port = serving
    before = json.loads(apportion("status", "--json", folder=folder).stdout)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=WAIT_SECONDS)
    metered = apportion("meter", "--json", folder=folder)
    after = json.loads(apportion("status", "--json", folder=folder).stdout)

    assert process.returncode == 0
    assert fetch(f"http://127.0.0.1:{port}/healthz")[0] == 0
    assert metered.returncode == 0, metered.stderr
    assert json.loads(metered.stdout)["hours"] <= 1
    assert [m["charged_cost"] for m in after["months"]][:-1] == [m["charged_cost"] for m in before["months"]][:-1]
