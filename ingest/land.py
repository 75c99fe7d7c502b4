"""Land a slice: decode, judge, deduplicate and commit, with the positions it brings its streams to.

The clean path is one INSERT over the spooled slice, and a check that it met no id twice. Only where counts disagree is
anything classified. All of it is one transaction, whose steps give:

1. the slice lies in the spool, outside the transaction: a process that dies here leaves a file that the next one removes;
2. the streams still stand where the slice begins, or it is refused as stale: nothing is read twice by two readers;
3. the slice is decoded once, and the dimension combinations that are new get their numbers;
4. every sound record lands in one INSERT;
5. fewer than were sent: the others are numbered and told why they did not land (a second pass);
   an id met twice, in the slice or within the two hours around it: undo, and land again with a verdict for every record;
   bytes that are no records at all and upset the count: sift them out one by one, and land the rest;
6. rejections, positions, the hours that became dirty, the batch and the answers to requests with a key are written;
7. COMMIT, which syncs the log to the disk. Before it nothing of the slice exists, after it all does: whoever sent it is told
   only now, and whoever dies in between is sent it again and finds the position moved, or every id known.
"""

from __future__ import annotations

from dataclasses import replace

from apportion.domain.clock import Clock
from apportion.domain.errors import InputError, LedgerError
from apportion.ledger.connection import Ledger, Session
from ingest import decide, journal
from ingest.bench import Bench
from ingest.format import Format
from ingest.outcome import Outcome
from ingest.receipts import Answer, Receipt, receipts
from ingest.rejections import Rejection, judged_again, quarantine
from ingest.rules import Rules
from ingest.slices import Slice
from ingest.unlanded import UncountedError, kept, unlanded


class Lander:
    """Lands the slices of one stream, in order, or of one collector whose slices say which streams they are of."""

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
        self._bench.prepare(rules)
        self._replacing: tuple[int, ...] = ()
        self._receipts: list[Receipt] = []
        self._answer: Answer | None = None

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
        return self._land(piece, header, evidence)

    def land_parts(self, piece: Slice, *, answer: Answer | None = None) -> list[Receipt]:
        """Commit a slice that several streams or requests share.

        Args:
            piece: whole records with the `parts` that they are of; no header explains them.
            answer: puts a receipt into the words that are kept with the key of its request, where it has one.

        Returns: what became of each part.
        Raises: StalePositionError when a stream has moved on; LedgerError when it could not be committed. Nothing was, then.
        """
        self._replacing, self._answer = (), answer
        self._land(piece, b"", "{}")
        return self._receipts

    def _land(self, piece: Slice, header: bytes, evidence: str) -> Outcome:
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
        except decide.ClashError:
            return self._in_transaction(piece, header, evidence, careful=True)

    def _in_transaction(self, piece: Slice, header: bytes, evidence: str, *, careful: bool) -> Outcome:
        with self._ledger.transaction(self._bench.session) as session:
            journal.check_follows(session, piece.parts)
            decide.prepare(self._bench, self._format, self._rules, self._clock.now(), piece)
            outcome = decide.carefully(self._bench) if careful else decide.optimistically(self._bench, piece.records)
            rejections: list[tuple[int, Rejection]] = []
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
            kept=kept(self._format, piece.data, header, self._rules.tags),
        )
        outcome = Outcome()
        with self._ledger.transaction(self._bench.session) as session:
            journal.check_follows(session, piece.parts)
            decide.prepare(self._bench, self._format, self._rules, self._clock.now(), piece)
            self._record(session, piece, outcome, [(1, rejection)], evidence)
        return outcome

    def _record(
        self, session: Session, piece: Slice, outcome: Outcome, numbered: list[tuple[int, Rejection]], evidence: str
    ) -> None:
        """Write down what became of the slice, beside the rows themselves."""
        rejections = [rejection for _, rejection in numbered]
        outcome.rejections.update(rejection.reason for rejection in rejections if rejection.reason != "conflict")
        outcome.rejected = outcome.rejections.total()
        outcome.received += outcome.rejected
        if self._kind.tagged and outcome.landed + outcome.superseded:
            outcome.dropped_tags = journal.dropped_tags(session)
            outcome.claimed = journal.claimed(session)
        if self._replacing:
            judged_again(session, self._replacing, rejections)
        elif piece.parts:
            if sum(part.records for part in piece.parts) != outcome.received:
                raise UncountedError  # no verdict may ever reach the wrong sender
            self._receipts = list(receipts(piece.parts, decide.by_part(session, piece.parts), numbered))
            rejections = [rejection for receipt in self._receipts for rejection in receipt.rejections]
            journal.enter_parts(session, self._receipts, self._answer)
        else:
            journal.move(session, self._stream, piece, outcome, evidence)
        if not self._replacing:
            quarantine(session, rejections, kind=self._kind.name, format_name=self._format.name, stream=self._stream)
        decide.mark_dirty(self._bench)
        journal.enter(session, self._kind.name, self._format.name, self._stream, piece, outcome)
