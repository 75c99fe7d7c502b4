"""Globs: `*` and `?`, nothing else; as LIKE patterns they match the same texts."""

from __future__ import annotations

import re

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from apportion.config.globs import like, share_a_text

SIGNS = st.text(
    st.sampled_from("aAb%_\\.*?[]{}é\n") | st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)
SMALL = st.text(st.sampled_from("ab*?"), max_size=5)
CONNECTION = duckdb.connect(config={"threads": 1})


def matches(glob: str, text: str) -> bool:
    """What a glob means, by a regular expression."""
    signs = {"*": ".*", "?": "."}
    return re.fullmatch("".join(signs.get(sign, re.escape(sign)) for sign in glob), text, re.DOTALL) is not None


@given(SIGNS, SIGNS)
def test_like_matches_what_the_glob_matches(glob: str, text: str) -> None:
    """Case counts, and %, _ and the escape itself are ordinary characters."""
    found = CONNECTION.execute("SELECT $text LIKE $glob ESCAPE '\\'", {"text": text, "glob": like(glob)}).fetchone()
    assert found == (matches(glob, text),)


@given(SIGNS)
def test_a_text_matches_itself_as_a_glob(text: str) -> None:
    """A name without signs of its own is found by itself."""
    found = CONNECTION.execute("SELECT $text LIKE $glob ESCAPE '\\'", {"text": text, "glob": like(text)}).fetchone()
    assert found == (True,)


@given(SMALL, SMALL, st.text(st.sampled_from("ab"), max_size=6))
def test_globs_that_match_one_text_share_it(left: str, right: str, text: str) -> None:
    """No text that both match is overlooked, and the question has one answer from both sides."""
    if matches(left, text) and matches(right, text):
        assert share_a_text(left, right)
    assert share_a_text(left, right) == share_a_text(right, left)


def test_globs_apart_share_nothing() -> None:
    """Different literals, anchors and lengths tell globs apart."""
    assert not share_a_text("prod-*", "dev-*")
    assert not share_a_text("?", "??")
    assert not share_a_text("a*b", "*c")
    assert share_a_text("a*", "*b")
    assert share_a_text("", "*")
