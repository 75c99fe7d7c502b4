"""What tells tokens apart, as `book` keeps it, and the hours that a change of it reaches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.ledger.book_samples import BASE, HOURS, Book, changed, opened

MODELS = '[[models]]\nid = "m"\nweight = "0.5"\nadapters = ["lora-*_x"]\n'
DOWN = '[[downtime]]\ndeployment = "d"\ngpus = 2\ncause = "lost"\neffective_from = 2026-10-02T00:30:00Z\neffective_to = 2026-10-02T03:00:00Z\n'


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty book beside metered hours, with the small config in it."""
    with opened(tmp_path) as made:
        made.sync(BASE)
        made.forget("book.dirty_hour")
        yield made


def test_models_and_tiers_are_integers_of_one_scale(book: Book) -> None:
    """Who is not named stands under the empty name; the policy's scale is that of all weights together."""
    book.sync(changed('idle = "separate"', 'tiers = { batch = "0.5" }\nweights = { context = "0.001" }') + MODELS)

    assert book.rows("SELECT model_id, weight FROM book.model_weight JOIN book.model USING (model_no) ORDER BY 1") == [
        ("", 2),
        ("m", 1),
    ]
    assert book.rows("SELECT model_id, pattern FROM book.model_adapter JOIN book.model USING (model_no)") == [
        ("m", r"lora-%\_x")
    ]
    assert book.rows("SELECT weight_scale, context_weight, output_weight, tiers FROM book.policy WHERE policy_version = 2") == [
        (1000 * 2 * 2, 1, 6000, '[{"tier":"","weight":2},{"tier":"batch","weight":1}]')
    ]  # fmt: skip
    assert book.dirty()[0] == HOURS


def test_tiers_of_the_cache_are_integers_of_the_same_scale(book: Book) -> None:
    """With room for a mix; what is not said weighs what a cache read does, and a policy of one weight is no policy of tiers."""
    assert book.rows("FROM book.cache_tier_weight") == []

    book.sync(changed('idle = "separate"', "weights = { cache_read_storage = 2 }"))

    assert book.rows("FROM book.cache_tier_weight") == [(2, 10_000, 10_000, 200_000)]
    assert book.rows("SELECT weight_scale FROM book.policy WHERE policy_version = 2") == [(100_000,)]
    assert book.dirty()[0] == HOURS


def test_adapters_alone_weigh_nothing(book: Book) -> None:
    """A model of weight 1 leaves the policy as it was, and its adapters are known all the same."""
    report = book.sync(BASE + MODELS.replace('"0.5"', "1"))

    assert (report.policy_version, report.dirty_hours) == (1, HOURS)
    assert book.rows("SELECT * FROM book.model_weight") == []


def test_downtime_reaches_its_own_hours(book: Book) -> None:
    """The hour it begins in, and those until it ends, and back again when it is taken out."""
    for text in (BASE + DOWN, BASE):
        book.sync(text)
        assert book.dirty() == (3, datetime(2026, 10, 2, tzinfo=UTC), datetime(2026, 10, 2, 2, tzinfo=UTC))
        book.forget("book.dirty_hour")
