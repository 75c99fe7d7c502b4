"""OTLP over HTTP: what a signal's request brings, and answers in its own encoding.

Source: OpenTelemetry protocol specification, "OTLP/HTTP": a request that was carried out is answered 200 with what was
rejected of it; one that was not, with a `google.rpc.Status`, and may be repeated where the code is 429 or 503.
"""

from __future__ import annotations

import json
import logging
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

_ITEMS: Final = {"traces": "spans", "metrics": "data points", "logs": "log records"}
_WHY: Final = {
    "no_usage": "carried no usage and were ignored",
    "sum_of_calls": "repeat what their calls say and were ignored",
    "sum_of_usage": "add up usage, which spans and logs tell call by call, and were ignored",
    "no_gpu": "are of no GPU that is named and were ignored",
    "other_metric": "are of metrics that are not read and were ignored",
}
log = logging.getLogger("ingest.http")


class Request:
    """An OTLP request: opened once its body is there, and answered once its records have landed."""

    def __init__(self, signal: Signal, kind: str, formats: Callable[[str], Format | None]) -> None:
        """`kind` is its content type; `formats` finds the format of its records."""
        self._signal, self._kind, self._formats = signal, kind, formats
        self._decoded: otlp.Decoded | None = None

    def __call__(self, content: bytes) -> tuple[Format, bytes]:
        """The records of a body as lines, and their format. Raises: Refusal (400) when it cannot be decoded."""
        try:
            decoded = self._decoded = _READ[self._signal](content, self._kind)
        except InputError as error:
            raise Refusal(400, str(error)) from error
        format_ = self._formats(decoded.format_name)
        if format_ is None:
            raise Refusal(404, f"there is no format {decoded.format_name}")
        if decoded.items and not decoded.records:
            log.info("nothing was taken of a request to /v1/%s: %s", self._signal, _passed_over(self._signal, decoded))
        return format_, decoded.lines

    def answered(self, landed: str, headers: tuple[tuple[str, str], ...]) -> Answer:
        """The answer to a request that was carried out: empty; or a partial success where items were rejected.

        A request of which nothing could be taken is told so too, with nothing rejected: names may be misspelt. Where some
        was taken, the rest is what traces and metrics are full of, and no warning in the sender's log.
        """
        said = json.loads(landed)
        shown = [f"record {one['record']}: {one['reason']}: {one['detail']}" for one in said["rejections"][:_SHOWN_MAX]]
        rejected = said["rejected"] + said["conflicts"]
        if self._decoded is not None:
            made_of = self._decoded.made_of
            rejected += sum(
                made_of[one["record"] - 1] - 1 for one in said["rejections"] if one["record"] <= len(made_of)
            )
            if self._decoded.items and (shown or not self._decoded.records) and self._decoded.ignored:
                shown.append(_passed_over(self._signal, self._decoded))
        body = otlp.answer(signal=self._signal, rejected=rejected, sentence="; ".join(shown), content_type=self._kind)
        return Answer(status=200, body=body, kind=self._kind, headers=headers)


def _passed_over(signal: Signal, decoded: otlp.Decoded) -> str:
    """What was ignored of a request and why, in words."""
    return ", ".join(f"{count} {_ITEMS[signal]} {_WHY[reason]}" for reason, count in sorted(decoded.ignored.items()))


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
