"""The OpenAPI document of the endpoints, written from the route table and from the fields that ingest reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from apportion import __version__
from apportion.config.mapping import FieldType, fields_of
from ingest.http.requests import JSON_TYPES, PROTOBUF_TYPE
from ingest.http.routes import DOCUMENT, RECORDS, Route
from ingest.kinds import KINDS, Kind

_TYPES: Final[dict[FieldType, dict[str, Any]]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer", "minimum": 0},
    "milliseconds": {"type": "number", "minimum": 0},
    "ratio": {"type": "number", "minimum": 0, "maximum": 1},
    "bytes": {"type": "number", "minimum": 0},
    "watts": {"type": "number", "minimum": 0},
    "joules": {"type": "number", "minimum": 0},
    "seconds": {"type": "number", "minimum": 0},
    "time": {"type": "string", "format": "date-time"},
}
_REQUIRED: Final = {
    "usage": ["event_id", "source", "occurred_at", "model"],
    "gpu": ["sampled_at", "gpu_uuid"],
    "engine": ["sampled_at", "instance"],
}
_NAMES: Final = {"usage": "UsageEvent", "gpu": "GpuSample", "engine": "EngineSample"}
_REFUSALS: Final = {
    "400": "The body or a header cannot be read; nothing of it was kept.",
    "401": "No token, or one that is not known.",
    "404": "There is no such path or format.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large, received or unpacked.",
    "415": "The content type or encoding is not read here.",
    "422": "The Idempotency-Key came with another body before.",
    "429": "The source sends too much; come back after Retry-After seconds.",
    "503": "Nothing can be written at the moment; come back after Retry-After seconds.",
}


def document(routes: Sequence[Route], body_bytes_max: int) -> bytes:
    """The document as JSON. Its records are described in full, but a record that breaks the description is no error of
    the request: it is rejected by itself, and the answer says so.
    """
    paths: dict[str, Any] = {route.path: {"post": _operation(route)} for route in routes}
    paths[DOCUMENT] = {
        "get": {
            "operationId": "openapi",
            "summary": "This document",
            "security": [],
            "responses": {"200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {}}}}},
        }
    }
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "apportion ingest",
            "version": __version__,
            "description": f"A body may have {body_bytes_max} bytes, as received and as unpacked. 200 means: committed.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**{_NAMES[kind.name]: _record(kind) for kind in KINDS.values()}, **_ANSWERS},
        },
    }
    return json.dumps(found, separators=(",", ":")).encode()


def _operation(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key with the same body is answered as the first time, and lands nothing again.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,256}$"},
        },
        {
            "name": "Content-Encoding",
            "in": "header",
            "schema": {"type": "string", "enum": ["identity", "gzip"]},
        },
    ]
    if route.path == RECORDS:
        parameters.append({"name": "format", "in": "path", "required": True, "schema": {"type": "string"}})
    kinds = ("application/json", PROTOBUF_TYPE) if route.signal else ("application/json",)
    refusal = {"schema": _ref("Status" if route.signal else "Refusal")}
    return {
        "operationId": route.path.removeprefix("/v1/").replace("/{format}", ""),
        "summary": route.summary,
        "parameters": parameters,
        "requestBody": {"required": True, "content": _bodies(route)},
        "responses": {
            "200": {
                "description": "Committed, but for the records that the answer names.",
                "headers": {"Idempotent-Replayed": {"schema": {"type": "string", "enum": ["true"]}}},
                "content": {kind: {"schema": {} if route.signal else _ref("Receipt")} for kind in kinds},
            },
            **{
                code: {
                    "description": why,
                    "content": {kind: refusal if kind.endswith("json") else {} for kind in kinds},
                }
                for code, why in _REFUSALS.items()
            },
        },
    }


def _bodies(route: Route) -> dict[str, Any]:
    if route.signal:
        message = f"Export{route.signal.removesuffix('s').capitalize()}sServiceRequest of opentelemetry-proto"
        return {
            PROTOBUF_TYPE: {"schema": {"type": "string", "format": "binary", "description": message}},
            "application/json": {"schema": {"type": "object", "description": message}},
        }
    record = _ref(_NAMES[route.format]) if route.format in _NAMES else {"type": "object"}
    lines = {"type": "string", "description": "one object per line"}
    whole = {"oneOf": [record, {"type": "array", "items": record}]}
    return {kind: {"schema": whole if kind == "application/json" else lines} for kind in JSON_TYPES}


def _record(kind: Kind) -> dict[str, Any]:
    """Every field of a kind, in the order of the contract."""
    types = fields_of(kind.name)  # type: ignore[arg-type] # kinds are named as in the config
    properties: dict[str, Any] = {}
    for column in kind.columns:
        if column == kind.time:
            properties[column] = {"type": "string", "format": "date-time"}
        elif column == "tags":
            properties[column] = {"type": "object", "additionalProperties": {"type": "string"}}
        else:
            properties[column] = _TYPES[types[column]]
    return {"type": "object", "required": _REQUIRED[kind.name], "properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_COUNT: Final = {"type": "integer", "minimum": 0}
_RECEIPT: Final = ("received", "accepted", "duplicates", "superseded", "conflicts", "rejected", "rejections_omitted")
_REJECTION: Final = {
    "type": "object",
    "required": ["record", "reason", "detail"],
    "properties": {
        "record": {"type": "integer", "minimum": 1, "description": "its number in the body"},
        "reason": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_ANSWERS: Final = {
    "Receipt": {
        "type": "object",
        "required": [*_RECEIPT, "rejections"],
        "properties": {
            **dict.fromkeys(_RECEIPT, _COUNT),
            "rejections": {"type": "array", "maxItems": 100, "items": _REJECTION},
        },
    },
    "Refusal": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    "Status": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}},
}
