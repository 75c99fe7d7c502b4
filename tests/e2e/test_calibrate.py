"""`apportion calibrate` over two days of a real ledger: what it prints, what it changes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from apportion.cli import main
from apportion.config.load import load
from apportion.ledger.connection import Session
from apportion.pipeline import Pipeline
from tests.e2e import product
from tests.e2e.fleets import toml
from tests.frozen import FrozenClock

START = datetime(2026, 10, 15, tzinfo=UTC)
HOURS = 48
END = START + timedelta(hours=HOURS)
PROMPT_US, OUTPUT_US = 36, 720
DOCUMENT: dict[str, Any] = {
    "ledger": {"path": "apportion.duckdb", "billing_currency": "USD", "metered_from": START},
    "policy": {"phase_split": "auto"},
    "pools": [{"id": "p", "gpu": "H100_SXM", "gpus": 2, "effective_from": START}],
    "deployments": [
        {
            "id": "d", "pool": "p", "gpus": 2, "models": ["llama"], "effective_from": START,
            "service_level": {"ttft_ms": 500, "tpot_ms": 50, "quantile": "0.9"},
        }
    ],
    "rates": [{"pool": "p", "component": "accelerator", "per_gpu_hour": "3.00", "effective_from": START}],
}  # fmt: skip


def tokens(hour: int) -> tuple[int, int]:
    """Prompt and output tokens of an hour, which go their own ways."""
    r = Random(hour)
    return r.randrange(1, 100) * 1_000_000, r.randrange(1, 40) * 100_000


def weighted(hour: int) -> int:
    """Weighted tokens of an hour per GPU-hour: output weighs six, two GPUs."""
    prompt, output = tokens(hour)
    return (prompt + 6 * output) // 2


@pytest.fixture
def apportion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Two days ingested and metered -> runs a command and gives its exit code and what it printed."""
    slow_above = sorted(weighted(hour) for hour in range(HOURS))[40]
    requests, samples = [], []
    for hour in range(HOURS):
        prompt, output = tokens(hour)
        at = (START + timedelta(hours=hour, minutes=30)).isoformat()
        ttft = 900 if weighted(hour) > slow_above else 300
        requests += [
            {"event_id": f"{hour}-{part}", "source": "log", "occurred_at": at, "model": "llama", "ttft_ms": ttft,
             "duration_ms": ttft + output // 10 * 40, "uncached_input_tokens": prompt // 10, "output_tokens": output // 10}
            for part in range(10)
        ]  # fmt: skip
        ratio = Decimal(prompt * PROMPT_US + output * OUTPUT_US) / (2 * 3_600_000_000)
        samples += [
            {"sampled_at": (START + timedelta(hours=hour, seconds=second)).isoformat(), "gpu_uuid": gpu, "gpu": "H100_SXM",
             "deployment": "d", "active_ratio": round(ratio, 6)}
            for gpu in ("a", "b") for second in range(0, 3600, 120)
        ]  # fmt: skip
    config = tmp_path / "apportion.toml"
    with product.opened(tmp_path, DOCUMENT, END) as pipeline:
        pipeline.ingest([product.write_lines(tmp_path / "usage.ndjson", requests)], "usage")
        outcome = pipeline.ingest([product.write_lines(tmp_path / "gpu.ndjson", samples)], "gpu").outcome
        assert (outcome.landed, outcome.rejected) == (len(samples), 0)
        pipeline.meter()

    def run(*arguments: str) -> tuple[int, str]:
        code = main(["calibrate", "--config", str(config), *arguments])
        printed = capsys.readouterr()
        return code, printed.out or printed.err

    return run


def ask(folder: Path, question: Callable[[Session], Any]) -> Any:
    """Meter what is due, then ask the ledger."""
    with Pipeline.open(load(folder / "apportion.toml"), FrozenClock(END)) as pipeline:
        pipeline.meter()
        return question(pipeline.ledger.session())


def test_a_calibration_is_what_hours_are_split_by_from_then_on(apportion: Any, tmp_path: Path) -> None:
    """The times are found, the hours they reach are metered again, and their rows say so."""
    code, printed = apportion("--deployment", "d", "--from", "2026-10-16T00:00Z", "--json")
    told = json.loads(printed)

    assert (code, told["failure"], told["recorded"], told["hours"], told["source"]) == (0, "", True, HOURS, "gpu")
    assert round(told["coefficients"]["prompt"] / PROMPT_US / 10**6, 2) == 1
    assert round(told["coefficients"]["decode"] / OUTPUT_US / 10**6, 2) == 1
    assert told["method_now"] == "active/1+weights/1"
    rows = ask(tmp_path, lambda session: session.rows(
        "SELECT allocation_method, confidence::VARCHAR, min(charge_period_start), count(*) FROM metering.deployment_hourly GROUP BY 1, 2 ORDER BY 1"
    ))  # fmt: skip
    assert rows == [
        ("active/1+regression/1", "calibrated", START + timedelta(days=1), 24), ("active/1+weights/1", "assumed", START, 24),
    ]  # fmt: skip


def test_a_dry_run_writes_nothing(apportion: Any, tmp_path: Path) -> None:
    """It shows coefficients, how well they fit, and what they would change."""
    code, printed = apportion("--deployment", "d", "--dry-run")

    assert code == 0
    assert "R2 1.0000" in printed
    assert "prefill would bear" in printed
    assert "nothing was written" in printed
    assert ask(tmp_path, lambda session: session.value("SELECT count(*) FROM metering.phase_coefficient")) == 0


def test_a_fit_that_fails_says_why_and_exits_with_one(apportion: Any, tmp_path: Path) -> None:
    """Ten hours are too few, and the ladder repeats the reason."""
    code, printed = apportion(
        "--deployment", "d", "--until", "2026-10-15T10:00Z", "--from", "2026-10-15T10:00Z"
    )  # fmt: skip

    reason = "only 10 of 10 hours with usage have telemetry, and a fit needs 24"
    assert (code, reason in printed) == (1, True)
    said = ask(tmp_path, lambda session: session.rows(
        "SELECT DISTINCT failure FROM metering.phase_method_hourly WHERE phase_method = 'regression/1' ORDER BY 1"
    ))  # fmt: skip
    assert said == [("no calibration is in force",), (reason,)]


def test_a_capacity_is_the_best_hour_that_met_the_level(apportion: Any) -> None:
    """Weighted tokens per GPU-hour; it prints the lines to write, and hours above it that were too slow."""
    loads = sorted(weighted(hour) for hour in range(HOURS))
    code, printed = apportion("--deployment", "d", "--capacity", "--json")
    told = json.loads(printed)

    assert (code, told["capacity_per_gpu_hour"], told["missed_least"]) == (0, loads[40], loads[41])
    assert (told["hours_met"], told["hours_missed"], told["hours_unknown"]) == (41, 7, 0)
    code, printed = apportion("--deployment", "d", "--capacity")
    assert f'capacity_per_gpu_hour = {loads[40]:_}\ncapacity_source = "learned"' in printed
    assert "the least loaded hour that missed it" in printed


def test_a_service_level_can_be_given(apportion: Any) -> None:
    """Options go before the config: at a lax level nothing missed it, and at a strict one nothing met it."""
    lax = apportion("--deployment", "d", "--capacity", "--ttft-ms", "1000")
    strict = apportion("--deployment", "d", "--capacity", "--tpot-ms", "0.5", "--json")

    assert lax[0] == 0
    assert "no hour missed it, so this is the least that the deployment sustains" in lax[1]
    assert (strict[0], json.loads(strict[1])["failure"]) == (1, "no hour met the service level")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--deployment", "x"), "--deployment 'x' is not known to the ledger; there are d."),
        (("--deployment", "d", "--since", "2026-10-15T00:30Z"), "--since is inside an hour"),
        (("--deployment", "d", "--min-r2", "2"), "--min-r2 '2' is not a share; write one from 0 to 1, such as 0.9."),
        (("--deployment", "d", "--capacity", "--quantile", "2"), "--quantile is 2; write a share above 0 and up to 1"),
        (("--deployment", "d", "--until", "2026-10-15T00:00Z"), "holds no hour"),
    ],
)
def test_what_cannot_be_asked_is_refused(apportion: Any, arguments: tuple[str, ...], said: str) -> None:
    """With what is wrong, and exit code 2."""
    code, printed = apportion(*arguments)

    assert (code, said in printed) == (2, True), printed


