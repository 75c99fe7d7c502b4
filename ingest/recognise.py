"""Which format a file is in, told by its first records. Nothing is guessed: what fits no format, or several, is refused.

A known system's records are told by keys that together only they have, canonical ones by the fields that they cannot do
without, JSON of a mapping by the places that it reads, CSV by its header, Parquet by the columns of its footer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from apportion.domain.errors import InputError, UsageError
from ingest.collectors.arrays import ArrayStream, is_array
from ingest.collectors.parquet_files import is_parquet
from ingest.collectors.streams import ByteStream
from ingest.format import Format
from ingest.formats.mapped import Mapped
from ingest.formats.native import Keys, Native
from ingest.formats.ndjson import Ndjson
from ingest.kinds import Kind
from ingest.slices import RECORD_BYTES_MAX

AUTO = "auto"
"""What `--format` says for a file that is to be recognised."""

RECORDS = 32
"""So many are looked at: a log's first lines may be of requests that called no model."""

FOOTER_BYTES = 1024 * 1024
_SHOWN_MAX = 400
_ANSWER = "response"
"""Where gateways keep the provider's own answer, which is a record of another format if it stands alone."""
_NOT, _INSIDE, _ITSELF = range(3)
_METRICS = re.compile("# (?:HELP|TYPE) [a-zA-Z_:]", re.ASCII)
_REQUIRED = {
    "usage": ("event_id", "source", "occurred_at", "model"),
    "gpu": ("sampled_at", "gpu_uuid", "gpu", "node"),
    "engine": ("sampled_at", "instance"),
}
"""Canonical fields that every record of a kind has."""


def recognise(path: Path, formats: Sequence[Format]) -> Format | None:
    """The format of a file, or None where there is nothing in it.

    Args:
        path: of the file, plain or compressed.
        formats: those that it may be in.

    Raises: InputError when the file cannot be read; UsageError, naming what was found in it, where no format fits or several do.
    """
    if is_parquet(path):
        footer = _footer(path)
        columns = {column for kind in _REQUIRED.values() for column in kind if column.encode() in footer}
        claims: list[Format] = [one for one in formats if isinstance(one, Ndjson) and _required(one.kind) <= columns]
        return _only(path, claims, formats, columns, "columns")
    begun = ByteStream(path)
    array = is_array(begun)
    lines = _lines(ArrayStream(path, begun) if array else begun)
    first = next(lines, b"")
    if not first:
        return None
    if not array and not first.lstrip().startswith(b"{"):
        tables: list[Format] = [one for one in formats if isinstance(one, Mapped) and _heads(one, first)]
        return _only(path, tables, formats, first.decode("utf-8", "replace").split(","), "columns")
    records = [record for line in islice(_chained(first, lines), RECORDS) if (record := _object(line)) is not None]
    if not records:
        raise UsageError(
            f"{path}: its first lines are no JSON objects, one per line (jq -c . makes them so); --format names a format."
        )
    fitting = {one.name for record in records for one in _claimants(formats, record)}
    claims = [one for one in formats if one.name in fitting]
    return _only(path, claims, formats, {key for record in records for key in record}, "keys")


def _only(path: Path, claims: Sequence[Format], formats: Sequence[Format], found: Collection[str], what: str) -> Format:
    """The one format that fits."""
    if len(claims) == 1:
        return claims[0]
    names = ", ".join(sorted("".join(c if c.isprintable() else "?" for c in name) for name in found))
    shown = names if len(names) <= _SHOWN_MAX else f"{names[:_SHOWN_MAX]}…"
    if claims:
        fitting = " and ".join(one.name for one in claims)
        raise UsageError(f"{path}: it could be {fitting}; say which with --format. Its {what}: {shown}.")
    if remedy := _elsewhere(found, what):
        raise UsageError(f"{path}: {remedy}")
    known = ", ".join(one.name for one in formats)
    raise UsageError(
        f"{path}: it looks like none of {known}; name its format with --format, or describe it as [[sources]] in the config. "
        f"Its {what}: {shown}."
    )


