"""OTLP over HTTP: what arrives at /v1/traces, /v1/metrics and /v1/logs becomes canonical records, and gets OTLP's answers.

A request is decoded whole or not at all. Its records then land like any others, as the formats `usage` and `gpu`: what is wrong with
one is found there, and told to the sender as partial success.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apportion.domain.errors import InputError
from ingest.formats import otlp_gpu, otlp_json, otlp_names, otlp_protobuf, otlp_usage
from ingest.formats.otlp_records import Encoding, Observation, Other, Signal
from ingest.kinds import GPU, USAGE, Kind

CONTENT_TYPES: Mapping[str, Encoding] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a request says.

    Attributes:
        format_name: of the records, as the registry knows it.
        kind: of the records, usage or gpu.
        lines: the records as canonical NDJSON; empty where there are none.
        records: how many.
        made_of: how many of the request's items each record is made of; empty where each is made of one.
        items: spans, log records or data points of the request.
        ignored: reason -> how many items say nothing about usage or GPUs. They are no error; the answer tells how many.
    """

    format_name: str
    kind: str
    lines: bytes
    records: int
    made_of: tuple[int, ...]
    items: int
    ignored: Mapping[str, int]


def encoding(content_type: str) -> Encoding | None:
    """The encoding that a content type names, or None where OTLP has none of that name."""
    return CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())


def traces(body: bytes, content_type: str) -> Decoded:
    """The usage events of spans. Raises: InputError when it is no such request; nothing of it is believed then.

    Args:
        body: without compression.
        content_type: as its header says; parameters are ignored.
    """
    return _usage(_door(content_type).spans(body, otlp_names.WANTED))


def logs(body: bytes, content_type: str) -> Decoded:
    """The usage events of log records; otherwise as `traces`."""
    return _usage(_door(content_type).log_records(body, otlp_names.WANTED))


def metrics(body: bytes, content_type: str) -> Decoded:
    """The GPU samples of gauges and sums; otherwise as `traces`."""
    samples, items, ignored = otlp_gpu.Samples(), 0, Counter[str]()
    for reading in _door(content_type).readings(body, otlp_gpu.NAMES, otlp_gpu.WANTED):
        if isinstance(reading, Other):
            items += reading.points
            ignored["sum_of_usage" if otlp_names.sums_usage(reading.name) else "other_metric"] += reading.points
        else:
            items += 1
            ignored["no_gpu"] += not samples.take(reading)
    made = list(samples.lines())
    return _decoded(GPU, [line for line, _ in made], items, +ignored, tuple(points for _, points in made))


def answer(signal: Signal, rejected: int, sentence: str, content_type: str) -> bytes:
    """The body of an answer with status 200, in the encoding of the request.

    Args:
        signal: the path of the request.
        rejected: its items that were not taken and should not be sent again.
        sentence: why; empty where all were taken.
        content_type: of the request, and of the answer.
    """
    if encoding(content_type) != "protobuf":
        return otlp_json.answer(signal, rejected, sentence)
    return otlp_protobuf.answer(signal, rejected, sentence)


def _door(content_type: str) -> Any:
    """The module that reads an encoding."""
    form = encoding(content_type)
    if form is None:
        msg = f"The content type is {content_type[:80]!r}; OTLP takes {' or '.join(CONTENT_TYPES)}."
        raise InputError(msg)
    return otlp_json if form == "json" else otlp_protobuf


def _usage(observations: Iterable[Observation]) -> Decoded:
    lines: list[bytes] = []
    ignored: Counter[str] = Counter()
    for seen in observations:
        event = otlp_usage.event(seen)
        if isinstance(event, str):
            ignored[event] += 1
        else:
            lines.append(_ENCODE(event).encode())
    return _decoded(USAGE, lines, len(lines) + ignored.total(), ignored)


def _decoded(
    kind: Kind, lines: list[bytes], items: int, ignored: Counter[str], made_of: tuple[int, ...] = ()
) -> Decoded:
    return Decoded(
        format_name=kind.name,
        kind=kind.name,
        lines=b"".join(line + b"\n" for line in lines),
        records=len(lines),
        made_of=made_of,
        items=items,
        ignored=ignored,
    )
