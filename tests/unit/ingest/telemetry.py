"""OTLP requests in both encodings, written from one description."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.formats import otlp
from tests.unit.ingest.desk import NOON, Desk

JSON, PROTOBUF = "application/json", "application/x-protobuf"
END_NS = (int(NOON.timestamp()) - 3600) * 1_000_000_000
_REQUESTS: Mapping[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_READ = {"traces": otlp.traces, "logs": otlp.logs, "metrics": otlp.metrics}


def attributes(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP writes them in JSON; None is left out."""
    return [{"key": key, "value": _any(value)} for key, value in said.items() if value is not None]


def span(said: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A client's span of two and a half seconds that ends at 11:00."""
    return {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(END_NS - 2_500_000_000),
        "endTimeUnixNano": str(END_NS),
        "attributes": attributes(said),
        **fields,
    }


def spans(*made: Mapping[str, Any], resource: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request of spans of one resource."""
    return {
        "resourceSpans": [
            {"resource": {"attributes": attributes(resource or {})}, "scopeSpans": [{"spans": list(made)}]}
        ]
    }


def logs(*made: Mapping[str, Any], resource: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request of log records of one resource."""
    return {
        "resourceLogs": [
            {"resource": {"attributes": attributes(resource or {})}, "scopeLogs": [{"logRecords": list(made)}]}
        ]
    }


def gauge(
    name: str, value: float, said: Mapping[str, Any], *, at_ns: int = END_NS, unit: str = "", shape: str = "gauge"
) -> dict[str, Any]:
    """A metric of one data point."""
    real = value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity"}[str(value)]
    number = {"asInt": str(value)} if isinstance(value, int) else {"asDouble": real}
    point = {"attributes": attributes(said), "timeUnixNano": str(at_ns), **number}
    return {"name": name, "unit": unit, shape: {"dataPoints": [point]}}


def metrics(*made: Mapping[str, Any], resource: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request of metrics of one resource."""
    return {
        "resourceMetrics": [
            {"resource": {"attributes": attributes(resource or {})}, "scopeMetrics": [{"metrics": list(made)}]}
        ]
    }


def encoded(signal: str, request: Mapping[str, Any], content_type: str) -> bytes:
    """A request's body. Protocol Buffers' own JSON wants ids in base64, where OTLP's are hexadecimal."""
    if content_type == JSON:
        return json.dumps(request).encode()
    message = _REQUESTS[signal]()
    json_format.ParseDict(_base64_ids(request), message)
    return bytes(message.SerializeToString())


def decoded(signal: str, request: Mapping[str, Any], content_type: str = JSON) -> otlp.Decoded:
    """What a request says."""
    return _READ[signal](encoded(signal, request, content_type), content_type)


def records(signal: str, request: Mapping[str, Any], content_type: str = JSON) -> list[dict[str, Any]]:
    """The canonical records of a request."""
    return [json.loads(line) for line in decoded(signal, request, content_type).lines.splitlines()]


def land(desk: Desk, signal: str, request: Mapping[str, Any], content_type: str = JSON) -> Any:
    """Land what a request says."""
    found = decoded(signal, request, content_type)
    return desk.read(desk.file(found.lines), found.format_name)


def _any(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any(item) for item in value]}}
    return {"stringValue": value}


def _base64_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode()
        if key in {"traceId", "spanId", "parentSpanId"}
        else _base64_ids(value)
        for key, value in node.items()
    }
