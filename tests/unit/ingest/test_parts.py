"""One landing for many streams and requests: each learns what became of its own, and none moves without the others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from apportion.domain.errors import InputError
from apportion.ledger.connection import Ledger
from ingest.gather import Run, gathered
from ingest.journal import StalePositionError
from ingest.land import Lander
from ingest.receipts import Receipt
from ingest.slices import Part
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import CANONICAL, NOON, RULES, Desk, event


@pytest.fixture
def lander(ledger: Ledger, clock: FrozenClock) -> Lander:
    """Lands canonical events of several streams."""
    clock.set(NOON)
    return Lander(ledger, CANONICAL["usage"], RULES, clock, stream="kafka:k", file="k")


def part(stream: str, *records: object, start: int = 0, **more: object) -> Run:
    """Messages of a stream that begin at an offset."""
    values = [None if one is None else one if isinstance(one, bytes) else json.dumps(one).encode() for one in records]
    made = Part(stream=stream, start=start, end=start + len(values), records=0, first_record=start - 1, **more)  # type: ignore[arg-type]
    return Run(part=made, values=values, numbers=range(start, start + len(values)))


def counts(receipt: Receipt) -> tuple[int, ...]:
    """received, landed, duplicates, superseded, conflicts, rejected."""
    one = receipt.outcome
    return (one.received, one.landed, one.duplicates, one.superseded, one.conflicts, one.rejected)


def test_each_part_learns_what_became_of_its_own(lander: Lander, ledger: Ledger) -> None:
    """Counts and rejections are those of the part, numbered as its stream numbers them; positions are where each one ends."""
    first, second = lander.land_parts(
        gathered(
            [part("a", event("1"), b"nope", event("2"), start=7), part("b", event("3"), event("4", output_tokens=-1))]
        )
    )

    assert counts(first) == (3, 2, 0, 0, 0, 1)
    assert counts(second) == (2, 1, 0, 0, 0, 1)
    assert [(one.stream, one.record, one.reason) for one in first.rejections] == [("a", 8, "malformed")]
    assert [(one.stream, one.record, one.reason) for one in second.rejections] == [("b", 1, "negative")]
    session = ledger.session()
    assert session.rows("SELECT stream, position FROM raw.stream_position ORDER BY ALL") == [("a", 10), ("b", 2)]
    assert session.rows("SELECT stream, record, reason FROM raw.rejection ORDER BY ALL") == [
        ("a", 8, "malformed"), ("b", 1, "negative"),
    ]  # fmt: skip
    assert session.rows("SELECT stream, received, landed, rejected FROM raw.batch_part ORDER BY ALL") == [
        ("a", 3, 2, 1), ("b", 2, 1, 1),
    ]  # fmt: skip
    assert session.rows("SELECT stream, received, landed, rejected FROM raw.batch") == [("kafka:k", 5, 3, 2)]


def test_repeats_are_counted_where_they_arrived(lander: Lander) -> None:
    """Duplicates, other revisions and conflicts belong to the part that brought them."""
    lander.land_parts(gathered([part("a", event("1"), event("2"))]))

    same, other, higher = lander.land_parts(
        gathered(
            [
                part("b", event("1"), event("9")),
                part("c", event("2", output_tokens=11)),
                part("d", event("1", revision=1), event("9")),
            ]
        )
    )

    assert counts(same) == (2, 1, 1, 0, 0, 0)
    assert counts(other) == (1, 0, 0, 0, 1, 0)
    assert counts(higher) == (2, 0, 1, 1, 0, 0)
    assert [(one.stream, one.record, one.reason) for one in other.rejections] == [("c", 0, "conflict")]


def test_a_stale_part_lands_nothing(lander: Lander, ledger: Ledger) -> None:
    """Where one stream has moved on, nothing of the slice lands, and the reader is told where to go on."""
    lander.land_parts(gathered([part("a", event("1"), event("2"), follows=True)]))

    with pytest.raises(StalePositionError, match="stands at 2") as stale:
        lander.land_parts(
            gathered([part("b", event("3"), follows=True), part("a", event("2"), event("4"), start=1, follows=True)])
        )

    assert (stale.value.stream, stale.value.position) == ("a", 2)
    assert ledger.session().rows("SELECT event_id FROM raw.usage_event ORDER BY ALL") == [("1",), ("2",)]
    assert lander.land_parts(gathered([part("a", event("4"), start=2, follows=True)]))[0].outcome.landed == 1


def test_answers_to_keyed_requests_are_kept(lander: Lander, ledger: Ledger, clock: FrozenClock) -> None:
    """What a request with a key was answered is committed with its records; one without a key leaves nothing."""
    lander.land_parts(
        gathered([part("h", event("1"), request="k1", digest="d1"), part("h", event("2"), start=1)]),
        answer=lambda receipt: f"landed {receipt.outcome.landed}",
    )

    assert ledger.session().rows("SELECT * FROM raw.request") == [("k1", "h", "d1", clock.now(), "landed 1")]


def test_only_sources_that_are_believed_land(ledger: Ledger, clock: FrozenClock) -> None:
    """An event of a source that no glob matches is rejected; a bracket is a bracket."""
    clock.set(NOON)
    rules = replace(RULES, sources=("lite?lm*", "[a]"))
    lander = Lander(ledger, CANONICAL["usage"], rules, clock, stream="h", file="h")

    (receipt,) = lander.land_parts(
        gathered(
            [
                part(
                    "h",
                    event("1", source="lite-lm"),
                    event("2", source="vllm"),
                    event("3", source="[a]"),
                    event("4", source="a"),
                )
            ]
        )
    )

    assert receipt.outcome.landed == 2
    assert [(one.record, one.reason) for one in receipt.rejections] == [(1, "foreign_source"), (3, "foreign_source")]


def test_live_sources_take_nothing_too_late(ledger: Ledger, clock: FrozenClock) -> None:
    """The limit moves with the clock, and never below the ledger's own."""
    clock.set(NOON)
    rules = replace(RULES, late=timedelta(days=35))
    lander = Lander(ledger, CANONICAL["usage"], rules, clock, stream="h", file="h")
    at = {"kept": "2026-09-10T12:00:00Z", "late": "2026-09-10T11:59:59Z"}

    (receipt,) = lander.land_parts(gathered([part("h", *(event(name, occurred_at=time) for name, time in at.items()))]))
    clock.advance(timedelta(seconds=1))
    (later,) = lander.land_parts(gathered([part("h", event("now too late", occurred_at=at["kept"]))]))

    assert [one.reason for one in receipt.rejections] == ["too_old"]
    assert [one.reason for one in later.rejections] == ["too_old"]


