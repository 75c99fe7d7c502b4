"""Pages of exporters as tests write them, and what a target makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ingest.prometheus.client import Client
from ingest.prometheus.families import FAMILIES, names
from ingest.prometheus.series import Places
from ingest.prometheus.target import Scraped, Target, model_of
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON

URL = "http://vllm-0:8000/metrics"
AT_NS = (int(NOON.timestamp()) - 3600) * 1_000_000_000


def target(
    url: str = URL,
    *,
    families: tuple[str, ...] = FAMILIES,
    labels: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> Target:
    """A target that nobody connects to."""
    places = Places(labels or {}, {**({"model": model_of(url)} if model_of(url) else {}), **(constants or {})})
    return Target(url, Client(url, seconds=1), places, names(frozenset(families)), FrozenClock(NOON))


def read(page: str | bytes, **how: Any) -> Scraped:
    """What a page says."""
    return target(**how).read(page if isinstance(page, bytes) else page.encode(), AT_NS)


def records(found: list[bytes]) -> list[dict[str, Any]]:
    """Canonical records as dicts."""
    return [json.loads(line) for line in found]


def engines(page: str | bytes, **how: Any) -> list[dict[str, Any]]:
    """The engine samples of a page, without time and software."""
    return [
        {name: value for name, value in record.items() if name not in {"sampled_at", "software", "instance"}}
        for record in records(read(page, **how).engine)
    ]


def gpus(page: str | bytes, **how: Any) -> list[dict[str, Any]]:
    """The GPU samples of a page, without their time."""
    return [
        {name: value for name, value in record.items() if name != "sampled_at"}
        for record in records(read(page, **how).gpu)
    ]
