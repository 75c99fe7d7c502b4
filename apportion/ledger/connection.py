"""Open the ledger, and talk to it in transactions.

One process owns the file for writing (DuckDB locks it); inside that process one transaction writes at a time. Times are
naive UTC in the file and aware UTC in Python; this module is the one place that converts. SQL never leaves the paths
it is given: external access is off but for the ledger's own work directory, extensions cannot load, and the
configuration is locked.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import duckdb

from apportion.domain.errors import LedgerError
from apportion.ledger.statements import statement
from apportion.ledger.troubles import translated

log = logging.getLogger("apportion.ledger")

MEMORY_LIMIT = "1GB"
"""DuckDB's own buffers; beyond it operators spill into the work directory."""

Row = tuple[Any, ...]


class Session:
    """One thread's conversation with an open ledger.

    Timestamps come back aware; aware parameters go in as naive UTC.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Let go of what the session holds; it cannot be used again."""
        self._connection.close()

    def rows(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> list[Row]:
        """Every row of a statement, as tuples of plain Python values."""
        return [tuple(_aware(value) for value in row) for row in self._run(sql, parameters).fetchall()]

    def row(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> Row:
        """The one row of a statement. Raises: LookupError when there is none."""
        found = self.rows(sql, parameters)
        if not found:
            msg = f"no row: {sql[:80]}"
            raise LookupError(msg)
        return found[0]

    def value(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """The first column of the one row of a statement."""
        return self.row(sql, parameters)[0]

    def do(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> int:
        """Run a statement for its effect. Returns: rows it changed, where the statement counts them."""
        found = self._run(sql, parameters).fetchall()
        return int(found[0][0]) if len(found) == 1 and len(found[0]) == 1 and isinstance(found[0][0], int) else 0

    def columns(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> list[str]:
        """Column names that a query answers with, without fetching it."""
        return [str(row[0]) for row in self._run(f"DESCRIBE {sql}", parameters).fetchall()]

    def frame(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """A query as a pandas DataFrame of integers and text.

        Raises: TypeError for a column that pandas would turn into floats (HUGEINT, DECIMAL, DOUBLE).
        """
        for name, kind, *_ in self._run(f"DESCRIBE {sql}", parameters).fetchall():
            if re.match(r"HUGEINT|UHUGEINT|DECIMAL|DOUBLE|FLOAT", str(kind)):
                msg = f"column {name} is {kind}, which pandas makes a float; cast it to BIGINT or VARCHAR"
                raise TypeError(msg)
        return self._run(sql, parameters).df()

    def _run(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(statement(self._connection, sql), _naive(parameters))
        except duckdb.Error as error:
            raise translated(error) from error


class Ledger:
    """An open ledger file.

    Attributes:
        path: the DuckDB file.
        work: directory for spools and temporary files; the only one SQL may touch.
        results: where results are published, beside the ledger.
    """

    def __init__(self, path: Path, *, threads: int | None = None, memory_limit: str = MEMORY_LIMIT) -> None:
        self.path = path.resolve()
        self.work = self.path.with_name(self.path.name + ".work")
        self.results = results_path(self.path)
        self._lock = threading.RLock()
        self._connection = _connect(self.path, self.work, threads=threads, memory_limit=memory_limit)

    def session(self) -> Session:
        """A conversation of its own, for one thread."""
        cursor = self._connection.cursor()
        cursor.execute(f"USE {CATALOG}")  # cursors do not inherit it
        return Session(cursor)

    @contextlib.contextmanager
    def transaction(self, session: Session | None = None) -> Iterator[Session]:
        """All or nothing, one writer at a time: commits at the end, rolls back on any exception.

        Args:
            session: whose temporary tables and variables the transaction needs; else a fresh one.
        """
        with self._lock:
            session = session or self.session()
            session.do("BEGIN")
            try:
                yield session
            except BaseException:
                with contextlib.suppress(LedgerError):
                    session.do("ROLLBACK")
                raise
            session.do("COMMIT")

    def close(self) -> None:
        """Checkpoint and let go of the file."""
        with self._lock:
            with contextlib.suppress(duckdb.Error):
                self._connection.execute(f"DETACH {CATALOG}")
            self._connection.close()
            shutil.rmtree(self.work, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def results_path(ledger: Path) -> Path:
    """Where a ledger publishes its results: `apportion.duckdb` -> `apportion.results.duckdb`."""
    return ledger.with_name(f"{ledger.stem}.results.duckdb")


def read_only(path: Path) -> Session:
    """A published results file, for reading while its ledger is in use.

    Raises: LedgerError when there is none yet, or it cannot be read.
    """
    if not path.exists():
        msg = f"{path}: nothing has been published yet; run `apportion meter` first"
        raise LedgerError(msg)
    connection = duckdb.connect(":memory:", config=_LOCKED_DOWN)
    try:
        # Attached, not opened: DuckDB keeps one instance per opened path, and would hand a reader the file before it.
        connection.execute(f"ATTACH {_quoted(path)} AS results (READ_ONLY)")
        connection.execute("USE results")
        connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false; SET lock_configuration = true")
    except duckdb.Error as error:
        connection.close()
        raise translated(error, path) from error
    return Session(connection)


_LOCKED_DOWN: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


CATALOG = "books"
"""What DuckDB calls the attached ledger, whatever its file is called: by default a file named like one of its own schemas
(`ledger.duckdb`, `raw.duckdb`) could not be queried."""

_COMPANIONS = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""Files that DuckDB keeps beside a database."""


def _connect(path: Path, work: Path, *, threads: int | None, memory_limit: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config=_LOCKED_DOWN)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"ATTACH {_quoted(path)} AS {CATALOG}")
        work.mkdir(exist_ok=True)
        _sweep(work)
        companions = ", ".join(_quoted(path.with_name(path.name + suffix)) for suffix in _COMPANIONS)
        connection.execute(f"SET memory_limit = '{memory_limit}'")
        if threads:
            connection.execute(f"SET threads = {threads:d}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {_quoted(work)}")
        connection.execute(f"SET allowed_directories = [{_quoted(work)}]")
        connection.execute(f"SET allowed_paths = [{companions}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except (duckdb.Error, OSError) as error:
        connection.close()
        raise translated(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _sweep(work: Path) -> None:
    """Spools that a killed process left behind: we hold the lock, so nobody else uses them."""
    for leftover in work.iterdir():
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _naive(parameters: Mapping[str, Any] | Sequence[Any] | None) -> Any:
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        return {name: _utc(value) for name, value in parameters.items()}
    return [_utc(value) for value in parameters]


def _utc(value: Any) -> Any:
    if isinstance(value, list):
        return [_utc(one) for one in value]
    if isinstance(value, datetime):
        if value.tzinfo is None:
            msg = f"{value} has no zone; the ledger takes aware times only"
            raise ValueError(msg)
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
