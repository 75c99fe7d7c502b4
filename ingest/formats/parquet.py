"""Canonical records in Parquet: columns named as in the contract, any of them absent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apportion.domain.errors import InputError, LedgerError
from apportion.ledger.connection import Session
from ingest.format import Cut, Ending
from ingest.formats import redaction
from ingest.kinds import Kind
from ingest.slices import Record


@dataclass(frozen=True, slots=True)
class Parquet:
    """Canonical columns of one Parquet file; a slice is a range of its rows.

    Attributes:
        name: what `--format` calls it.
        kind: what its rows are.
        present: the file's columns that the contract knows, with their types.
        reads_arrays: never; rows are rows.
        stands_alone: rows name themselves.
        time_form: RFC 3339, where times are text.
    """

    name: str
    kind: Kind
    present: dict[str, str]
    reads_arrays: bool = False
    stands_alone: bool = True
    time_form: str = ""

    def view(self, spool: Path, file: str, header: bytes, *, sifted: bool) -> str:  # noqa: ARG002 - rows are rows
        """The rows from `slice_start` up to `slice_end`, each field as a JSON value."""
        return (
            f"{self._fields(spool)} "
            "WHERE file_row_number >= getvariable('slice_start') AND file_row_number < getvariable('slice_end')"
        )

    def cut(self, data: bytes, header: bytes, ending: Ending) -> Cut:  # noqa: ARG002 - slices are row ranges
        """Slices are row ranges; their bytes have no ends."""
        return Cut(end=len(data), records=0)

    def split(self, data: bytes) -> Iterator[tuple[int, bytes]]:  # noqa: ARG002 - slices are row ranges
        """Rows have no bytes of their own; `row_bytes` writes those of single rows."""
        return iter(())

    def sift(self, data: bytes, header: bytes) -> tuple[Record, ...]:  # noqa: ARG002 - slices are row ranges
        """Rows cannot be miscounted."""
        return ()

    def row_bytes(self, session: Session, spool: Path, rows: list[int]) -> dict[int, bytes]:
        """Single rows as canonical JSON, by row number from 0; columns that the contract does not know are left out."""
        found = session.rows(
            f"SELECT * FROM ({self._fields(spool, ', file_row_number')}) WHERE file_row_number IN (SELECT unnest($rows::BIGINT[]))",
            {"rows": rows},
        )
        return {
            int(number): (
                "{"
                + ",".join(
                    f'"{column}":{value}'
                    for column, value in zip(self.kind.columns, values, strict=True)
                    if value is not None
                )
                + "}"
            ).encode()
            for *values, number in found
        }

    def fault(self, record: bytes, header: bytes) -> str | None:  # noqa: ARG002 - rows are always rows
        """A row is always a record."""
        return None

    def header(self, data: bytes) -> bytes:  # noqa: ARG002 - none
        """Parquet has none."""
        return b""

    def kept(self, record: bytes, header: bytes, tags: frozenset[str]) -> bytes | None:  # noqa: ARG002 - no header
        """Allowed tags; other columns never were in the record's bytes."""
        return redaction.canonical(record, self.kind.columns, tags)

    def _fields(self, spool: Path, more: str = "") -> str:
        fields = ", ".join(f"({self._json(column)})::VARCHAR AS {column}" for column in self.kind.columns)
        return f"SELECT {fields}{more} FROM read_parquet('{_quoted(spool)}', file_row_number = true)"

    def _json(self, column: str) -> str:
        kind = self.present.get(column)
        if kind is None:
            return "NULL::JSON"
        if kind.startswith("TIMESTAMP"):
            return f"to_json(strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ'))"
        if kind == "VARCHAR" and column == "tags":
            return "CASE WHEN json_valid(tags) THEN tags::JSON ELSE to_json(tags) END"
        if column in self.kind.counts and re.match(r"DECIMAL|DOUBLE|FLOAT", kind):
            # Data frames make counts with gaps fractions; those that are whole are believed.
            whole = f"TRY_CAST({column} AS HUGEINT)"
            return f"CASE WHEN {column} = {whole} THEN to_json({whole}) ELSE to_json({column}) END"
        if kind.startswith("DECIMAL"):
            return f"CASE WHEN {column} IS NOT NULL THEN {column}::VARCHAR::JSON END"
        return f"CASE WHEN {column} IS NOT NULL THEN to_json({column}) END"


def inspect(session: Session, kind: Kind, path: Path, shown: Path) -> tuple[Parquet, int]:
    """Read a file's schema. Returns: its format, and how many rows it has.

    Args:
        session: any.
        kind: what its rows are.
        path: where DuckDB may read it.
        shown: what its owner calls it.

    Raises: InputError when it is damaged, required columns are absent, or times have no zone.
    """
    try:
        described = session.rows(f"DESCRIBE SELECT * FROM read_parquet('{_quoted(path)}')")
        rows = session.value(f"SELECT count(*) FROM read_parquet('{_quoted(path)}')")
    except LedgerError as error:
        raise unreadable(shown, error) from error
    present = {str(row[0]): str(row[1]) for row in described if row[0] in kind.columns}
    required = {kind.identity, kind.time} - set(present)
    if required:
        msg = f"{shown}: no column named {', '.join(sorted(required))}; rename the columns, or write canonical NDJSON."
        raise InputError(msg)
    for column in sorted(kind.times & set(present)):
        if re.fullmatch(r"TIMESTAMP(_S|_MS|_NS)?|DATE", present[column]):
            msg = f"{shown}: {column} has no zone; write it as TIMESTAMP WITH TIME ZONE (isAdjustedToUTC), or as RFC 3339 text."
            raise InputError(msg)
    return Parquet(name=kind.name, kind=kind, present=present), int(rows)


def unreadable(shown: Path, error: LedgerError) -> InputError:
    """The sentence for a file that DuckDB cannot read."""
    said = str(error).strip().splitlines()[0][:200]
    return InputError(f"{shown}: cannot be read as Parquet ({said}); fetch or write the file again.")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
