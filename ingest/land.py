"""Land a slice: decode, judge, deduplicate and commit, with the position it brings the stream to.

The clean path is one INSERT over the spooled slice, and a check that it met no id twice. Only where counts disagree is
anything classified:

1. decode the slice once, and learn the dimension combinations that are new;
2. land every sound record in one INSERT;
3. fewer than were sent: number the records and say why each of the others did not land (a second pass);
4. an id met twice, in the slice or within the two hours around it: undo, and land again with a verdict for every record;
5. bytes that are no records at all and upset the count: sift them out one by one, and land the rest.

All of it, the position, the dirty hours and the rejections are one transaction.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError, LedgerError
from apportion.domain.period import HOUR, MICROSECOND, hour_of
from apportion.domain.tokens import TOKENS_MAX
from apportion.ledger import dictionary
from apportion.ledger.connection import Ledger, Session
from ingest import journal
from ingest.bench import Bench
from ingest.format import Format
from ingest.outcome import Outcome
from ingest.rejections import Rejection, judged_again, quarantine
from ingest.rules import Rules
from ingest.slices import Slice
from ingest.unlanded import UncountedError, unlanded

AHEAD = timedelta(days=1)


class _ClashError(Exception):
    """Ids were met twice: land again with a verdict for every record."""


class Lander:
    """Lands the slices of one stream, in order."""

    def __init__(
        self,
        ledger: Ledger,
        format_: Format,
        rules: Rules,
        clock: Clock,
        *,
        stream: str,
        file: str,
        bench: Bench | None = None,
    ) -> None:
        self._ledger, self._format, self._rules, self._clock = ledger, format_, rules, clock
        self._kind = format_.kind
        self._stream, self._file = stream, file
        self._bench, self._keeps_bench = bench or Bench(ledger, self._kind), bench is not None
        self._bench.prepare(rules.tags)
        self._replacing: tuple[int, ...] = ()

    def close(self) -> None:
        """Remove the spool, unless the bench is somebody's who goes on using it."""
        if not self._keeps_bench:
            self._bench.close()

    def land(self, piece: Slice, header: bytes, evidence: str, *, replacing: tuple[int, ...] = ()) -> Outcome:
        """Commit one slice.

        Args:
            piece: whole records.
            header: bytes that belong before them.
            evidence: what the collector wants to find again with the position.
            replacing: the rejections that the records are tried again for; the stream's position stays where it is.

        Raises: LedgerError when it could not be committed; then nothing of it was.
        """
        self._replacing = replacing
        if piece.fault is not None:
            return self._reject(piece, piece.fault, header, evidence)
        if piece.sifted is None:
            self._bench.spool.write([piece.data])
            try:
                return self._attempt(piece, header, evidence)
            except UncountedError:
                piece = self._sifted(piece, header)
            except LedgerError as error:
                if not str(error).startswith("InvalidInputException"):
                    raise
                piece = self._sifted(piece, header)  # one record that DuckDB refuses to read fails the whole statement
        self._bench.spool.write(record.row + b"\n" for record in piece.sifted or ())
        try:
            return self._attempt(piece, header, evidence)
        except UncountedError as error:
            msg = (
                f"{self._stream}: the records from line {piece.first_line + 1} on cannot be told apart; nothing of them was landed. "
                "Check that the file is what its format says."
            )
            raise InputError(msg) from error

    def _sifted(self, piece: Slice, header: bytes) -> Slice:
        sifted = self._format.sift(piece.data, header)
        return replace(piece, records=len(sifted), sifted=sifted)

    def land_rows(self, start: int, end: int, evidence: str) -> Outcome:
        """Commit a range of rows of the Parquet file that the spool holds."""
        piece = Slice(data=b"", start=start, end=end, first_record=start, first_line=start, records=end - start)
        return self._attempt(piece, b"", evidence)

    def _attempt(self, piece: Slice, header: bytes, evidence: str) -> Outcome:
        self._bench.read_as(
            self._format.view(self._bench.spool.path, self._file, header, sifted=piece.sifted is not None)
        )
        try:
            return self._in_transaction(piece, header, evidence, careful=False)
        except _ClashError:
            return self._in_transaction(piece, header, evidence, careful=True)

    def _in_transaction(self, piece: Slice, header: bytes, evidence: str, *, careful: bool) -> Outcome:
        with self._ledger.transaction(self._bench.session) as session:
            self._prepare(session, piece)
            outcome = self._carefully(session) if careful else self._optimistically(session, piece.records)
            rejections: list[Rejection] = []
            if outcome.received != piece.records or outcome.conflicts:
                rejections = unlanded(
                    session,
                    self._format,
                    self._bench.spool.path,
                    piece,
                    header,
                    piece.records - outcome.received,
                    self._rules.tags,
                )
            self._record(session, piece, outcome, rejections, evidence)
        return outcome

    def _reject(self, piece: Slice, fault: str, header: bytes, evidence: str) -> Outcome:
        """Commit a record that was passed over."""
        rejection = Rejection(
            record=piece.first_record + 1,
            line=piece.first_line + 1,
            fault=fault,
            source="",
            digest=piece.digest,
            kept=self._format.kept(piece.data, header, self._rules.tags),
        )
        outcome = Outcome()
        with self._ledger.transaction(self._bench.session) as session:
            self._prepare(session, piece)
            self._record(session, piece, outcome, [rejection], evidence)
        return outcome

    def _prepare(self, session: Session, piece: Slice) -> None:
        arrival = self._clock.now()
        for name, value in {
            "arrival": arrival,
            "ahead": arrival + AHEAD,
            "oldest": self._rules.oldest,
            "batch_no": session.value("SELECT coalesce(max(batch_no), 0) + 1 FROM raw.batch"),
            "tokens_max": TOKENS_MAX,
            "tag_allow_list": sorted(self._rules.tags),
            "hold_us": self._rules.sample_hold // MICROSECOND,
            "careful": False,
            "time_form": self._format.time_form,
            "first_record": piece.first_record,
            "slice_start": piece.start,
            "slice_end": piece.end,
        }.items():
            session.do(f"SET VARIABLE {name} = $value", {"value": value})
        session.do("SET VARIABLE record_numbers = $numbers::BIGINT[]", {"numbers": list(piece.numbers)})

    def _optimistically(self, session: Session, records: int) -> Outcome:
        self._take(session)
        landed = session.do(self._kind.sql("land"))
        outcome = Outcome(received=landed, landed=landed)
        if landed:
            counted, first, last, outcome.skewed = session.row(self._kind.sql("batch"))
            window = {"window_start": hour_of(first) - HOUR, "window_end": hour_of(last) + 2 * HOUR}
            if counted != landed or landed > records:
                raise UncountedError
            if session.value(self._kind.sql("clashes"), window):
                raise _ClashError
            if outcome.skewed and self._kind.skews:
                outcome.skewed = session.do(self._kind.sql("skewed"))
        return outcome

    def _carefully(self, session: Session) -> Outcome:
        self._take(session)
        session.do("SET VARIABLE careful = true")
        session.do(self._kind.sql("staged"))
        written = session.do(self._kind.sql("careful"))
        skewed = (
            written if self._kind.skews else session.row(self._kind.sql("batch"))[3]
        )  # what it writes last are those
        verdicts = {
            str(row[0]): int(row[1]) for row in session.rows("SELECT outcome, count(*) FROM verdict GROUP BY ALL")
        }
        return Outcome(
            received=sum(verdicts.values()),
            landed=verdicts.get("landed", 0),
            duplicates=verdicts.get("duplicate", 0),
            superseded=verdicts.get("superseded", 0),
            conflicts=verdicts.get("conflict", 0),
            skewed=skewed,
        )

    def _take(self, session: Session) -> None:
        """Decode the slice, and learn the combinations of dimensions that the session has not met."""
        session.do(self._kind.sql("taken"))
        self._bench.forget_too_many()
        if not session.do(self._kind.sql("fresh")):
            return
        session.do(self._kind.sql("series_judged"))
        if self._kind.name == "usage":
            models = session.rows("SELECT DISTINCT model FROM judged_series WHERE fault IS NULL")
            dictionary.numbers(session, "book.model", [row[0] for row in models])
        session.do(self._kind.sql("series"))

    def _record(
        self, session: Session, piece: Slice, outcome: Outcome, rejections: list[Rejection], evidence: str
    ) -> None:
        """Write down what became of the slice, beside the rows themselves."""
        rejected = [rejection for rejection in rejections if rejection.reason != "conflict"]
        outcome.rejected = len(rejected)
        outcome.received += len(rejected)
        outcome.rejections.update(rejection.reason for rejection in rejected)
        if self._kind.name == "usage":
            outcome.dropped_tags = journal.dropped_tags(session)
        if self._replacing:
            judged_again(session, self._replacing, rejections)
        else:
            quarantine(session, rejections, kind=self._kind.name, format_name=self._format.name, stream=self._stream)
            journal.move(session, self._stream, piece, outcome, evidence)
        session.do(self._kind.sql("dirty"))
        journal.enter(session, self._kind.name, self._format.name, self._stream, piece, outcome)
