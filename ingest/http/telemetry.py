"""OTLP over HTTP: what a signal's request brings, and answers in its own encoding.

Source: OpenTelemetry protocol specification, "OTLP/HTTP": a request that was carried out is answered 200 with what was
rejected of it; one that was not, with a `google.rpc.Status`, and may be repeated where the code is 429 or 503.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from apportion.domain.errors import InputError
from ingest.format import Format
from ingest.formats import otlp
from ingest.formats.otlp_records import Signal
from ingest.http.answers import Answer, Refusal, Scope
from ingest.http.requests import PROTOBUF_TYPE, values

_READ: Final = {"traces": otlp.traces, "metrics": otlp.metrics, "logs": otlp.logs}
_SHOWN_MAX: Final = 3
"""Rejections that the one sentence of a partial success names."""


def opened(signal: Signal, kind: str, formats: Callable[[str], Format | None], content: bytes) -> tuple[Format, bytes]:
    """The records of an OTLP request as lines, and their format. Raises: Refusal (400) when it cannot be decoded."""
    try:
        decoded = _READ[signal](content, kind)
    except InputError as error:
        raise Refusal(400, str(error)) from error
    format_ = formats(decoded.format_name)
    if format_ is None:
        raise Refusal(404, f"there is no format {decoded.format_name}")
    return format_, decoded.lines


def answered(signal: Signal, kind: str, landed: str, headers: tuple[tuple[str, str], ...]) -> Answer:
    """The answer to a request that was carried out: empty, or a partial success where records were rejected."""
    said = json.loads(landed)
    rejected = said["rejected"] + said["conflicts"]
    shown = [f"record {one['record']}: {one['reason']}: {one['detail']}" for one in said["rejections"][:_SHOWN_MAX]]
    body = otlp.answer(signal=signal, rejected=rejected, sentence="; ".join(shown), content_type=kind)
    return Answer(status=200, body=body, kind=kind, headers=headers)


def refused(answer: Answer, scope: Scope) -> Answer:
    """A refusal as `google.rpc.Status`, in the encoding of the request."""
    sentence = str(json.loads(answer.body)["error"])
    sent = values(scope, b"content-type")
    if len(sent) == 1 and otlp.encoding(sent[0].decode("latin-1")) == "protobuf":
        text = sentence.encode()
        body, kind = b"\x12" + _varint(len(text)) + text, PROTOBUF_TYPE
    else:
        body, kind = json.dumps({"message": sentence}).encode(), "application/json"
    return Answer(status=answer.status, body=body, kind=kind, headers=answer.headers)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
