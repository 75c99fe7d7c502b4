"""Any CSV or JSON export, read by a mapping from the config: no code, one SELECT.

Every field goes through text: the source's columns as text, then the canonical field as JSON text in canonical units. What
cannot be converted is passed on as it stands, so that landing rejects it and shows it. Source columns reach SQL by their
number only.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from apportion.config.mapping import Mapping
from apportion.domain.errors import InputError
from ingest.format import Cut, Ending
from ingest.formats import conversions as to
from ingest.formats import csv_records, projection, redaction
from ingest.formats.ndjson import (
    OBJECT_BYTES_MAX,
    count_lines,
    cut_lines,
    json_fault,
    read_objects,
    sift_lines,
    split_lines,
)
from ingest.kinds import KINDS, Kind
from ingest.slices import Record


@dataclass(frozen=True, slots=True)
class Mapped:
    """Records of a user's own format.

    Attributes:
        mapping: where each canonical field is found.
    """

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

    @property
    def stands_alone(self) -> bool:
        """A CSV record needs its header, and an id may be made from a line number."""
        return self.mapping.format == "json" and not any(part.kind == "line" for part in self.mapping.event_id)

    @property
    def time_form(self) -> str:
        """The mapping's own time format, where it is not one that carries its zone."""
        time = self.mapping.time
        if time.format == "iso" and time.zone is None:
            return ""
        return (
            f"{time.format}{f' in zone {time.zone}' if time.zone else ''}, or correct time in [[sources]] {self.name}"
        )

    def view(self, spool: Path, file: str, header: bytes, *, sifted: bool) -> str:
        """The canonical fields of every record, converted."""
        return projection.select(self.mapping, self._rows(spool, header, sifted=sifted), file)

    def cut(self, data: bytes, header: bytes, ending: Ending) -> Cut:
        """Lines, but for CSV with quotes or mixed line ends, whose records are told apart one by one."""
        if self.mapping.format == "json":
            return cut_lines(data, ending)
        end = len(data) if ending == "all" else data.rfind(b"\n") + 1
        tail = data[end:]
        if not csv_records.plain(data[:end]) or (ending == "last" and b'"' in tail):
            records, end = self._scan(data, header, ending)
            return Cut(end=end, records=len(records), sifted=records)
        if ending == "last" and tail.strip() and self.fault(tail, header) is None:
            end = len(data)
        return Cut(end=end, records=count_lines(data[:end]))

    def split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Lines; slices whose records are not lines are sifted."""
        return split_lines(data)

    def sift(self, data: bytes, header: bytes) -> tuple[Record, ...]:
        """Records one by one; of a CSV's, the mapped values as a JSON object."""
        return sift_lines(data) if self.mapping.format == "json" else self._scan(data, header, "all")[0]

    def fault(self, record: bytes, header: bytes) -> str | None:
        """Why this is no record: not JSON, or not as many fields as the header has."""
        if self.mapping.format == "json":
            return json_fault(record)
        values = self._read(len(self._names(header)), record)
        return values if isinstance(values, str) else None

    def header(self, data: bytes) -> bytes:
        """The first line of a CSV that is not blank, and blank ones before it."""
        if self.mapping.format == "json":
            return b""
        if not data.strip():
            return data
        end = data.find(b"\n", len(data) - len(data.lstrip())) + 1
        while end and data.count(b'"', 0, end) % 2:
            end = data.find(b"\n", end) + 1
        header = data[:end] if end else data
        self._places(self._names(header))
        return header

    def kept(self, record: bytes, header: bytes, tags: frozenset[str]) -> bytes | None:
        """Mapped columns, and of the tags those that are allowed; other columns are emptied."""
        paths = set(projection.paths(self.mapping, tags))
        if self.mapping.format == "json":
            return redaction.picked(record, paths)
        columns, values = self._names(header), csv_records.fields(record, self.mapping.delimiter)
        others = {number for number, column in enumerate(columns) if (column,) not in paths}
        if isinstance(values, str) or len(values) != len(columns):
            return None if others else record
        if not any(values[number] for number in others):
            return record
        emptied = io.StringIO()
        writer = csv.writer(emptied, delimiter=self.mapping.delimiter, lineterminator="")
        writer.writerow(["" if number in others else value for number, value in enumerate(values)])
        return emptied.getvalue().encode()

    def _scan(self, data: bytes, header: bytes, ending: Ending) -> tuple[tuple[Record, ...], int]:
        columns = self._names(header)
        wanted = [(f"v{number}", place) for number, place in enumerate(self._places(columns), 1)]
        spans, end = csv_records.scan(data, partial(self._read, len(columns)), self.mapping.delimiter.encode(), ending)
        records = []
        for span in spans:
            if isinstance(span.fields, str):
                records.append(Record(span.line_ends, span.start, span.end, b"{}", span.fields))
                continue
            row = json.dumps({column: span.fields[index] for column, index in wanted}, ensure_ascii=False)
            records.append(Record(span.line_ends, span.start, span.end, row.encode()))
        return tuple(records), end

    def _read(self, expected: int, record: bytes) -> list[str] | str:
        values = csv_records.fields(record, self.mapping.delimiter)
        if isinstance(values, str) or len(values) == expected:
            return values
        return f"malformed: {len(values)} fields where the header has {expected}"

    def _names(self, header: bytes) -> list[str]:
        return next(
            csv.reader(io.StringIO(header.decode("utf-8", "replace").strip("\r\n")), delimiter=self.mapping.delimiter),
            [],
        )

    def _places(self, columns: list[str]) -> list[int]:
        """Where the mapped columns stand in a row. Raises: InputError when one is absent, or there twice."""
        wanted = [keys[0] for keys in projection.paths(self.mapping)]
        for column in wanted:
            if columns.count(column) != 1:
                wrong = "more than one column is named" if column in columns else "no column is named"
                msg = f"{wrong} {column!r}; the header has {', '.join(columns)[:400]}. Correct [[sources]] {self.name}, or the file."
                raise InputError(msg)
        return [columns.index(column) for column in wanted]

    def _rows(self, spool: Path, header: bytes, *, sifted: bool) -> str:
        """SQL of a table of the source's values: `v1`, `v2`, … in the order of `paths`, for JSON one list of them."""
        path, found = to.text(str(spool)), projection.paths(self.mapping)
        if self.mapping.format == "json":
            pointers = ", ".join(to.text(projection.pointer(keys)) for keys in found)
            return (
                f"(SELECT json_extract(json, [{pointers}]) AS found FROM read_ndjson_objects({path}, ignore_errors = true, "
                f"maximum_object_size = {OBJECT_BYTES_MAX}, compression = 'none'))"
            )
        if sifted:
            return read_objects(spool, tuple(f"v{number}" for number in range(1, len(found) + 1)), "VARCHAR")
        columns = self._names(header)
        described = ", ".join(f"h{number}: 'VARCHAR'" for number in range(len(columns)))
        picked = ", ".join(f"h{place} AS v{number}" for number, place in enumerate(self._places(columns), 1))
        return (
            f"(SELECT {picked} FROM read_csv({path}, header = false, auto_detect = false, columns = {{{described}}}, "
            f"delim = {to.text(self.mapping.delimiter)}, quote = '\"', escape = '\"', ignore_errors = true, "
            "null_padding = false, compression = 'none'))"
        )
