"""Any CSV or JSON export, read by a mapping from the config: no code, one SELECT.

Every field goes through text: the source's columns as text, then the canonical field as JSON text in canonical units. What
cannot be converted is passed on as it stands, so that landing rejects it and shows it.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from apportion.config.mapping import ColumnSpec, Mapping, fields_of
from apportion.domain.errors import InputError
from ingest.formats import conversions as to
from ingest.formats.ndjson import OBJECT_BYTES_MAX, count_lines, json_fault, split_lines
from ingest.kinds import KINDS, Kind


@dataclass(frozen=True, slots=True)
class Mapped:
    """Records of a user's own format."""

    mapping: Mapping

    @property
    def name(self) -> str:
        """The name of the `[[sources]]` table."""
        return self.mapping.name

    @property
    def kind(self) -> Kind:
        """What the records become."""
        return KINDS[self.mapping.kind]

    @property
    def reads_arrays(self) -> bool:
        """JSON exports are often one array."""
        return self.mapping.format == "json"

    def view(self, spool: Path, file: str) -> str:
        """The canonical fields of every record, converted."""
        fields = ",\n    ".join(f"{self._field(column, file)} AS {column}" for column in self.kind.columns)
        return f"SELECT\n    {fields}\nFROM {self._rows(spool)}"

    def count(self, data: bytes) -> int:
        """Records of a slice."""
        return count_lines(data) if self._by_lines(data) else len(self.split(data))

    def split(self, data: bytes) -> list[tuple[int, bytes]]:
        """Records of a slice; a quoted CSV field may hold line ends."""
        return split_lines(data) if self._by_lines(data) else _quoted_records(data)

    def boundary(self, data: bytes) -> int:
        """The last line end that is not inside quotes."""
        end = data.rfind(b"\n") + 1
        while end and self.mapping.format == "csv" and data.count(b'"', 0, end) % 2:
            end = data.rfind(b"\n", 0, end - 1) + 1
        return end

    def fault(self, record: bytes, header: bytes) -> str | None:
        """Why this is no record: not JSON, or not as many fields as the header has."""
        if self.mapping.format == "json":
            return json_fault(record)
        try:
            rows = list(csv.reader(io.StringIO(record.decode()), delimiter=self.mapping.delimiter, strict=True))
        except UnicodeDecodeError:
            return "malformed: not UTF-8"
        except csv.Error as error:
            return f"malformed: not CSV: {error}"
        expected = len(self._names(header)) if header else 0
        if len(rows) != 1 or (expected and len(rows[0]) != expected):
            return f"malformed: {len(rows[0]) if rows else 0} fields where the header has {expected}"
        return None

    def header(self, data: bytes) -> bytes:
        """The first line of a CSV."""
        return data[: data.find(b"\n") + 1] if self.mapping.format == "csv" else b""

    def placeholder(self, header: bytes) -> bytes:
        """An empty object, or empty fields."""
        if self.mapping.format == "json":
            return b"{}"
        return self.mapping.delimiter.join(['""'] * len(self._names(header))).encode()

    def _by_lines(self, data: bytes) -> bool:
        return self.mapping.format == "json" or b'"' not in data

    def _rows(self, spool: Path) -> str:
        path = str(spool).replace("'", "''")
        if self.mapping.format == "json":
            return (
                "(SELECT row_number() OVER () AS record_no, json FROM "
                f"read_ndjson_objects('{path}', ignore_errors = true, maximum_object_size = {OBJECT_BYTES_MAX}, compression = 'none'))"
            )
        with spool.open("rb") as file:
            names = self._names(file.readline())
        columns = ", ".join(f"{to.text(name)}: 'VARCHAR'" for name in names)
        return (
            f"(SELECT row_number() OVER () AS record_no, * FROM read_csv('{path}', header = true, auto_detect = false, "
            f"columns = {{{columns}}}, delim = {to.text(self.mapping.delimiter)}, quote = '\"', escape = '\"', "
            "ignore_errors = true, null_padding = false, compression = 'none'))"
        )

    def _names(self, header: bytes) -> list[str]:
        names = next(csv.reader(io.StringIO(header.decode("utf-8", "replace")), delimiter=self.mapping.delimiter), [])
        missing = sorted({spec[0] for spec in self._paths()} - set(names))
        if missing or len(set(names)) != len(names):
            wrong = f"no column named {', '.join(missing)}" if missing else "the same column name twice"
            msg = f"{wrong}; the header has {', '.join(names)}. Correct [[sources]] {self.name}, or the file."
            raise InputError(msg)
        return names

    def _paths(self) -> list[tuple[str, ...]]:
        mapping = self.mapping
        specs = [*mapping.columns.values(), *mapping.tags.values()]
        return [*(spec.path for spec in specs), mapping.time.path, *(p.path for p in mapping.event_id if p.kind == "column")]

    def _value(self, path: tuple[str, ...]) -> str:
        """SQL of a source column as text, NULL where absent or empty."""
        if self.mapping.format == "json":
            keys = "".join(f'."{key}"' for key in path)
            return f"nullif(json_extract_string(json, {to.text('$' + keys)}), '')"
        return f"nullif({to.identifier(path[0])}, '')"

    def _field(self, column: str, file: str) -> str:
        mapping = self.mapping
        if column == self.kind.time:
            return to.time(self._value(mapping.time.path), mapping.time)
        if column == "tags":
            return to.tags({tag: self._default(spec) for tag, spec in mapping.tags.items()})
        if column == "event_id" and mapping.event_id:
            return to.quoted(self._template(file))
        if column in mapping.constants:
            return self._typed(column, to.text(mapping.constants[column]), None)
        if column in mapping.columns:
            taken = [self._whole(inner) for inner in mapping.minus.get(column, ())]
            spec = mapping.columns[column]
            found = self._typed(column, self._value(spec.path), spec.unit)
            if taken:
                found = f"CASE WHEN {found} IS NOT NULL THEN {to.difference(found, taken)} END"
            return f"coalesce({found}, {self._typed(column, to.text(spec.default), None)})" if spec.default is not None else found
        return "NULL::VARCHAR"

    def _whole(self, column: str) -> str:
        spec = self.mapping.columns.get(column)
        if spec is None:
            return to.integer(to.text(self.mapping.constants.get(column, "0")))
        return to.integer(self._default(spec))

    def _default(self, spec: ColumnSpec) -> str:
        value = self._value(spec.path)
        return value if spec.default is None else f"coalesce({value}, {to.text(spec.default)})"

    def _typed(self, column: str, value: str, unit: str | None) -> str:
        kind = fields_of(self.mapping.kind)[column]
        if kind == "text":
            return to.quoted(value)
        if kind == "integer":
            return to.integer(value)
        return to.number(value, unit or "", whole=kind == "bytes")

    def _template(self, file: str) -> str:
        pieces = {"file": to.text(file), "line": "(getvariable('first_record') + record_no)::VARCHAR"}
        parts = [
            pieces.get(part.kind) or (to.text(part.text) if part.kind == "text" else self._value(part.path))
            for part in self.mapping.event_id
        ]
        return "(" + " || ".join(parts) + ")"


def _quoted_records(data: bytes) -> list[tuple[int, bytes]]:
    """CSV records whose quoted fields may hold line ends: a record ends at a line end that no quote leaves open."""
    found: list[tuple[int, bytes]] = []
    held: list[bytes] = []
    first = quotes = 0
    for number, line in enumerate(data.split(b"\n")):
        if not held:
            first, quotes = number, 0
        held.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            record = b"\n".join(held)
            held = []
            if record.strip():
                found.append((first, record))
    if held and b"".join(held).strip():
        found.append((first, b"\n".join(held)))
    return found
