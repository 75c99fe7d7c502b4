"""Where tests hand records in and look at what the ledger made of them, in text values only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apportion.config.load import load
from apportion.ledger.connection import Ledger
from ingest import registry
from ingest.bench import Bench
from ingest.files import ingest_file
from ingest.format import Format
from ingest.formats.ndjson import Ndjson
from ingest.kinds import KINDS
from ingest.outcome import Outcome
from ingest.replay import replay
from ingest.rules import Rules
from tests.frozen import FrozenClock

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
RULES = Rules(
    oldest=datetime(2020, 1, 1, tzinfo=UTC), tags=frozenset({"project", "team"}), sample_hold=timedelta(seconds=120)
)
CANONICAL: Mapping[str, Format] = {name: Ndjson(name, kind) for name, kind in KINDS.items()}


def event(event_id: object = "e1", **fields: object) -> dict[str, Any]:
    """A sound usage event; fields given as None are left out."""
    base = {
        "event_id": event_id,
        "source": "litellm",
        "occurred_at": "2026-10-15T11:00:00Z",
        "model": "llama",
        "output_tokens": 10,
    }
    return {name: value for name, value in {**base, **fields}.items() if value is not None}


def sample(at: str = "2026-10-15T11:00:00Z", **fields: object) -> dict[str, Any]:
    """A sound GPU sample; fields given as None are left out."""
    base = {"sampled_at": at, "gpu_uuid": "GPU-1", "gpu": "H100_SXM", "node": "n1", "active_ratio": 0.5}
    return {name: value for name, value in {**base, **fields}.items() if value is not None}


def engine_sample(at: str = "2026-10-15T11:00:00Z", **fields: object) -> dict[str, Any]:
    """A sound engine sample; fields given as None are left out."""
    base = {"sampled_at": at, "instance": "10.0.0.5:8000", "model": "llama", "software": "vllm", "output_tokens": 100}
    return {name: value for name, value in {**base, **fields}.items() if value is not None}


def name(text: str | None) -> int | None:
    """How a call's name is kept: its MD5 as a number."""
    return (
        None if text is None else int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest(), "little")
    )


def lines(records: Iterable[Mapping[str, Any] | bytes | str]) -> bytes:
    """Records as NDJSON; bytes and texts are lines as they stand."""
    return b"".join(
        (record if isinstance(record, bytes) else (record if isinstance(record, str) else json.dumps(record)).encode())
        + b"\n"
        for record in records
    )


class Desk:
    """A ledger, a clock and a folder for files.

    Attributes:
        notes: what was said about the file handed in last.
        formats: by the names they are asked for.
        rules: what is believed.
    """

    def __init__(
        self, ledger: Ledger, clock: FrozenClock, folder: Path, benches: dict[str, Bench] | None = None
    ) -> None:
        self.ledger, self.clock, self.folder = ledger, clock, folder
        self.formats: dict[str, Format] = dict(CANONICAL)
        self.rules = RULES
        self.notes: list[str] = []
        self._benches = {} if benches is None else benches
        self._files = 0
        others = "SELECT coalesce(max(batch_no), 0) FROM raw.batch"
        self._since = 0 if benches is None else ledger.session().value(others)

    def file(self, data: bytes, name: str | None = None) -> Path:
        """Write a file; without a name, a new one."""
        self._files += 1
        path = self.folder / (name or f"file-{self._files}.ndjson")
        path.write_bytes(data)
        return path

    def read(self, path: Path, format_name: str = "usage") -> Outcome:
        """Ingest a file as it stands."""
        format_ = self.formats[format_name]
        bench = self._benches.setdefault(format_.kind.name, Bench(self.ledger, format_.kind))
        outcome, self.notes = ingest_file(self.ledger, path, format_, self.rules, self.clock, bench=bench)
        assert outcome.received == (
            outcome.landed + outcome.duplicates + outcome.superseded + outcome.conflicts + outcome.rejected
        )
        return outcome

    def hand_in(self, *records: Mapping[str, Any] | bytes | str, format_name: str = "usage") -> Outcome:
        """Ingest records as a file of their own."""
        return self.read(self.file(lines(records)), format_name)

    def describe(self, toml: str) -> None:
        """Learn `[[sources]]` tables as formats."""
        config = self.folder / "apportion.toml"
        config.write_text(CONFIG + toml)
        self.formats |= {mapping.name: registry.described(mapping) for mapping in load(config).mappings.values()}

    def replay(self) -> Outcome:
        """Try the quarantine again."""
        outcome, self.notes = replay(self.ledger, self.formats.get, lambda _: self.rules, self.clock)
        return outcome

    def allow(self, *tags: str) -> None:
        """Change the tag allow-list."""
        self.rules = dataclasses.replace(self.rules, tags=frozenset(tags))

    def events(self, *columns: str) -> list[Any]:
        """Live events, ordered by source and id: dicts of every column, or tuples of those named."""
        return self._rows(_EVENTS, columns)

    def names(self) -> dict[str, tuple[int | None, int | None]]:
        """Of each live event by its id: the digests of `response_id` and `call_id`."""
        rows = self.ledger.session().rows("SELECT event_id, response_key, call_key FROM raw.usage_event")
        return {row[0]: (row[1], row[2]) for row in rows}

    def samples(self, *columns: str) -> list[Any]:
        """GPU samples, ordered by device and time."""
        return self._rows(_SAMPLES, columns)

    def engines(self, *columns: str) -> list[Any]:
        """Engine samples, ordered by engine and time."""
        return self._rows(_ENGINES, columns)

    def rejections(self, *columns: str) -> list[Any]:
        """The quarantine, in the order it was filled."""
        return self._rows("SELECT * FROM raw.rejection ORDER BY rejection_no", columns)

    def dirty(self) -> list[str]:
        """Hours to be metered, as `2026-10-15T11`."""
        rows = self.ledger.session().rows("SELECT charge_period_start FROM raw.dirty_hour ORDER BY ALL")
        return [row[0].strftime("%Y-%m-%dT%H") for row in rows]

    def clear_dirty(self) -> None:
        """As if everything had been metered."""
        with self.ledger.transaction() as session:
            session.do("DELETE FROM raw.dirty_hour")

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self.ledger.session().value(f"SELECT count(*) FROM {table}"))

    def batches(self) -> list[tuple[int, int, int]]:
        """Of each batch: where it starts and ends in its stream, and how many records it received."""
        return [
            (row[0], row[1], row[2])
            for row in self.ledger.session().rows(
                "SELECT position_start, position_end, received FROM raw.batch WHERE batch_no > $since ORDER BY batch_no",
                {"since": self._since},
            )
        ]

    def totals(self) -> dict[str, int]:
        """The counts of all batches."""
        names = (
            "received",
            "landed",
            "duplicates",
            "superseded",
            "conflicts",
            "rejected",
            "skewed",
            "dropped_tags",
        )
        sums = ", ".join(f"coalesce(sum({name}), 0)::BIGINT" for name in names)
        row = self.ledger.session().row(f"SELECT {sums} FROM raw.batch WHERE batch_no > $since", {"since": self._since})
        return dict(zip(names, row, strict=True))

    def _rows(self, sql: str, columns: tuple[str, ...]) -> list[Any]:
        session = self.ledger.session()
        names = session.columns(sql)
        found = [dict(zip(names, row, strict=True)) for row in session.rows(sql)]
        if not columns:
            return found
        picked = [tuple(row[column] for column in columns) for row in found]
        return [row[0] for row in picked] if len(columns) == 1 else picked


