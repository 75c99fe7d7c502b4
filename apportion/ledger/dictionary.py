"""Surrogate integers for names: assigned once, never reused, so that no text stands in the month's GROUP BY."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from apportion.ledger.connection import Session

Dictionary = Literal["book.model", "book.pool_key", "book.deployment_key"]

_COLUMNS: dict[Dictionary, tuple[str, str]] = {
    "book.model": ("model_no", "model_id"),
    "book.pool_key": ("pool_no", "pool_id"),
    "book.deployment_key": ("deployment_no", "deployment_id"),
}


def numbers(session: Session, dictionary: Dictionary, names: Iterable[str]) -> dict[str, int]:
    """The number of each name, adding those that are new, in the order of their text.

    Runs inside the caller's transaction.
    """
    number, name = _COLUMNS[dictionary]
    wanted = sorted(set(names))
    known = {
        row[0]: row[1]
        for row in session.rows(
            f"SELECT {name}, {number} FROM {dictionary} WHERE {name} IN (SELECT unnest($names::VARCHAR[]))",
            {"names": wanted},
        )
    }
    fresh = [text for text in wanted if text not in known]
    if fresh:
        highest = session.value(f"SELECT max({number}) FROM {dictionary}")
        session.do(
            f"INSERT INTO {dictionary} SELECT $highest + ordinal, text "
            "FROM (SELECT unnest($names::VARCHAR[]) AS text, generate_subscripts($names::VARCHAR[], 1) AS ordinal)",
            {"highest": highest, "names": fresh},
        )
        known |= {text: highest + ordinal for ordinal, text in enumerate(fresh, 1)}
    return known
