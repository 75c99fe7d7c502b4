"""One HTTP source: its desks, one per format that it sends, while it is supervised; shut, it takes nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from apportion.domain.clock import Clock
from apportion.ledger.connection import Ledger
from ingest.collectors.cutting import Position
from ingest.format import Format
from ingest.http.landing_desk import Books, Desk
from ingest.http.limits import Rate
from ingest.http.waiting import trouble
from ingest.land import Lander
from ingest.rules import Rules
from ingest.supervise import Health

LOOK_SECONDS: Final = 1.0
"""How often a source looks whether its desks still work."""


class HttpCollector:
    """A sender of requests as a source that can be supervised.

    Attributes:
        name: of the source.
        collector: http.
        kind: of the records that it may send; None is any.
        rate: what it may send over time.
    """

    collector: Final = "http"

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        rules: Rules,
        clock: Clock,
        *,
        kind: str | None = None,
        events_per_second: int | None = None,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.kind = name, kind
        self.rate = Rate(events_per_second, stopwatch)
        self._ledger, self._rules, self._clock = ledger, rules, clock
        self._desks: dict[str, Desk] = {}
        self._health: Health | None = None
        self._lock = threading.Lock()

    def run(self, health: Health, stop: threading.Event) -> None:
        """Take requests until told to stop, then land those that wait.

        Raises: what kept a desk from landing; then every request that waits was told so, and further ones are until this
            is called again.
        """
        with self._lock:
            self._health = health
        try:
            while not stop.is_set():
                _look(self._open())
                if health.condition().state != "failing":  # once it has failed, only a commit shows that it works again
                    health.alive()
                stop.wait(LOOK_SECONDS)
        finally:
            desks = self._shut()
        _look(desks)

    def desk(self, format_: Format) -> Desk:
        """Where requests in a format wait. Raises: Refusal (503) while this source is not running."""
        with self._lock:
            if self._health is None:
                raise trouble()
            desk = self._desks.get(format_.name)
            if desk is None:
                stream = f"http:{self.name}#{format_.name}"
                desk = Desk(stream, self._books(stream, format_), self._health.landed)
                self._desks[format_.name] = desk
            return desk

    def _open(self) -> list[Desk]:
        with self._lock:
            return list(self._desks.values())

    def _shut(self) -> list[Desk]:
        """Close every desk; new ones are made when this runs again. Returns: those that were closed."""
        with self._lock:
            self._health = None
        desks = self._open()
        for desk in desks:
            desk.close()
        with self._lock:
            self._desks = {}
        return desks

    def _books(self, stream: str, format_: Format) -> Books:
        return Books(
            lander=lambda: Lander(self._ledger, format_, self._rules, self._clock, stream=stream, file=self.name),
            position=lambda: self._position(stream),
            answered=self._answered,
        )

    def _position(self, stream: str) -> Position:
        found = self._ledger.session().rows(_POSITION, {"stream": stream})
        if not found:
            return Position()
        offset, records, evidence = found[0]
        return Position(offset, records, int(json.loads(evidence).get("lines", 0)))

    def _answered(self, requests: Sequence[str]) -> Mapping[str, tuple[str, str]]:
        rows = self._ledger.session().rows(_ANSWERED, {"requests": list(requests)})
        return {request: (digest, answer) for request, digest, answer in rows}


def _look(desks: Sequence[Desk]) -> None:
    """Raises: what a desk died of."""
    for desk in desks:
        if desk.failure is not None:
            raise desk.failure


_POSITION = "SELECT position, records, evidence FROM raw.stream_position WHERE stream = $stream"

_ANSWERED = """
SELECT request_key, digest, answer FROM raw.request WHERE request_key IN (SELECT unnest($requests::VARCHAR[]))
"""
