"""OTLP bodies: what is malformed is refused with a sentence, what is huge is bounded, and answers are in the request's encoding."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from apportion.domain.errors import InputError
from ingest.formats import otlp, otlp_bounds
from tests.unit.ingest.telemetry import JSON, PROTOBUF, encoded, gauge, logs, metrics, span, spans

READ = {"traces": otlp.traces, "logs": otlp.logs, "metrics": otlp.metrics}
SIGNALS = pytest.mark.parametrize("signal", sorted(READ))
BOTH = pytest.mark.parametrize("content_type", [JSON, PROTOBUF])


@SIGNALS
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b"\xff"),
        (JSON, b""),
        (JSON, b'{"resourceSpans": {}, "resourceLogs": {}, "resourceMetrics": {}}'),
        (JSON, b'{"resourceSpans": [3], "resourceLogs": [3], "resourceMetrics": [3]}'),
        (JSON, b"[" * 100_000),
        (JSON, b'{"a":' * 100_000),
        (JSON, b'{"a":' + b"9" * 5000 + b"}"),
        (PROTOBUF, b"\xff\xff"),
        (PROTOBUF, b"\x0a\x05ab"),
        (PROTOBUF, b'{"resourceSpans": []}'),
        ("text/plain", b"{}"),
        ("", b"{}"),
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(signal: str, content_type: str, body: bytes) -> None:
    """Nothing of it is believed, and the sentence does not repeat the body."""
    with pytest.raises(InputError) as refused:
        READ[signal](body, content_type)

    assert 20 < len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "inner",
    [
        {"endTimeUnixNano": "soon"},
        {"endTimeUnixNano": str(2**64)},
        {"attributes": {}},
        {"attributes": [{"key": "gen_ai.usage.input_tokens", "value": 3}]},
        {"attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "x"}}]},
        {"status": []},
    ],
)
def test_json_that_breaks_the_encoding_is_refused(inner: dict[str, object]) -> None:
    """Each sentence names what is wrong."""
    with pytest.raises(InputError, match=r"endTimeUnixNano|attribute|status|intValue"):
        otlp.traces(json.dumps(spans(span({}) | inner)).encode(), JSON)


@SIGNALS
@BOTH
def test_an_empty_request_is_no_error(signal: str, content_type: str) -> None:
    """Exporters send them to see whether somebody answers."""
    found = READ[signal](b"{}" if content_type == JSON else b"", content_type)

    assert (found.records, found.items, found.lines) == (0, 0, b"")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_content_types_may_have_parameters(content_type: str) -> None:
    """And are compared without regard to case."""
    assert otlp.encoding(content_type) == "json"


@BOTH
def test_a_small_body_cannot_fill_the_memory(content_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes are an empty span, which takes a hundred times that when it is read."""
    for module in ("otlp_bounds", "otlp_json"):
        monkeypatch.setattr(f"ingest.formats.{module}.ITEMS_MAX", 100)
    enough, too_many = ([spans(*[span({})] * number)] for number in (100, 101))

    assert otlp.traces(encoded("traces", enough[0], content_type), content_type).items == 100
    with pytest.raises(InputError, match="100 items"):
        otlp.traces(encoded("traces", too_many[0], content_type), content_type)


