"""What the group has decided, noted on the client's thread as it is told, and taken up by the reader between two polls."""

from __future__ import annotations

import threading
from collections.abc import Collection

from ingest.kafka.member import Place
from ingest.kafka.pending import Claim


class Holding:
    """The partitions of one member. Thread-safe, and never waits; it is a `Holder`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[Place, Claim] = {}
        self._fresh: set[Place] = set()
        self._assigned: set[Place] = set()

    def assigned(self, places: Collection[Place]) -> None:
        """These partitions are ours now."""
        with self._lock:
            self._assigned |= set(places)
            self._fresh |= set(places)

    def revoked(self, places: Collection[Place]) -> None:
        """These partitions are somebody else's: what was fetched from them and has not landed never will be."""
        with self._lock:
            for place in places:
                self._assigned.discard(place)
                self._fresh.discard(place)
                if claim := self._claims.pop(place, None):
                    claim.is_alive = False

    def again(self, place: Place) -> None:
        """Begin with a partition once more, from where the ledger stands then."""
        with self._lock:
            if place in self._assigned:
                self._fresh.add(place)

    def take_fresh(self) -> list[Place]:
        """Partitions to begin with, those of stale claims too; whoever takes them begins, or says `again`."""
        with self._lock:
            stale = {place for place, claim in self._claims.items() if claim.is_stale}
            found, self._fresh = sorted(self._fresh | stale), set()
            return found

    def hold(self, claim: Claim) -> None:
        """Read under a new claim. An older one of the partition has ended, though what was fetched under it may still land."""
        with self._lock:
            if claim.place in self._assigned:
                self._claims[claim.place] = claim
            else:
                claim.is_alive = False

    def claim(self, place: Place) -> Claim | None:
        """Under which a partition is read."""
        with self._lock:
            return self._claims.get(place)

    def claims(self) -> list[Claim]:
        """All of them."""
        with self._lock:
            return list(self._claims.values())
