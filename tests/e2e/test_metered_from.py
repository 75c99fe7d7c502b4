"""Where metering begins may be moved at any time: figures are then those of a ledger that always began there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.cli import main
from apportion.config.load import load
from apportion.pipeline import Pipeline
from tests.frozen import FrozenClock

CONFIG = """
[ledger]
path = "l.duckdb"
billing_currency = "USD"
{begins}
[[pools]]
id = "p"
gpu = "H100_SXM"
gpus = 4
effective_from = 2026-10-03T00:00:00Z
[[deployments]]
id = "d"
pool = "p"
gpus = 4
models = ["m"]
effective_from = 2026-10-03T00:00:00Z
[[assets]]
id = "a"
pool = "p"
gpus = 8
effective_from = 2026-09-29T00:00:00Z
capex = "480000"
life_months = 60
[policy]
utilization = "allocation"
idle = "proportional"
[directory]
rules = [{{ principal = "k*", team = "search", cost_center = "c" }}]
"""
NOW = datetime(2026, 10, 4, tzinfo=UTC)
SAME = (
    "metering.charge_hourly", "metering.origin_charge_hourly", "metering.asset_hourly", "metering.placed_usage_hourly",
    "metering.deployment_hourly", "attribution.charge_hourly", "attribution.charge_daily", "attribution.charge_monthly",
    "attribution.settlement", "attribution.unit_cost_monthly", "attribution.published", "metering.refused_hour",
)  # fmt: skip
NET = (
    "SELECT metric, team, model, pool, cost_kind, token_kind, state, charged - credited FROM attribution.counter "
    "WHERE charged <> credited ORDER BY ALL"
)


class Books:
    """A ledger in a folder of its own, whose config can be written anew."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.config, self.clock = folder / "apportion.toml", FrozenClock(NOW)

    def events(self, *times: str, month: str = "2026-10") -> None:
        """Usage of a team at times of a month."""
        file = self.config.with_name("u.ndjson")
        event = {"source": "s", "model": "m", "principal": "k", "output_tokens": 10}
        file.write_text(
            "".join(
                json.dumps({**event, "event_id": month + at, "occurred_at": f"{month}-{at}:00Z"}) + "\n" for at in times
            ),
            encoding="utf-8",
        )
        assert main(["ingest", str(file), "--config", str(self.config)]) == 0

    def begin(self, at: str) -> None:
        """Write the config; empty is no `metered_from`."""
        begins = f"metered_from = {at}T00:00:00Z" if at else ""
        self.config.write_text(CONFIG.format(begins=begins), encoding="utf-8")

    def meter(self) -> tuple[int, int]:
        """Hours metered and hours taken back."""
        with Pipeline.open(load(self.config), self.clock, threads=1) as pipeline:
            report = pipeline.meter()
            return report.hours, report.retracted

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What the ledger answers."""
        with Pipeline.open(load(self.config), self.clock, threads=1) as pipeline:
            return pipeline.ledger.session().rows(sql)

    def figures(self) -> dict[str, list[tuple[object, ...]]]:
        """All there is to see."""
        with Pipeline.open(load(self.config), self.clock, threads=1) as pipeline:
            session = pipeline.ledger.session()
            found = {table: session.rows(f"FROM {table} ORDER BY ALL") for table in SAME}
            found["net"] = session.rows(NET)
            found["hours"] = session.rows("SELECT charge_period_start FROM metering.metered_hour ORDER BY ALL")
            found["months"] = session.rows("SELECT * EXCLUDE (attributed_at) FROM export.months ORDER BY ALL")
            return found


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """Five days are metered, four of them before there is a pool."""
    books = Books(tmp_path / "moved")
    books.begin("")
    books.events("02T05:10", "03T05:10")
    assert books.meter() == (120, 0)
    return books


def fresh(tmp_path: Path, begins: str) -> Books:
    """A ledger that always began there."""
    books = Books(tmp_path / f"fresh-{begins}")
    books.begin(begins)
    books.events("02T05:10", "03T05:10")
    books.meter()
    return books


@pytest.mark.parametrize(("begins", "kept"), [("2026-09-30", 96), ("2026-10-03", 24)])
def test_hours_before_a_later_beginning_are_taken_back(books: Books, tmp_path: Path, begins: str, kept: int) -> None:
    """Every figure is that of a ledger that always began there, a month without an hour is none, and counters only rose."""
    before = {row[:-2]: row[-2:] for row in books.rows("FROM attribution.counter")}
    books.begin(begins)

    assert books.meter() == (0, 120 - kept)
    assert books.figures() == fresh(tmp_path, begins).figures()
    assert len(books.figures()["hours"]) == kept
    after = {row[:-2]: row[-2:] for row in books.rows("FROM attribution.counter")}
    assert all(after[key][0] >= charged and after[key][1] >= credited for key, (charged, credited) in before.items())
    assert sum(credited for _, credited in after.values()) > sum(credited for _, credited in before.values())
    assert books.meter() == (0, 0)


def test_what_changes_before_the_beginning_is_not_due(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither counted as to meter again, nor does it hold the watermark; all of it is due where metering begins earlier."""
    books.events("02T07:10")
    books.begin("2026-10-03")
    assert books.meter() == (0, 96)
    books.events("01T07:10")
    assert books.meter() == (0, 0)
    capsys.readouterr()
    assert main(["status", "--json", "--config", str(books.config)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["metered_hours"], said["dirty_hours"], said["refused_hours"]) == (24, 0, 0)
    assert said["first_hour"].startswith("2026-10-03T00:00")
    assert said["watermark"].startswith("2026-10-03T05:00")  # the source was heard of last then

    books.begin("2026-10-02")
    assert books.meter() == (24, 0)


def test_a_beginning_that_is_gone_makes_its_hours_due(books: Books) -> None:
    """The figures are as if it had never been moved; usage before any inventory, which only its event makes due, is back too."""
    books.events("01T05:10", month="2026-09")
    assert books.meter() == (1, 0)
    figures = books.figures()
    books.begin("2026-10-01")
    assert books.meter() == (0, 49)
    books.begin("")
    assert books.meter() == (49, 0)
    assert books.figures() == figures


def test_the_command_says_what_it_took_back(books: Books, capsys: pytest.CaptureFixture[str]) -> None:
    """In a sentence, and as a number for programs."""
    capsys.readouterr()
    books.begin("2026-10-01")
    assert main(["meter", "--until", "2026-10-02T00:00:00Z", "--config", str(books.config)]) == 0
    assert "48 hours before ledger.metered_from taken back" in capsys.readouterr().out
    books.begin("2026-10-02")
    assert main(["meter", "--until", "2026-10-03T00:00:00Z", "--json", "--config", str(books.config)]) == 0
    assert json.loads(capsys.readouterr().out)["retracted"] == 24