_EVENTS = """
SELECT origin.source, event.event_id, strftime(event.occurred_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS occurred_at, model.model_id AS model,
    series.provider, series.cluster, series.deployment, series.replica, caller.principal, caller.namespace, caller.tags, event.revision,
    event.trace_id, event.session_id, event.uncached_input_tokens, event.cache_read_tokens, event.cache_write_tokens,
    event.output_tokens, event.reasoning_tokens, event.requests, event.ttft_us, event.duration_us, event.queue_us, series.status,
    series.usage_quality, series.tier, series.language, series.region
FROM raw.usage_event AS event
JOIN raw.series AS series USING (series_no)
JOIN raw.source AS origin ON origin.source_no = event.source_no AND origin.source_no = series.source_no
JOIN book.model AS model USING (model_no)
JOIN raw.caller AS caller ON caller.caller_no = series.caller_no AND caller.source = origin.source
ORDER BY ALL
"""

_SAMPLES = """
SELECT device.gpu_uuid, device.mig_profile, strftime(gpu.sampled_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS sampled_at, series.gpu, series.cluster,
    series.node, series.deployment, series.namespace, series.pod, series.container, gpu.active_ppm, gpu.sm_active_ppm,
    gpu.tensor_active_ppm, gpu.dram_active_ppm, gpu.memory_used_bytes, gpu.power_milliwatts, gpu.energy_millijoules
FROM raw.gpu_sample AS gpu
JOIN raw.gpu_device AS device USING (device_no)
JOIN raw.gpu_series AS series ON series.gpu_series_no = gpu.gpu_series_no AND series.device_no = gpu.device_no
ORDER BY ALL
"""

_ENGINES = """
SELECT known.instance, known.engine, model.model_id AS model, strftime(reading.sampled_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS sampled_at,
    series.software, series.cluster, series.node, series.deployment, series.namespace, series.pod, series.replica,
    strftime(reading.started_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS started_at,
    reading.* EXCLUDE (sampled_at, engine_no, engine_series_no, started_at, batch_no)
FROM raw.engine_sample AS reading
JOIN raw.engine AS known USING (engine_no)
JOIN book.model AS model USING (model_no)
JOIN raw.engine_series AS series ON series.engine_series_no = reading.engine_series_no AND series.engine_no = reading.engine_no
ORDER BY ALL
"""

CONFIG = """
[ledger]
path = "apportion.duckdb"
billing_currency = "USD"

[[pools]]
id = "p"
gpu = "H100_SXM"
gpus = 8
effective_from = 2026-10-01T00:00:00Z

[[rates]]
pool = "p"
component = "accelerator"
per_gpu_hour = "2.49"
effective_from = 2026-10-01T00:00:00Z
"""