def test_too_little_says_what_to_do(apportion: Any) -> None:
    """Ten hours are too few, and a time without usage tells nothing at all."""
    ten = json.loads(apportion("--deployment", "d", "--dry-run", "--until", "2026-10-15T10:00Z", "--json")[1])
    none = json.loads(
        apportion(
            "--deployment", "d", "--dry-run", "--since", "2026-11-15T00:00Z", "--until", "2026-11-16T00:00Z", "--json"
        )[1]
    )
    text = apportion("--deployment", "d", "--dry-run", "--until", "2026-10-15T10:00Z")[1]

    assert (ten["r2"], ten["condition"], ten["unknown"]) == (None, None, {})
    assert ten["remedy"].startswith("widen --since and --until, or wait for more hours")
    assert none["failure"] == "no hour of the time has usage of the deployment"
    assert "; widen --since and --until" in text


def test_a_capacity_needs_a_service_level(apportion: Any, tmp_path: Path) -> None:
    """None in the config and none given is a question without an answer."""
    bare = {
        **DOCUMENT,
        "deployments": [{key: value for key, value in DOCUMENT["deployments"][0].items() if key != "service_level"}],
    }
    (tmp_path / "apportion.toml").write_text(toml(bare), encoding="utf-8")
    code, printed = apportion("--deployment", "d", "--capacity")

    assert code == 2
    assert "a capacity holds at a service level; give --ttft-ms and --tpot-ms" in printed
