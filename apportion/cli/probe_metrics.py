"""Look at exporters and servers of metrics: whether they answer, and which engines, models and GPUs they tell of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from apportion.config.sources import PrometheusSource
from apportion.config.tables import listed
from apportion.domain.clock import SystemClock
from apportion.domain.errors import ApportionError
from ingest.gpu_families import FAMILIES as GPU
from ingest.prometheus import families
from ingest.prometheus.authorization import authorization
from ingest.prometheus.scraping import target
from ingest.prometheus.series import EngineSeries, GpuSeries, Series
from ingest.prometheus.server import Server
from ingest.prometheus.target import silence_of

TARGETS_MAX: Final = 200
"""Of one source; the others are not looked at."""
_MODELS_MAX: Final = 5


def page(settings: PrometheusSource, url: str) -> tuple[bool, str]:
    """What an exporter tells of, once."""
    try:
        asked = target(replace(settings, families=families.FAMILIES), url, authorization(settings), SystemClock())
        try:
            found = asked.scrape()
        finally:
            asked.close()
    except ApportionError as error:
        return False, f"{url} {_fixed(error, 'start it, or correct targets')}"
    if silence := silence_of(found):
        return False, f"{url} {silence}"
    read, others = _told(found.series, settings.families)
    if not read:
        return (
            False,
            f"{url} has nothing of {listed(settings.families)}, but of {others}; name those in families, to read them",
        )
    beside = f"; {others} is there too and not read, since families leave it out" if others else ""
    left = ", ".join(f"{count} {reason}" for reason, count in sorted(found.ignored.items()))
    return True, f"{url} has {len(found.series)} series: {read}{beside}{f'; left out: {left}' if left else ''}"


def server(settings: PrometheusSource) -> tuple[bool, str]:
    """What a Prometheus has of engines and GPUs now."""
    url = str(settings.server)
    try:
        asked = Server(settings, authorization(settings))
        try:
            series = asked.now()
        finally:
            asked.close()
    except ApportionError as error:
        return False, f"{url} {_fixed(error, 'start it, or correct server')}"
    read, _ = _told(series, settings.families)
    if not read:
        return False, f"{url} has no series of engines or GPUs now; have it scrape them, or correct match and families"
    return True, f"{url} has {len(series)} series now: {read}"


def _told(series: Iterable[Series], wanted: tuple[str, ...]) -> tuple[str, str]:
    """What is told of families that are read, and the names of those that are not."""
    engines: dict[str, set[tuple[object, ...]]] = {}
    models: dict[str, set[str]] = {}
    devices: dict[str, set[object]] = {}
    for one in series:
        if isinstance(one, GpuSeries):
            devices.setdefault(GPU[one.metric].software, set()).add(one.device)
        elif isinstance(one, EngineSeries):
            owner = one.owner
            engines.setdefault(owner.kind.software, set()).add((owner.instance, owner.engine, owner.model))
            models.setdefault(owner.kind.software, set()).update({owner.model} - {""})
    said = {
        name: f"{name} ({_counted(len(found), 'engine')}{_of(models[name])})" for name, found in sorted(engines.items())
    }
    said |= {name: f"{name} ({_counted(len(found), 'GPU')})" for name, found in sorted(devices.items())}
    read = ", ".join(text for name, text in said.items() if name in wanted)
    return read, listed(name for name in said if name not in wanted)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _of(models: set[str]) -> str:
    return f" of {listed(sorted(models), _MODELS_MAX)}" if models else ", which tells no model: write constants.model"


def _fixed(error: ApportionError, fix: str) -> str:
    """A sentence with what to do, where it does not say so itself."""
    said = str(error)
    return said if ";" in said or "," in said else f"{said}; {fix}"
