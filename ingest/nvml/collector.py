"""One source of GPUs of this host: every interval each device is looked at once, and what it says lands as samples of that time.

1. The driver is asked of every device; one that does not answer is named and stops no other. *What is not known is absent.*
2. The samples are canonical records, at the time the look began. *A look that lands twice is recognised as the same.*
3. They land in one transaction, with those of earlier looks that could not be landed. *A ledger that cannot be written for a
   while costs no sample, as long as they are not more than `WAITING_MAX`.*
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from apportion.config.sources import NvmlSource
from apportion.domain.clock import Clock
from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.bench import Bench
from ingest.files import position
from ingest.format import Format
from ingest.land import Lander
from ingest.nvml.door import Nvml, NvmlError, Reading, Survey
from ingest.outcome import Outcome
from ingest.rules import Rules
from ingest.slices import Part, Slice
from ingest.supervise import Health

WAITING_MAX: Final = 100_000
"""Samples that wait for a ledger that cannot be written; beyond it the oldest are let go of."""

_PERCENT, _MILLI = Decimal("0.01"), Decimal("0.001")


class Driver(Protocol):
    """What is asked of the devices: an `Nvml`."""

    def survey(self) -> Survey:
        """Look at every device once."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class NvmlCollector:
    """One `[[sources]]` table with `collector = "nvml"`.

    Attributes:
        name: of the table.
        collector: nvml.
    """

    collector: Final = "nvml"

    def __init__(
        self,
        name: str,
        source: NvmlSource,
        format_: Format,
        ledger: Ledger,
        rules: Rules,
        clock: Clock,
        *,
        host: str,
        driver: Callable[[], Driver] = Nvml.open,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is asked yet; `host` is the samples' node where the config names none."""
        self.name = name
        self._interval, self._place = source.interval_seconds, {"node": host, **source.constants}
        self._format, self._ledger, self._rules, self._clock = format_, ledger, rules, clock
        self._driver, self._stopwatch = driver, stopwatch
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self._said = ""

    def run(self, health: Health, stop: threading.Event) -> None:
        """Look every interval until told to stop; what was read is landed.

        Raises: NvmlError when the driver cannot be asked, or no device answers; LedgerError when samples could not be
            committed, which then land with the next ones.
        """
        driver = self._driver()
        try:
            bench = Bench(self._ledger, self._format.kind)
            try:
                self._collect(driver, bench, health, stop)
            finally:
                bench.close()
                bench.session.close()
        finally:
            driver.close()

    def _collect(self, driver: Driver, bench: Bench, health: Health, stop: threading.Event) -> None:
        stream = f"nvml:{self.name}"
        lander = Lander(
            self._ledger, self._format, self._rules, self._clock, stream=stream, file=self.name, bench=bench
        )
        due = self._stopwatch()
        while not stop.is_set():
            self._look(driver, health)
            health.landed(self._land(lander, stream))
            due = max(
                due + self._interval, self._stopwatch()
            )  # a look that took longer than the interval is not made up for
            stop.wait(due - self._stopwatch())

    def _look(self, driver: Driver, health: Health) -> None:
        """Ask every device. Raises: NvmlError when none answers."""
        at = self._clock.now()
        survey = driver.survey()
        if not survey.readings:
            raise NvmlError(_nothing(survey.troubles))
        self._waiting += [_sample(reading, at, self._place) for reading in survey.readings]
        said = _sentence(survey)
        if said != self._said:
            health.note(said or "every GPU answers again")
            self._said = said

    def _land(self, lander: Lander, stream: str) -> Outcome:
        """Commit everything that waits."""
        stands = position(self._ledger.session(), stream)
        data, records = b"".join(self._waiting), len(self._waiting)
        end = stands.offset + len(data)
        part = Part(
            stream=stream,
            start=stands.offset,
            end=end,
            records=records,
            first_record=stands.records,
            first_line=stands.lines,
            evidence=json.dumps({"lines": stands.lines + records}),
        )
        piece = Slice(
            data=data,
            start=stands.offset,
            end=end,
            first_record=stands.records,
            first_line=stands.lines,
            records=records,
            parts=(part,),
        )
        try:
            receipts = lander.land_parts(piece)
        except InputError:  # what cannot be read now cannot be read later
            self._waiting.clear()
            raise
        self._waiting.clear()
        return receipts[0].outcome


def _sample(reading: Reading, at: datetime, place: Mapping[str, str]) -> bytes:
    """A canonical record on a line; numbers digit by digit."""
    texts = {"sampled_at": at.isoformat(), "gpu_uuid": reading.gpu_uuid, "mig_profile": reading.mig_profile, **place}
    members = [f'"{name}":{json.dumps(text)}' for name, text in texts.items() if text]
    members += [f'"{name}":{amount:f}' for name, amount in _amounts(reading)]
    return ("{" + ",".join(members) + "}\n").encode()


def _amounts(reading: Reading) -> Iterator[tuple[str, Decimal]]:
    """What is known, in canonical units."""
    said = (
        ("active_ratio", reading.active_percent, _PERCENT),
        ("memory_used_bytes", reading.memory_used_bytes, Decimal(1)),
        ("power_watts", reading.power_milliwatts, _MILLI),
        ("energy_joules", reading.energy_millijoules, _MILLI),
    )
    for name, amount, factor in said:
        if amount is not None:
            yield name, amount * factor


def _sentence(survey: Survey) -> str:
    """Which devices do not answer; empty where all do."""
    if not survey.troubles:
        return ""
    devices = len(survey.troubles) + len({reading.gpu_uuid for reading in survey.readings} - set(survey.troubles))
    return f"{len(survey.troubles)} of {devices} GPUs are not read, {_named(survey.troubles)}; see nvidia-smi and the kernel's log"


def _nothing(troubles: Mapping[str, str]) -> str:
    """Why there is no reading at all, and what to do."""
    if not troubles:
        return "NVIDIA's driver lists no GPU; give this user, or the container, its devices, or remove the source"
    return f"no GPU answers, {_named(troubles)}; see nvidia-smi and the kernel's log"


def _named(troubles: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {why}" for name, why in troubles.items())
