"""The wiring table is true: each row names tests that there are, each setting of ours loads, and no format or collector is left out."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from apportion.config.load import load
from apportion.config.sources import COLLECTORS
from ingest.registry import BUILT_IN
from tests.shared_data import REPOSITORY
from tests.unit.ingest.desk import CONFIG

TEXT = (REPOSITORY / "deploy" / "WIRING.md").read_text(encoding="utf-8")
COLUMNS = ("source", "on their side", "on ours", "proven by")
TEST = re.compile(r"`((?:\w+/)+test_\w+\.py)::(test_\w+)`")
SETTING = re.compile(
    r"`((?:collector|format|token|accepts|paths|brokers|topics|formats|targets|server|match|constants|families|zone)\s?=[^`]+)`"
)


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    source: str
    theirs: str
    ours: str
    proven: str


def rows() -> list[Row]:
    """Every row of every table in the page."""
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")
    ]
    return [Row(*row) for row in cells if tuple(row) != COLUMNS]


def named(row: Row) -> str:
    """What a test about a row is called."""
    return re.sub(r"\W+", "-", row.source)[:40]


@pytest.mark.parametrize("row", rows(), ids=named)
def test_each_row_is_backed_by_tests_that_there_are(row: Row) -> None:
    """A file and a function of it; nothing else stands in the column."""
    proofs = TEST.findall(row.proven)
    absent = [f"{path}::{name}" for path, name in proofs if name not in functions(REPOSITORY / "tests" / path)]

    assert proofs
    assert absent == []
    assert re.sub(r"[*\s]", "", TEST.sub("", row.proven)) == ""


def functions(path: Path) -> set[str]:
    """The tests of a file; none where there is no such file."""
    if not path.exists():
        return set()
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", [row for row in rows() if "`collector =" in row.ours], ids=named)
def test_each_setting_of_ours_loads(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a row are one table, which the config takes without a word."""
    settings = SETTING.findall(row.ours)
    for name in re.findall(r'env = "(\w+)"', row.ours):
        monkeypatch.setenv(name, f"token-of-{name}")
    config = tmp_path / "apportion.toml"
    config.write_text("\n".join([CONFIG, "[[sources]]", 'name = "row"', *settings, ""]), encoding="utf-8")
    (source,) = load(config).sources

    assert source.name == "row"


def test_every_format_and_every_collector_has_a_row() -> None:
    """Whatever is native is wired somewhere."""
    said = "\n".join(row.ours for row in rows())
    formats = [name for name in BUILT_IN if f'format = "{name}"' not in said and f"--format {name}`" not in said]

    assert formats == []
    assert [name for name in COLLECTORS if f'collector = "{name}"' not in said] == []
