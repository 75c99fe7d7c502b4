"""One exporter: asked for its page, of which only series of engines and GPUs are looked at, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from apportion.domain.clock import Clock
from ingest.prometheus.assembly import Assembly
from ingest.prometheus.client import Client
from ingest.prometheus.exposition import known_lines, labels, parsed
from ingest.prometheus.series import Places, Series, series_of

_MICROSECOND_NS: Final = 1000


class Scraped(NamedTuple):
    """What a page said.

    Attributes:
        gpu: samples, as canonical JSON.
        engine: samples, as canonical JSON.
        ignored: reason -> readings that were left out.
        series: known series on the page.
    """

    gpu: list[bytes]
    engine: list[bytes]
    ignored: Mapping[str, int]
    series: tuple[Series, ...]


class Target:
    """An exporter. One thread at a time, but for `abort`.

    Attributes:
        url: its page.
    """

    def __init__(self, url: str, client: Client, places: Places, names: frozenset[str], clock: Clock) -> None:
        """Nothing is asked yet.

        Args:
            url: of the page.
            client: for its host.
            places: how the source says where things are.
            names: of the metrics to read.
            clock: says when a page is asked for, which is when its values are from.
        """
        self.url = url
        self._client, self._places, self._clock = client, places, clock
        self._names = frozenset(name.encode() for name in names)
        self._instance = instance_of(url)
        self._known: dict[bytes, Series | None] = {}

    def scrape(self) -> Scraped:
        """Ask for the page. Raises: FetchError, PageError; then nothing of it is believed."""
        now = self._clock.now()
        at_ns = int(now.timestamp()) * 1_000_000_000 + now.microsecond * _MICROSECOND_NS
        return self.read(self._client.get(self._client.path), at_ns)

    def read(self, page: bytes, at_ns: int) -> Scraped:
        """What a page says, as of a time. Raises: PageError."""
        assembly, seen = Assembly(), dict[bytes, Series | None]()
        for line in known_lines(page, self._names):
            head, value = self._split(line)
            if head in seen:
                assembly.ignored["same_series"] += 1
                continue
            series = seen[head] = self._known[head] if head in self._known else self._series(head)
            if series is not None:
                assembly.add(series, at_ns, value)
        self._known = seen
        found = tuple(series for series in seen.values() if series is not None)
        return Scraped(assembly.gpu_lines(), assembly.engine_lines(), assembly.ignored, found)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def abort(self) -> None:
        """End a scrape that takes too long; it raises."""
        self._client.abort()

    def _split(self, line: bytes) -> tuple[bytes, str]:
        """Name and labels as they are written, and the value. What was read before is recognised without being read again."""
        head, space, value = line.rpartition(b"} ")
        if space and head + b"}" in self._known and b" " not in value:
            return head + b"}", value.decode("ascii", "replace").rstrip("\r")
        name, written, value = parsed(line)
        return (name + b"{" + written + b"}" if written else name), value.decode("ascii", "replace")

    def _series(self, head: bytes) -> Series | None:
        name, _, written = head.partition(b"{")
        return series_of(name.decode(), labels(written[:-1]), self._places, instance=self._instance)


def instance_of(url: str) -> str:
    """What a server that scrapes a target calls it: host and port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    return f"{host}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}"


def model_of(url: str) -> str:
    """The model that a page is asked for: a router of several has one page each. Empty where the URL says none."""
    return parse_qs(urlsplit(url).query).get("model", [""])[0]


def silence_of(scraped: Scraped) -> str:
    """Why a page is of no use; empty where it is of some."""
    return (
        ""
        if scraped.series
        else "has no metric of an engine or a GPU that is read; correct the path, or see `families`"
    )
