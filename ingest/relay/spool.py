"""What the relay holds on disk: a SQLite file of requests in the order they came, and those that were refused for good.

1. `append` commits whole requests with a synced write-ahead log. *What it returned for survives kill -9 and power loss.*
2. `oldest` reads the request with the lowest number, and leaves it where it is. *Killed during its delivery, it is delivered again.*
3. Its key is the spool's own random name and its number, which is never given twice. *A repeated delivery has the same key,
   another request never has; a receiver that remembers keys lands it once.*
4. `remove` and `refuse` commit without a sync. *A power loss may undo them, and then 2 and 3 hold again.*

The file is its owner's alone to read: it holds bodies as they were sent, until they are delivered. No token is ever in it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from apportion.domain.errors import ApportionError
from ingest.relay.entries import Entry, Holding, Refused

ANSWER_CHARACTERS_MAX: Final = 2000
BUSY_SECONDS: Final = 10


class SpoolError(ApportionError):
    """The spool cannot be opened, read or written."""


class Spool:
    """An open spool. Any thread may call it.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _sentences(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
                _sync_folder(path.parent)
            self._adding, self._adding_lock = _connect(path, "FULL"), threading.Lock()
            self._adding.executescript(_SCHEMA)
            self._adding.execute("INSERT OR IGNORE INTO spool VALUES (1, ?)", (uuid.uuid4().hex,))
            (self._name,) = self._adding.execute("SELECT name FROM spool").fetchone()
            self._other, self._other_lock = _connect(path, "NORMAL"), threading.Lock()

    def close(self) -> None:
        """Let go of the file."""
        self._other.close()
        self._adding.close()

    def alone(self) -> sqlite3.Connection:
        """Keep a second relay away while the connection returned is open. Raises: SpoolError when there is one already."""
        lock = sqlite3.connect(self.path.with_name(self.path.name + ".lock"), isolation_level=None, timeout=0)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            msg = f"{self.path}: another relay delivers this spool; stop it, or give this one a --spool of its own."
            raise SpoolError(msg) from error
        return lock

    def key(self, entry: Entry) -> str:
        """What every delivery of an entry is recognised by."""
        return f"{self._name}-{entry.sequence}"

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Commit requests, all or none of them. Returns: their numbers.

        Raises: SpoolError when they could not be made durable; then none of them is kept.
        """
        with self._transaction(self._adding, self._adding_lock) as connection:
            return [
                int(connection.execute(_APPEND, (*_columns(entry), entry.size)).lastrowid or 0) for entry in entries
            ]

    def oldest(self) -> Entry | None:
        """The request to deliver next."""
        with _sentences(self.path), self._other_lock:
            row = self._other.execute(_OLDEST).fetchone()
        if row is None:
            return None
        sequence, path, content_type, content_encoding, body, received_at = row
        return Entry(
            path=path,
            content_type=content_type,
            content_encoding=content_encoding,
            body=body,
            received_at=datetime.fromisoformat(received_at),
            sequence=sequence,
        )

    def remove(self, entry: Entry) -> None:
        """It was accepted."""
        with self._transaction(self._other, self._other_lock) as connection:
            connection.execute("DELETE FROM entry WHERE sequence = ?", (entry.sequence,))

    def refuse(self, entry: Entry, status: int, answer: str) -> None:
        """It will never be accepted: set it aside with the answer, so that those behind it are delivered."""
        with self._transaction(self._other, self._other_lock) as connection:
            connection.execute(
                "UPDATE entry SET status = ?, answer = ? WHERE sequence = ?",
                (status, answer[:ANSWER_CHARACTERS_MAX], entry.sequence),
            )

    def refused(self) -> list[Refused]:
        """What was set aside, in the order it came."""
        with _sentences(self.path), self._other_lock:
            rows = self._other.execute(_REFUSED).fetchall()
        return [
            Refused(
                sequence=row[0],
                path=row[1],
                body_bytes=row[2],
                received_at=datetime.fromisoformat(row[3]),
                status=row[4],
                answer=row[5],
            )
            for row in rows
        ]

    def retry_refused(self) -> int:
        """Deliver what was set aside after all, before everything that came later. Returns: how many."""
        with self._transaction(self._other, self._other_lock) as connection:
            return connection.execute("UPDATE entry SET status = 0, answer = '' WHERE status > 0").rowcount

    def drop_refused(self) -> int:
        """Forget what was set aside. Returns: how many."""
        with self._transaction(self._other, self._other_lock) as connection:
            return connection.execute("DELETE FROM entry WHERE status > 0").rowcount

    def holding(self) -> Holding:
        """Counts and bytes."""
        with _sentences(self.path), self._other_lock:
            row = self._other.execute(_HOLDING).fetchone()
            oldest = self._other.execute(
                "SELECT received_at FROM entry WHERE status = 0 ORDER BY sequence LIMIT 1"
            ).fetchone()
        return Holding(
            waiting=row[0],
            waiting_bytes=row[1],
            refused=row[2],
            refused_bytes=row[3],
            oldest_at=datetime.fromisoformat(oldest[0]) if oldest else None,
        )

    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection, lock: threading.Lock) -> Iterator[sqlite3.Connection]:
        with _sentences(self.path), lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA secure_delete = ON")  # what was delivered is not left in free pages
    return connection


def _columns(entry: Entry) -> tuple[str, str, str, bytes, str]:
    return entry.path, entry.content_type, entry.content_encoding, entry.body, entry.received_at.isoformat()


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        msg = f"{path}: the spool cannot be used ({error}); check the disk's free space, the path and its permissions."
        raise SpoolError(msg) from error


def _sync_folder(folder: Path) -> None:
    """So that the file's name survives a power loss as its contents do."""
    with contextlib.suppress(PermissionError):  # a system that opens no folders syncs names by itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    status INTEGER NOT NULL DEFAULT 0,
    answer TEXT NOT NULL DEFAULT '',
    size INTEGER NOT NULL,
    received_at TEXT NOT NULL,
    path TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_encoding TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_held ON entry (status, sequence, size);
"""

_APPEND = "INSERT INTO entry (path, content_type, content_encoding, body, received_at, size) VALUES (?, ?, ?, ?, ?, ?)"

_OLDEST = """
SELECT sequence, path, content_type, content_encoding, body, received_at
FROM entry WHERE status = 0 ORDER BY sequence LIMIT 1
"""

_REFUSED = (
    "SELECT sequence, path, length(body), received_at, status, answer FROM entry WHERE status > 0 ORDER BY sequence"
)

_HOLDING = """
SELECT count(*) FILTER (WHERE status = 0), coalesce(sum(size) FILTER (WHERE status = 0), 0),
    count(*) FILTER (WHERE status > 0), coalesce(sum(size) FILTER (WHERE status > 0), 0)
FROM entry
"""
