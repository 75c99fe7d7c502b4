"""The wheel is the product: five packages, every SQL file, and a program that runs from it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from apportion import __version__
from tests.architecture import tree


def run(command: Sequence[str | Path], folder: Path) -> str:
    """What a program prints; one that fails fails the test with its words."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in the folder APPORTION_WHEELS, which `make wheel` has just built; else one built for these tests."""
    given = os.environ.get("APPORTION_WHEELS")
    folder = Path(given) if given else tmp_path_factory.mktemp("wheel")
    if not given:
        run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, tree.ROOT], folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    """Paths in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment that holds the wheel, and finds its dependencies where these tests do."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel], home)
    (packages,) = home.glob("lib/python*/site-packages")
    # A folder named in a .pth file joins the path, but its own .pth files are not read: the editable checkout stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_the_wheel_holds_the_five_packages_and_nothing_else(contents: set[str]) -> None:
    """No tests, no tools, no stray folder takes a name in site-packages."""
    assert {path.split("/")[0] for path in contents} == {*tree.PACKAGES, f"apportion-{__version__}.dist-info"}


def test_the_wheel_holds_every_file_of_the_packages(contents: set[str]) -> None:
    """Every module, every .sql file and every py.typed of the tree is in the wheel, and nothing that is not in the tree."""
    expected = {path for path in tree.files() if path.split("/")[0] in tree.PACKAGES}
    shipped = {path for path in contents if path.split("/")[0] in tree.PACKAGES}

    assert {path for path in expected if path.endswith(".sql")} <= shipped
    assert {f"{package}/py.typed" for package in tree.PACKAGES} <= shipped
    assert shipped == expected


def test_the_wheel_knows_its_licence_and_its_needs(wheel: Path) -> None:
    """The metadata carries the licence file, the Python version and the declared dependencies."""
    with zipfile.ZipFile(wheel) as archive:
        folder = f"apportion-{__version__}.dist-info"
        metadata = archive.read(f"{folder}/METADATA").decode()
        assert archive.read(f"{folder}/licenses/LICENSE")

    assert "Requires-Python: >=3.11" in metadata
    assert "Requires-Dist: duckdb>=" in metadata


def test_the_installed_program_answers_help(installed: Path, tmp_path: Path) -> None:
    """The wheel alone puts `apportion` on the path, away from the checkout."""
    said = run([installed / "apportion", "--help"], tmp_path)

    assert said.startswith("usage: apportion")


def test_the_wheel_alone_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    """A fleet goes through the whole pipeline with the wheel's own modules and SQL files, away from the checkout."""
    where = run([installed / "python", "-c", f"import {', '.join(tree.PACKAGES)}; print(metering.__file__)"], tmp_path)
    answer = json.loads(run([installed / "apportion", "demo", "--out", "demo", "--json"], tmp_path))

    assert Path(where.strip()).is_relative_to(installed.parent)
    assert answer["out"] == "demo"
    assert (tmp_path / "demo" / "chargeback-2026-10.csv").stat().st_size
