"""One batch into a ledger that is large, against the same into one that is small, and against appending without any check.

Both ledgers hold the end of one month at one density, so that the hours around the batch hold the same events and only
the size of the table differs. Every batch continues where the last one ended, as a live stream does.
"""

from __future__ import annotations

from pathlib import Path

import bench_ingest
import duckdb
import fleet
import ledgers
from measure import THREADS, Result, Setting, clocked, cost, isolated, memory, peak_gib, rounds

from apportion.ledger.connection import Ledger
from ingest.formats.ndjson import Ndjson
from ingest.kinds import USAGE
from ingest.land import Lander
from ingest.slices import Slice

RECORDS = 122_880
GROWTH_MAX = 1.2
APPEND_COST_MAX = 3.0
PEAK_GIB_MAX = 1.5
PEAK_BATCHES = 3


def run(setting: Setting) -> list[Result]:
    """Growth of the cost with the table, cost of the checks, and the memory that landing holds."""
    large, small = setting.size(small=2_000_000, full=50_000_000), setting.size(small=100_000, full=1_000_000)
    config = fleet.config(setting.work / "batch")
    filled = isolated(ledgers.month, setting.work / f"month-{large}.duckdb", config, large)
    short = isolated(ledgers.month, setting.work / f"month-{small}-of-{large}.duckdb", config, small, density=large)
    files = isolated(batches, setting.work, large, setting.rounds + 1)
    peak = isolated(peak_of_landing, filled, config, files[:PEAK_BATCHES], setting.work)
    seconds = isolated(compare, (short, filled), config, files, setting)
    sizes = f"{small / 1e6:g} M → {large / 1e6:g} M events"
    return [
        cost(
            "growth",
            f"landing a batch of {RECORDS:,}: ledger of {sizes}",
            seconds["large"],
            seconds["small"],
            GROWTH_MAX,
        ),
        cost(
            "append",
            f"at {large / 1e6:g} M: append the decoded batch unchecked → decode, check and land it",
            seconds["large"],
            seconds["append"],
            APPEND_COST_MAX,
        ),
        cost(
            "decode",
            f"at {large / 1e6:g} M: decode and append it unchecked → decode, check and land it",
            seconds["large"],
            seconds["decode"],
            APPEND_COST_MAX,
        ),
        memory(f"peak memory of landing at {large / 1e6:g} M", peak, PEAK_GIB_MAX),
    ]


def batches(work: Path, density: int, count: int) -> list[Path]:
    """Files of a batch each, which continue the month."""
    return [
        fleet.events(
            work / f"batch-{density}-{number}.ndjson",
            RECORDS,
            first=density + number * RECORDS,
            step_us=fleet.MONTH_US / density,
        )
        for number in range(count)
    ]


def compare(filled: tuple[Path, Path], config: Path, files: list[Path], setting: Setting) -> dict[str, list[float]]:
    """Seconds per batch for the product in both ledgers, and for DuckDB alone in a copy of the larger."""
    small, large = (
        Landing(ledgers.copied(path, setting.work / f"batch-{size}.duckdb"), config)
        for path, size in zip(filled, ("small", "large"), strict=True)
    )
    append = Appending(ledgers.copied(filled[1], setting.work / "batch-append.duckdb"))
    turns = {name: iter(files) for name in ("small", "large", "append", "decode")}
    seconds = rounds(
        {
            "small": lambda: small.land(next(turns["small"])),
            "large": lambda: large.land(next(turns["large"])),
            "append": lambda: append.decoded(next(turns["append"])),
            "decode": lambda: append.whole(next(turns["decode"])),
        },
        setting.rounds,
    )
    for open_ledger in (small, large, append):
        open_ledger.close()
    return seconds


def peak_of_landing(filled: Path, config: Path, files: list[Path], work: Path) -> float:
    """GiB that a process holds which does nothing but land batches."""
    landing = Landing(ledgers.copied(filled, work / "batch-peak.duckdb"), config)
    for file in files:
        landing.land(file)
    landing.close()
    return peak_gib()


class Landing:
    """A ledger with a stream that lands in it, batch after batch."""

    def __init__(self, path: Path, config: Path) -> None:
        self._path = path
        self._ledger = Ledger(path, threads=THREADS)
        self._lander = Lander(
            self._ledger,
            Ndjson("usage", USAGE),
            bench_ingest.rules(config),
            ledgers.Fixed(fleet.END + (fleet.END - fleet.START)),
            stream="bench",
            file="bench",
        )
        self._end = self._records = 0

    def land(self, file: Path) -> float:
        """Seconds for the next batch, committed."""
        data = file.read_bytes()
        piece = Slice(
            data=data,
            start=self._end,
            end=self._end + len(data),
            first_record=self._records,
            first_line=self._records,
            records=RECORDS,
        )
        self._end, self._records = piece.end, self._records + RECORDS
        seconds = clocked(lambda: self._lander.land(piece, b"", "{}"))
        landed = self._ledger.session().value("SELECT landed FROM raw.batch ORDER BY batch_no DESC LIMIT 1")
        assert landed == RECORDS, landed
        return seconds

    def close(self) -> None:
        """Let go of the ledger, and of its file."""
        self._lander.close()
        self._ledger.close()
        ledgers.remove(self._path)


class Appending:
    """A ledger that takes whatever it is given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = duckdb.connect(str(path), config={"threads": THREADS, "memory_limit": "1GB"})

    def decoded(self, file: Path) -> float:
        """Seconds to append and commit a batch whose columns are at hand."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE decoded AS {_decoded(file)}")
        return clocked(lambda: self._connection.execute("INSERT INTO raw.usage_event BY NAME FROM decoded"))

    def whole(self, file: Path) -> float:
        """Seconds to read, append and commit a batch of lines."""
        return clocked(lambda: self._connection.execute(f"INSERT INTO raw.usage_event BY NAME {_decoded(file)}"))

    def close(self) -> None:
        """Let go of the ledger, and of its file."""
        self._connection.close()
        ledgers.remove(self._path)


def _decoded(file: Path) -> str:
    """A batch in the columns of `raw.usage_event`, its series all one."""
    columns = {**bench_ingest.COLUMNS, "tags": "JSON"}
    spec = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    return f"""
        SELECT
            1 AS source_no, event_id, occurred_at::TIMESTAMP AS occurred_at, 1 AS series_no, revision, trace_id, session_id,
            uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, requests,
            (ttft_ms * 1000)::BIGINT AS ttft_us, (duration_ms * 1000)::BIGINT AS duration_us, (queue_ms * 1000)::BIGINT AS queue_us,
            0 AS batch_no
        FROM read_ndjson('{file}', columns = {{{spec}}})"""
