"""Configs written as text: loaded whole, or the problems that they have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apportion.config.load import load
from apportion.config.model import Config
from apportion.domain.errors import ConfigError

LEDGER = """
[ledger]
path = "ledger.duckdb"
billing_currency = "USD"
"""

Loaded = Callable[..., Config]
Problems = Callable[..., tuple[str, ...]]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Loads a config text, behind a `[ledger]` table and with `teams.csv` beside it where one is given."""

    def read(text: str, *, teams: str | bytes | None = None, ledger: str = LEDGER) -> Config:
        file = tmp_path / "apportion.toml"
        file.write_text(ledger + text, encoding="utf-8")
        if teams is not None:
            (tmp_path / "teams.csv").write_bytes(teams.encode() if isinstance(teams, str) else teams)
        return load(file)

    return read


@pytest.fixture
def problems(loaded: Loaded) -> Problems:
    """The problems of a config text; none is an error of the test."""

    def read(text: str, *, teams: str | bytes | None = None, ledger: str = LEDGER) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as raised:
            loaded(text, teams=teams, ledger=ledger)
        assert raised.value.exit_code == 2
        return raised.value.problems

    return read
