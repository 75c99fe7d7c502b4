"""Legal events at a legal price may come to more than a row holds: it is said which step and hours, and nothing else breaks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.cli import main
from apportion.config.load import load
from apportion.config.prices_reading import PRICE_MAX
from apportion.domain.tokens import TOKENS_MAX
from apportion.ledger.connection import Ledger
from apportion.pipeline import Pipeline
from apportion.schedule import Job, Runner
from apportion.service import Service
from tests.frozen import FrozenClock

CONFIG = """
[ledger]
path = "l.duckdb"
billing_currency = "USD"
[[prices.overrides]]
provider = "openai"
model = "m"
input = "{price}"
"""
NOW = datetime(2026, 10, 4, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Ten events of as many tokens as one may have, of one caller and hour, at the highest price there may be: ten billion dollars."""
    file = tmp_path / "apportion.toml"
    file.write_text(CONFIG.format(price=PRICE_MAX), encoding="utf-8")
    events = tmp_path / "events.ndjson"
    event = {"source": "s", "occurred_at": "2026-10-03T14:10:00Z", "model": "m", "provider": "openai", "principal": "p"}
    lines = [{**event, "event_id": str(number), "uncached_input_tokens": TOKENS_MAX} for number in range(10)]
    events.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert main(["ingest", str(events), "--config", str(file)]) == 0
    return file


def hours(ledger: Ledger, table: str) -> int:
    """How many hours a table of hours names."""
    return int(ledger.session().value(f"SELECT count(*) FROM {table}"))


def test_metering_names_the_step_and_keeps_the_hour_due(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 and a sentence, no traceback; the hour is refused and stays due, and once the price is right it is metered."""
    capsys.readouterr()
    assert main(["meter", "--config", str(config)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "refused 1 hours from 2026-10-03T14:00:00+00:00: metering.external_usage_hourly from 2026-10-03T14:00Z to "
        "2026-10-03T15:00Z: a number is larger"
    ) in said
    assert "nothing was changed. Look for a count, weight, rate or price that cannot be true." in said
    assert "Traceback" not in said
    with Ledger(config.with_name("l.duckdb")) as ledger:
        assert (hours(ledger, "metering.metered_hour"), hours(ledger, "raw.dirty_hour")) == (0, 1)
        assert hours(ledger, "metering.refused_hour") == 1

    config.write_text(CONFIG.format(price="2.50"), encoding="utf-8")
    assert main(["meter", "--config", str(config)]) == 0
    with Ledger(config.with_name("l.duckdb")) as ledger:
        assert (hours(ledger, "metering.metered_hour"), hours(ledger, "raw.dirty_hour")) == (1, 0)
        assert (
            ledger.session().value("SELECT sum(effective_cost_nano)::BIGINT FROM metering.charge_hourly")
            == 250_000 * 10**9
        )


def test_programs_read_which_hours_and_why(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the hour has its reason, as one has that waits for a rate."""
    capsys.readouterr()

    assert main(["meter", "--json", "--config", str(config)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["hours"], list(said["refused"])) == (0, ["2026-10-03T14:00:00+00:00"])
    assert said["refused"]["2026-10-03T14:00:00+00:00"].startswith("metering.external_usage_hourly from ")


def test_an_hour_that_cannot_be_computed_holds_up_no_other(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ninety others of its month are metered and published; it is named, and waits."""
    usage = config.with_name("more.ndjson")
    event = {"source": "s", "model": "m", "provider": "openai", "principal": "p", "uncached_input_tokens": 1}
    usage.write_text(
        "".join(
            json.dumps({**event, "occurred_at": f"2026-10-{day:02}T{hour:02}:10:00Z", "event_id": f"{day}/{hour}"}) + "\n"
            for day in range(1, 5) for hour in range(24) if (day, hour) != (3, 14)
        ),
        encoding="utf-8",
    )  # fmt: skip
    assert main(["ingest", str(usage), "--config", str(config)]) == 0
    assert main(["meter", "--config", str(config)]) == 1
    with Ledger(config.with_name("l.duckdb")) as ledger:
        assert (hours(ledger, "metering.metered_hour"), hours(ledger, "metering.refused_hour")) == (95, 1)
        assert hours(ledger, "raw.dirty_hour") == 1
    capsys.readouterr()
    assert main(["status", "--json", "--config", str(config)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["metered_hours"], said["refused_hours"]) == (95, 1)
    assert said["watermark"].startswith("2026-10-03T14:00")

    config.write_text(CONFIG.format(price="2.50"), encoding="utf-8")
    assert main(["meter", "--config", str(config)]) == 0
    with Ledger(config.with_name("l.duckdb")) as ledger:
        assert (hours(ledger, "metering.metered_hour"), hours(ledger, "metering.refused_hour")) == (96, 0)


def test_serving_goes_on_and_says_so(config: Path) -> None:
    """A run with such an hour is published, recorded and shown in readiness; the next one without clears it."""
    with Pipeline.open(load(config), FrozenClock(NOW), threads=1) as pipeline:
        service = Service(pipeline)
        job = Job(name="meter", run=service.meter, every_seconds=60)
        runner = Runner(job, clock=pipeline.clock, record=service.record, pause=lambda _: False)
        failed, unready = runner(), service.readiness()
        recorded = pipeline.ledger.session().rows("SELECT DISTINCT job, outcome FROM ledger.job_run")

        config.write_text(CONFIG.format(price="2.50"), encoding="utf-8")
        pipeline.config = load(config)
        assert (failed, recorded) == (False, [("meter", "refused")])
        assert unready.startswith(
            "the last metering run refused: 0 hours metered, 1 could not be computed, from 2026-10-03T14:00Z on: "
            "metering.external_usage_hourly from 2026-10-03T14:00Z to 2026-10-03T15:00Z: a number is larger"
        )
        assert runner() is True
        assert service.readiness() == ""
