"""Read `[[sources]]`: how each arrives, and the format it is in, known by name or described in columns."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dictionary
from functools import partial
from pathlib import Path
from typing import Final

from apportion.config import (
    kafka_reading,
    mapping,
    mapping_reading,
    nvml_reading,
    prometheus_reading,
    secret_reading,
    values,
)
from apportion.config.sources import COLLECTORS, HTTP_SOURCE, CollectorName, FilesSource, HttpSource, Source
from apportion.config.tables import Placed, Table, listed, unknown

_KEYS: Final[Dictionary[CollectorName, tuple[str, ...]]] = {
    "files": ("paths", "poll_seconds"),
    "kafka": kafka_reading.KEYS,
    "http": ("token", "events_per_second"),
    "prometheus": prometheus_reading.KEYS,
    "nvml": nvml_reading.KEYS,
}
_TELEMETRY: Final[tuple[CollectorName, ...]] = ("prometheus", "nvml")
"""They take samples, of which they know themselves what they say."""
_MAPPING_KEYS: Final = ("kind", "delimiter", "columns", "time", "constants", "event_id", "tags", "minus")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def read(root: Table, beside: Path) -> list[Placed[Source]]:
    """Every sound source of a config, with its place. What they owe each other is `source_checks`' business."""
    tables = root.tables("sources")
    names = [table.raw("name") for table in tables if table.raw("format") in mapping.FORMATS]
    described = [name for name in names if isinstance(name, str)]
    made = [(table, _source(table, beside, described)) for table in tables]
    return [Placed(table.where, source) for table, source in made if table.sound()]


def _source(table: Table, beside: Path, described: list[str]) -> Source:
    name = table.name("name")
    if name in mapping.RESERVED_NAMES:
        table.wrong("name", f"{name!r} is the name of a known format; choose another")
    no_collector: CollectorName = ""
    collector = table.choice("collector", COLLECTORS, no_collector)
    if collector:
        _named(table, name)
    describes = collector not in _TELEMETRY and table.raw("format") in mapping.FORMATS
    made = Source(
        name=name,
        collector=collector,
        format=_format(table, name, described, collector, describes),
        mapping=mapping_reading.read(table, name) if describes else None,
        files=_files(table, beside) if collector == "files" else None,
        kafka=kafka_reading.read(table, beside, described) if collector == "kafka" else None,
        http=_http(table) if collector == "http" else None,
        prometheus=prometheus_reading.read(table, beside) if collector == "prometheus" else None,
        nvml=nvml_reading.read(table) if collector == "nvml" else None,
        accepts=table.read("accepts", _globs, ()) if collector and collector not in _TELEMETRY else (),
    )
    _belongs(table, made)
    _described(table, made)
    return made


def _format(table: Table, name: str, described: list[str], collector: CollectorName, describes: bool) -> str:
    """The name of the format that records are in; empty where the collector tells them apart by itself."""
    if collector == "nvml":
        return nvml_reading.written_format(table)
    if collector != "prometheus":
        return name if describes else table.require("format", partial(_known, described), "")
    if table.has("format"):
        table.raw("format")
        table.wrong(
            "format",
            'is not for collector = "prometheus": engines and GPUs are told apart by the names of their metrics; remove the key',
        )
    return ""


def _named(table: Table, name: str) -> None:
    """The name of what collects is in metrics, in logs, and in the names of its streams."""
    if name == HTTP_SOURCE:
        table.wrong("name", f"{name!r} is the source that the token of [http] admits; choose another")
    elif name and not _NAME.fullmatch(name):
        table.wrong(
            "name",
            f"is {name!r}, and metrics and positions bear it; write letters, digits, points, underscores and hyphens, at "
            "most 100",
        )


def _known(described: list[str], given: object) -> str:
    known = (*mapping.NATIVE_NAMES, *described)
    written = values.text(given)
    if written not in known:
        raise ValueError(unknown("format", written, (*mapping.FORMATS, *known)))
    return written


def _files(table: Table, beside: Path) -> FilesSource:
    def convert(given: object) -> tuple[str, ...]:
        return tuple(str(beside / path) for path in map(_path, values.texts(given, '["/var/log/sglang/*.log"]')))

    nothing: tuple[str, ...] = ()
    return FilesSource(
        paths=table.require("paths", convert, nothing), poll_seconds=table.integer("poll_seconds", 1, 3_600, 5)
    )


def _path(written: str) -> str:
    scheme = _SCHEME.match(written)
    if scheme:
        msg = (
            f"{written!r} begins with {scheme[1]}://, and files are read from this machine's folders only: the DuckDB in "
            "use is locked and reads no remote store; sync or mount it, and write the folder"
        )
        raise ValueError(msg)
    parts = Path(written).parts
    if any("**" in part and part != "**" for part in parts) or not Path(written).name:
        msg = f"{written!r} is no pattern of files; write `**` only as a whole folder name, and end in a file's, such as *.log"
        raise ValueError(msg)
    return written


def _http(table: Table) -> HttpSource:
    if not table.has("token"):
        table.problems.warning(
            table.place("token"),
            'is missing, and it is by its token that a sender is known; add token = { env = "NAME" }',
        )
    return HttpSource(
        token=secret_reading.read(table, "token"),
        events_per_second=table.integer("events_per_second", 1, 1_000_000) if table.has("events_per_second") else None,
    )


def _globs(given: object) -> tuple[str, ...]:
    return values.texts(given, '["litellm", "vllm-*"]')


def _belongs(table: Table, made: Source) -> None:
    """Keys of other collectors say something that nobody would do; whose they are is open while the collector is."""
    missing = not made.collector and (table.has("collector") or not made.mapping)
    for key in dict.fromkeys(key for keys in _KEYS.values() for key in keys):
        owners = [other for other, keys in _KEYS.items() if key in keys]
        if table.has(key) and made.collector not in owners:
            table.raw(key)
            if not missing:
                named = " or ".join(f'"{owner}"' for owner in owners)
                table.wrong(key, f"is only for collector = {named}; write that, or remove the key")
    if table.has("accepts") and made.collector in _TELEMETRY:
        table.raw("accepts")
        table.wrong("accepts", "is about the source of usage events, and metrics are none; remove the key")
    if table.has("accepts") and not made.collector:
        table.raw("accepts")
        if not missing:
            table.wrong("accepts", "is only for a source with a collector; add one, or remove the key")


def _described(table: Table, made: Source) -> None:
    """A known format takes no columns, and a table that neither collects nor describes does nothing."""
    if made.mapping:
        return
    for key in _MAPPING_KEYS:
        if table.has(key) and not (made.nvml and key == "constants"):
            table.raw(key)
            if made.format:
                table.wrong(
                    key,
                    f'is only for format = "csv" or "json"; format = "{made.format}" needs no description, so remove it',
                )
    if made.format and not table.has("collector"):
        table.wrong(
            "collector",
            f'is missing, and format = "{made.format}" needs no description; write one of {listed(COLLECTORS)}, or remove '
            "the table",
        )
