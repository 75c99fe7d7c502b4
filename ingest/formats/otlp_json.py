"""OTLP in JSON: ids are hexadecimal, 64-bit integers are texts or numbers, enumerations are numbers."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from apportion.domain.errors import InputError
from ingest.formats.otlp_bounds import ITEMS_MAX, PARTS_MAX, TOO_MANY_PARTS
from ingest.formats.otlp_records import Attributes, Observation, Other, Reading, Signal

_ERROR = 2
_NO_VALUE = 1
_SHAPES = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_REJECTED = {"traces": "rejectedSpans", "metrics": "rejectedDataPoints", "logs": "rejectedLogRecords"}


def spans(body: bytes, wanted: Collection[str]) -> Iterator[Observation]:
    """The spans of a request. Raises: InputError when it is not one."""
    for resource, span in _items(body, ("resourceSpans", "scopeSpans", "spans"), wanted):
        yield Observation(
            resource,
            _attributes(span, wanted),
            _text(span, "name"),
            _integer(span, "kind"),
            _text(span, "traceId").lower(),
            _text(span, "spanId").lower(),
            _text(span, "traceState"),
            _integer(span, "startTimeUnixNano"),
            _integer(span, "endTimeUnixNano"),
            _integer(_object(span.get("status"), "status"), "code") == _ERROR,
        )


def log_records(body: bytes, wanted: Collection[str]) -> Iterator[Observation]:
    """The log records of a request. Raises: InputError when it is not one."""
    for resource, record in _items(body, ("resourceLogs", "scopeLogs", "logRecords"), wanted):
        yield Observation(
            resource,
            _attributes(record, wanted),
            _text(record, "eventName"),
            0,
            _text(record, "traceId").lower(),
            _text(record, "spanId").lower(),
            "",
            0,
            _integer(record, "timeUnixNano") or _integer(record, "observedTimeUnixNano"),
            failed=False,
        )


def readings(body: bytes, names: Collection[str], wanted: Collection[str]) -> Iterator[Reading | Other]:
    """The data points of a request. Raises: InputError when it is not one."""
    for resource, metric in _items(body, ("resourceMetrics", "scopeMetrics", "metrics"), wanted):
        name, unit = _text(metric, "name"), _text(metric, "unit")
        shape = next((shape for shape in _SHAPES if shape in metric), "")
        points = _objects(_object(metric.get(shape), shape), "dataPoints") if shape else []
        if name not in names or shape not in {"gauge", "sum"}:
            yield Other(name, len(points))
            continue
        for point in points:
            yield Reading(
                resource, _attributes(point, wanted), name, unit, _integer(point, "timeUnixNano"), _number(point)
            )


def answer(signal: Signal, rejected: int, sentence: str) -> bytes:
    """The response of a request that was taken, in whole or but for some."""
    if not rejected and not sentence:
        return b"{}"
    partial: dict[str, str] = {_REJECTED[signal]: str(rejected)} if rejected else {}
    return json.dumps({"partialSuccess": {**partial, "errorMessage": sentence}}).encode()


def _items(
    body: bytes, names: tuple[str, str, str], wanted: Collection[str]
) -> Iterator[tuple[Attributes, dict[str, Any]]]:
    """The innermost objects of a request, each with its resource's attributes."""
    groups, scopes, items = names
    for group in _objects(_parsed(body), groups):
        resource = _attributes(_object(group.get("resource"), "resource"), wanted)
        for scope in _objects(group, scopes):
            for item in _objects(scope, items):
                yield resource, item


def _parsed(body: bytes) -> dict[str, Any]:
    if body.count(b"{") + body.count(b"[") > PARTS_MAX:
        raise InputError(TOO_MANY_PARTS)
    try:
        found = json.loads(body.decode())
    except RecursionError as error:
        raise InputError("The body is nested too deep to be OTLP; nothing of it was taken.") from error
    except ValueError as error:
        raise InputError(
            f"The body is not JSON: {str(error)[:200]}. Send what an OTLP/HTTP exporter writes."
        ) from error
    return _object(found, "the body")


def _object(value: Any, place: str) -> dict[str, Any]:
    """An object, an empty one where absent. Raises: InputError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(
            f"{place} is a JSON {type(value).__name__}, not an object; send OTLP as its JSON encoding says."
        )
    return value


def _objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects, an empty one where absent. Raises: InputError for anything else."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InputError(f"{name} is not a list of objects; send OTLP as its JSON encoding says.")
    if len(value) > ITEMS_MAX:
        raise InputError(f"{name} holds more than {ITEMS_MAX} items; nothing of it was taken. Send smaller batches.")
    return value


def _attributes(holder: dict[str, Any], wanted: Collection[str]) -> Attributes:
    found: Attributes = {}
    for pair in _objects(holder, "attributes"):
        key = pair.get("key")
        if isinstance(key, str) and key in wanted:
            value = _scalar(_object(pair.get("value"), f"the value of attribute {key}"))
            if value is not None:
                found[key] = value
    return found


def _scalar(value: dict[str, Any]) -> str | int | float | bool | None:
    if "intValue" in value:
        return _integer(value, "intValue") if isinstance(value["intValue"], str | int) else None
    for shape in ("stringValue", "doubleValue", "boolValue"):
        given = value.get(shape)
        if isinstance(given, str | int | float):
            return given
    return None


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _integer(holder: dict[str, Any], name: str) -> int:
    """A 64-bit integer, 0 where absent. Raises: InputError where there is something else."""
    value = holder.get(name, 0)
    try:
        number = int(value) if isinstance(value, str | int) else 0
    except ValueError:
        number = -1 << 64
    if not -(1 << 63) <= number < 1 << 64:
        raise InputError(f"{name} is {str(value)[:40]!r}, not a 64-bit integer; send OTLP as its JSON encoding says.")
    return number


def _number(point: dict[str, Any]) -> int | float | None:
    if _integer(point, "flags") & _NO_VALUE:
        return None
    if "asInt" in point:
        return _integer(point, "asInt")
    value = point.get("asDouble")
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
