"""The API of a Prometheus, and of what speaks as one (Thanos, Mimir, VictoriaMetrics): raw samples of a window, and what there is now."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from apportion.config.sources import PrometheusSource
from ingest.prometheus.assembly import Assembly
from ingest.prometheus.client import Client, FetchError
from ingest.prometheus.families import names
from ingest.prometheus.landing import Kind, Span
from ingest.prometheus.series import TARGET_LABELS, Places, Series, series_of

ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
ANSWER_SECONDS: Final = 60.0
_MILLISECOND_NS: Final = 1_000_000
_UNSAFE: Final = frozenset("\\.+*?()|[]{}^$\"'")

Values = list[tuple[int, str]]
"""Milliseconds since 1970, and the number as it was written."""


class Window:
    """The samples of a window.

    Attributes:
        size: bytes that the server answered with.
        ignored: reason -> readings that were left out.
        warnings: what the server said beside them.
    """

    def __init__(self, found: Sequence[tuple[Series, Values]], size: int, warnings: Sequence[str]) -> None:
        self.size, self.warnings = size, tuple(warnings)
        self.ignored: Counter[str] = Counter()
        self._found = found

    def lines(self, kind: Kind, span: Span) -> list[bytes]:
        """Canonical records of a kind, of the samples after the span's start up to its end."""
        assembly = Assembly(kind)
        for series, values in self._found:
            for at, written in values:
                if span.start < at <= span.end:
                    assembly.add(series, at * _MILLISECOND_NS, written)
        made = assembly.gpu_lines() if kind == "gpu" else assembly.engine_lines()
        self.ignored.update(assembly.ignored)
        return made


class Server:
    """A Prometheus. One thread at a time."""

    def __init__(self, settings: PrometheusSource, authorization: str, *, seconds: float = ANSWER_SECONDS) -> None:
        """Nothing is asked yet; `seconds` are for one whole answer."""
        url = str(settings.server)
        self._path = f"{urlsplit(url).path}/api/v1/query"
        self._client = Client(url, seconds=seconds, authorization=authorization, ca_file=settings.ca_file)
        self._places = Places(settings.labels, settings.constants)
        self._selector = selector(names(frozenset(settings.families)), settings.match)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def window(self, span: Span) -> Window:
        """The samples after the span's start up to its end. Raises: FetchError."""
        query = f"{self._selector}[{span.end - span.start}ms]"
        answer, size = self._asked(query, span.end)
        found = [
            (series, [(round(float(at) * 1000), str(value)) for at, value in entry.get("values", ())])
            for entry, series in self._series(answer, "matrix")
        ]
        return Window(found, size, [str(text)[:200] for text in answer.get("warnings") or ()])

    def now(self) -> list[Series]:
        """The series that there are now. Raises: FetchError."""
        answer, _ = self._asked(self._selector, None)
        return [series for _, series in self._series(answer, "vector")]

    def _asked(self, query: str, at: int | None) -> tuple[dict[str, Any], int]:
        form = {"query": query, "partial_response": "false"}
        if at is not None:
            form["time"] = f"{at // 1000}.{at % 1000:03d}"
        body = self._client.post(self._path, urlencode(form, quote_via=quote), limit=ANSWER_BYTES_MAX)
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise FetchError("answers with no JSON; write the address of a Prometheus as server") from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            said = answer.get("error", "") if isinstance(answer, dict) else ""
            raise FetchError(f"refuses a query: {str(said)[:200]}", status=200)
        return answer, len(body)

    def _series(self, answer: Mapping[str, Any], kind: str) -> Iterator[tuple[Mapping[str, Any], Series]]:
        """Entries of an answer, each with what it is. Raises: FetchError where it is no such answer."""
        try:
            data = answer["data"]
            if data["resultType"] != kind:
                raise FetchError(f"answers with {data['resultType']} where a {kind} was asked for", status=200)
            for entry in data["result"]:
                said = entry["metric"]
                if not said.get("instance"):
                    continue
                target = tuple(said.get(label, "") for label in TARGET_LABELS)
                series = series_of(said["__name__"], said, self._places, instance=said["instance"], target=target)
                if series is not None:
                    yield entry, series
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise FetchError(
                f"answers with what no Prometheus does ({type(error).__name__}: {error})", status=200
            ) from error


def selector(known: frozenset[str], match: str) -> str:
    """A selector of these metrics and matchers; names that no metric of a server has are left out."""
    written = "|".join(sorted(name for name in known if not _UNSAFE & set(name)))
    return f'{{__name__=~"{written}"{f",{match}" if match else ""}}}'
