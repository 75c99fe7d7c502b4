"""`--help` answers at once: nothing heavy is loaded before a command runs. The time itself is the benchmark's to measure."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from apportion.cli import COMMANDS
from tests.architecture import tree

HEAVY = (
    "duckdb",
    "pandas",
    "numpy",
    "pyarrow",
    "apscheduler",
    "prometheus_client",
    "rich",
    "zstandard",
    "http.server",
    "asyncio",
    "logging.config",
)
ASK = """
import contextlib, io, json, sys
from apportion.cli import main
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(json.dumps({"said": said.getvalue(), "loaded": sorted(sys.modules)}))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """The help of a command says its usage, and imports no database, no data frames, no scheduler."""
    answer = json.loads(
        subprocess.run(
            [sys.executable, "-c", ASK, *arguments], cwd=tree.ROOT, check=True, capture_output=True, text=True
        ).stdout
    )
    loaded = sorted(
        {heavy for heavy in HEAVY if any(name == heavy or name.startswith(f"{heavy}.") for name in answer["loaded"])}
    )

    assert loaded == []
    assert "apportion" in answer["said"]
