"""What `book` said when: every row that a sync replaced, with the times between which it was known.

Valid time is in the rows themselves (`effective_from`, `effective_to`); this is known time. A row that is still there is
known to the end of time; one that was there before histories began has been known since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from apportion.config.values import BEGINNING
from apportion.domain.period import FOREVER
from apportion.ledger.book_tables import BookTable, rows_as_objects, text
from apportion.ledger.connection import Row, Session

_END = """
UPDATE book.history SET known_to = $now
WHERE subject = $subject AND known_to = $forever AND content IN (SELECT unnest(from_json($rows::JSON, '["VARCHAR"]')))
"""
_BEGIN = """
INSERT INTO book.history
SELECT $subject, unnest(from_json($rows::JSON, '["VARCHAR"]')), $now, $forever
"""
_KNOWN = """
SELECT content FROM book.history
WHERE subject = $subject AND known_from <= $at AND known_to > $at ORDER BY content
"""


def record(session: Session, table: BookTable, before: Sequence[Row], after: Sequence[Row], now: datetime) -> None:
    """Remember that a table's rows became others, inside the transaction that replaces them.

    Rows of equal content are one. A change within the same microsecond as another leaves nothing behind of what it undid.
    """
    started = session.value("SELECT count(*) FROM book.history WHERE subject = $subject", {"subject": table.name})
    if started and before == after:
        return
    old, new = (set(_contents(table, rows)) for rows in (before, after))
    if not started:
        _write(session, _BEGIN, table, old, BEGINNING)
    _write(session, _END, table, old - new, now)
    _write(session, _BEGIN, table, new - old, now)


def as_known(session: Session, subject: str, at: datetime) -> list[dict[str, object]]:
    """The rows of a table of `book` as they were known at an instant, whatever changed since.

    The subject is the table with its schema, such as `book.rate`; `at` is known time, so rows in force at any time are among
    the answer.

    Returns: rows by column, ids as text and times as naive UTC text, in the order of their texts.
    """
    found = session.rows(_KNOWN, {"subject": subject, "at": at})
    return [json.loads(content) for (content,) in found]


def _contents(table: BookTable, rows: Sequence[Row]) -> list[str]:
    return [text(row) for row in rows_as_objects(table, rows)]


def _write(session: Session, sql: str, table: BookTable, contents: set[str], now: datetime) -> None:
    if contents:
        session.do(sql, {"subject": table.name, "rows": text(sorted(contents)), "now": now, "forever": FOREVER})
