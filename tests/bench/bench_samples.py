"""A month of GPU telemetry into the ledger, against DuckDB alone reading the same Parquet file into memory."""

from __future__ import annotations

from pathlib import Path

import duckdb
import fleet
import ledgers
from bench_ingest import rules
from measure import THREADS, Result, Setting, clocked, cost, isolated, rounds

from ingest.files import ingest_file
from ingest.formats.ndjson import Ndjson
from ingest.kinds import GPU

GPUS, INTERVAL_SECONDS = 8, 15
COST_MAX = 20.0

_SAMPLES = """
COPY (
    SELECT
        TIMESTAMPTZ '2025-10-01 00:00:00+00' + INTERVAL 1 SECOND * (number // {gpus} * {interval}) AS sampled_at,
        'GPU-' || number % {gpus} AS gpu_uuid, 'H100_SXM' AS gpu, 'node-1' AS node, 'llama70b' AS deployment,
        ((number * 7919) % 1001)::DECIMAL(9, 3) / 1000 AS active_ratio, ((number * 104729) % 1001)::DECIMAL(9, 3) / 1000 AS sm_active_ratio,
        40_000_000_000 + number % 1000 * 1_048_576 AS memory_used_bytes, 300 + number % 400 AS power_watts,
        (number // {gpus}) * 7_500 + number % 97 AS energy_joules
    FROM range({samples}) AS sample (number)
) TO '{file}' (FORMAT parquet)
"""


def run(setting: Setting) -> list[Result]:
    """A month of eight GPUs, sampled every fifteen seconds."""
    hours = setting.size(small=24, full=720)
    samples = GPUS * hours * 3600 // INTERVAL_SECONDS
    config = isolated(fleet.config, setting.work / "samples-config")
    file = setting.work / f"samples-{samples}.parquet"
    if not file.exists():
        duckdb.execute(_SAMPLES.format(gpus=GPUS, interval=INTERVAL_SECONDS, samples=samples, file=file))
    seconds = rounds(
        {
            "floor": lambda: read(file),
            "ours": lambda: landed(file, setting.work / "samples.duckdb", config, samples),
        },
        setting.rounds,
    )
    name = f"{GPUS} GPUs x {hours} hours at {INTERVAL_SECONDS} s ({samples:,} samples): reading the Parquet → ledger"
    return [cost("month", name, seconds["ours"], seconds["floor"], COST_MAX)]


def read(file: Path) -> float:
    """Seconds for every field of every row into a table in memory."""
    connection = duckdb.connect(config={"threads": THREADS})
    seconds = clocked(lambda: connection.execute(f"CREATE TABLE sample AS SELECT * FROM read_parquet('{file}')"))
    connection.close()
    return seconds


def landed(file: Path, path: Path, config: Path, expected: int) -> float:
    """Seconds for ingest of the file into an empty ledger, written down for good."""
    ledger = ledgers.empty(path, config)

    def ingest() -> int:
        outcome, _ = ingest_file(ledger, file, Ndjson("gpu", GPU), rules(config), ledgers.Fixed())
        ledger.close()
        return outcome.landed

    found: list[int] = []
    seconds = clocked(lambda: found.append(ingest()))
    ledgers.remove(path)
    assert found == [expected]
    return seconds