def test_data_points_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand deeper than spans."""
    monkeypatch.setattr(otlp_bounds, "ITEMS_MAX", 10)
    metric = gauge("m", 1.0, {})
    metric["gauge"]["dataPoints"] *= 11
    body = encoded("metrics", metrics(metric), PROTOBUF)

    with pytest.raises(InputError, match="10 items"):
        otlp.metrics(body, PROTOBUF)


@pytest.mark.parametrize(
    ("signal", "path"),
    [
        ("traces", (1, 2, 2, 9)),  # attributes of a span
        ("traces", (1, 2, 2, 9, 2, 5, 1)),  # values in a list
        ("traces", (1, 2, 2, 9, 2, 6, 1, 2, 6, 1)),  # pairs in pairs
        ("traces", (1, 2, 2, 11, 3)),  # attributes of an event
        ("traces", (1, 2, 2, 13)),  # links
        ("traces", (1, 1, 1)),  # attributes of the resource
        ("logs", (1, 2, 1, 3)),  # attributes of the scope
        ("logs", (1, 2, 2, 6)),
        ("metrics", (1, 2, 2, 5, 1, 7)),
        ("metrics", (1, 2, 2, 9, 1, 8)),  # exemplars
    ],
)
def test_what_stands_inside_one_item_is_bounded_too(
    signal: str, path: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty attributes, values, events and links, wherever a sender can repeat them; behind fields that nobody knows, too."""
    monkeypatch.setattr(otlp_bounds, "PARTS_MAX", 1000)
    for repeated, is_taken in ((900, True), (1001, False)):
        body = b"\x7a\x00" * 1500 * (not is_taken) + bytes([path[-1] << 3 | 2, 0]) * repeated
        for field in reversed(path[:-1]):
            length = bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
            body = bytes([field << 3 | 2]) + length + body
        if is_taken:
            READ[signal](body, PROTOBUF)
        else:
            with pytest.raises(InputError, match="too many attributes"):
                READ[signal](body, PROTOBUF)


def test_objects_and_lists_of_json_are_counted_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three bytes each, and twenty times that when they are read."""
    monkeypatch.setattr("ingest.formats.otlp_json.PARTS_MAX", 10)
    body = encoded("traces", spans(span({f"a{number}": [1] for number in range(20)})), JSON)

    with pytest.raises(InputError, match="too many attributes"):
        otlp.traces(body, JSON)


@settings(max_examples=200)
@given(st.binary(max_size=60), st.sampled_from(sorted(READ)), st.sampled_from([JSON, PROTOBUF]))
def test_any_bytes_are_read_or_refused(body: bytes, signal: str, content_type: str) -> None:
    """Never another error."""
    with contextlib.suppress(InputError):
        READ[signal](body, content_type)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_request_is_read_or_refused(data: st.DataObject) -> None:
    """One byte of a sound request changed, or its end lost."""
    signal = data.draw(st.sampled_from(sorted(READ)))
    content_type = data.draw(st.sampled_from([JSON, PROTOBUF]))
    request = {
        "traces": spans(span({"gen_ai.usage.input_tokens": 3}, traceState="ot=th:0")),
        "logs": logs({"timeUnixNano": "5", "attributes": []}),
        "metrics": metrics(gauge("DCGM_FI_DEV_GPU_UTIL", 5, {"UUID": "u"})),
    }[signal]
    body = bytearray(encoded(signal, request, content_type))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        READ[signal](bytes(body[: data.draw(st.integers(0, len(body)))]), content_type)


def test_an_answer_without_complaint_is_empty() -> None:
    """A partial success is only set where something was rejected or is to be said."""
    assert otlp.answer("traces", 0, "", PROTOBUF) == b""
    assert otlp.answer("traces", 0, "", JSON) == b"{}"


def test_answers_say_how_many_were_rejected_and_why() -> None:
    """In the request's encoding, and each signal by its own name."""
    traces = ExportTraceServiceResponse.FromString(otlp.answer("traces", 3, "why", PROTOBUF)).partial_success
    points = ExportMetricsServiceResponse.FromString(otlp.answer("metrics", 4, "why", PROTOBUF)).partial_success
    records = ExportLogsServiceResponse.FromString(otlp.answer("logs", 5, "why", PROTOBUF)).partial_success

    assert (traces.rejected_spans, traces.error_message) == (3, "why")
    assert (points.rejected_data_points, records.rejected_log_records) == (4, 5)
    assert json.loads(otlp.answer("logs", 5, "why", JSON)) == {
        "partialSuccess": {"rejectedLogRecords": "5", "errorMessage": "why"}
    }
    assert json.loads(otlp.answer("traces", 0, "note", JSON)) == {"partialSuccess": {"errorMessage": "note"}}
