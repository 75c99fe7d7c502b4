"""What the book said when: every replaced row is kept with the times between which it was known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from apportion.config.load import load
from apportion.domain.period import FOREVER
from apportion.ledger.book import sync
from apportion.ledger.book_costs import RATE
from apportion.ledger.history import as_known, record
from tests.unit.ledger.book_samples import BASE, Book, changed, opened

ONE, TWO, THREE = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3))
LATER = changed('per_gpu_hour = "1"', 'per_gpu_hour = "2"')


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book beside metered hours."""
    with opened(tmp_path) as made:
        yield made


def synced(book: Book, text: str, now: datetime) -> None:
    """Write a config and sync it at a time."""
    file = book.folder / "apportion.toml"
    file.write_text(text, encoding="utf-8")
    with book.ledger.transaction() as session:
        sync(session, load(file), now)


def prices(book: Book, at: datetime) -> list[object]:
    """Prices of the rate card as known at a time."""
    return [row["price_nano"] for row in as_known(book.ledger.session(), "book.rate", at)]


def test_a_replaced_row_is_answered_as_known_then(book: Book) -> None:
    """Before it was written, while it was there, and after another took its place; the very instant belongs to the new one."""
    synced(book, BASE, ONE)
    synced(book, LATER, THREE)

    assert [prices(book, at) for at in (ONE - timedelta(1), ONE, TWO, THREE, THREE + timedelta(1))] == [
        [], [10**9], [10**9], [2 * 10**9], [2 * 10**9],
    ]  # fmt: skip


def test_what_goes_and_comes_back_has_two_spans(book: Book) -> None:
    """A price that was taken back by mistake and restored was unknown in between."""
    for text, now in ((BASE, ONE), (LATER, TWO), (BASE, THREE)):
        synced(book, text, now)

    assert book.rows(
        "SELECT known_from, known_to FROM book.history WHERE subject = 'book.rate' AND content LIKE '%:1000000000,%' ORDER BY ALL"
    ) == [(ONE, TWO), (THREE, FOREVER)]


def test_an_unchanged_row_keeps_its_time(book: Book) -> None:
    """A change of one table, or of other rows, touches nothing else."""
    synced(book, BASE, ONE)
    synced(book, LATER, THREE)
    (pool,) = as_known(book.ledger.session(), "book.pool", TWO)

    assert pool == {
        "pool_id": "p", "gpu": "L4", "gpus": 8, "effective_from": "2026-10-01T00:00:00", "effective_to": "9999-12-31T00:00:00",
    }  # fmt: skip
    assert book.rows("SELECT known_from, known_to FROM book.history WHERE subject = 'book.pool'") == [(ONE, FOREVER)]


def test_what_was_there_before_histories_began_was_always_known(book: Book) -> None:
    """A ledger of an older program has rows and no history: the first sync, of whatever, gives them one."""
    synced(book, BASE, ONE)
    with book.ledger.transaction() as session:
        session.do("DELETE FROM book.history")
    synced(book, changed("[policy]\n", '[budgets]\nx = "1"\n[policy]\n'), THREE)

    assert prices(book, ONE) == prices(book, THREE) == [10**9]


def test_rows_of_equal_content_are_one(book: Book) -> None:
    """History is a set of rows: what stands twice is known once, and as long as one of the two is there."""
    row = ("p", "host", "gpu_hour", 1, 1, "spot", "", "", ONE, TWO)
    with book.ledger.transaction() as session:
        record(session, RATE, [], [row, row], ONE)
        record(session, RATE, [row, row], [row], TWO)
        record(session, RATE, [row], [], THREE)

    assert book.rows("SELECT known_from, known_to FROM book.history") == [(ONE, THREE)]
