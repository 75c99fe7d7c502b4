"""A chargeback table as text: CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import json
import re
from typing import Any, Final

FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")
"""What a spreadsheet may take for the start of a formula."""
NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
SPECIAL: Final = re.compile(r'[",\r\n]')
"""What only a quoted cell can hold."""


def csv(frame: Any) -> str:
    """RFC 4180 with line feeds; a text that a spreadsheet would run gets an apostrophe before it, numbers do not."""
    lines = [",".join(cell(name) for name in frame.columns)]
    columns = []
    for name in frame.columns:
        values = frame[name].astype("str").tolist()
        written = {value: cell(value) for value in set(values)}
        columns.append([written[value] for value in values])
    lines += map(",".join, zip(*columns, strict=True))
    return "\n".join([*lines, ""])


def cell(text: str) -> str:
    """A text as one cell, which reads back as itself or, if it began like a formula, with an apostrophe before it."""
    safe = f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text
    if SPECIAL.search(safe):
        doubled = safe.replace('"', '""')
        return f'"{doubled}"'
    return safe


def json_text(frame: Any, total: str, tokens_without_cost: str) -> str:
    """An object with the columns in order, a row object per line, the total, and how many tokens are not in it; numbers are strings."""
    rows = frame.to_dict(orient="records")
    found = {"columns": list(frame.columns), "rows": rows, "total": total, "tokens_without_cost": tokens_without_cost}
    return json.dumps(found, ensure_ascii=False) + "\n"
