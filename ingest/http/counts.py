"""How requests were answered, counted until somebody writes it down."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

Counts = Mapping[tuple[str, int], int]
"""(endpoint, status code) -> responses. Endpoints are paths of the route table, or `other`: a bounded set."""


class Responses:
    """Counts since they were drained last."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def add(self, endpoint: str, code: int) -> None:
        """One response."""
        with self._lock:
            self._counts[endpoint, code] += 1

    def drain(self) -> Counts:
        """What was counted, which starts over; `restore` it where it could not be written down."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts

    def restore(self, counts: Counts) -> None:
        """Count drained responses again."""
        with self._lock:
            self._counts.update(counts)
