"""What init writes works as it stands, also with every suggestion taken."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apportion.config.load import load
from apportion.config.template import write
from apportion.domain.errors import UsageError


def test_the_written_config_loads_without_problems_or_warnings(tmp_path: Path) -> None:
    """A newcomer's first check is clean, and the directory is in use."""
    paths = write(tmp_path / "new")
    assert [path.name for path in paths] == ["apportion.toml", "teams.csv"]
    config = load(paths[0])
    assert config.warnings == ()
    assert [rule.team for rule in config.directory.rules] == ["research", "search", "ads"]


def test_every_suggestion_in_a_comment_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking the comment sign off every suggested line gives a config that loads, so no suggestion is out of date."""
    for name in ("APPORTION_TOKEN", "PROXY_TOKEN", "KAFKA_PASSWORD"):
        monkeypatch.setenv(name, "set")
    config, _ = write(tmp_path)
    config.write_text(re.sub(r"^( *)# (?=[\[{a-z_.]+.*[\]=])", r"\1", config.read_text(), flags=re.MULTILINE))
    read = load(config)
    assert [(source.name, source.collector) for source in read.sources] == [
        ("proxy", "http"),
        ("usage-topic", "kafka"),
        ("engine-log", "files"),
        ("gateway", ""),
    ]
    assert list(read.mappings) == ["gateway"]
    assert [alias.alias for alias in read.model_aliases] == ["gpt-internal"]
    assert [cost.id for cost in read.shared_costs] == ["platform-team"]
    assert read.deployments[0].utilization == "capacity"
    assert read.budgets_nano == {"search": 5_000_000_000_000}
    assert read.tag_allow_list == {"project", "env", "team"}
    assert read.warnings == ()


def test_the_example_begins_when_asked(tmp_path: Path) -> None:
    """Its dates are the start of the month given."""
    config = load(write(tmp_path, effective_from=datetime(2026, 11, 21, 5, tzinfo=UTC))[0])
    assert config.pools[0].effective.start == datetime(2026, 11, 1, tzinfo=UTC)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """One existing file stops all of it, and is named."""
    (tmp_path / "teams.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"teams\.csv: exists, and init overwrites nothing; remove it"):
        write(tmp_path)
    assert (tmp_path / "teams.csv").read_text() == "mine"
    assert not (tmp_path / "apportion.toml").exists()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the directory's place is told with its reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/new: cannot be written \(Not a directory\); name a directory"):
        write(tmp_path / "file" / "new")
