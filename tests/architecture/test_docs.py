"""What is written about the product is what the product does: commands, config keys, metrics, targets, tables."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from apportion.cli import COMMANDS, build_parser
from apportion.config import template
from apportion.config.tables import Table
from apportion.ledger.connection import Ledger
from tests.architecture import tree

TARGETS = ("demo", "test", "check", "bench", "wheel", "golden", "format")
README = (tree.ROOT / "README.md").read_text(encoding="utf-8")
COSTS = (tree.ROOT / "deploy" / "COSTS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_and_in_help(command: str) -> None:
    """A command that a newcomer cannot find does not exist."""
    assert f"apportion {command}" in README
    assert re.search(rf"^\s+{command}\s+\S", build_parser().format_help(), re.MULTILINE)


def test_the_readme_names_no_command_that_is_not_there() -> None:
    """Every `apportion NAME` in the documents is a command."""
    said = {
        name
        for file in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
        for name in re.findall(r"`(?:\$ )?apportion ([a-z][a-z-]*)|^\s*(?:\$ )?apportion ([a-z][a-z-]*)", (tree.ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    }  # fmt: skip

    assert {first or second for first, second in said} <= set(COMMANDS)


def config_keys() -> dict[str, str]:
    """Every key that the config's readers ask for by name -> the file that asks."""
    methods = {
        name for name, method in inspect.getmembers(Table, inspect.isfunction)
        if list(inspect.signature(method).parameters)[1:2] == ["key"] and not name.startswith("_")
    } - {"place", "wrong", "has"}  # fmt: skip
    keys: dict[str, str] = {}
    for module in tree.product():
        if module.name.startswith("apportion.config."):
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call):
                    asked = (
                        node.func.attr
                        if isinstance(node.func, ast.Attribute)
                        else node.func.id
                        if isinstance(node.func, ast.Name)
                        else ""
                    )
                    first = node.args[:1] if asked in methods else node.args[1:2] if asked == "each" else []
                    keys |= {
                        key.value: module.path
                        for key in first
                        if isinstance(key, ast.Constant) and isinstance(key.value, str)
                    }
    return keys


def test_every_config_key_is_explained(tmp_path: Path) -> None:
    """Each key that the config may have stands in the file that `init` writes, in the README, or on the page about costs."""
    written = "\n".join(path.read_text(encoding="utf-8") for path in template.write(tmp_path)) + README + COSTS
    words = set(re.findall(r"\w+", written))
    keys = config_keys()
    missing = [f"{path}: {key}" for key, path in sorted(keys.items()) if key not in words]

    assert len(keys) > 50, "the readers' keys were not found; look at how Table is asked"
    assert not missing, "\n".join(missing)


def test_the_example_config_is_toml_with_known_tables() -> None:
    """The config shipped for the container is TOML, and its tables are among those of the template."""
    example = tomllib.loads((tree.ROOT / "deploy" / "config.example.toml").read_text(encoding="utf-8"))

    assert set(example) <= set(config_keys())


def test_make_help_lists_every_target() -> None:
    """`make help` explains each target that is for people, and the ones that everybody expects are there."""
    make = shutil.which("make")
    assert make
    listed = subprocess.run(
        [make, "--no-print-directory", "help"], cwd=tree.ROOT, check=True, capture_output=True, text=True
    ).stdout
    explained = dict(re.findall(r"^\s*(?:\x1b\[\d+m)?([a-z-]+)(?:\x1b\[0m)?\s+(\S.*)$", listed, re.MULTILINE))
    phony = re.findall(r"^\.PHONY: (.*)$", (tree.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(TARGETS) <= set(explained)
    assert {name for names in phony for name in names.split()} == set(explained)


def test_every_link_between_documents_leads_somewhere() -> None:
    """A relative link in a document names a file that is there."""
    broken = [
        f"{path}: {target}"
        for path in tree.files(".md")
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", (tree.ROOT / path).read_text(encoding="utf-8"))
        if not (tree.ROOT / path).parent.joinpath(target).exists()
    ]

    assert not broken, "\n".join(broken)


def test_the_changelog_has_an_open_section() -> None:
    """User-visible changes are collected under Unreleased, as Keep a Changelog has it."""
    text = (tree.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(r"^## \[Unreleased\]\n\n### (Added|Changed|Fixed)\n\n- \S", text, re.MULTILINE)


def test_every_table_and_view_says_what_it_holds(ledger: Ledger) -> None:
    """The data dictionary is in the ledger: each table and view has a comment with its grain or its sentence."""
    silent = ledger.session().rows(
        """
        SELECT schema_name || '.' || table_name AS silent FROM duckdb_tables()
        WHERE NOT internal AND NOT temporary AND trim(coalesce("comment", '')) = ''
        UNION ALL
        SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal AND trim(coalesce("comment", '')) = ''
        ORDER BY silent
        """
    )

    assert not silent, "\n".join(name for (name,) in silent)


def test_every_number_of_a_table_has_a_unit_in_its_name_or_comment(ledger: Ledger) -> None:
    """No column holds an amount, a duration or a ratio that a reader must guess the unit of, and none is a float."""
    bare = ledger.session().rows(
        r"""
        SELECT schema_name || '.' || table_name || '.' || column_name || ' ' || data_type AS bare
        FROM duckdb_columns()
        WHERE NOT internal AND schema_name IN ('raw', 'book', 'metering', 'attribution', 'export', 'ledger') AND (
            regexp_matches(data_type, '^(DOUBLE|FLOAT|DECIMAL)')
            OR (coalesce("comment", '') = ''
                AND regexp_matches(column_name, '(cost|price|rate|duration|latency|ratio|coverage|energy|power|memory|amount|seconds?)$')
                AND regexp_matches(data_type, '^(U?(TINY|SMALL|BIG|HUGE)?INT|INTEGER)')))
        ORDER BY bare
        """
    )

    assert not bare, "\n".join(name for (name,) in bare)
