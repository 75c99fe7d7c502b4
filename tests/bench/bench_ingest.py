"""A file into the ledger, against DuckDB alone reading the same fields of the same file into a table."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import fleet
import ledgers
from measure import THREADS, Result, Setting, clocked, cost, isolated, memory, peak_gib, rounds, speed

from apportion.config.load import load
from ingest.files import ingest_file
from ingest.formats.ndjson import Ndjson
from ingest.kinds import USAGE
from ingest.outcome import Outcome
from ingest.rules import Rules

SPEED_MIN = 0.5
BAD_COST_MAX = 1.8
PEAK_GIB_MAX = 1.5

COLUMNS = {
    **dict.fromkeys(USAGE.columns, "VARCHAR"),
    "occurred_at": "TIMESTAMPTZ",
    "tags": "MAP(VARCHAR, VARCHAR)",
    **dict.fromkeys(
        (name for name in USAGE.columns if name.endswith("_tokens") or name in {"revision", "requests"}), "BIGINT"
    ),
    **dict.fromkeys((name for name in USAGE.columns if name.endswith("_ms")), "DOUBLE"),
}
"""Every field of a usage event in the type it has."""


def run(setting: Setting) -> list[Result]:
    """Clean against bare DuckDB, and one bad record in two hundred against clean."""
    count = setting.size(small=100_000, full=2_000_000)
    config = isolated(fleet.config, setting.work / "ingest")
    clean = isolated(fleet.events, setting.work / f"events-{count}.ndjson", count)
    bad = isolated(fleet.events, setting.work / f"events-{count}-bad.ndjson", count, spoilt=True)
    expected = Outcome(received=count, landed=count), Outcome(received=count, landed=count - count // fleet.BAD_EVERY)
    peak = isolated(peak_of_ingest, bad, setting.work / "peak.duckdb", config, expected[1])
    seconds = rounds(
        {
            "floor": lambda: bare(clean, setting.work / "bare.duckdb"),
            "clean": lambda: landed(clean, setting.work / "ingest.duckdb", config, expected[0]),
            "bad": lambda: landed(bad, setting.work / "ingest.duckdb", config, expected[1]),
        },
        setting.rounds,
    )
    return [
        speed(
            "speed",
            f"file of {count:,} events: INSERT … SELECT … FROM read_ndjson → ingest",
            seconds["clean"],
            seconds["floor"],
            SPEED_MIN,
        ),
        cost(
            "bad",
            "the same with 0.5 % bad records in ten ways: clean → bad",
            seconds["bad"],
            seconds["clean"],
            BAD_COST_MAX,
        ),
        memory("peak memory of ingest alone, bad records and all", peak, PEAK_GIB_MAX),
    ]


def bare(file: Path, path: Path) -> float:
    """Seconds for one INSERT of all fields into a file database, written down for good."""
    ledgers.remove(path)
    connection = duckdb.connect(str(path), config={"threads": THREADS, "memory_limit": "1GB"})
    connection.execute(f"CREATE TABLE usage ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    spec = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())

    def insert() -> None:
        connection.execute(
            f"INSERT INTO usage SELECT {', '.join(COLUMNS)} FROM read_ndjson('{file}', columns = {{{spec}}})"
        )
        connection.close()

    seconds = clocked(insert)
    ledgers.remove(path)
    return seconds


def landed(file: Path, path: Path, config: Path, expected: Outcome) -> float:
    """Seconds for ingest of a file into an empty ledger, written down for good."""
    ledger = ledgers.empty(path, config)
    found: list[Outcome] = []

    def ingest() -> None:
        outcome, _ = ingest_file(ledger, file, Ndjson("usage", USAGE), rules(config), ledgers.Fixed())
        ledger.close()
        found.append(outcome)

    seconds = clocked(ingest)
    ledgers.remove(path)
    assert (found[0].received, found[0].landed) == (expected.received, expected.landed), found
    return seconds


def peak_of_ingest(file: Path, path: Path, config: Path, expected: Outcome) -> float:
    """GiB that a process holds which does nothing but ingest a file."""
    landed(file, path, config, expected)
    return peak_gib()


def rules(config: Path) -> Rules:
    """What landing believes under a config, as the pipeline hands it over."""
    loaded = load(config)
    return Rules(
        oldest=loaded.ledger.epoch,
        tags=loaded.tag_allow_list,
        sample_hold=timedelta(microseconds=loaded.policy.sample_hold_us),
    )
