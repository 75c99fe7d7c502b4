"""Look at what the sources need, without touching it: files that match, brokers and exporters that answer, a free port, GPUs.

Whatever takes longer than `SECONDS` is said to have given no answer, and holds nobody up: each look has a thread of its
own, which ends with the process.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from apportion.cli import probe_metrics
from apportion.config.model import Config
from apportion.config.services import Listener
from apportion.config.sources import HTTP_SOURCE, PrometheusSource
from apportion.config.tables import listed

SECONDS: Final = 3.0
"""For all looks together; they run side by side."""
FILES_MAX: Final = 10_000
"""Files looked at per pattern."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a source showed.

    Attributes:
        source: its name.
        well: whether it could collect now.
        said: a sentence about it.
    """

    source: str
    well: bool
    said: str


Look = Callable[[], tuple[bool, str]]


def probe(config: Config, *, seconds: float = SECONDS, stopwatch: Callable[[], float] = time.monotonic) -> list[Seen]:
    """One look, or several, at each source with a collector, in the order of the config; never raises."""
    looks = list(_looks(config))
    found: list[tuple[bool, str] | None] = [None] * len(looks)

    def look(index: int) -> None:
        found[index] = looks[index][2]()

    threads = [threading.Thread(target=look, args=(index,), daemon=True) for index in range(len(looks))]
    until = stopwatch() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - stopwatch()))
    return [
        Seen(name, *(answer or (False, f"{what} gave no answer in {seconds:g} seconds")))
        for (name, what, _), answer in zip(looks, found, strict=True)
    ]


def _looks(config: Config) -> Iterable[tuple[str, str, Look]]:
    """Whose look it is, what it is at, and the look."""
    listen = config.http.listen
    yield HTTP_SOURCE, "the listener", partial(listener, listen)
    for source in config.sources:
        for pattern in source.files.paths if source.files else ():
            yield source.name, pattern, partial(files, pattern)
        for broker in source.kafka.brokers if source.kafka else ():
            yield source.name, broker, partial(reached, broker)
        if source.http:
            yield source.name, "the listener", partial(listener, listen)
        if source.prometheus:
            yield from _metrics(source.name, source.prometheus)
        if source.nvml:
            yield source.name, "NVIDIA's driver", gpus


def _metrics(name: str, settings: PrometheusSource) -> Iterable[tuple[str, str, Look]]:
    if settings.server:
        yield name, settings.server, partial(probe_metrics.server, settings)
    for url in settings.targets[: probe_metrics.TARGETS_MAX]:
        yield name, url, partial(probe_metrics.page, settings, url)
    more = len(settings.targets) - probe_metrics.TARGETS_MAX
    if more > 0:
        yield name, "the others", lambda: (True, f"{more} more targets are not looked at")


def gpus() -> tuple[bool, str]:
    """Which GPUs of this host answer."""
    from ingest.nvml.door import Nvml, NvmlError

    try:
        driver = Nvml.open()
        try:
            found = driver.survey()
        finally:
            driver.close()
    except NvmlError as error:
        return False, str(error)
    said = listed(f"{one.gpu_uuid} {one.mig_profile}".rstrip() for one in found.readings)
    lost = listed(f"{name}: {why}" for name, why in found.troubles.items())
    if lost or not said:
        return False, f"NVIDIA's driver tells of {said or 'no GPU'}" + (f", and not of {lost}" if lost else "")
    return True, f"NVIDIA's driver tells of {said}"


def files(pattern: str) -> tuple[bool, str]:
    """How many files a glob matches now, and whether they can be read."""
    path = Path(pattern)
    found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    try:
        matches = list(islice(filter(Path.is_file, found), FILES_MAX))
    except OSError as error:
        return False, f"{pattern} cannot be looked at ({_why(error)}); give this user access to its folders"
    if not matches:
        return False, f"no file matches {pattern} now; one that appears later is read"
    least = "at least " if len(matches) == FILES_MAX else ""
    said = f"{least}{len(matches)} {'file matches' if len(matches) == 1 else 'files match'} {pattern}"
    closed = [match for match in matches if not os.access(match, os.R_OK)]
    if closed:
        return False, f"{said}, and {len(closed)} cannot be read, such as {closed[0]}; give this user access"
    return True, said


def reached(broker: str, seconds: float = SECONDS) -> tuple[bool, str]:
    """Whether a broker accepts connections; nothing is said to it."""
    host, _, port = broker.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=seconds).close()
    except (OSError, ValueError) as error:  # a name that is none is a ValueError
        return False, f"{broker} cannot be reached ({_why(error)}); start it, or correct brokers"
    return True, f"{broker} accepts connections"


def listener(where: Listener) -> tuple[bool, str]:
    """Whether `serve` could listen there now."""
    address = f"[{where.host}]:{where.port}" if ":" in where.host else f"{where.host}:{where.port}"
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(place)
    except (OSError, ValueError) as error:  # a name that is none is a ValueError
        return False, f"{address} is held or not to be had ({_why(error)}); a running serve holds it too"
    return True, f"{address} is free to listen on"


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
