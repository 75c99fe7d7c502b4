"""What is looked at in an OTLP request, however it was encoded."""

from __future__ import annotations

from typing import Literal, NamedTuple

Signal = Literal["traces", "metrics", "logs"]
Encoding = Literal["protobuf", "json"]
Attributes = dict[str, str | int | float | bool]
"""Values that are one text, number or word; attributes nobody reads are left out."""


class Observation(NamedTuple):
    """A span or a log record.

    Attributes:
        resource: who reports.
        attributes: what it says.
        name: of the span or the event.
        kind: of the span, as OTLP numbers them; 0 for log records.
        trace_id: hexadecimal; may be empty.
        span_id: hexadecimal; may be empty.
        trace_state: as W3C writes it.
        started_ns: since 1970; 0 where unknown.
        ended_ns: since 1970; 0 where unknown.
        failed: whether its status is an error.
    """

    resource: Attributes
    attributes: Attributes
    name: str
    kind: int
    trace_id: str
    span_id: str
    trace_state: str
    started_ns: int
    ended_ns: int
    failed: bool


class Reading(NamedTuple):
    """One data point of a gauge or a sum.

    Attributes:
        resource: who reports.
        attributes: of the point.
        name: of the metric.
        unit: of the metric.
        at_ns: since 1970.
        value: the number; None where the point says that there is none.
    """

    resource: Attributes
    attributes: Attributes
    name: str
    unit: str
    at_ns: int
    value: int | float | None


class Other(NamedTuple):
    """Data points that nobody reads.

    Attributes:
        name: of the metric.
        points: how many.
    """

    name: str
    points: int
