"""The registry: every format by name, and one list of names for the config, the command line and HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.config.mapping import NATIVE_NAMES
from ingest import registry
from ingest.formats.mapped import Mapped
from ingest.kinds import KINDS
from tests.unit.ingest.desk import Desk

MAPPING = """
[[sources]]
name = "mine"
kind = "usage"
format = "csv"
time = { column = "at", format = "iso" }
columns = { event_id = "id", model = "m", output_tokens = "o" }
constants = { source = "mine" }
"""


def spooled(desk: Desk, data: bytes) -> Path:
    """Bytes where DuckDB may read them."""
    path = desk.ledger.work / "lines"
    path.write_bytes(data)
    return path


def test_built_in_formats_are_found_by_name() -> None:
    """Each built-in format answers to its own name."""
    found = [registry.find(name, {}) for name in registry.BUILT_IN]

    assert [format_.name for format_ in found if format_] == list(registry.BUILT_IN)


def test_a_mapping_is_found_by_the_name_of_its_table(desk: Desk) -> None:
    """What is not built in is looked for in the config."""
    desk.describe(MAPPING)
    described = desk.formats["mine"]
    assert isinstance(described, Mapped)
    mappings = {"mine": described.mapping}

    assert registry.find("mine", mappings) == described
    assert registry.names(mappings) == [*registry.BUILT_IN, "mine"]


def test_an_unknown_name_is_none() -> None:
    """Whoever asked says which names there are."""
    assert registry.find("nothing", {}) is None


def test_the_config_knows_the_same_names() -> None:
    """A source may name exactly the formats there are, and no mapping takes their names."""
    assert set(registry.BUILT_IN) == set(NATIVE_NAMES)


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
def test_a_format_gives_the_columns_of_its_kind(desk: Desk, name: str) -> None:
    """Landing reads one relation: the canonical columns in their order, as text."""
    format_ = registry.BUILT_IN[name]
    session = desk.ledger.session()
    view = format_.view(spooled(desk, b'{"id": "x"}\n'), "f", b"", sifted=False)
    rows = session.rows(f"SELECT column_name, column_type FROM (DESCRIBE {view})")

    assert [row[0] for row in rows] == list(KINDS[format_.kind.name].columns)
    assert {row[1] for row in rows} == {"VARCHAR"}


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
def test_bytes_of_any_shape_raise_nothing(desk: Desk, name: str) -> None:
    """Every line becomes one row, whatever it says: an error would stop the whole slice."""
    odd = [
        b"{}",
        b'{"id": {"id": []}}',
        b'{"metadata": 3, "id": null}',
        b"[]",
        b"not json",
        b'{"metadata": {"usage_object": [1]}}',
    ]
    view = registry.BUILT_IN[name].view(spooled(desk, b"\n".join(odd) + b"\n"), "f", b"", sifted=False)

    assert desk.ledger.session().value(f"SELECT count(*) FROM ({view})") == len(odd)
