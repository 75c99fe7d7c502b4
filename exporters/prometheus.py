"""Prometheus exposition of what the last publish says, and the only importer of prometheus_client.

Ledger-backed families (`families`) are rendered by SQL, once per publish, into the bytes that every scrape is answered
with: the client library would hold the interpreter for half a second per hundred thousand series, at each scrape. What
only the process knows (its version, how its jobs end) is collected by the library, in a registry of its own, and
appended. Pages are replaced whole: a scrape sees one publish or the next, never a mixture.
"""

from __future__ import annotations

import gzip as gzip_format
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics

from apportion.ledger.connection import Session, read_only
from exporters.arrivals import Arrivals, arrival_families
from exporters.families import Family, cost_families, quantity_families, unit_cost_families
from exporters.health_families import freshness_families, ingest_families, law_families, step_families

GZIP_LEVEL: Final = 1
"""Nine times smaller already; higher levels cost more than the network they save."""

TEXT_TYPE: Final = exposition.CONTENT_TYPE_PLAIN_0_0_4
OPENMETRICS_TYPE: Final = openmetrics.CONTENT_TYPE_LATEST


def families(currency: str) -> tuple[Family, ...]:
    """Every family that the ledger backs, in the order of the page, for a billing currency (ISO 4217)."""
    cur = currency.lower()
    return (
        *cost_families(cur),
        *unit_cost_families(cur),
        *quantity_families(),
        *law_families(cur),
        *freshness_families(),
        *ingest_families(),
        *step_families(),
    )


@dataclass(frozen=True, slots=True)
class Page:
    """One exposition, ready to send.

    Attributes:
        plain: the bytes.
        packed: the same in gzip.
    """

    plain: bytes = b""
    packed: bytes = b""

    def __add__(self, other: Page) -> Page:
        """Both, one after the other; gzip members may follow one another too."""
        return Page(self.plain + other.plain, self.packed + other.packed)


def pack(plain: bytes) -> Page:
    """Bytes with their gzip form, which depends on nothing but them."""
    return Page(plain, gzip_format.compress(plain, GZIP_LEVEL, mtime=0) if plain else b"")


class Exposition:
    """What `/metrics` answers, from whichever thread asks.

    Attributes:
        registry: the families of this process alone; describes the ledger's too, so that names cannot clash.
    """

    def __init__(self, currency: str, version: str) -> None:
        self._families = families(currency)
        self._version = version
        self._runs: Counter[tuple[str, str]] = Counter()
        self._arrivals = Arrivals()
        self._succeeded: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._writing = threading.Lock()
        self._ledger = (Page(), Page())
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._pages = self._joined()

    def update(self, results: Path) -> None:
        """Render a published results file. Raises: LedgerError when it cannot be read; then the last page stays."""
        session = read_only(results)
        try:
            text, open_metrics = rendered(session, self._families)
        finally:
            session.close()
        with self._writing:
            self._ledger = (pack(text), pack(open_metrics))
            self._pages = self._joined()

    def resume(self, runs: Mapping[tuple[str, str], int]) -> None:
        """Count on from what the ledger remembers of jobs by outcome, so that a restart takes nothing back."""
        with self._writing:
            self._runs = Counter(runs)
            self._pages = self._joined()

    def show(self, arrivals: Arrivals) -> None:
        """How the sources and the HTTP side are, as it was last written to the ledger."""
        with self._writing:
            self._arrivals = arrivals
            self._pages = self._joined()

    def record(self, job: str, outcome: str, detail: str, started_at: datetime, seconds: float) -> None:
        """Count an attempt of a job; the detail is for records, not for labels."""
        del detail
        with self._writing:
            self._runs[job, outcome] += 1
            self._seconds[job] = seconds
            if outcome == "ok":
                self._succeeded[job] = started_at.timestamp() + seconds
            self._pages = self._joined()

    def body(self, accept: str, *, gzip: bool) -> tuple[bytes, str, str]:
        """Bytes, content type and content encoding (or empty) for an Accept header."""
        text, open_metrics = self._pages
        page, kind = (open_metrics, OPENMETRICS_TYPE) if takes_openmetrics(accept) else (text, TEXT_TYPE)
        return (page.packed, kind, "gzip") if gzip else (page.plain, kind, "")

    def describe(self) -> Iterator[Metric]:
        """Every family, without a sample and without touching data."""
        for family in self._families:
            yield Metric(family.name, family.help, family.kind, family.unit)
        yield from self._of_process()
        yield from arrival_families(Arrivals())

    def collect(self) -> Iterator[Metric]:
        """The families of this process. Those of the ledger are rendered, not collected."""
        build, runs, succeeded, lasted = self._of_process()
        build.add_metric([self._version], 1)
        for (job, outcome), count in sorted(self._runs.items()):
            runs.add_metric([job, outcome], count)
        for job, at in sorted(self._succeeded.items()):
            succeeded.add_metric([job], at)
        for job, seconds in sorted(self._seconds.items()):
            lasted.add_metric([job], seconds)
        yield from (family for family in (build, runs, succeeded, lasted) if family.samples)
        yield from (family for family in arrival_families(self._arrivals) if family.samples)

    def _joined(self) -> tuple[Page, Page]:
        text, open_metrics = self._ledger
        ended = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return text + pack(exposition.generate_latest(self.registry)), open_metrics + pack(ended)

    # The label is not `job`: that one is Prometheus's own name for what it scrapes, and would come out as exported_job.
    @staticmethod
    def _of_process() -> tuple[GaugeMetricFamily, CounterMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily("apportion_build_info", "The version that runs; always 1.", labels=["version"]),
            CounterMetricFamily(
                "apportion_job_runs",
                "Attempts of jobs so far, by how they ended.",
                labels=["job_name", "outcome"],
            ),
            GaugeMetricFamily(
                "apportion_job_last_success_timestamp_seconds",
                "When a job last ended well.",
                labels=["job_name"],
                unit="seconds",
            ),
            GaugeMetricFamily(
                "apportion_job_last_duration_seconds",
                "How long the last attempt of a job took.",
                labels=["job_name"],
                unit="seconds",
            ),
        )


