"""The SELECT of a mapping: a source's values become the canonical fields, as JSON text in canonical units.

Source columns reach SQL by their number only, and every name and text as a literal.
"""

from __future__ import annotations

from apportion.config.mapping import ISO, ColumnSpec, Mapping, TimeSpec, fields_of
from ingest.formats import conversions as to
from ingest.kinds import KINDS

Keys = tuple[str, ...]


def paths(mapping: Mapping, tags: frozenset[str] | None = None) -> list[Keys]:
    """Where a mapping finds values, each place once; with `tags`, without those of other tags."""
    kept = [spec.path for tag, spec in mapping.tags.items() if tags is None or tag in tags]
    ids = [part.path for part in mapping.event_id if part.kind == "column"]
    return list(dict.fromkeys([*(spec.path for spec in mapping.columns.values()), *kept, mapping.time.path, *ids]))


def pointer(keys: Keys) -> str:
    """Keys from a record down to a value, as a JSON pointer."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def select(mapping: Mapping, rows: str, file: str) -> str:
    """SQL of one row per record, columns as in the contract.

    Args:
        mapping: what is found where.
        rows: SQL of the source's values: `v1`, `v2`, … in the order of `paths`, for JSON one list `found` of them.
        file: name of the file the records came from.
    """
    fields = ",\n    ".join(f"{_field(mapping, column, file)} AS {column}" for column in KINDS[mapping.kind].columns)
    return f"SELECT\n    {fields}\nFROM (SELECT row_number() OVER () AS record_no, * FROM {rows})"


def _field(mapping: Mapping, column: str, file: str) -> str:
    if column == KINDS[mapping.kind].time:
        return to.time(_value(mapping, mapping.time.path), mapping.time)
    if column == "tags":
        return to.tags({tag: _default(mapping, spec) for tag, spec in mapping.tags.items()})
    if column == "event_id" and mapping.event_id:
        return to.quoted(_template(mapping, file))
    if column in mapping.constants:
        return _typed(mapping, column, to.text(mapping.constants[column]), None)
    if column in mapping.columns:
        return _column(mapping, column, mapping.columns[column])
    return "NULL::VARCHAR"


def _column(mapping: Mapping, column: str, spec: ColumnSpec) -> str:
    found = _typed(mapping, column, _value(mapping, spec.path), spec.unit)
    if mapping.format == "json":
        raw = f"({_place(mapping, spec.path)}::VARCHAR)"
        found = f"CASE WHEN {raw}[1] IN ('{{', '[') THEN {raw} ELSE {found} END"
    taken = [_inner(mapping, inner) for inner in mapping.minus.get(column, ())]
    if taken:
        found = f"CASE WHEN {found} IS NOT NULL THEN {to.difference(found, taken)} END"
    return (
        found if spec.default is None else f"coalesce({found}, {_typed(mapping, column, to.text(spec.default), None)})"
    )


def _place(mapping: Mapping, keys: Keys) -> str:
    number = paths(mapping).index(keys) + 1
    return f"found[{number}]" if mapping.format == "json" else f"v{number}"


def _value(mapping: Mapping, keys: Keys) -> str:
    """SQL of a source value as text, NULL where absent or empty."""
    place = _place(mapping, keys)
    return f"nullif({place}->>'$', '')" if mapping.format == "json" else f"nullif({place}, '')"


def _default(mapping: Mapping, spec: ColumnSpec) -> str:
    value = _value(mapping, spec.path)
    return value if spec.default is None else f"coalesce({value}, {to.text(spec.default)})"


def _inner(mapping: Mapping, column: str) -> str:
    """A count that is taken out of another."""
    spec = mapping.columns.get(column)
    return to.integer(to.text(mapping.constants.get(column, "0")) if spec is None else _default(mapping, spec))


def _typed(mapping: Mapping, column: str, value: str, unit: str | None) -> str:
    kind = fields_of(mapping.kind)[column]
    if kind == "text":
        return to.quoted(value)
    if kind == "integer":
        return to.integer(value)
    if kind == "time":
        return to.time(value, TimeSpec(column=column, path=(), format=unit or ISO, zone=None))
    return to.number(value, unit or "", kind)


def _template(mapping: Mapping, file: str) -> str:
    pieces = {
        "file": to.text(file),
        "line": "coalesce(getvariable('record_numbers')[record_no], getvariable('first_record') + record_no)::VARCHAR",
    }
    parts = [
        pieces.get(part.kind) or (to.text(part.text) if part.kind == "text" else _value(mapping, part.path))
        for part in mapping.event_id
    ]
    return "(" + " || ".join(parts) + ")"
