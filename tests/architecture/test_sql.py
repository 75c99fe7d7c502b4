"""SQL files keep the rules of the house, and say in their headers what they really read, take and fill."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from apportion.ledger.connection import Ledger, Session
from apportion.ledger.step import HEADER_FIELDS, Query, parse
from attribution import attribute
from metering import steps
from tests.architecture import tree
from tests.blank import blank

FILES = [path for path in tree.files(".sql") if Path(path).parent.name in ("sql", "audits")]
QUERIES = [path for path in FILES if path.startswith(("metering/", "attribution/"))]
WRITERS = {"metering": "metering", "attribution": "attribution", "ingest": "raw"}
"""Stage -> the one schema that it writes."""

PARSER = duckdb.connect()

UNPORTABLE = {
    "the present": r"\b(now|today|current_date|current_timestamp|current_localtimestamp|get_current_timestamp)\b(?!\s*\.)",
    "an approximate function": r"\b(approx_\w+|reservoir_quantile)\s*\(",
    "an ASOF join": r"\bASOF\b",
    "chance": r"\b(random|uuid|gen_random_uuid|setseed)\s*\(",
    "a sample": r"\b(TABLESAMPLE|USING\s+SAMPLE)\b",
    "/ (which makes floats of integers; // does not)": r"(?<![/*])/(?![/*])",
    "a float type": r"\b(DOUBLE|FLOAT|REAL|FLOAT4|FLOAT8)\b",
}


def body(path: str) -> str:
    """A file's SQL without comments and texts."""
    text = (tree.ROOT / path).read_text(encoding="utf-8")
    return re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--[^\n]*", "", text))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A conversation with an empty migrated ledger; nothing here writes to it."""
    opened = Ledger(blank(tmp_path_factory.mktemp("sql") / "apportion.duckdb"))
    return opened.session()


def query(path: str) -> Query:
    """A step or audit as the runner reads it."""
    return parse((tree.ROOT / path).read_text(encoding="utf-8"), path)


def nothing(found: Query) -> dict[str, None]:
    """A value for each of a query's parameters."""
    return dict.fromkeys(found.params)


@pytest.mark.parametrize("path", FILES)
def test_every_file_says_why_it_exists(path: str) -> None:
    """SQL opens with comment lines: the checked header of a step or audit, or a sentence."""
    assert re.match(r"-- \S", (tree.ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", QUERIES)
def test_a_header_names_its_own_file(path: str) -> None:
    """A step is named after the table it fills, in its stage's schema; an audit after its truth."""
    found, stem = query(path), Path(path).stem
    expected = ("audit", stem) if "/audits/" in path else ("step", f"{Path(path).parts[0]}.{stem}")

    assert (found.kind, found.name) == expected
    assert found.why
    assert set(HEADER_FIELDS) == {"step", "audit"}


@pytest.mark.parametrize("path", QUERIES)
def test_a_header_tells_the_truth(path: str) -> None:
    """The file is one SELECT, takes exactly the parameters of its header, and reads exactly its tables."""
    found = query(path)
    (statement,) = duckdb.extract_statements(found.sql)

    assert statement.type == duckdb.StatementType.SELECT
    assert set(found.params) == set(statement.named_parameters)
    assert set(found.reads) == read_tables(found.sql)


@pytest.mark.parametrize(
    "order",
    [tuple(step.name for step in steps.STEPS), attribute.MAPPING, attribute.SETTLEMENT, attribute.STATEMENT],
    ids=["metering", "mapping", "settlement", "statement"],
)
def test_steps_run_after_what_they_read(order: Sequence[str]) -> None:
    """No step of a row of steps reads a table that a later one fills."""
    reads = {found.name: found.reads for found in map(query, QUERIES)}
    early = [
        f"{name} reads {later}" for place, name in enumerate(order) for later in order[place:] if later in reads[name]
    ]

    assert not early, "\n".join(early)


@pytest.mark.parametrize("path", [path for path in QUERIES if "/sql/" in path])
def test_a_step_fits_its_table(path: str, session: Session) -> None:
    """A step's columns are its table's, all of them, and its grain is among those that must be known."""
    found = query(path)
    table = session.columns(f"SELECT * FROM {found.name}")
    filled = session.columns(found.sql.rstrip().rstrip(";"), nothing(found) or None)
    known = "SELECT column_name FROM duckdb_columns() WHERE NOT is_nullable AND schema_name || '.' || table_name = ?"

    assert set(filled) == set(table)
    assert set(found.grain) <= {str(row[0]) for row in session.rows(known, [found.name])}
    session.do(f"EXPLAIN INSERT INTO {found.name} BY NAME {found.sql}", nothing(found) or None)


@pytest.mark.parametrize("path", [path for path in QUERIES if "/audits/" in path])
def test_an_audit_can_be_asked(path: str, session: Session) -> None:
    """An audit runs on an empty ledger, and finds nothing wrong with it."""
    found = query(path)

    assert session.rows(f"{found.sql.rstrip().rstrip(';')}\nLIMIT 5", nothing(found) or None) == []


@pytest.mark.parametrize("path", QUERIES)
def test_steps_are_portable_and_exact(path: str) -> None:
    """No present time, no chance, no approximation, no ASOF, no float: the same rows on any engine, any day."""
    text = body(path)
    broken = [what for what, pattern in UNPORTABLE.items() if re.search(pattern, text, re.IGNORECASE)]

    assert not broken, f"{path} has {', '.join(broken)}"


@pytest.mark.parametrize("path", FILES)
def test_each_schema_has_one_writer(path: str) -> None:
    """SQL writes to its own stage's schema only; steps and audits write nothing themselves."""
    stage = Path(path).parts[0]
    written = set(
        re.findall(r"\b(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE|DELETE\s+FROM)\s+(\w+)\.\w+", body(path), re.IGNORECASE)
    )

    assert written <= ({WRITERS[stage]} if path not in QUERIES else set())


def read_tables(sql: str) -> set[str]:
    """`schema.table` of everything a SELECT reads; its own CTEs have no schema."""
    row = PARSER.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchone()
    assert row is not None
    found, waiting = set(), [json.loads(row[0])]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict) and node.get("type") == "BASE_TABLE" and node["schema_name"]:
            found.add(f"{node['schema_name']}.{node['table_name']}")
        waiting.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
    return found
