"""Where requests of one source in one format wait for their transaction, and what each step of it guarantees.

One thread per desk takes everything that waits, lands it as one slice with a part per request, and answers each request:

1. A body is whole, unpacked and cut into records before it is handed in. *A sender that is cut off leaves nothing behind.*
2. It waits, and may be withdrawn until it is taken. *Whoever is told 503 for having waited too long was never landed.*
3. It is taken, with others up to the bounds of a slice, in the order of arrival; never two requests with one idempotency
   key. *A key is answered by one transaction before it is looked at again.*
4. Its key is looked up. Known with the same digest: the answer of then is given again, and nothing lands. Known with
   another: it is refused. *A repeated request gets the answer of the first, across restarts too, as long as the ledger keeps it.*
5. The slice lands: events, samples, rejections, dirty hours, the stream's position and the answers to requests with a key,
   in one transaction (`ingest.land`). *All of it or nothing; events that are sent again without a key are recognised by
   their ids.*
6. COMMIT, which DuckDB syncs to the disk. *From here on no crash can lose it.*
7. Each request is answered. *200 is never sent before 6. Killed between 6 and 7, the sender hears nothing, sends again, and
   step 4 or deduplication recognises it.*

Where a slice of several requests cannot be landed, each is tried by itself, so that none of them blocks the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from apportion.domain.errors import ApportionError, InputError
from ingest.collectors.cutting import Position
from ingest.http.answers import Refusal, receipt_text
from ingest.http.waiting import Delivery, Landed, Line, trouble
from ingest.outcome import Outcome
from ingest.receipts import Answer, Receipt
from ingest.slices import Part, Slice

TROUBLES_MAX: Final = 2
"""Requests of a failed slice that are tried by themselves before the ledger is held to be the reason."""

log = logging.getLogger("ingest.http")


class Landing(Protocol):
    """What lands slices: a `Lander`."""

    def land_parts(self, piece: Slice, *, answer: Answer | None = None) -> list[Receipt]:
        """Commit a slice. Returns: a receipt per part, in order."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What a desk needs of the ledger; all of it is used by the desk's thread alone.

    Attributes:
        lander: opens what lands.
        position: how far the stream has come.
        answered: digest and answer of those requests that are known.
    """

    lander: Callable[[], Landing]
    position: Callable[[], Position]
    answered: Callable[[Sequence[str]], Mapping[str, tuple[str, str]]]


class Desk:
    """A desk at work, from when it is made until it is closed.

    Attributes:
        stream: its name in the ledger.
        line: where requests wait for it.
        failure: why it ended, where it did so by itself.
    """

    def __init__(self, stream: str, books: Books, landed: Callable[[Outcome], None]) -> None:
        self.stream, self.line = stream, Line()
        self.failure: Exception | None = None
        self._books, self._landed = books, landed
        self._at = Position()
        self._thread = threading.Thread(target=self._run, name=stream, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests, land those that wait, and end. Closing twice is harmless."""
        self.line.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            lander = self._books.lander()
            try:
                self._at = self._books.position()
                while batch := self.line.take():
                    self._land(lander, batch)
            finally:
                lander.close()
        except Exception as error:  # noqa: BLE001 - whoever watches the desk says what it died of
            self.failure = error
        finally:
            self.line.turn_away()

    def _land(self, lander: Landing, batch: list[Delivery]) -> None:
        """Answer every request of a batch. Raises: what kept all of them from being landed."""
        try:
            fresh = self._unanswered(batch)
            if not self._landed_together(lander, fresh):
                self._land_one_by_one(lander, fresh)
        finally:
            for delivery in batch:
                if not delivery.done.done():
                    delivery.done.set_exception(trouble())

    def _unanswered(self, batch: list[Delivery]) -> list[Delivery]:
        """Those that have to be landed; the others are answered."""
        keys = [self._request(delivery) for delivery in batch if delivery.key]
        known = self._books.answered(keys) if keys else {}
        fresh = []
        for delivery in batch:
            digest, answer = known.get(self._request(delivery), ("", ""))
            if not digest:
                fresh.append(delivery)
            elif digest == delivery.digest:
                delivery.done.set_result(Landed(answer, replayed=True))
            else:
                sentence = "this Idempotency-Key came with another body before; give every body a key of its own"
                delivery.done.set_exception(Refusal(422, sentence))
        return fresh

    def _landed_together(self, lander: Landing, batch: list[Delivery]) -> bool:
        """Land several requests in one transaction; false where each has to be tried by itself."""
        if len(batch) < 2:  # noqa: PLR2004 - several
            return False
        try:
            self._commit(lander, batch)
        except Exception as error:
            expected = isinstance(error, ApportionError)
            log.warning(
                "%s: %d requests do not land together: %s", self.stream, len(batch), error, exc_info=not expected
            )
            return False
        return True

    def _land_one_by_one(self, lander: Landing, batch: list[Delivery]) -> None:
        troubles: list[Exception] = []
        landed = False
        for delivery in batch:
            try:
                self._commit(lander, [delivery])
                landed = True
            except InputError as error:
                delivery.done.set_exception(Refusal(400, str(error)))
                landed = True  # the ledger is not to blame
            except Exception as error:  # noqa: BLE001 - one request must not cost the others; raised below, or logged
                troubles.append(error)
                delivery.done.set_exception(trouble())
            if len(troubles) >= TROUBLES_MAX and not landed:
                break
        if troubles and not landed:
            raise troubles[0]
        for trouble_met in troubles:
            log.error("%s: a request could not be landed", self.stream, exc_info=trouble_met)

    def _commit(self, lander: Landing, batch: list[Delivery]) -> None:
        """Land these in one transaction, and answer them. Raises: ApportionError; then nothing of them was landed."""
        parts, at = [], self._at
        for delivery in batch:
            parts.append(self._part(delivery, at))
            load = delivery.load
            at = Position(at.offset + len(load.data), at.records + load.records, at.lines + load.lines)
        piece = Slice(
            data=b"".join(delivery.load.data for delivery in batch),
            start=self._at.offset,
            end=at.offset,
            first_record=self._at.records,
            first_line=self._at.lines,
            records=at.records - self._at.records,
            sifted=batch[0].load.sifted,
            parts=tuple(parts),
        )
        receipts = lander.land_parts(piece, answer=receipt_text)
        self._at = at
        total = Outcome()
        for delivery, receipt in zip(batch, receipts, strict=True):
            delivery.done.set_result(Landed(receipt_text(receipt)))
            total.add(receipt.outcome)
        self._landed(total)

    def _part(self, delivery: Delivery, at: Position) -> Part:
        load = delivery.load
        return Part(
            stream=self.stream,
            start=at.offset,
            end=at.offset + len(load.data),
            records=load.records,
            first_record=at.records,
            first_line=at.lines,
            evidence=f'{{"lines": {at.lines + load.lines}}}',
            request=self._request(delivery),
            digest=delivery.digest,
        )

    def _request(self, delivery: Delivery) -> str:
        """What the ledger calls a request with a key; empty without one."""
        return f"{self.stream} {delivery.key}" if delivery.key else ""