def _elsewhere(found: Collection[str], what: str) -> str:
    """What to do with what arrives in another way, or is read with a table of the config; empty where nothing is known of it."""
    named = {name.strip() for name in found}
    if what == "keys":
        wanted = {"resourceSpans": "traces", "resourceLogs": "logs", "resourceMetrics": "metrics"}
        path = next((path for key, path in wanted.items() if key in named), "")
        return (
            f"it is OTLP, which is sent and not read from files: post it to /v1/{path} of `apportion serve`."
            if path
            else ""
        )
    if _METRICS.match(",".join(found)):
        return (
            "it is a page of metrics, which are read where they are exposed: write its address as targets of a [[sources]] table with "
            'collector = "prometheus".'
        )
    if named >= {"timestamp", "uuid"}:
        return (
            'it looks like the CSV of nvidia-smi, whose times have no zone: write a [[sources]] table with format = "nvidia-smi" and its '
            "zone, which this file is then read with."
        )
    return ""


def _claimants(formats: Sequence[Format], record: Mapping[str, object]) -> list[Format]:
    """The formats that a JSON object fits. One that knows the object comes before those that only know the answer inside it."""
    fits = {one.name: _fit(one, record) for one in formats}
    best = max(fits.values(), default=_NOT)
    return [one for one in formats if best != _NOT and fits[one.name] == best]


def _fit(format_: Format, record: Mapping[str, object]) -> int:
    """Whether a JSON object is a record of a format, or only holds what could be one."""
    if isinstance(format_, Native):
        met = [keys for keys in format_.signatures if all(_has(record, place) for place in keys)]
        return max((_INSIDE if all(place[0] == _ANSWER for place in keys) else _ITSELF for keys in met), default=_NOT)
    if isinstance(format_, Ndjson):
        return _ITSELF if _required(format_.kind) <= record.keys() else _NOT
    mapped = isinstance(format_, Mapped) and format_.mapping.format == "json" and _reads(format_, record)
    return _ITSELF if mapped else _NOT


def _reads(format_: Mapped, record: Mapping[str, object]) -> bool:
    """Whether a record has what a mapping must find (its time, id and model), and one of the figures that it reads."""
    mapping = format_.mapping
    columns = {field: spec for field, spec in mapping.columns.items() if spec.default is None}
    must = [mapping.time.path, *(part.path for part in mapping.event_id if part.kind == "column")]
    must += [columns[field].path for field in _REQUIRED[mapping.kind] if field in columns]
    others = [spec.path for field, spec in columns.items() if field not in _REQUIRED[mapping.kind]]
    return all(_has(record, path) for path in must) and (not others or any(_has(record, path) for path in others))


def _heads(format_: Mapped, line: bytes) -> bool:
    """Whether a line is the header of a mapping's CSV."""
    try:
        return bool(format_.header(line + b"\n"))
    except InputError:
        return False


def _required(kind: Kind) -> set[str]:
    return set(_REQUIRED[kind.name])


def _has(record: object, keys: Keys) -> bool:
    """Whether there is anything at a place, if only a null."""
    for key in keys:
        if isinstance(record, dict) and key in record:
            record = record[key]
        elif isinstance(record, list) and key.isdecimal() and int(key) < len(record):
            record = record[int(key)]
        else:
            return False
    return True


def _object(line: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _lines(source: ByteStream) -> Iterator[bytes]:
    """Lines that are not blank, of at most RECORD_BYTES_MAX bytes in all."""
    held, taken = b"", 0
    for chunk in source.chunks(0):
        taken += len(chunk)
        *whole, held = (held + chunk).split(b"\n")
        yield from (line.removeprefix(b"\xef\xbb\xbf") for line in whole if line.strip(b"\xef\xbb\xbf \t\r\n"))
        if taken >= RECORD_BYTES_MAX:
            return
    if held.strip(b"\xef\xbb\xbf \t\r\n"):
        yield held.removeprefix(b"\xef\xbb\xbf")


def _footer(path: Path) -> bytes:
    """The beginning of a Parquet file's footer, where its columns are named."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 8))
            length = int.from_bytes(file.read(4), "little")
            file.seek(max(0, size - 8 - length))
            return file.read(min(length, FOOTER_BYTES))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions.") from error
