"""The simulated fleet: the same everywhere, and with every blemish that real fleets have."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from apportion import simulation
from apportion.config.load import load


def test_the_week_is_the_same_every_time(tmp_path: Path) -> None:
    """Two runs write the same bytes, so that figures of the demo can be quoted."""
    one, other = simulation.write(tmp_path / "one"), simulation.write(tmp_path / "other")

    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_the_config_is_sound(tmp_path: Path) -> None:
    """The demo's config loads without a warning."""
    config, *_ = simulation.write(tmp_path)

    assert load(config).warnings == ()


def test_events_fill_the_week_but_for_the_lost_log() -> None:
    """Every hour has requests, except the one whose log was lost; ids are unique."""
    events = list(simulation.events())
    hours = {str(event["occurred_at"])[:13] for event in events}
    lost = (simulation.START + timedelta(hours=simulation.LOG_LOST)).isoformat()[:13]

    assert len(hours) == simulation.HOURS - 1
    assert lost not in hours
    assert len({event["event_id"] for event in events}) == len(events)


def test_the_log_has_duplicates_and_bad_lines() -> None:
    """Some lines come twice, some are torn, some count below zero."""
    lines = list(simulation.usage_lines())
    torn = [line for line in lines if not line.endswith("}")]
    whole = [json.loads(line) for line in lines if line.endswith("}")]

    assert len(lines) - len(set(lines)) > 10
    assert torn
    assert any(event["output_tokens"] < 0 for event in whole)


def test_nobody_watches_while_the_exporter_is_down() -> None:
    """No sample falls into the hours without telemetry, and ratios stay between zero and one."""
    samples = list(simulation.samples())
    down = {(simulation.START + timedelta(hours=number)).isoformat()[:13] for number in simulation.EXPORTER_DOWN}

    assert not down & {str(sample["sampled_at"])[:13] for sample in samples}
    assert all(0 <= float(str(sample["active_ratio"])) <= 1 for sample in samples)
