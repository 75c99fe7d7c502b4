"""Where events come from: one `[[sources]]` table each, how it arrives and what it says.

These are descriptions only; ingest collects. The one source that needs no table is `http`, which `[http] token` admits.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from apportion.config.environment import Secret
from apportion.config.mapping import Mapping

CollectorName = Literal["", "files", "kafka", "http", "prometheus", "nvml"]
Start = Literal["earliest", "latest"]
Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

COLLECTORS: Final[tuple[CollectorName, ...]] = ("files", "kafka", "http", "prometheus", "nvml")
STARTS: Final[tuple[Start, ...]] = ("earliest", "latest")
SECURITIES: Final[tuple[Security, ...]] = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final[tuple[Mechanism, ...]] = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
FAMILIES: Final = ("dcgm", "amd", "vllm", "sglang", "tgi", "trtllm", "llamacpp", "dynamo")
"""Exporters whose metrics are known."""
FAMILIES_ON_REQUEST: Final = ("dynamo",)
"""Read only where a source names them: a front end counts what the engines behind it count as well."""
PLACES: Final = ("cluster", "node", "deployment", "namespace", "pod", "container", "replica", "model", "gpu")
"""What a source may say of all its metrics, or by a label of its own."""
HTTP_SOURCE: Final = "http"
"""The source that exists without being declared: requests with the token of `[http]`, or, on loopback, with none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesSource:
    """Files that are followed as they grow.

    Attributes:
        paths: globs; relative ones are beside the config file.
        poll_seconds: pause between two looks at them.
    """

    paths: tuple[str, ...]
    poll_seconds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSource:
    """Topics of one Kafka cluster, read by one consumer group.

    Attributes:
        brokers: `host:port`, at least one.
        topics: names, at least one.
        group: the consumer group; partitions are shared among its members.
        formats: topic -> format, for topics that say something else than the source's format.
        format_header: name of the message header whose value, if there, names the message's format.
        start: where a partition begins that the ledger does not know yet.
        consumers: how many run here.
        batch_seconds: how long messages may wait for a batch.
        security: of the connection.
        mechanism: of SASL, None without.
        username: of SASL, None without.
        password: of SASL, None without.
        ca_file: PEM of who signs the brokers' certificates; None trusts the system's.
        certificate_file: PEM of the client's own certificate, or None.
        key_file: PEM of its key; None where the certificate's file holds it.
    """

    brokers: tuple[str, ...]
    topics: tuple[str, ...]
    group: str = "apportion"
    formats: Dictionary[str, str] = field(default_factory=dict)
    format_header: str = "apportion-format"
    start: Start = "earliest"
    consumers: int = 1
    batch_seconds: int | float = 1
    security: Security = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """A sender of requests, known by its token.

    Attributes:
        token: its bearer token; no other source has the same.
        events_per_second: how many it may send, over time; None is no limit.
    """

    token: Secret | None
    events_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSource:
    """Metrics of engines and GPUs: scraped from exporters, or asked of a server that scrapes them.

    Attributes:
        targets: pages of exporters; empty where there is a server.
        server: where a Prometheus answers queries; None where there are targets.
        match: label matchers of a selector, without braces; empty matches everything.
        start: where a server's first window begins; None is the hour in which it is asked first.
        interval_seconds: between two rounds.
        families: exporters whose metrics are read.
        constants: place -> its value, whatever labels say.
        labels: place, or instance (what tells processes apart) -> the label that says it.
        token: bearer token, or None.
        username: of basic authorization, None without.
        password: of basic authorization, None without.
        ca_file: PEM of who signs certificates; None trusts the system's.
    """

    targets: tuple[str, ...] = ()
    server: str | None = None
    match: str = ""
    start: datetime | None = None
    interval_seconds: int = 15
    families: tuple[str, ...] = tuple(name for name in FAMILIES if name not in FAMILIES_ON_REQUEST)
    constants: Dictionary[str, str] = field(default_factory=dict)
    labels: Dictionary[str, str] = field(default_factory=dict)
    token: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NvmlSource:
    """GPUs of this host, as their driver tells of them.

    Attributes:
        interval_seconds: from one look at them to the next.
        constants: canonical field of a sample's place -> its text; `node` is the host's name unless said.
    """

    interval_seconds: int = 15
    constants: Dictionary[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One `[[sources]]` table.

    Attributes:
        name: of the source, and of its mapping where it describes one; no two are alike.
        collector: how its records arrive; empty where it only describes a format for `ingest --format NAME`.
        format: name of the format its records are in; its own name where it describes a mapping, empty where the collector knows.
        mapping: the format it describes, or None where `format` names one that is known elsewhere.
        files: set exactly where the collector is files.
        kafka: set exactly where the collector is kafka.
        http: set exactly where the collector is http.
        prometheus: set exactly where the collector is prometheus.
        nvml: set exactly where the collector is nvml.
        accepts: globs of the events' `source` that are believed from here; empty believes any.
    """

    name: str
    collector: CollectorName
    format: str
    mapping: Mapping | None = None
    files: FilesSource | None = None
    kafka: KafkaSource | None = None
    http: HttpSource | None = None
    prometheus: PrometheusSource | None = None
    nvml: NvmlSource | None = None
    accepts: tuple[str, ...] = ()
