"""The page about costs is true: its blocks are one config, which loads without a warning and meters."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from apportion.config.load import load
from apportion.pipeline import Pipeline
from tests.frozen import FrozenClock
from tests.shared_data import REPOSITORY

PAGE = (REPOSITORY / "deploy" / "COSTS.md").read_text(encoding="utf-8")
NOON = datetime(2026, 10, 3, 12, tzinfo=UTC)


def test_the_blocks_of_the_page_meter_as_they_stand(tmp_path: Path) -> None:
    """Every way to pay that the page shows is an origin charge, and what they come to is on lines to the nano."""
    path = tmp_path / "apportion.toml"
    path.write_text("\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)), encoding="utf-8")
    config = load(path)
    with Pipeline.open(config, FrozenClock(NOON)) as pipeline:
        report = pipeline.meter()
        session = pipeline.ledger.session()
        bought = set(session.rows("SELECT DISTINCT component, evidence, cause FROM metering.origin_charge_hourly"))
        (origin,) = session.row("SELECT sum(effective_cost_nano) FROM metering.origin_charge_hourly")
        (charged,) = session.row("SELECT sum(effective_cost_nano) FROM metering.charge_hourly")

    assert config.warnings == ()
    assert (report.hours, report.refused) == (60, {})
    assert bought >= {
        ("accelerator", "", ""), ("ops", "", ""), ("credit", "credit/startup-programme", ""),
        ("accelerator", "commitment/reserved-2026", ""), ("accelerator", "commitment/plan-2026", ""),
        ("accelerator", "asset/rack-7", ""), ("financing", "asset/rack-7", ""), ("maintenance", "asset/rack-7", ""),
        ("colocation", "asset/rack-7", ""), ("energy", "energy", ""), ("network", "", ""),
    }  # fmt: skip
    assert origin == charged
