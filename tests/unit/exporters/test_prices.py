"""Prices as people read them: what is in force, for what, and which rows never count."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from apportion.ledger.connection import Ledger, Session, read_only
from exporters import prices
from exporters.results import publish
from tests.frozen import FrozenClock

NOW = datetime(2026, 11, 20, tzinfo=UTC)
EVER = "TIMESTAMP '1970-01-01', TIMESTAMP '9999-12-31'"
CATALOG = "'reasoning=output', 'EUR', 'genai-prices', '1.0', 'modelled', 1000000"
BOOK = f"""
INSERT INTO book.setting VALUES ('billing_currency', 'USD');
INSERT INTO book.model VALUES (1, 'm'), (2, 'n');
INSERT INTO raw.series VALUES
    (1, 1, 1, 0, 'openai', '', '', '', 'success', 'reported', '', '', ''),
    (2, 1, 2, 0, 'openai', '', '', '', 'success', 'reported', '', '', ''),
    (3, 1, 2, 0, 'self', '', '', '', 'success', 'reported', '', '', '');
INSERT INTO book.price VALUES
    (1, 'open%', 'm', '', 0, 0, 86400000000, 1500000, NULL, NULL, 12, 0, '', '', 'override', '', 'measured', 1,
        TIMESTAMP '2026-11-01', TIMESTAMP '9999-12-31'),
    (2, 'openai', 'm', '', 0, 0, 86400000000, 1, 2, 3, 4, 5, {CATALOG}, {EVER}),
    (3, 'openai', 'm', '', 200000, 0, 86400000000, 1, 2, 3, 4, 5, {CATALOG}, {EVER}),
    (4, 'openai', 'm', 'batch', 0, 59400000000, 1800000000, 1, 2, 3, 4, 5, {CATALOG}, {EVER}),
    (5, 'openai', 'n', '', 0, 0, 86400000000, 1, 2, 3, 4, 5, {CATALOG}, TIMESTAMP '1970-01-01', TIMESTAMP '2026-11-01');
"""


@pytest.fixture
def results(kept: Ledger) -> Session:
    """Results of a small book of prices."""
    kept.session().do(BOOK)
    return read_only(publish(kept, FrozenClock(NOW)))


def test_prices_in_force_leave_out_what_never_counts(results: Session) -> None:
    """An own row comes before the catalog's standard prices of every length, not before those of another tier."""
    found = prices.listed(results)

    assert [(row["model"], row["tier"], row["above_input_tokens"], row["daily"], row["source"]) for row in found["prices"]] == [
        ("m", "", 0, None, "override"), ("m", "batch", 0, "16:30-00:30", "genai-prices"),
    ]  # fmt: skip
    own = found["prices"][0]
    assert [own[kind] for kind in prices.KINDS] == ["1.5", None, None, "0.000012", "0"]
    assert (own["currency"], found["prices"][1]["currency"], own["effective_to"]) == ("USD", "EUR", None)
    assert found["unpriced"] == [{"provider": "openai", "model": "n"}]


def test_another_time_has_other_prices(results: Session) -> None:
    """Before the own row began, the catalog's count, the long prompts' too."""
    found = prices.listed(results, datetime(2026, 10, 1, tzinfo=UTC))

    assert [(row["model"], row["tier"], row["above_input_tokens"]) for row in found["prices"]] == [
        ("m", "", 0), ("m", "", 200000), ("m", "batch", 0), ("n", "", 0),
    ]  # fmt: skip
    assert found["unpriced"] == []


def test_a_table_says_what_each_row_is_for(results: Session) -> None:
    """A part of the day, a tier, a length; and what has no price is a line below."""
    page = Console(file=io.StringIO(), width=300)
    prices.show_listed(prices.listed(results), page)
    said = page.file.getvalue()  # type: ignore[attr-defined]

    assert "batch, 16:30-00:30" in said
    assert "genai-prices 1.0" in said
    assert "openai n: no price in force; write a [[prices.overrides]] row" in said
