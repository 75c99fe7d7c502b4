"""One finished demo, for the tests of every command that reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.cli import main


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished demo; whoever changes it takes a copy."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    assert main(["demo", "--out", str(folder)]) == 0
    return folder
