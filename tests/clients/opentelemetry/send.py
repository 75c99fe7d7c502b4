"""Tell of calls and GPUs by OpenTelemetry's own SDK. Runs in the clients' environment, not in the tests'.

    python send.py http://127.0.0.1:8321 TOKEN TOKEN_FOR_METRICS

Says on its output what its exporters made of the answers: `ok`, or what was logged as a failure.
"""

from __future__ import annotations

import logging
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

CALLS = 40
COMMON = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "tiny"}
ENGINE = {"gen_ai.response.model": "tiny", "server.address": "tiny.llm.svc", "server.port": 8000}


def usage(number: int) -> dict[str, int]:
    """What a call used; every number is its own."""
    return {
        "gen_ai.usage.input_tokens": 100 + number,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.output_tokens": 20 + number,
        "gen_ai.usage.reasoning.output_tokens": 8,
    }


def spans(url: str, headers: dict[str, str], resource: Resource) -> None:
    """An agent whose calls are spans below its own, a failed one among them."""
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(f"{url}/v1/traces", headers=headers, compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=16))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
        for number in range(CALLS):
            named = {"gen_ai.response.id": f"call-{number}"}
            with tracer.start_as_current_span(
                "chat tiny", kind=SpanKind.CLIENT, attributes={**COMMON, **ENGINE, **named}
            ) as span:
                span.set_attributes(usage(number))
        with tracer.start_as_current_span("chat tiny", kind=SpanKind.CLIENT, attributes={**COMMON, **ENGINE}) as span:
            span.set_attributes(
                {"gen_ai.response.id": "call-failed", "gen_ai.usage.input_tokens": 5, "error.type": "timeout"}
            )
            span.set_status(Status(StatusCode.ERROR, "the engine did not answer"))
    provider.shutdown()


def metrics(url: str, headers: dict[str, str], resource: Resource) -> None:
    """Two GPUs, as an exporter of theirs would tell, and a histogram of tokens, which is about no single call."""
    exporter = OTLPMetricExporter(f"{url}/v1/metrics", headers=headers, compression=Compression.Gzip)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, 3_600_000)], resource)
    meter = provider.get_meter("tests")
    for name, unit, value in (("hw.gpu.utilization", "1", 0.75), ("hw.power", "W", 412.0)):
        gauge = meter.create_gauge(name, unit)
        for number in (0, 1):
            gauge.set(value, {"hw.id": f"GPU-{number}", "hw.type": "gpu", "hw.name": "NVIDIA H100 80GB HBM3"})
    tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}")
    tokens.record(100, {**COMMON, "gen_ai.token.type": "input"})
    provider.shutdown()


def logs(url: str, headers: dict[str, str], resource: Resource) -> None:
    """A call that is told by a log record instead of a span."""
    provider = LoggerProvider(resource)
    exporter = OTLPLogExporter(f"{url}/v1/logs", headers=headers, compression=Compression.Gzip)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("tests")
    attributes = {**COMMON, **ENGINE, **usage(1000), "gen_ai.response.id": "call-of-a-log"}
    logger.emit(
        LogRecord(
            timestamp=_now(), severity_number=SeverityNumber.INFO, attributes=attributes,
            event_name="gen_ai.client.inference.operation.details",
        )
    )  # fmt: skip
    provider.shutdown()


def _now() -> int:
    import time

    return time.time_ns()


class _Complaints(logging.Handler):
    """What the exporters log of answers that they did not like."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(record.getMessage())


if __name__ == "__main__":
    complaints = _Complaints()
    logging.getLogger("opentelemetry").addHandler(complaints)
    told = Resource({"service.name": "answers", "team": "team-search", "host.name": "gpu-node-1"})
    address, usage_token, any_token = sys.argv[1:]
    for signal, token in ((spans, usage_token), (metrics, any_token), (logs, usage_token)):
        signal(address, {"authorization": f"Bearer {token}"}, told)
    print("\n".join(complaints.said) or "ok")
