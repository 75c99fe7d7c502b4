"""SQL that turns one text into a canonical value, as JSON text. What does not convert is passed on, to be rejected and shown.

Every function takes and returns SQL expressions of type VARCHAR; NULL stays NULL. None of them can raise, whatever the
text: an error would stop the whole slice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from apportion.config.mapping import FieldType, TimeSpec

_RFC3339 = "'%Y-%m-%dT%H:%M:%S.%fZ'"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_ZONED = rf"'\d{{4}}-\d\d-\d\d[T ]{_CLOCK}(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)'"
_LOCAL = rf"'\d{{4}}-\d\d-\d\d([T ]{_CLOCK})?'"
_NUMBER = r"'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?'"

_FACTORS = {
    "": "1",
    "ms": "1",
    "s": "1000",
    "us": "0.001",
    "ns": "0.000001",
    "ratio": "1.00",
    "percent": "0.01",
    "bytes": "1",
    "mib": "1048576",
    "watts": "1",
    "milliwatts": "0.001",
    "joules": "1",
    "millijoules": "0.001",
    "microjoules": "0.000001",
    "kilowatt_hours": "3600000",
}
_OF_SECONDS = {"": "1", "s": "1", "ms": "0.001", "us": "0.000001"}
_TICKS = {"epoch_s": "1000000", "epoch_ms": "1000", "epoch_us": "1", "epoch_ns": "0.001"}
_YEAR_1_US, _YEAR_10000_US = -62_135_596_800_000_000, 253_402_300_800_000_000


def text(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


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
    inside = " - ".join(f"coalesce({number}, 0)::HUGEINT" for number in numbers)
    sound = " AND ".join(
        f"({part} IS NULL OR {number} IS NOT NULL)" for part, number in zip(parts, numbers, strict=True)
    )
    return (
        f"CASE WHEN TRY_CAST({whole} AS BIGINT) IS NOT NULL AND {sound} "
        f"THEN (TRY_CAST({whole} AS BIGINT)::HUGEINT - {inside})::VARCHAR ELSE {whole} END"
    )


def number(value: str, unit: str, kind: FieldType) -> str:
    """A measurement in its canonical unit, exact in decimal; one that is too large for any unit goes on as it stands."""
    digits, scale = (32, 28) if kind == "ratio" else (30, 12)
    factor = (_OF_SECONDS if kind == "seconds" else _FACTORS)[unit]
    decimals = len(factor.partition(".")[2])
    amount = f"(TRY_CAST(trim({value}) AS DECIMAL({digits}, {scale})) * {factor}::DECIMAL({4 if kind == 'ratio' else 8}, {decimals}))"
    shown = f"{amount}::DECIMAL(38, 0)::VARCHAR" if kind == "bytes" else f"{amount}::VARCHAR"
    return (
        f"CASE WHEN regexp_full_match(trim({value}), {_NUMBER}) THEN coalesce({shown}, ltrim(trim({value}), '+')) "
        f"ELSE {quoted(value)} END"
    )


def tags(values: dict[str, str]) -> str:
    """An object of texts; absent ones are left out."""
    if not values:
        return "NULL::VARCHAR"
    members = ", ".join(
        f"CASE WHEN {value} IS NOT NULL THEN {text(json.dumps(tag, ensure_ascii=False) + ':')} || to_json({value})::VARCHAR END"
        for tag, value in values.items()
    )
    return f"'{{' || concat_ws(',', {members}) || '}}'"


def time(value: str, spec: TimeSpec) -> str:
    """A time as RFC 3339 text in UTC; fractions beyond the microsecond are cut off.

    A local time that a change of clocks repeats is the second one, and one that it skips is read as if the clock had not
    changed yet.
    """
    instant = _ticks(value, _TICKS[spec.format]) if spec.format in _TICKS else _instant(value, spec)
    return f"CASE WHEN {instant} IS NOT NULL THEN to_json(strftime({instant}, {_RFC3339}))::VARCHAR ELSE {quoted(value)} END"


def _ticks(value: str, ticks: str) -> str:
    exact = f"TRY_CAST(trim({value}) AS DECIMAL(28, 9)) * {ticks}::DECIMAL(10, {3 if '.' in ticks else 0})"
    microseconds = f"TRY_CAST(floor({exact}) AS BIGINT)"
    return (
        f"CASE WHEN regexp_full_match(trim({value}), {_NUMBER}) AND {microseconds} >= {_YEAR_1_US} "
        f"AND {microseconds} < {_YEAR_10000_US} THEN make_timestamp({microseconds}) END"
    )


def _instant(value: str, spec: TimeSpec) -> str:
    cut = f"regexp_replace(trim({value}), '[.,](\\d{{1,6}})\\d*', '.\\1')"
    if spec.format == "iso":
        zoned = f"regexp_replace(regexp_replace({cut}, ' ?UTC$', 'Z'), ' ([+-]\\d\\d(:?\\d\\d)?)$', '\\1')"
        return _iso(zoned, spec.zone)
    read = f"try_strptime(regexp_replace(trim({value}), '([.,]\\d{{6}})\\d+', '\\1'), {text(spec.format)})"
    if spec.zone is None or "%z" in spec.format.replace("%%", ""):
        return f"make_timestamp(epoch_us({read}))"
    return f"make_timestamp(epoch_us(timezone({text(spec.zone)}, {read})))"


def _iso(value: str, zone: str | None) -> str:
    """A cast to TIMESTAMP would drop an offset without a word, so every form is told apart first."""
    zoned = f"WHEN regexp_full_match({value}, {_ZONED}) THEN make_timestamp(epoch_us(TRY_CAST({value} AS TIMESTAMPTZ)))"
    if zone is None:
        return f"CASE {zoned} END"
    placed = f"make_timestamp(epoch_us(timezone({text(zone)}, TRY_CAST({value} AS TIMESTAMP))))"
    return f"CASE {zoned} WHEN regexp_full_match({value}, {_LOCAL}) THEN {placed} END"