def test_a_part_of_no_records_moves_its_stream(lander: Lander, ledger: Ledger) -> None:
    """Tombstones land nothing, and are behind the position all the same."""
    (receipt,) = lander.land_parts(gathered([part("a", None, None, follows=True)]))

    assert counts(receipt) == (0, 0, 0, 0, 0, 0)
    assert ledger.session().value("SELECT position FROM raw.stream_position") == 2


def test_parts_survive_sifting(lander: Lander) -> None:
    """Bytes that DuckDB cannot count are told apart one by one, and every part keeps its own."""
    first, second = lander.land_parts(
        gathered([part("a", event("1"), b'{"event_id": "x"} nope'), part("b", b"\x00", event("2"))])
    )

    assert counts(first) == (2, 1, 0, 0, 0, 1)
    assert counts(second) == (2, 1, 0, 0, 0, 1)
    assert [one.record for one in (*first.rejections, *second.rejections)] == [1, 0]


def test_a_miscount_reaches_no_sender(lander: Lander, ledger: Ledger) -> None:
    """Where parts and records do not add up nothing lands: a verdict must never go to the sender beside it."""
    piece = gathered([part("a", event("1")), part("b", event("2"))])
    first, second = piece.parts
    wrong = replace(piece, parts=(replace(first, records=2), second))

    with pytest.raises(InputError, match="cannot be told apart"):
        lander.land_parts(wrong)

    assert ledger.session().value("SELECT count(*) FROM raw.usage_event") == 0


def test_raw_keys_are_never_kept(lander: Lander, ledger: Ledger) -> None:
    """A key that was sent as it is becomes its SHA-256, in the caller and in what the quarantine keeps."""
    sha = hashlib.sha256(b"sk-live-1").hexdigest()
    lander.land_parts(
        gathered(
            [
                part(
                    "a",
                    event("1", principal="sk-live-1"),
                    event("2", principal="Bearer sk-live-1"),
                    event("3", principal="sk-live-1", output_tokens=-1),
                )
            ]
        )
    )

    session = ledger.session()
    assert session.rows("SELECT DISTINCT principal FROM raw.caller WHERE caller_no > 0") == [(sha,)]
    (kept,) = (row[0] for row in session.rows("SELECT bytes FROM raw.rejection"))
    assert b"sk-live" not in kept
    assert sha.encode() in kept


def test_a_desk_of_files_and_parts_agree(ledger: Ledger, clock: FrozenClock, tmp_path: Path) -> None:
    """The same records by file and by parts are recognised as the same."""
    clock.set(NOON)
    Desk(ledger, clock, tmp_path).hand_in(event("1"), event("2"))
    lander = Lander(ledger, CANONICAL["usage"], RULES, clock, stream="h", file="h")

    (receipt,) = lander.land_parts(gathered([part("h", event("1"), event("2"), event("3"))]))

    assert counts(receipt) == (3, 1, 2, 0, 0, 0)
