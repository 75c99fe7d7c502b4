"""The door to Parquet."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pandas as pd
import pytest

from apportion.domain.errors import LedgerError
from apportion.ledger.parquet import write_frame


def test_text_becomes_what_is_asked(tmp_path):
    """Named columns are cast, empty text in them is NULL, others stay as they are, whatever they are called."""
    frame = pd.DataFrame({"amount": ["1.5", ""], 'odd "name"': ["", "x"], "n": [1, 2]})
    write_frame(frame, tmp_path / "o'clock.parquet", {"amount": "DECIMAL(38, 9)"})
    path = str(tmp_path / "o'clock.parquet").replace("'", "''")

    assert duckdb.execute(f"FROM '{path}'").fetchall() == [(Decimal("1.500000000"), "", 1), (None, "x", 2)]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    """A target that cannot be written is an error that names it."""
    with pytest.raises(LedgerError, match=r"nowhere/x\.parquet"):
        write_frame(pd.DataFrame({"a": ["1"]}), tmp_path / "nowhere" / "x.parquet", {})