def rendered(session: Session, shown: Sequence[Family]) -> tuple[bytes, bytes]:
    """Families with at least one sample, in the text format and in OpenMetrics (without its end mark)."""
    text, open_metrics = [], []
    for family in shown:
        samples = session.value(statement(family))
        if samples is None:
            continue
        lines = samples.encode()
        counter = family.kind == "counter"
        text += [_header(f"{family.name}_total" if counter else family.name, family), lines]
        unit = f"# UNIT {family.name} {family.unit}\n".encode() if family.unit else b""
        open_metrics += [_header(family.name, family), unit, lines]
    return b"".join(text), b"".join(open_metrics)


def statement(family: Family) -> str:
    """SQL that answers a family's sample lines as one text, ordered by labels in the order of their names.

    A NULL value has no line: what is missing is absent, never 0.
    """
    name = f"{family.name}_total" if family.kind == "counter" else family.name
    labels = sorted(family.labels)
    pairs = " '\",', ".join(f"'{label}=\"', {_escaped(label)}," for label in labels)
    opened = f"'{name}{{', {pairs} '\"}} '" if labels else f"'{name} '"
    order = f" ORDER BY {', '.join(labels)}" if labels else ""
    return (
        f"SELECT string_agg(concat({opened}, sample, chr(10)), ''{order})\n"
        f"FROM ({family.sql}) AS family\nWHERE sample IS NOT NULL"
    )


def _escaped(label: str) -> str:
    r"""A label value in SQL with `\`, `"` and line feeds escaped, as both formats ask; most values need nothing."""
    return rf"""CASE WHEN contains({label}, '\') OR contains({label}, chr(10)) OR contains({label}, '"')
        THEN replace(replace(replace({label}, '\', '\\'), chr(10), '\n'), '"', '\"') ELSE {label} END"""


def _header(name: str, family: Family) -> bytes:
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n".encode()


def takes_openmetrics(accept: str) -> bool:
    """Whether an Accept header prefers OpenMetrics 1.0.0, or any version, over plain text."""
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        named = dict(part.partition("=")[::2] for part in parameters)
        if kind in best and (kind == "text/plain" or named.get("version", "1.0.0") == "1.0.0"):
            best[kind] = max(best[kind], _quality(named.get("q", "1")))
    return best["application/openmetrics-text"] > 0 and best["application/openmetrics-text"] >= best["text/plain"]


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.\d{0,3})?", text) else 0.0
