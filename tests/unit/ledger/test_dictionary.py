"""Surrogate numbers of names: given once, in order of their text, never changed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from apportion.ledger.dictionary import Dictionary, numbers


@pytest.mark.parametrize("dictionary", ["book.model", "book.pool_key", "book.deployment_key"])
def test_names_keep_their_numbers(ledger: Ledger, dictionary: Dictionary) -> None:
    """New names count on from the highest in order of their text, known ones keep theirs, nothing is 0."""
    with ledger.transaction() as session:
        assert numbers(session, dictionary, ["b", "a", "b"]) == {"a": 1, "b": 2}
        assert numbers(session, dictionary, ["c", "A", "a", ""]) == {"": 0, "A": 3, "a": 1, "c": 4}
        assert numbers(session, dictionary, []) == {}


def test_numbers_of_a_failed_transaction_are_free_again(ledger: Ledger) -> None:
    """A number that was never committed was never given."""

    def fail() -> None:
        with ledger.transaction() as session:
            numbers(session, "book.model", ["lost"])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with ledger.transaction() as session:
        assert numbers(session, "book.model", ["kept"]) == {"kept": 1}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6), max_size=8)
)
def test_any_text_is_a_name(ledger: Ledger, names: list[str]) -> None:
    """Whatever letters or quotes a name has, it gets one number and reads back as written."""
    with ledger.transaction() as session:
        given_numbers = numbers(session, "book.model", names)

        assert given_numbers.keys() == set(names)
        assert {
            row[0]: row[1] for row in session.rows("SELECT model_id, model_no FROM book.model")
        }.items() >= given_numbers.items()
