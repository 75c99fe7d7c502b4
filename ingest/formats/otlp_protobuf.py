"""OTLP in Protocol Buffers: the door to protobuf and the published message definitions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from apportion.domain.errors import InputError
from ingest.formats import otlp_bounds
from ingest.formats.otlp_records import Attributes, Observation, Other, Reading, Signal

_SCALARS = frozenset({"string_value", "bool_value", "int_value", "double_value"})
_ERROR = 2
_NO_VALUE = 1
_ITEMS = tuple(frozenset({number}) for number in (1, 2, 2))
_POINTS = (*_ITEMS, frozenset({5, 7, 9, 10, 11}), frozenset({1}))
"""Field numbers from a request down to spans, log records or metrics, and on through the shapes of metrics to their points."""

_INSIDE: dict[Any, tuple[tuple[frozenset[int], ...], otlp_bounds.Shape]] = {
    traces.ExportTraceServiceRequest: (_ITEMS, otlp_bounds.SPANS),
    logs.ExportLogsServiceRequest: (_ITEMS, otlp_bounds.LOG_RECORDS),
    metrics.ExportMetricsServiceRequest: (_POINTS, otlp_bounds.METRICS),
}


def spans(body: bytes, wanted: Collection[str]) -> Iterator[Observation]:
    """The spans of a request. Raises: InputError when it is not one."""
    for group in _parsed(traces.ExportTraceServiceRequest, body).resource_spans:
        resource = _attributes(group.resource.attributes, wanted)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Observation(
                    resource,
                    _attributes(span.attributes, wanted),
                    span.name,
                    span.kind,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.trace_state,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == _ERROR,
                )


def log_records(body: bytes, wanted: Collection[str]) -> Iterator[Observation]:
    """The log records of a request. Raises: InputError when it is not one."""
    for group in _parsed(logs.ExportLogsServiceRequest, body).resource_logs:
        resource = _attributes(group.resource.attributes, wanted)
        for scope in group.scope_logs:
            for record in scope.log_records:
                yield Observation(
                    resource,
                    _attributes(record.attributes, wanted),
                    record.event_name,
                    0,
                    record.trace_id.hex(),
                    record.span_id.hex(),
                    "",
                    0,
                    record.time_unix_nano or record.observed_time_unix_nano,
                    failed=False,
                )


def readings(body: bytes, names: Collection[str], wanted: Collection[str]) -> Iterator[Reading | Other]:
    """The data points of a request. Raises: InputError when it is not one."""
    for group in _parsed(metrics.ExportMetricsServiceRequest, body).resource_metrics:
        resource = _attributes(group.resource.attributes, wanted)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                shape = metric.WhichOneof("data")
                points = getattr(metric, shape).data_points if shape else ()
                if metric.name not in names or shape not in {"gauge", "sum"}:
                    yield Other(metric.name, len(points))
                    continue
                for point in points:
                    given = None if point.flags & _NO_VALUE else point.WhichOneof("value")
                    yield Reading(
                        resource,
                        _attributes(point.attributes, wanted),
                        metric.name,
                        metric.unit,
                        point.time_unix_nano,
                        getattr(point, given) if given else None,
                    )


def answer(signal: Signal, rejected: int, sentence: str) -> bytes:
    """The response of a request that was taken, in whole or but for some."""
    message: Any
    if signal == "traces":
        message = traces.ExportTraceServiceResponse()
        message.partial_success.rejected_spans = rejected
    elif signal == "metrics":
        message = metrics.ExportMetricsServiceResponse()
        message.partial_success.rejected_data_points = rejected
    else:
        message = logs.ExportLogsServiceResponse()
        message.partial_success.rejected_log_records = rejected
    message.partial_success.error_message = sentence
    if not rejected and not sentence:
        message.ClearField("partial_success")
    return bytes(message.SerializeToString())


def _parsed(message: Any, body: bytes) -> Any:
    path, shape = _INSIDE[message]
    otlp_bounds.bounded(body, path)
    otlp_bounds.sparse(body, shape)
    try:
        return message.FromString(body)
    except DecodeError as error:
        msg = f"The body is not a Protocol Buffers {message.DESCRIPTOR.name}; send what an OTLP/HTTP exporter writes."
        raise InputError(msg) from error


def _attributes(pairs: Any, wanted: Collection[str]) -> Attributes:
    found: Attributes = {}
    for pair in pairs:
        if pair.key in wanted:
            shape = pair.value.WhichOneof("value")
            if shape in _SCALARS:
                found[pair.key] = getattr(pair.value, shape)
    return found
