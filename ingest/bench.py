"""Where slices are landed: a session that knows how to decode a kind of record, and the spool that it reads.

Preparing one costs more than landing a small file, so whoever lands many keeps one per kind. One thread at a time.
"""

from __future__ import annotations

from apportion.ledger.connection import Ledger, Session
from ingest.kinds import USAGE, Kind
from ingest.spool import Spool

KNOWN_SERIES_MAX = 1_000_000
"""Combinations of dimensions that a session remembers before it starts over; the ledger's own dictionary keeps them all."""


class Bench:
    """A session for landing records of one kind.

    Attributes:
        kind: of the records.
        session: its temporary tables and variables are the bench's.
        spool: where the current slice lies.
    """

    def __init__(self, ledger: Ledger, kind: Kind) -> None:
        self.kind = kind
        self.session: Session = ledger.session()
        self.spool = Spool(ledger.work, f"{kind.name}-{id(self)}")
        self._view = ""
        self._tags: frozenset[str] | None = None

    def close(self) -> None:
        """Remove the spool."""
        self.spool.close()

    def prepare(self, tags: frozenset[str]) -> None:
        """Define how records are decoded, and forget combinations that were judged by another allow-list."""
        if self._tags is None:
            for kind in {USAGE.name: USAGE, self.kind.name: self.kind}.values():  # samples share the macros of usage
                self.session.do(kind.sql("decoded"))
                self.session.do(kind.sql("faults"))
            self.session.do("SET VARIABLE record_numbers = []::BIGINT[]")
            self.session.do(
                "CREATE TEMP TABLE known_series (series_key VARCHAR, series_no INTEGER, source_no INTEGER, fault VARCHAR, "
                "dropped_tags BIGINT)"
            )
        elif tags != self._tags:
            self.session.do("DELETE FROM known_series")
        self._tags = tags

    def forget_too_many(self) -> None:
        """Start over where the session remembers too many combinations."""
        if int(self.session.value("SELECT count(*) FROM known_series")) > KNOWN_SERIES_MAX:
            self.session.do("DELETE FROM known_series")

    def read_as(self, view: str) -> None:
        """Point `incoming` at the spool as it is written now."""
        if view != self._view:
            self.session.do(f"CREATE OR REPLACE TEMP VIEW incoming AS {view}")
            self.session.do(
                "CREATE OR REPLACE TEMP VIEW numbered AS SELECT row_number() OVER () AS record, * FROM incoming"
            )
            self._view = view
