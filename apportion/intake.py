"""What `serve` collects from: one collector per source of the config, and the app that requests are sent to."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from apportion.config.environment import resolve
from apportion.config.model import Config
from apportion.config.sources import HTTP_SOURCE, HttpSource, PrometheusSource, Source
from apportion.pipeline import Pipeline
from ingest.collectors.tail import TailCollector
from ingest.http.app import Intake
from ingest.http.auth import Tokens
from ingest.http.collector import HttpCollector
from ingest.nvml.collector import NvmlCollector
from ingest.prometheus.authorization import authorization
from ingest.prometheus.querying import QueryCollector
from ingest.prometheus.scraping import ScrapeCollector
from ingest.supervise import Collector


@dataclass(frozen=True, slots=True)
class Arriving:
    """Everything that records arrive by.

    Attributes:
        collectors: one per source.
        app: what requests are sent to.
    """

    collectors: tuple[Collector, ...]
    app: Intake


def arriving(pipeline: Pipeline) -> Arriving:
    """The collectors of a config.

    Raises: ConfigError when a token is not in the environment; UsageError when a source's format is not known.
    """
    config = pipeline.config
    senders = [_sender(pipeline, source, source.http) for source in _http_sources(config) if source.http]
    others = [one for source in config.sources if (one := _collector(pipeline, source))]
    app = Intake(
        senders,
        _tokens(config),
        pipeline.find_format,
        body_bytes_max=config.http.body_bytes_max,
        pending_bytes_max=config.http.pending_bytes_max,
    )
    return Arriving((*senders, *others), app)


def _http_sources(config: Config) -> list[Source]:
    """The declared ones, and the one that needs no table."""
    declared = [source for source in config.sources if source.collector == "http"]
    undeclared = Source(name=HTTP_SOURCE, collector="http", format="usage", http=HttpSource(token=config.http.token))
    return [undeclared, *declared]


def _tokens(config: Config) -> Tokens:
    """Whose token is whose. Without any, whoever reaches the loopback interface is believed, and nobody else."""
    secrets = {source.name: source.http.token for source in _http_sources(config) if source.http and source.http.token}
    named = {name: resolve(secret) for name, secret in secrets.items()}
    is_open = not named and config.http.listen.loopback
    return Tokens(named, open_to=HTTP_SOURCE if is_open else None)


def _sender(pipeline: Pipeline, source: Source, http: HttpSource) -> HttpCollector:
    return HttpCollector(
        source.name,
        pipeline.ledger,
        pipeline.live_rules(source),
        pipeline.clock,
        kind=None if source.name == HTTP_SOURCE else pipeline.format(source.format).kind.name,
        events_per_second=http.events_per_second,
    )


def _collector(pipeline: Pipeline, source: Source) -> Collector | None:
    rules = pipeline.live_rules(source)
    if source.files:
        format_ = pipeline.format(source.format)
        return TailCollector(source.name, source.files, format_, pipeline.ledger, rules, pipeline.clock)
    if source.kafka:
        from ingest.kafka.collector import KafkaCollector  # noqa: PLC0415 - the client takes a while to import

        return KafkaCollector(
            source.name,
            source.format,
            source.kafka,
            ledger=pipeline.ledger,
            find_format=pipeline.find_format,
            rules=rules,
            clock=pipeline.clock,
        )
    if source.nvml:
        format_ = pipeline.format(source.format)
        host = socket.gethostname()
        return NvmlCollector(source.name, source.nvml, format_, pipeline.ledger, rules, pipeline.clock, host=host)
    if source.prometheus:
        return _prometheus(pipeline, source, source.prometheus)
    return None


def _prometheus(pipeline: Pipeline, source: Source, settings: PrometheusSource) -> Collector:
    """Targets are scraped, a server is asked."""
    kind = QueryCollector if settings.server else ScrapeCollector
    return kind(
        source.name,
        settings,
        authorization=authorization(settings),
        ledger=pipeline.ledger,
        find_format=pipeline.find_format,
        rules=pipeline.live_rules(source),
        clock=pipeline.clock,
    )
