"""SQL as DuckDB reads it, kept: to read the steps anew takes a fifth of the time that an hour takes to meter."""

from __future__ import annotations

from typing import Final

import duckdb

KEPT_MAX: Final = 1000
"""Statements; beyond them all are forgotten. The steps, audits and questions of every command are fewer."""

_KEPT: dict[str, duckdb.Statement | str] = {}


def statement(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement | str:
    """A text to be executed on any connection, as often as wanted; several statements in one stay text.

    Raises: duckdb.Error for what DuckDB cannot read.
    """
    found = _KEPT.get(sql)
    if found is None:
        if len(_KEPT) >= KEPT_MAX:
            _KEPT.clear()
        statements = connection.extract_statements(sql)
        found = _KEPT[sql] = statements[0] if len(statements) == 1 else sql
    return found
