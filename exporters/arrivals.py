"""Metric families about how records arrive: the sources that `serve` collects from, and its HTTP side.

Every count was written to the ledger before it is shown, so that no restart takes one back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How one source is.

    Attributes:
        collector: such as files or kafka.
        is_up: whether it works.
        failures: so far.
        last_success_at: None while it never worked.
        lag_records: records waiting at the source; None is unknown.
    """

    collector: str
    is_up: bool
    failures: int
    last_success_at: datetime | None
    lag_records: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What is known of everything that arrives.

    Attributes:
        sources: by name.
        responses: answers of the HTTP side by endpoint and status code.
        lost_records: records that were gone from their source before they were read.
    """

    sources: Mapping[str, SourceState] = field(default_factory=dict)
    responses: Mapping[tuple[str, int], int] = field(default_factory=dict)
    lost_records: int | None = None


def arrival_families(arrivals: Arrivals) -> Iterator[Metric]:
    """The families, whether or not they have a sample."""
    labels = ["source", "collector"]
    up = GaugeMetricFamily(
        "apportion_source_up", "1 while a configured source works, 0 while it fails or has not begun.", labels=labels
    )
    failures = CounterMetricFamily("apportion_source_failures", "Failures of a source so far.", labels=labels)
    lag = GaugeMetricFamily("apportion_source_lag_records", "Records waiting at a source.", labels=labels)
    success = GaugeMetricFamily(
        "apportion_source_last_success_timestamp_seconds", "When a source last worked.", labels=labels, unit="seconds"
    )
    for name, source in sorted(arrivals.sources.items()):
        values = [name, source.collector]
        up.add_metric(values, int(source.is_up))
        failures.add_metric(values, source.failures)
        if source.lag_records is not None:
            lag.add_metric(values, source.lag_records)
        if source.last_success_at is not None:
            success.add_metric(values, source.last_success_at.timestamp())
    lost = CounterMetricFamily(
        "apportion_source_lost_records", "Records that were gone from their source before they could be read, so far."
    )
    if arrivals.lost_records is not None:
        lost.add_metric([], arrivals.lost_records)
    responses = CounterMetricFamily(
        "apportion_http_responses", "Answers of the HTTP side so far.", labels=["endpoint", "code"]
    )
    for (endpoint, code), count in sorted(arrivals.responses.items()):
        responses.add_metric([endpoint, str(code)], count)
    yield from (up, failures, lag, success, lost, responses)
