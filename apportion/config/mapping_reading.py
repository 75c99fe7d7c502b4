"""Read the mapping of a `[[sources]]` table: from any CSV or JSON export to the canonical fields."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from functools import partial

from apportion.config import mapping
from apportion.config.mapping import ColumnSpec, Format, Kind, Mapping, TemplatePart, TimeSpec
from apportion.config.source_columns import canonical, column_spec, located, template, time_spec
from apportion.config.tables import Table, listed, unknown

_NO_TIME = TimeSpec(column="", path=(), format=mapping.ISO, zone=None)


def read(table: Table, name: str) -> Mapping:
    """The mapping of a source's table, under the source's name; every problem in it is noted."""
    kind, form = table.choice("kind", mapping.KINDS), table.choice("format", mapping.FORMATS)
    columns_table, constants_table = table.table("columns"), table.table("constants")
    columns = _columns(columns_table, kind, form)
    constants = _constants(constants_table, kind, columns)
    given = {*columns_table.written(), *constants_table.written()}
    if kind == "usage" and name and "source" not in columns:
        constants.setdefault("source", f"file:{name}")
    made = Mapping(
        name=name,
        kind=kind,
        format=form,
        delimiter=_delimiter(table, form),
        columns=columns,
        time=_time(table, kind, form),
        constants=constants,
        event_id=_event_id(table, form),
        tags=_tags(table.table("tags"), form),
        minus=_minus(table.table("minus"), columns, constants),
    )
    _complete(table, made, given)
    return made


def _delimiter(table: Table, form: Format) -> str:
    def convert(found: object) -> str:
        if not isinstance(found, str) or len(found) != 1 or found in '"\r\n' or not found.isascii():
            msg = f'is {found!r}; write one character, such as ";" or "\\t"'
            raise ValueError(msg)
        return found

    if form == "json" and table.has("delimiter"):
        table.wrong("delimiter", 'is only for format = "csv"; remove it')
    return table.read("delimiter", convert, ",")


def _columns(table: Table, kind: Kind, form: Format) -> dict[str, ColumnSpec]:
    fields = mapping.fields_of(kind)
    found: dict[str, ColumnSpec] = {}
    for field in table.written():
        if field in fields:
            spec = column_spec(table, field, fields[field], form)
            if spec:
                found[field] = spec
        else:
            _unknown_field(table, field, kind)
    return found


def _unknown_field(table: Table, field: str, kind: Kind) -> None:
    if field == mapping.TIME_FIELD[kind]:
        table.wrong(field, 'is read by time = { column = "...", format = "iso" }; write it there')
    elif field == "tags" and kind == "usage":
        table.wrong(field, 'are read by tags = { TAG = "COLUMN" } beside columns; write them there')
    else:
        table.wrong(field, unknown(f"{kind} field", field, list(mapping.fields_of(kind))))


def _constants(table: Table, kind: Kind, columns: Dictionary[str, ColumnSpec]) -> dict[str, str]:
    fields = mapping.fields_of(kind)
    found: dict[str, str] = {}
    for field in table.written():
        if field not in fields:
            _unknown_field(table, field, kind)
        elif field == "event_id":
            table.wrong(field, 'would be the same for every record; write event_id = "{file}:{line}" beside constants')
        elif field in columns:
            column = columns[field].column
            table.wrong(field, f"is read from column {column!r} too; keep one, or make this that column's default")
        else:
            found[field] = table.read(field, partial(canonical, field, fields[field]), "")
    return found


def _time(table: Table, kind: Kind, form: Format) -> TimeSpec:
    if not table.has("time"):
        field = mapping.TIME_FIELD[kind]
        table.wrong("time", f'is missing; say which column holds {field}: {{ column = "...", format = "iso" }}')
        return _NO_TIME
    return time_spec(table.table("time"), form)


def _event_id(table: Table, form: Format) -> tuple[TemplatePart, ...]:
    none: tuple[TemplatePart, ...] = ()
    return table.read("event_id", partial(template, form), none)


def _tags(table: Table, form: Format) -> dict[str, ColumnSpec]:
    found: dict[str, ColumnSpec] = {}
    for tag in table.written():
        column, path = located(table, tag, form)
        if path:
            found[tag] = ColumnSpec(column=column, path=path, unit=None, default=None)
    return found


def _minus(
    table: Table, columns: Dictionary[str, ColumnSpec], constants: Dictionary[str, str]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for field in table.written():
        given = table.raw(field)
        inside = table.names(field) if isinstance(given, list) else (table.text(field),)
        for part in (field, *inside):
            if part not in mapping.TOKEN_FIELDS:
                table.wrong(field, unknown("token field", part, mapping.TOKEN_FIELDS))
            elif part not in columns and (part == field or part not in constants):
                table.wrong(field, f"needs {part}, which no column holds; add it to columns")
        if field in inside:
            table.wrong(field, "is taken out of itself; name what is counted inside it")
        found[field] = inside
    for field, inside in found.items():
        for part in sorted(set(inside) & (set(found) - {field})):
            table.wrong(
                field, f"takes out {part}, which has something taken out as well; take each out of one field only"
            )
    return found


def _complete(table: Table, made: Mapping, given: set[str]) -> None:
    """What a usable mapping needs; `given` are fields written at all, so that a wrong one is not called missing too."""
    if made.kind in mapping.DEVICE_FIELD:
        _complete_samples(table, made.kind, given)
        return
    if "model" not in given:
        table.wrong("columns.model", 'is missing; map it, or write constants = { model = "NAME" }')
    if made.event_id and "event_id" in made.columns:
        table.wrong("event_id", f"is read from column {made.columns['event_id'].column!r} too; keep one of them")
    if "event_id" not in given and not table.has("event_id"):
        table.wrong("event_id", 'is missing; map columns.event_id, or write a template such as "{file}:{line}"')
    if not given & set(mapping.TOKEN_FIELDS):
        table.wrong("columns", f"map no tokens; map at least one of {listed(mapping.TOKEN_FIELDS)}")


def _complete_samples(table: Table, kind: Kind, given: set[str]) -> None:
    for key in ("event_id", "tags", "minus"):
        if table.has(key):
            table.wrong(key, 'is only for kind = "usage"; remove it')
    device = mapping.DEVICE_FIELD[kind]
    if device not in given:
        table.wrong(
            f"columns.{device}", f'is missing; map it, or write constants = {{ {device} = "NAME" }} for one of them'
        )
    measured = [field for field, type_ in mapping.fields_of(kind).items() if type_ not in {"text", "time"}]
    if not given & set(measured):
        table.wrong("columns", f"map no measurement; map at least one of {listed(measured)}")
