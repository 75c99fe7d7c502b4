"""Canonical records in Parquet: columns named as in the contract, any of them absent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from apportion.domain.errors import InputError
from apportion.ledger.connection import Session
from ingest.kinds import Kind


@dataclass(frozen=True, slots=True)
class Parquet:
    """Canonical columns of one Parquet file; a slice is a range of its rows.

    Attributes:
        present: the file's columns that the contract knows, with their types.
    """

    name: str
    kind: Kind
    present: dict[str, str]
    reads_arrays: bool = False

    def view(self, spool: Path, file: str) -> str:  # noqa: ARG002 - canonical records name themselves
        """The rows from `slice_start` up to `slice_end`, each field as a JSON value."""
        fields = ", ".join(f"({self._json(column)})::VARCHAR AS {column}" for column in self.kind.columns)
        return (
            f"SELECT {fields} FROM read_parquet('{_quoted(spool)}', file_row_number = true) "
            "WHERE file_row_number >= getvariable('slice_start') AND file_row_number < getvariable('slice_end')"
        )

    def count(self, data: bytes) -> int:  # noqa: ARG002 - slices are row ranges
        """Rows have no bytes to count."""
        return 0

    def split(self, data: bytes) -> list[tuple[int, bytes]]:  # noqa: ARG002 - slices are row ranges
        """Rows have no bytes of their own; `row_bytes` writes those of single rows."""
        return []

    def row_bytes(self, session: Session, spool: Path, rows: list[int]) -> dict[int, bytes]:
        """Single rows as JSON, by row number from 0."""
        found = session.rows(
            f"SELECT row_no, to_json(content)::VARCHAR FROM (SELECT file_row_number AS row_no, content FROM "
            f"read_parquet('{_quoted(spool)}', file_row_number = true) AS content) WHERE row_no IN (SELECT unnest($rows::BIGINT[]))",
            {"rows": rows})
        return {int(row): text.encode() for row, text in found}

    def boundary(self, data: bytes) -> int:
        """Slices are row ranges; bytes have no boundary."""
        return len(data)

    def fault(self, record: bytes, header: bytes) -> str | None:  # noqa: ARG002 - rows are always rows
        """A row is always a record."""
        return None

    def header(self, data: bytes) -> bytes:  # noqa: ARG002 - none
        """Parquet has none."""
        return b""

    def placeholder(self, header: bytes) -> bytes:  # noqa: ARG002 - always the same
        """Rows need none."""
        return b""

    def _json(self, column: str) -> str:
        kind = self.present.get(column)
        if kind is None:
            return "NULL::JSON"
        if kind.startswith("TIMESTAMP"):
            return f"to_json(strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ'))"
        if kind == "VARCHAR" and column == "tags":
            return "TRY_CAST(tags AS JSON)"
        if kind.startswith("DECIMAL"):
            return f"CASE WHEN {column} IS NOT NULL THEN {column}::VARCHAR::JSON END"
        return f"CASE WHEN {column} IS NOT NULL THEN to_json({column}) END"


def inspect(session: Session, kind: Kind, path: Path, shown: Path) -> tuple[Parquet, int]:
    """Read a file's schema. Returns: its format, and how many rows it has.

    Args:
        path: where DuckDB may read it.
        shown: what its owner calls it.
    Raises: InputError when required columns are absent or times have no zone.
    """
    described = session.rows(f"DESCRIBE SELECT * FROM read_parquet('{_quoted(path)}')")
    present = {str(row[0]): str(row[1]) for row in described if row[0] in kind.columns}
    required = {kind.identity, kind.time} - set(present)
    if required:
        msg = f"{shown}: no column named {', '.join(sorted(required))}; rename the columns, or read it through a [[sources]] mapping."
        raise InputError(msg)
    if re.fullmatch(r"TIMESTAMP(_S|_MS|_NS)?", present[kind.time]):
        msg = f"{shown}: {kind.time} has no zone; write it as TIMESTAMP WITH TIME ZONE (isAdjustedToUTC), or as RFC 3339 text."
        raise InputError(msg)
    rows = session.value(f"SELECT count(*) FROM read_parquet('{_quoted(path)}')")
    return Parquet(name=kind.name, kind=kind, present=present), int(rows)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
