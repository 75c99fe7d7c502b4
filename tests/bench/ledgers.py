"""Ledgers to measure on: empty, or filled with a month of the fleet straight in SQL, which ingest would take minutes for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import fleet
from measure import THREADS

from apportion.config.load import load
from apportion.ledger import book
from apportion.ledger.connection import Ledger
from apportion.ledger.migrations import migrate

SAMPLE_EVERY_US = 60_000_000
SERIES_NO = f"((caller * {fleet.DEPLOYMENTS} + place) * {fleet.REPLICAS} + replica_no) * 3 + status_no + 1"

_CALLERS = f"""
INSERT INTO raw.caller BY NAME
SELECT
    caller + 1 AS caller_no, {fleet.DIMENSIONS["source"]} AS source, {fleet.DIMENSIONS["principal"]} AS principal,
    {fleet.DIMENSIONS["namespace"]} AS namespace,
    to_json(struct_pack({", ".join(f"{key} := {value}" for key, value in fleet.TAGS.items())}))::VARCHAR AS tags,
    '[' || concat_ws(',', to_json(source), to_json(principal), to_json(namespace), tags) || ']' AS caller
FROM range({fleet.CALLERS}) AS number(caller)
"""

_SERIES = f"""
INSERT INTO raw.series BY NAME
SELECT
    {SERIES_NO} AS series_no, 1 AS source_no, model.model_no, caller + 1 AS caller_no,
    {", ".join(f"{text} AS {name}" for name, text in fleet.DIMENSIONS.items() if name not in ("source", "model", "principal", "namespace"))}
FROM range({fleet.CALLERS}) AS callers(caller)
CROSS JOIN range({fleet.DEPLOYMENTS}) AS places(place)
CROSS JOIN range({fleet.REPLICAS}) AS replicas(replica_no)
CROSS JOIN range(3) AS statuses(status_no)
JOIN book.model AS model ON model.model_id = {fleet.DIMENSIONS["model"]}
WHERE place IN (caller // 3 % {fleet.DEPLOYMENTS}, (caller // 3 + 1) % {fleet.DEPLOYMENTS})
"""

_EVENTS = f"""
INSERT INTO raw.usage_event BY NAME
SELECT
    1 AS source_no, {fleet.EVENT_ID} AS event_id, $start::TIMESTAMP + to_microseconds((i * $step_us)::BIGINT) AS occurred_at,
    {SERIES_NO} AS series_no, 0 AS revision, uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, 1 AS requests, ttft_us, duration_us, queue_us, 1 AS batch_no
FROM ({fleet.REQUESTS}) AS request
"""

_BATCH = """
INSERT INTO raw.batch VALUES (1, 'usage', 'usage', 'filled', 0, $events, $start, $events, $events, 0, 0, 0, 0, 0, 0);
"""

_SAMPLES = (
    f"INSERT INTO raw.gpu_device SELECT gpu + 1, 'GPU-' || gpu, '' FROM range({fleet.GPUS}) AS number(gpu)",
    f"""INSERT INTO raw.gpu_series
    SELECT gpu + 1, gpu + 1, 'H100_SXM', 'eu-central-1a', 'node-' || gpu // 8, 'deployment-' || gpu // {fleet.GPUS_PER_DEPLOYMENT}, '', '', ''
    FROM range({fleet.GPUS}) AS number(gpu)""",
    f"""INSERT INTO raw.gpu_sample BY NAME
    SELECT
        $start::TIMESTAMP + to_microseconds(tick * {SAMPLE_EVERY_US}) AS sampled_at, gpu + 1 AS device_no, gpu + 1 AS gpu_series_no,
        (hash(tick, gpu) % 1000001)::INTEGER AS active_ppm, 1 AS batch_no
    FROM range({fleet.MONTH_US // SAMPLE_EVERY_US}) AS ticks(tick) CROSS JOIN range({fleet.GPUS}) AS gpus(gpu)
    ORDER BY tick, gpu""",
)

_DIRTY = """
INSERT INTO raw.dirty_hour
SELECT unnest(range($start::TIMESTAMP, $end::TIMESTAMP, INTERVAL 1 HOUR)), $end::TIMESTAMP ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A clock that stands at the end of the fleet's month, or after it."""

    at: datetime = fleet.END

    def now(self) -> datetime:
        return self.at


def empty(path: Path, config: Path) -> Ledger:
    """A fresh ledger at this version's schema that knows the config."""
    remove(path)
    ledger = Ledger(path, threads=THREADS)
    migrate(ledger, Fixed())
    with ledger.transaction() as session:
        book.sync(session, load(config), fleet.END)
    return ledger


def month(path: Path, config: Path, events: int, *, density: int | None = None) -> Path:
    """A ledger with a month of GPU samples and the last of a month's events, unless it is there.

    Args:
        path: the ledger file.
        config: what its book says.
        events: how many it holds.
        density: how many the whole month would have; the default is `events`.
    """
    if path.exists():
        return path
    whole = density or events
    unfinished = path.with_suffix(".part")
    empty(unfinished, config).close()
    connection = duckdb.connect(str(unfinished), config={"threads": THREADS, "memory_limit": "1GB"})
    start, end = fleet.START.replace(tzinfo=None), fleet.END.replace(tzinfo=None)
    connection.execute("INSERT INTO raw.source VALUES (1, 'gateway')")
    for statement in (_CALLERS, _SERIES):
        connection.execute(statement)
    connection.execute(
        _EVENTS, {"first": whole - events, "last": whole, "start": start, "step_us": fleet.MONTH_US / whole}
    )
    connection.execute(_BATCH, {"events": events, "start": start})
    for statement in _SAMPLES:
        connection.execute(statement, {"start": start} if "$start" in statement else None)
    connection.execute(_DIRTY, {"start": start, "end": end})
    connection.close()
    return unfinished.rename(path)


def copied(path: Path, target: Path) -> Path:
    """A ledger of one's own, to change."""
    remove(target)
    shutil.copyfile(path, target)
    return target


def remove(path: Path) -> None:
    """A ledger and what lies beside it."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
