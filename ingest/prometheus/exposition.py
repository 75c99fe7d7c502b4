"""A page of metrics: the lines of known metrics are found without looking at the others, and only those are read.

Both text formats, Prometheus' own and OpenMetrics, are lines of `name{labels} value`; what may follow (a time, an exemplar) is left
alone: a sample is as old as its scrape. A page that is cut off or broken is no page: half of its series would look like counters
that went down.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from apportion.domain.errors import ApportionError

SERIES_MAX: Final = 20_000
"""Known series of one page; an exporter has some hundreds."""

_LINE: Final = re.compile(
    rb"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*"
    rb'(?:\{([^"}]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"}]*)*)\})?'
    rb"[ \t]+([^ \t#]+)(?:[ \t]+[-+0-9.eE]+)?[ \t]*(?:#.*)?",
)
_LABEL: Final = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*(?:,|$)[ \t]*')
_ESCAPED: Final = re.compile(r"\\(.)")
_PLAIN: Final = {"n": "\n"}


class PageError(ApportionError):
    """What was answered is no page of metrics, or not all of it; nothing of it is believed."""


def known_lines(page: bytes, names: Collection[bytes]) -> list[bytes]:
    """The lines of metrics with these names. Raises: PageError where the page is none, or not whole."""
    _whole(page)
    found = [
        line
        for line in page.split(b"\n")
        if line.partition(b"{")[0] in names or (b"{" not in line and line.partition(b" ")[0] in names)
    ]
    if len(found) > SERIES_MAX:
        msg = (
            f"has {len(found)} series of engines and GPUs, more than any exporter; at most {SERIES_MAX} are read. A page that "
            "gathers many exporters is a server's: name that as `server`"
        )
        raise PageError(msg)
    return found


def parsed(line: bytes) -> tuple[bytes, bytes, bytes]:
    """A line's name, labels as they are written, and value. Raises: PageError where it is no such line."""
    found = _LINE.fullmatch(line.rstrip(b"\r"))
    if found is None:
        raise PageError(f"has a line that is no sample: {_shown(line)}")
    return found[1], found[2] or b"", found[3]


def labels(text: bytes) -> dict[str, str]:
    """Labels as they are written between braces. Raises: PageError where they are none."""
    found, at = {}, 0
    for match in _labels(text):
        if match.start() != at:
            break
        value = match[2].decode("utf-8", "replace")
        found[match[1].decode()] = _ESCAPED.sub(_unescaped, value) if "\\" in value else value
        at = match.end()
    if text[at:].strip():
        raise PageError(f"has labels that cannot be read: {_shown(text)}")
    return found


def _labels(text: bytes) -> Iterator[re.Match[bytes]]:
    return _LABEL.finditer(text, len(text) - len(text.lstrip()))


def _unescaped(match: re.Match[str]) -> str:
    return _PLAIN.get(match[1], match[1])


def _whole(page: bytes) -> None:
    beginning = page[:512].lstrip()
    if beginning[:1] == b"<":
        raise PageError("is a web page, and no metrics; correct the path, such as /metrics")
    if beginning[:1] in {b"[", b"{"}:
        raise PageError(
            "is JSON, and no metrics; TensorRT-LLM has them at /prometheus/metrics, with return_perf_metrics"
        )
    if b"\0" in page:
        raise PageError("holds bytes that are no text, and no metrics")
    if page and not page.endswith(b"\n"):
        raise PageError("ends within a line, so that not all of it arrived")


def _shown(line: bytes) -> str:
    return repr(line[:80].decode("utf-8", "replace"))
