"""Write a frame as Parquet: DuckDB does it, with exact decimals, so no further library is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from apportion.ledger.troubles import translated


def write_frame(frame: Any, target: Path, types: Mapping[str, str]) -> None:
    """Write a pandas frame of text columns.

    Args:
        frame: the rows.
        target: the file.
        types: SQL type of columns that are not text; an empty text becomes NULL there.
    Raises: LedgerError when the file cannot be written.
    """
    fields = ", ".join(
        f"CAST(nullif({name}, '') AS {types[name]}) AS {name}" if name in types else f"CAST({name} AS VARCHAR) AS {name}"
        for name in frame.columns
    )
    connection = duckdb.connect(":memory:")
    try:
        connection.register("frame", frame)
        path = str(target).replace("'", "''")
        connection.execute(f"COPY (SELECT {fields} FROM frame) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error as error:
        raise translated(error, target) from error
    finally:
        connection.close()
