"""Where slices are landed: a session that knows how to decode a kind of record, and the spool that it reads.

Preparing one costs more than landing a small file, so whoever lands many keeps one per kind. One thread at a time.
"""

from __future__ import annotations

from apportion.ledger.connection import Ledger, Session
from ingest.kinds import Kind
from ingest.rules import Rules
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
        self._believed: tuple[frozenset[str], tuple[str, ...]] | None = None
        self._told: dict[str, object] = {}

    def close(self) -> None:
        """Remove the spool."""
        self.spool.close()

    def prepare(self, rules: Rules) -> None:
        """Define how records are decoded, and forget combinations that were judged by other rules."""
        believed = (rules.tags, rules.sources)
        if self._believed is None:
            for kind in (*self.kind.borrows, self.kind):
                self.session.do(kind.sql("decoded"))
                self.session.do(kind.sql("faults"))
            self.session.do(
                "CREATE TEMP TABLE known_series (series_key VARCHAR, series_no INTEGER, source_no INTEGER, fault VARCHAR, "
                "dropped_tags BIGINT)"
            )
        elif believed != self._believed:
            self.session.do("DELETE FROM known_series")
        self._believed = believed
        self.tell("tag_allow_list", sorted(rules.tags))
        self.tell("source_globs", [glob.replace("[", "[[]") for glob in rules.sources])  # only * and ? are special

    def tell(self, name: str, value: object) -> None:
        """Set a variable of the session. They outlive transactions, so that one which stands needs no statement."""
        if name not in self._told or self._told[name] != value:
            cast = "::BIGINT[]" if name == "record_numbers" else "::VARCHAR[]" if isinstance(value, list) else ""
            self.session.do(f"SET VARIABLE {name} = $value{cast}", {"value": value})
            self._told[name] = value

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
