"""The house's import rules hold, and each of them is seen to catch what it forbids."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGES, ROOT, Module, product

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {contract["id"]: contract for contract in CONFIG["tool"]["importlinter"]["contracts"]}
IMPORT_NAMES = {
    "prometheus-client": "prometheus_client",
    "kafka-python": "kafka",
    "opentelemetry-proto": "opentelemetry",
    "protobuf": "google",
    "tzdata": "tzdata",
    "nvidia-ml-py": "pynvml",
    "genai-prices": "genai_prices",
}

VIOLATIONS = {
    "direction": [
        ("apportion.domain.money", "apportion.config.load"),
        ("apportion.config.load", "apportion.ledger.step"),
        ("apportion.ledger.step", "metering"),
        ("ingest.land", "metering"),
        ("metering.meter", "attribution.attribute"),
        ("attribution.attribute", "exporters.prometheus"),
        ("exporters.prometheus", "ingest.land"),
        ("exporters.families", "apportion.pipeline"),
        ("apportion.pipeline", "apportion.schedule"),
        ("apportion.schedule", "apportion.service"),
        ("apportion.service", "apportion.cli"),
        ("apportion.pipeline", "apportion.simulation"),
    ],
    "pure": [
        ("apportion.domain.money", "pandas"),
        ("apportion.simulation", "duckdb"),
        ("apportion.domain.period", "zstandard"),
    ],
    "duckdb-door": [("ingest.land", "duckdb"), ("exporters.prometheus", "duckdb"), ("apportion.cli.report", "duckdb")],
    "apscheduler-door": [("apportion.service", "apscheduler"), ("apportion.cli.serve", "apscheduler")],
    "pandas-door": [("exporters.prometheus", "pandas"), ("apportion.ledger.connection", "pandas")],
    "prometheus-door": [("exporters.scrape", "prometheus_client"), ("apportion.schedule", "prometheus_client")],
    "rich-door": [("apportion.pipeline", "rich"), ("ingest.files", "rich")],
    "zstandard-door": [("ingest.collectors.files", "zstandard"), ("exporters.scrape", "zstandard")],
    "kafka-door": [("ingest.kafka.collector", "kafka"), ("apportion.service", "kafka")],
    "nvml-door": [("ingest.nvml.collector", "pynvml"), ("apportion.cli.probe", "pynvml")],
    "scipy-door": [("metering.calibration", "scipy"), ("apportion.cli.calibrate", "scipy")],
    "genai-prices-door": [("apportion.prices.book", "genai_prices"), ("metering.meter", "genai_prices")],
    "uvicorn-door": [("apportion.service", "uvicorn"), ("exporters.scrape", "uvicorn")],
    "protobuf-door": [("ingest.formats.otlp", "google"), ("apportion.intake", "opentelemetry")],
    "no-door": [("ingest.land", "httptools"), ("exporters.chargeback", "numpy"), ("ingest.formats.parquet", "pyarrow")],
}
"""Contract -> imports that it must refuse, as (importer, imported)."""


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of a tree."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"],
        cwd=folder, capture_output=True, text=True, check=False, env={"COLUMNS": "300", "PYTHONPATH": str(folder)},
    )  # fmt: skip


def test_every_import_follows_the_contracts() -> None:
    """The contracts in pyproject.toml hold: direction, no cycles, a pure domain, one door per library."""
    report = lint(ROOT)

    assert report.returncode == 0, f"{report.stdout}\n{report.stderr}"


def plant(folder: Path, imports: Iterable[tuple[str, str]]) -> subprocess.CompletedProcess[str]:
    """What import-linter says of a copy of the tree to which imports were added, each as (importer, imported)."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for importer, imported in imports:
        base = folder.joinpath(*importer.split("."))
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        assert file.exists(), f"{importer} is gone; name another importer in VIOLATIONS"
        with file.open("a", encoding="utf-8") as end:
            end.write(f"\nimport {imported}\n")
    return lint(folder)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Contract name -> what import-linter says about it when every import of VIOLATIONS stands."""
    report = plant(tmp_path_factory.mktemp("planted"), [pair for pairs in VIOLATIONS.values() for pair in pairs])
    assert "Broken contracts" in report.stdout, f"{report.stdout}\n{report.stderr}"
    said = report.stdout.partition("Broken contracts")[2]
    parts = re.split(r"\n([^\n]+)\n-{5,}\n", said)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [(contract, *pair) for contract, pairs in VIOLATIONS.items() for pair in pairs],
)
def test_an_import_that_a_contract_forbids_is_caught(
    broken: dict[str, str], contract: str, importer: str, imported: str
) -> None:
    """Each rule is alive: a planted violation breaks its contract, and the report names who imports what."""
    said = broken.get(CONTRACTS[contract]["name"], "this contract is kept")

    assert f"{importer} -> {imported} (l." in said, said


def test_a_cycle_is_caught(tmp_path: Path) -> None:
    """Two rooms of one package that need each other break the contract on cycles."""
    report = plant(tmp_path, [("ingest.files", "ingest.kinds"), ("ingest.kinds", "ingest.files")])

    assert f"{CONTRACTS['cycles']['name']} BROKEN" in report.stdout


def test_every_contract_is_seen_to_break() -> None:
    """No contract stands in pyproject.toml without a planted violation here."""
    assert set(VIOLATIONS) | {"cycles"} == set(CONTRACTS)


def test_every_room_of_the_kernel_has_its_layer() -> None:
    """A new module directly under apportion/ must say where it stands in the direction of imports."""
    layers = {module for layer in CONTRACTS["direction"]["layers"] for module in layer.split(" | ")}
    rooms = {".".join(module.name.split(".")[:2]) for module in product() if module.name.startswith("apportion.")}

    assert rooms - {"apportion.__main__"} <= layers


def test_every_third_party_import_is_declared_and_has_a_door() -> None:
    """What the product imports from outside is a declared dependency, and a contract says who may."""
    declared = {IMPORT_NAMES.get(name, name) for name in _declared()}
    doors = {library for contract in CONTRACTS.values() for library in contract.get("protected_modules", [])}
    outside = (
        {name for module in product() for name in _imported(module)} - set(sys.stdlib_module_names) - set(PACKAGES)
    )

    assert outside <= declared
    assert outside <= doors


def _declared() -> list[str]:
    extras = [requirement for extra in CONFIG["project"]["optional-dependencies"].values() for requirement in extra]
    return [re.split(r"\[|>=", requirement)[0] for requirement in (*CONFIG["project"]["dependencies"], *extras)]


def _imported(module: Module) -> set[str]:
    """Top-level names of every absolute import, lazy ones too."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found
