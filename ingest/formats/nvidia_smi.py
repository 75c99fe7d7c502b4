"""The CSV of `nvidia-smi --query-gpu=timestamp,uuid,utilization.gpu,memory.used,power.draw --format=csv`.

It is a mapping whose columns are known, and this is how it differs from other CSV:

- Names and values stand behind a comma and a space. Units stand behind the names (`power.draw [W]`) and, but for `nounits`,
  behind the values. A column in another unit is refused with the file, a value in another one with its row.
- Whatever stands in brackets (`[N/A]`, `[Not Supported]`, `[Unknown Error]`) is unknown, and so is `N/A`; so is a column that was
  not queried. With the time and the UUID, one figure at least must have been.
- A header that is repeated, by a loop or by files put behind one another, is no record. Where another one follows, the rows
  behind it are refused as far as the slice goes: their columns are others.
- Under MIG a row is the whole device, whose utilization is unknown; it says nothing of its instances.
- Draws of power are `power.draw`; where only the average or the instant one was queried, that.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from apportion.domain.errors import InputError
from ingest.format import Cut, Ending
from ingest.formats import conversions as to
from ingest.formats import csv_records, projection
from ingest.formats.mapped import Mapped
from ingest.formats.ndjson import read_objects
from ingest.slices import Record

_TIME: Final = "timestamp"
_UNITS: Final = {"utilization.gpu": "%", "memory.used": "MiB", "power.draw": "W"}
_TWINS: Final = {"gpu_uuid": "uuid", "power.draw.average": "power.draw", "power.draw.instant": "power.draw"}
"""Other columns that say the same; the first of them, where the usual one is absent."""
_REQUIRED: Final = (_TIME, "uuid")
_NAMED: Final = re.compile(r"\s*(?P<name>[^\[\]]*?)\s*(?:\[(?P<unit>[^\[\]]*)\])?\s*")
_QUERY: Final = "nvidia-smi --query-gpu=timestamp,uuid,utilization.gpu,memory.used,power.draw --format=csv"
_OTHER_COLUMNS: Final = (
    "malformed: it stands behind a second header with other columns; start a new file where the query changes"
)


class NvidiaSmi(Mapped):
    """The same mapping, read from what nvidia-smi writes."""

    __slots__ = ()

    def cut(self, data: bytes, header: bytes, ending: Ending) -> Cut:
        """Lines; one by one where a header stands among them."""
        if _TIME.encode() not in data:
            return super().cut(data, header, ending)
        records, end = self._scan(data, header, ending)
        return Cut(end=end, records=len(records), sifted=records)

    def _scan(self, data: bytes, header: bytes, ending: Ending) -> tuple[tuple[Record, ...], int]:
        """The records without the headers among them."""
        records, end = super()._scan(data, header, ending)
        taken: list[Record] = []
        is_other = False
        for record in records:
            line = data[record.start : record.end]
            if _is_header(line):
                is_other = line.strip() != header.strip()
                continue
            taken.append(replace(record, row=b"{}", fault=_OTHER_COLUMNS) if is_other else record)
        return tuple(taken), end

    def _names(self, header: bytes) -> list[str]:
        """Names of the columns without their units."""
        return [name for name, _ in _columns(header)]

    def _places(self, columns: list[str]) -> list[int]:
        """Where the mapped columns that there are stand in a row. Raises: InputError when one that must be is absent, or twice there."""
        wanted = [keys[0] for keys in projection.paths(self.mapping)]
        measured = [column for column in wanted if column in _UNITS and column in columns]
        missing = [column for column in _REQUIRED if column not in columns]
        twice = [column for column in wanted if columns.count(column) > 1]
        if missing or twice or not measured:
            wrong = (
                f"{twice[0]!r} is there twice"
                if twice
                else f"{missing[0]!r} is missing"
                if missing
                else "no figure is there"
            )
            msg = f"{wrong} among the columns {', '.join(columns)[:400]}; write the file with {_QUERY}"
            raise InputError(msg)
        return [columns.index(column) if column in columns else -1 for column in wanted]

    def header(self, data: bytes) -> bytes:
        """The first line that is not blank. Raises: InputError where it is not one of nvidia-smi, or in other units."""
        found = super().header(data)
        for name, unit in _columns(found):
            if name in _UNITS and unit != _UNITS[name]:
                msg = f"{name} is in [{unit}], and is read in [{_UNITS[name]}]; write the file with {_QUERY}"
                raise InputError(msg)
        return found

    def _rows(self, spool: Path, header: bytes, *, sifted: bool) -> str:
        """SQL of a table of the values, without their units; what is in brackets is absent."""
        wanted = [keys[0] for keys in projection.paths(self.mapping)]
        columns = self._names(header)
        names = tuple(f"v{number}" for number in range(1, len(wanted) + 1))
        if sifted:
            table = read_objects(spool, names, "VARCHAR")
        else:
            described = ", ".join(f"h{number}: 'VARCHAR'" for number in range(len(columns)))
            places = zip(self._places(columns), names, strict=True)
            picked = ", ".join(f"{f'h{place}' if place >= 0 else 'NULL::VARCHAR'} AS {name}" for place, name in places)
            table = (
                f"(SELECT {picked} FROM read_csv({to.text(str(spool))}, header = false, auto_detect = false, "
                f"columns = {{{described}}}, delim = ',', quote = '\"', escape = '\"', ignore_errors = true, "
                "null_padding = false, compression = 'none'))"
            )
        values = ", ".join(
            f"{_value(name, _UNITS.get(column))} AS {name}" for name, column in zip(names, wanted, strict=True)
        )
        return f"(SELECT {values} FROM {table})"


def _columns(header: bytes) -> list[tuple[str, str]]:
    """Name and unit of each column, a twin under its usual name where that is absent."""
    given = csv_records.fields(header.strip(), ",")
    found = [_NAMED.fullmatch(one) for one in given] if isinstance(given, list) else []
    named = [(one["name"], one["unit"] or "") if one else ("", "") for one in found]
    present = {name for name, _ in named}
    usual: list[tuple[str, str]] = []
    for name, unit in named:
        twin = _TWINS.get(name, name)
        usual.append((name if twin in present else twin, unit))
        present.add(usual[-1][0])
    return usual


def _is_header(line: bytes) -> bool:
    return any(name == _TIME for name, _ in _columns(line))


def _value(name: str, unit: str | None) -> str:
    """SQL of a value as nvidia-smi writes it: trimmed, without its unit, NULL where it is not known."""
    bare = f"trim({name})"
    if unit is not None:
        bare = f"regexp_replace({bare}, {to.text(f' ?{re.escape(unit)}$')}, '')"
    return f"CASE WHEN NOT regexp_full_match(trim({name}), '\\[.*\\]|N/A') THEN {bare} END"
