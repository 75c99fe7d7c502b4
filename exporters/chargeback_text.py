"""A chargeback table as text: CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import json
from typing import Any, Final

FORMULA: Final = r"[=+\-@\t\r\n]"
"""What a spreadsheet may take for the start of a formula."""
NUMBER: Final = r"[+-]?\d+(\.\d+)?"


def csv(frame: Any) -> str:
    """RFC 4180 with line feeds; a text that a spreadsheet would run gets an apostrophe before it, numbers do not."""
    safe = frame.copy()
    for name in safe.columns:
        column = safe[name].astype("str")
        risky = column.str.match(FORMULA) & ~column.str.fullmatch(NUMBER)
        safe[name] = column.where(~risky, "'" + column)
    return str(safe.to_csv(index=False, lineterminator="\n"))


def json_text(frame: Any, total: str) -> str:
    """An object with the columns in order, a row object per line, and the total; amounts are strings."""
    rows = frame.to_dict(orient="records")
    return json.dumps({"columns": list(frame.columns), "rows": rows, "total": total}, ensure_ascii=False) + "\n"
