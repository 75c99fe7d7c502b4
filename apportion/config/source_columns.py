"""Read the small parts of a mapping: one column, its time, a path into JSON, an id template."""

from __future__ import annotations

import re
import zoneinfo
from functools import partial
from typing import Final

from apportion.config import mapping, values
from apportion.config.mapping import ColumnSpec, FieldType, Format, TemplatePart, TimeSpec
from apportion.config.tables import Table, listed, unknown

DIRECTIVES: Final = frozenset("aAbBdfgHIjmMnpSuUVwWxXyYzGc%")
"""strptime directives that DuckDB reads; `%Z` is left out, because zone names in data are ambiguous."""

_PATH: Final = re.compile(r'(?:"([^"]+)"|([^."]+))(?:\.|$)')
_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([^{}]+)|([{}])")


def path_of(form: Format, given: object) -> tuple[str, ...]:
    """Keys from a record down to a value. For JSON dots separate keys, and a key with dots in it stands in quotes.

    Raises: ValueError for a path that cannot be read.
    """
    column = values.text(given)
    if form == "csv":
        return (column,)
    keys: list[str] = []
    at = 0
    while at < len(column):
        found = _PATH.match(column, at)
        if not found:
            break
        keys.append(found[1] or found[2])
        at = found.end()
    if at < len(column) or column.endswith("."):
        msg = (
            f"""is {column!r}, which is not a path; write keys with dots between, and 'a."b.c"' for a key with a dot"""
        )
        raise ValueError(msg)
    return tuple(keys)


def located(table: Table, key: str, form: Format) -> tuple[str, tuple[str, ...]]:
    """A required column as written, and its path; both empty where it is wrong."""
    column = table.text(key)
    nothing: tuple[str, ...] = ()
    return column, table.read(key, partial(path_of, form), nothing) if column else nothing


def column_spec(table: Table, field: str, kind: FieldType, form: Format) -> ColumnSpec | None:
    """A canonical field's column: its name alone, or `{ column, unit, default }`. None where it is wrong."""
    units = mapping.UNITS[kind]
    if not isinstance(table.raw(field), dict):
        column, path = located(table, field, form)
        return ColumnSpec(column=column, path=path, unit=units[0] if units else None, default=None) if path else None
    spec = table.table(field)
    column, path = located(spec, "column", form)
    unit = _unit(spec, field, units)
    default = spec.read("default", partial(canonical, field, kind), None)
    if not (spec.sound() and path):
        return None
    return ColumnSpec(column=column, path=path, unit=unit, default=default)


def canonical(field: str, kind: FieldType, given: object) -> str:
    """A value of a canonical field, in its canonical unit, as text. Raises: ValueError where it does not fit."""
    if kind == "text":
        written = values.text(given)
        if field in mapping.WORDS and written not in mapping.WORDS[field]:
            msg = f"is {written!r}; write one of {listed(mapping.WORDS[field])}"
            raise ValueError(msg)
        return written
    if kind == "time":
        return values.instant(given).isoformat()
    number = values.exact(given, 0 if kind in {"integer", "bytes"} else 9)
    if kind == "ratio" and number > 1:
        msg = f"is {number}; write a ratio from 0 to 1"
        raise ValueError(msg)
    return f"{number:f}"


def _unit(spec: Table, field: str, units: tuple[str, ...]) -> str | None:
    if not spec.has("unit"):
        return units[0] if units else None
    if not units:
        spec.raw("unit")
        spec.wrong("unit", f"does not fit {field}, which has none; remove it")
        return None
    given = spec.raw("unit")
    if given not in units and any(given in known for known in mapping.UNITS.values()):
        spec.wrong("unit", f"{given} does not fit {field}; write one of {listed(units)}")
        return None
    return spec.choice("unit", units)


def time_spec(table: Table, form: Format) -> TimeSpec:
    """`time = { column, format, zone }`; a format that carries no zone needs one."""
    column, path = located(table, "column", form)
    written = table.read("format", _format, mapping.ISO)
    zone: str | None = table.read("zone", _zone, None)
    if written in mapping.EPOCHS and table.has("zone"):
        table.wrong("zone", "is not for epochs, which count from 1970 in UTC; remove it")
    if "%" in written and "%z" not in written.replace("%%", "") and not table.has("zone"):
        table.wrong("zone", f'is missing, and {written!r} reads no zone; add zone = "UTC", or that of the times')
    return TimeSpec(column=column, path=path, format=written, zone=zone)


def _format(given: object) -> str:
    known = (mapping.ISO, *mapping.EPOCHS)
    written = values.text(given)
    if "%" not in written:
        if written not in known:
            raise ValueError(unknown("format", written, known) + ', or a pattern such as "%Y-%m-%d %H:%M:%S"')
        return written
    used = re.findall(r"%(.?)", written)
    for directive in used:
        if directive not in DIRECTIVES:
            remedy = (
                'write zone = "..." beside it instead' if directive == "Z" else "write one such as %Y-%m-%d %H:%M:%S"
            )
            msg = f"has %{directive}, which is not read; {remedy}"
            raise ValueError(msg)
    if not {"Y", "y", "G", "x", "c"} & set(used):
        msg = f"is {written!r}, which reads no year; write the whole date, such as %Y-%m-%d %H:%M:%S"
        raise ValueError(msg)
    return written


def _zone(given: object) -> str:
    name = values.text(given)
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        msg = f'is {name!r}, which is no known zone; write an IANA name, such as "UTC" or "Europe/Berlin"'
        raise ValueError(msg) from None
    return name


def template(form: Format, given: object) -> tuple[TemplatePart, ...]:
    """An event id's parts: text, `{file}`, `{line}` and `{Column}`; braces of their own are doubled.

    Raises: ValueError where every record of a file would get the same id.
    """
    written = values.text(given)
    parts: list[TemplatePart] = []
    for found in _PART.finditer(written):
        name, literal, stray = found[1], found[2], found[3]
        if stray:
            msg = f"is {written!r}, with a brace alone; write {{column}} for a value, and {{{{ for a brace"
            raise ValueError(msg)
        if literal or name is None:
            parts.append(TemplatePart(kind="text", text=literal or found[0][0]))
        elif name == "file":
            parts.append(TemplatePart(kind="file", text=name))
        elif name == "line":
            parts.append(TemplatePart(kind="line", text=name))
        else:
            parts.append(TemplatePart(kind="column", text=name, path=path_of(form, name)))
    if not any(part.kind in {"line", "column"} for part in parts):
        msg = f"is {written!r}, the same for every record of a file; put {{line}} or a column into it"
        raise ValueError(msg)
    return tuple(parts)
