"""SQL that turns one text into a canonical value, as JSON text. What does not convert stays quoted, to be rejected and shown.

Every function takes and returns SQL expressions of type VARCHAR; NULL stays NULL.
"""

from __future__ import annotations

from collections.abc import Sequence

from apportion.config.mapping import TimeSpec

_RFC3339 = "'%Y-%m-%dT%H:%M:%S.%fZ'"
_ZONED = r"'.*(Z|[+-]\d\d:?\d\d)'"

_FACTORS = {
    "": "1", "ms": "1", "s": "1000", "us": "0.001", "ns": "0.000001", "ratio": "1", "percent": "0.01", "bytes": "1", "mib": "1048576",
    "watts": "1", "milliwatts": "0.001", "joules": "1", "millijoules": "0.001", "microjoules": "0.000001", "kilowatt_hours": "3600000",
}
_TICKS = {"epoch_s": "1000000", "epoch_ms": "1000", "epoch_us": "1", "epoch_ns": "0.001"}


def text(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted(value: str) -> str:
    """A text."""
    return f"CASE WHEN {value} IS NOT NULL THEN to_json({value})::VARCHAR END"


def integer(value: str) -> str:
    """A count; exports that passed through a spreadsheet or a data frame write 12 as 12.0, which is believed."""
    return (
        f"CASE WHEN regexp_full_match(trim({value}), '-?[0-9]+(\\.0+)?') "
        f"THEN split_part(trim({value}), '.', 1) ELSE {quoted(value)} END"
    )


def difference(whole: str, parts: Sequence[str]) -> str:
    """A count without the counts inside it; negative where the parts exceed the whole, which landing rejects."""
    numbers = [f"TRY_CAST({part} AS BIGINT)" for part in parts]
    inside = " - ".join(f"coalesce({number}, 0)" for number in numbers)
    sound = " AND ".join(f"({part} IS NULL OR {number} IS NOT NULL)" for part, number in zip(parts, numbers, strict=True))
    return f"CASE WHEN TRY_CAST({whole} AS BIGINT) IS NOT NULL AND {sound} THEN (({whole})::BIGINT - {inside})::VARCHAR ELSE {whole} END"


def number(value: str, unit: str, *, whole: bool = False) -> str:
    """A measurement in its canonical unit, exact in decimal."""
    amount = f"TRY_CAST(trim({value}) AS DECIMAL(28, 12)) * {_FACTORS[unit]}::DECIMAL(10, {6 if '.' in _FACTORS[unit] else 0})"
    shown = f"({amount})::BIGINT::VARCHAR" if whole else f"({amount})::VARCHAR"
    return f"CASE WHEN TRY_CAST(trim({value}) AS DECIMAL(28, 12)) IS NOT NULL THEN {shown} ELSE {quoted(value)} END"


def tags(values: dict[str, str]) -> str:
    """An object of texts; absent ones are left out."""
    if not values:
        return "NULL::VARCHAR"
    members = ", ".join(
        f"CASE WHEN {value} IS NOT NULL THEN {text(chr(34) + tag + chr(34) + ':')} || to_json({value})::VARCHAR END"
        for tag, value in values.items()
    )
    return f"'{{' || concat_ws(',', {members}) || '}}'"


def time(value: str, spec: TimeSpec) -> str:
    """A time as RFC 3339 text in UTC; fractions beyond the microsecond are cut off."""
    if spec.format == "iso" and spec.zone is None:
        return quoted(value)
    if spec.format in _TICKS:
        ticks = _TICKS[spec.format]
        scale = 3 if "." in ticks else 0
        instant = f"make_timestamp(floor(TRY_CAST(trim({value}) AS DECIMAL(28, 9)) * {ticks}::DECIMAL(10, {scale}))::BIGINT)"
    else:
        instant = _instant(f"regexp_replace(trim({value}), '([.,]\\d{{6}})\\d+', '\\1')", spec)
    return f"CASE WHEN {instant} IS NOT NULL THEN to_json(strftime({instant}, {_RFC3339}))::VARCHAR ELSE {quoted(value)} END"


def _instant(value: str, spec: TimeSpec) -> str:
    local = f"TRY_CAST({value} AS TIMESTAMP)" if spec.format == "iso" else f"try_strptime({value}, {text(spec.format)})"
    if spec.zone is None:
        return f"make_timestamp(epoch_us({local}))"
    placed = f"make_timestamp(epoch_us(timezone({text(spec.zone)}, {local})))"
    if spec.format != "iso":
        return placed
    return f"CASE WHEN regexp_full_match({value}, {_ZONED}) THEN make_timestamp(epoch_us(TRY_CAST({value} AS TIMESTAMPTZ))) ELSE {placed} END"
