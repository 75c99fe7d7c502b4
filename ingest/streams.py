"""What the names of streams say: `kafka:SOURCE/TOPIC[ID]/PARTITION`, `prometheus:SOURCE/KIND`, `http:SOURCE#FORMAT`,
`nvml:SOURCE`, `tail:PATH#FORMAT`, `file:PATH#FORMAT`.
"""

from __future__ import annotations


def source_of(stream: str) -> str | None:
    """The configured source that a stream belongs to; None where files delivered it."""
    way, _, rest = stream.partition(":")
    if way in {"kafka", "prometheus"}:
        return rest.partition("/")[0]
    if way == "nvml":
        return rest
    return rest.rpartition("#")[0] if way == "http" else None


def shown_name(stream: str) -> str:
    """What ids made from `{file}` call a stream: its source, or the last part of the path it was first read under."""
    return source_of(stream) or stream.rsplit("#", 1)[0].rsplit("/", 1)[-1]
