"""The published results: a small DuckDB file that anyone may read while the ledger is in use.

It holds a table for every `export` view, under the view's name, and `status` with one row. Nothing in it is a single
request; of callers it names only the weightiest that no rule maps. Files replace one another whole: a reader sees one publish
or the next, and keeps the one it opened. What there is of every hour, by far the most, is carried over from the file before
where it did not change.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from apportion.domain.clock import Clock
from apportion.domain.errors import LedgerError
from apportion.ledger.connection import Ledger, Row, Session

TABLES: Final = (
    "months", "chargeback", "settlement", "unit_cost", "refused_hours", "counters", "pool_shares", "reconciliation",
    "sources", "streams", "observed_usage", "stream_gaps", "collectors", "ingest_totals", "rejections", "discoveries", "inventory",
    "step_runs", "job_runs", "prices", "price_doubts", "price_terms", "credits", "overloads",
)  # fmt: skip
"""Written anew each time."""

_COST: Final = "sum(effective_cost_nano)::HUGEINT"

HOURLY: Final = {
    "chargeback_hourly": (
        "attribution.charge_hourly",
        _COST,
        "count(effective_cost_nano), count(*)",
        "sum(consumed_tokens)::HUGEINT",
    ),
    "hours": ("metering.deployment_hourly", _COST, "sum(workload_nano)::HUGEINT", "count(*)"),
    "origin_charges": (
        "metering.origin_charge_hourly",
        _COST,
        "sum(billed_cost_nano)::HUGEINT, count(*)",
        "sum(list_cost_nano)::HUGEINT",
    ),
    "idle_hours": ("metering.idle_hourly", "sum(idle_nano)::HUGEINT", "count(DISTINCT cause)", "count(*)"),
    "phase_methods": (
        "metering.phase_method_hourly",
        "count(*)",
        "sum(prefill_share)::HUGEINT",
        "sum(decode_share)::HUGEINT",
    ),
    "external_charges": (
        "metering.external_usage_hourly",
        _COST,
        "sum(consumed_tokens)::HUGEINT",
        "sum(cost_in_currency_nano)::HUGEINT",
    ),
    "phase_choices": ("metering.phase_share_hourly", "count(*)", "count(DISTINCT phase_split)", "min(phase_split)"),
}
"""Carried over, each with the table that its rows are of, and what tells besides hours whether they are the same: of rows one to one also
their count, which external usage is not, since callers of a team add up."""

_STATUS: Final = """
SELECT
    progress.watermark, progress.first_hour, progress.metered_hours, progress.dirty_hours, progress.refused_hours,
    progress.policy_version, progress.billing_currency, $published_at::TIMESTAMP AS published_at, $ledger AS ledger,
    $pid::BIGINT AS pid, (SELECT coalesce(max(revision), 0) FROM attribution.revision) AS revision
FROM export.progress
"""

_CHANGED: Final = """
SELECT DISTINCT period_start, period_end FROM attribution.revision WHERE revision > $revision ORDER BY ALL
"""

_CHECKSUM: Final = """
SELECT min(charge_period_start), max(charge_period_start), {}, {}, {} FROM {}
"""

_publishes = count(1)


def publish(ledger: Ledger, clock: Clock) -> Path:
    """Write the results of one instant beside the ledger. Returns: where.

    Raises: LedgerError when they cannot be written; what was published before then stays.
    """
    number = next(_publishes)
    file = ledger.work / f"results-{number}.duckdb"
    status = {"published_at": clock.now(), "ledger": str(ledger.path), "pid": os.getpid()}
    session = ledger.session()
    try:
        if not _carried_on(session, ledger.results, file, number, status):
            file.unlink(missing_ok=True)
            with _writing(session, file, f"results_{number}_anew") as name:
                for table in HOURLY:
                    session.do(f"CREATE TABLE {name}.{table} AS SELECT * FROM export.{table}")
                _write(session, name, status)
        _replace(file, ledger.results)
    except OSError as error:
        msg = f"{ledger.results}: the results cannot be published ({error}); the ledger itself is unharmed"
        raise LedgerError(msg) from error
    finally:
        file.unlink(missing_ok=True)
    return ledger.results


def _carried_on(session: Session, before: Path, file: Path, number: int, status: dict[str, object]) -> bool:
    """Write the results over a copy of those before, when these are the same ledger's and of the same shape."""
    if not before.exists():
        return False
    shutil.copyfile(before, file)
    with contextlib.suppress(LedgerError, _Unlike), _writing(session, file, f"results_{number}") as name:
        revision = session.value(f"SELECT revision FROM {name}.status")
        changed = session.rows(_CHANGED, {"revision": revision})
        for table, (origin, *told) in HOURLY.items():
            _carry(session, name, table, changed)
            if session.rows(_CHECKSUM.format(*told, f"{name}.{table}")) != session.rows(
                _CHECKSUM.format(*told, origin)
            ):
                raise _Unlike
        _write(session, name, status)
        return True
    return False


def _carry(session: Session, name: str, table: str, changed: Sequence[Row]) -> None:
    """Write the hours of a table that changed over those of the file before."""
    if _shape(session, f"{name}.{table}") != _shape(session, f"export.{table}"):
        raise _Unlike
    for start, end in changed:
        inside = "charge_period_start >= $start AND charge_period_start < $end"
        session.do(f"DELETE FROM {name}.{table} WHERE {inside}", {"start": start, "end": end})
        session.do(
            f"INSERT INTO {name}.{table} SELECT * FROM export.{table} WHERE {inside}", {"start": start, "end": end}
        )


class _Unlike(Exception):
    """The file before is another ledger's, or another version's: it is left behind."""


def _write(session: Session, name: str, status: dict[str, object]) -> None:
    for table in TABLES:
        session.do(f"CREATE OR REPLACE TABLE {name}.{table} AS SELECT * FROM export.{table}")
    session.do(f"CREATE OR REPLACE TABLE {name}.status AS {_STATUS}", status)


def _shape(session: Session, table: str) -> list[tuple[object, ...]]:
    return [tuple(row[:2]) for row in session.rows(f"DESCRIBE {table}")]


@contextlib.contextmanager
def _writing(session: Session, file: Path, name: str) -> Iterator[str]:
    """A results file, attached for one transaction that reads the ledger as of one instant."""
    quoted = str(file).replace("'", "''")
    session.do(f"ATTACH '{quoted}' AS {name}")
    try:
        session.do("BEGIN")
        try:
            yield name
        except BaseException:
            with contextlib.suppress(LedgerError):
                session.do("ROLLBACK")
            raise
        session.do("COMMIT")
    finally:
        session.do(f"DETACH {name}")


def _replace(file: Path, target: Path) -> None:
    """Put a file in another's place so that neither a crash nor a reader can see half of it."""
    _sync(file)
    file.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
