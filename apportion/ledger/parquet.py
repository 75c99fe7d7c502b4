"""Write a frame as Parquet: DuckDB does it, with exact decimals, so no further library is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from apportion.ledger.troubles import translated


def write_frame(frame: Any, target: Path, types: Mapping[str, str]) -> None:
    """Write a pandas frame of text and integers. The database that does it may touch the target's directory only.

    Args:
        frame: the rows.
        target: the file.
        types: SQL types of columns that are to become something else; an empty text is NULL there.
    Raises: LedgerError when the file cannot be written.
    """
    fields = ", ".join(
        f"CAST(nullif({_name(column)}, '') AS {types[column]}) AS {_name(column)}" if column in types else _name(column)
        for column in frame.columns
    )
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("frame", frame)
        connection.execute(f"CREATE TABLE line AS SELECT {fields} FROM frame")
        connection.execute(f"SET allowed_directories = [{_text(target.resolve().parent)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        connection.execute(f"COPY line TO {_text(target.resolve())} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error as error:
        raise translated(error, target) from error
    finally:
        connection.close()


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
