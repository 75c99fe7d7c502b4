"""What engines counted, in the notation of `facts`: cumulative counters at times, None where a reading is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

COUNTERS = ("prompt", "cache_read", "output", "requests", "aborted", "prefill_us", "decode_us", "idle_us")
TIERS = ("host", "storage")


@dataclass(frozen=True, kw_only=True)
class Count:
    """A reading of an engine; `started` is when its counters began at zero."""

    at: int
    engine: str = "e"
    model: str = "m"
    started: int | None = None
    prompt: int | None = None
    cache_read: int | None = None
    output: int | None = None
    requests: int | None = None
    aborted: int | None = None
    prefill_us: int | None = None
    decode_us: int | None = None
    idle_us: int | None = None
    host: int | None = None
    storage: int | None = None
    running: int | None = None
    cluster: str = ""
    node: str = ""
    deployment: str = ""
    namespace: str = ""
    pod: str = ""
    replica: str = ""

    @property
    def who(self) -> tuple[str, str]:
        """What is one engine: its counters are of one model."""
        return self.engine, self.model


def tables(
    counts: Iterable[Count], model_no: Mapping[str, int], moment: Callable[[int], datetime]
) -> dict[str, list[list[Any]]]:
    """Rows of `raw.engine`, its series and its samples; numbers run against the order of the texts."""
    counts = list(counts)
    engine_no = {who: number for number, who in enumerate(sorted({c.who for c in counts}, reverse=True), 1)}
    series: dict[tuple[Any, ...], int] = {}
    samples = []
    for c in counts:
        where = (engine_no[c.who], "vllm", c.cluster, c.node, c.deployment, c.namespace, c.pod, c.replica)
        series_no = series.setdefault(where, len(series) + 1)
        started = None if c.started is None else moment(c.started)
        counters, tiers = ([getattr(c, name) for name in names] for names in (COUNTERS, TIERS))
        samples.append(
            [
                moment(c.at),
                engine_no[c.who],
                series_no,
                started,
                *counters,
                None,
                None,
                c.running,
                None,
                None,
                1,
                *tiers,
            ]
        )
    return {
        "raw.engine": [[number, name, "", model_no[model]] for (name, model), number in engine_no.items()],
        "raw.engine_series": [[number, *where] for where, number in series.items()],
        "raw.engine_sample": samples,
    }
