"""The Kafka collector against a log in memory: positions, stale claims, gaps and bounds, without a broker."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from apportion.config.environment import Secret
from apportion.config.sources import KafkaSource
from apportion.domain.errors import InputError, LedgerError
from apportion.ledger.connection import Ledger
from ingest.format import Format
from ingest.kafka import fetched
from ingest.kafka import options as kafka_options
from ingest.kafka import pending as kafka_pending
from ingest.kafka.beginning import Beginnings
from ingest.kafka.holding import Holding
from ingest.kafka.landing import Landing
from ingest.kafka.member import CorruptError, OutOfRangeError, Place
from ingest.kafka.pending import Claim, Delivery, Pending
from ingest.kafka.positions import Positions, stream_name
from ingest.land import Lander
from ingest.receipts import Receipt
from ingest.slices import Slice
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import CANONICAL, NOON, RULES, engine_sample, event, sample

SOURCE = KafkaSource(brokers=("b:9092",), topics=("t",))
STREAM = "kafka:k/t[id]/0"


@dataclass(frozen=True)
class Sent:
    """A message as a client gives it."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass
class Log:
    """Partitions in memory; a `Consumer` and `Topics` in one.

    Attributes:
        ids: of the topics that exist.
        bounds: first offset of each partition, and the one after its last.
        corrupt: batches of partition 0 that fail their checksum, [first, end).
    """

    ids: dict[str, str] = field(default_factory=lambda: {"t": "id"})
    bounds: dict[Place, tuple[int, int]] = field(default_factory=dict)
    corrupt: tuple[int, int] = (0, 0)
    probes: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def refused(self, topics: Collection[str]) -> Mapping[str, str]:
        return {topic: self.errors.get(topic, "") for topic in topics if topic not in self.ids}

    def known(self, topics: Collection[str]) -> Mapping[str, tuple[str, int]]:
        return {topic: (self.ids[topic], 2) for topic in topics if topic in self.ids}

    def ranges(self, places: Collection[Place]) -> Mapping[Place, tuple[int, int]]:
        return {place: self.bounds[place] for place in places if place in self.bounds}

    def corrupt_at(self, place: Place, offset: int) -> int | None:
        assert place == ("t", 0)
        self.probes += 1
        return self.corrupt[0] if self.corrupt[0] <= offset < self.corrupt[1] else None


@pytest.fixture
def positions(ledger: Ledger, clock: FrozenClock) -> Positions:
    return Positions("k", ledger, clock)


@pytest.fixture
def landing(ledger: Ledger) -> Iterator[Landing]:
    made = Landing("k", "usage", SOURCE, ledger=ledger, find_format=CANONICAL.get, rules=RULES, clock=FrozenClock(NOON))
    yield made
    made.close()


def beginnings(log: Log, positions: Positions, notes: list[str], **settings: object) -> Beginnings:
    source = KafkaSource(brokers=("b:9092",), topics=("t",), **settings)  # type: ignore[arg-type]
    return Beginnings("k", source, consumer=log, topics=log, positions=positions, note=notes.append)  # type: ignore[arg-type]


def usage(number: int) -> bytes:
    return json.dumps(event(f"e{number}", output_tokens=number)).encode()


def delivery(claim: Claim, messages: Mapping[int, bytes | None], formats: Sequence[str | None] = ()) -> Delivery:
    values = list(messages.values())
    size = sum(map(len, filter(None, values)))
    return Delivery(claim=claim, offsets=list(messages), values=values, formats=list(formats), bytes_held=size)


def tokens(ledger: Ledger) -> list[int]:
    return [row[0] for row in ledger.session().rows("SELECT output_tokens FROM raw.usage_event ORDER BY ALL")]


def test_positions_move_with_the_records(ledger: Ledger, landing: Landing, positions: Positions) -> None:
    """What lands moves its partition past it, over offsets that hold no record."""
    claim = Claim(("t", 0), STREAM, 3)
    outcome = landing.land([delivery(claim, {3: usage(3), 7: None, 9: usage(9)}), delivery(claim, {10: usage(10)})])

    assert (outcome.received, outcome.landed) == (3, 3)
    assert (claim.landed, positions.of([STREAM])) == (11, {STREAM: 11})
    assert tokens(ledger) == [3, 9, 10]


def test_a_stale_claim_lands_nothing(ledger: Ledger, landing: Landing, positions: Positions) -> None:
    """Where somebody else has moved a partition, what was fetched of it is dropped whole, and the others land."""
    positions.begin({STREAM: 2})
    stale, sound = Claim(("t", 0), STREAM, 0), Claim(("t", 1), "kafka:k/t[id]/1", 0)
    outcome = landing.land([delivery(stale, {0: usage(0), 2: usage(2)}), delivery(sound, {0: usage(100)})])

    assert (outcome.landed, tokens(ledger)) == (1, [100])
    assert (stale.is_alive, stale.is_stale, sound.is_alive) == (False, True, True)
    assert positions.of([STREAM]) == {STREAM: 2}


def test_a_revoked_partition_lands_nothing(ledger: Ledger, landing: Landing) -> None:
    """What a member fetched before it lost a partition is dropped; the next holder reads it."""
    holding = Holding()
    holding.assigned([("t", 0)])
    claim = Claim(("t", 0), STREAM, 0)
    holding.hold(claim)
    fetched = delivery(claim, {0: usage(0)})
    holding.revoked([("t", 0)])

    assert landing.land([fetched]).received == 0
    assert (tokens(ledger), holding.claims(), holding.take_fresh()) == ([], [], [])


def test_a_claim_comes_too_late_for_a_lost_partition() -> None:
    """A partition that was revoked while it was begun is not held."""
    holding = Holding()
    claim = Claim(("t", 0), STREAM, 0)
    holding.hold(claim)
    holding.again(("t", 0))

    assert (claim.is_alive, holding.claims(), holding.take_fresh()) == (False, [], [])


def test_mixed_formats_of_a_partition_land_in_one_go(ledger: Ledger, landing: Landing, positions: Positions) -> None:
    """Messages that name other formats land with them, unknown ones are refused by offset, and the position moves once."""
    claim = Claim(("t", 0), STREAM, 0)
    gpu = json.dumps(sample()).encode()
    engine = json.dumps(engine_sample()).encode()
    messages = {0: usage(0), 1: gpu, 2: b"<x/>", 3: usage(3), 4: None, 5: engine}
    outcome = landing.land([delivery(claim, messages, [None, "gpu", "xml", "usage", "xml", "engine"])])

    assert (outcome.received, outcome.landed, dict(outcome.rejections)) == (5, 4, {"unknown_format": 1})
    rejected = ledger.session().rows("SELECT stream, record, reason, detail FROM raw.rejection")
    assert [row[:3] for row in rejected] == [(STREAM, 2, "unknown_format")]
    assert "'xml'" in rejected[0][3]
    assert positions.of([STREAM]) == {STREAM: 6}


@pytest.mark.parametrize("known", [None, "gpu"])
def test_unknown_formats_share_the_transaction_that_moves_the_position(
    ledger: Ledger, landing: Landing, monkeypatch: pytest.MonkeyPatch, known: str | None
) -> None:
    """Where landing fails and is repeated, no message that is refused is in the quarantine twice."""
    landed: list[int] = []
    original = Lander.land_parts

    def counted(self: Lander, piece: Slice) -> list[Receipt]:
        landed.append(piece.records)
        if len(landed) == 2:
            raise LedgerError("the disk is full")
        return original(self, piece)

    monkeypatch.setattr(Lander, "land_parts", counted)
    content = usage(1) if known is None else json.dumps(sample()).encode()
    messages = {0: b"<x/>", 1: content, 2: b"<y/>"}
    landing.land([delivery(Claim(("t", 0), STREAM, 0), messages, ["xml", known, "yaml"])])
    with contextlib.suppress(LedgerError):
        landing.land([delivery(Claim(("t", 0), STREAM, 0), messages, ["xml", known, "yaml"])])
    landing.land([delivery(Claim(("t", 0), STREAM, 3), {3: b"<z/>"}, ["xml"])])

    assert landed == [3, 3, 1]
    assert ledger.session().rows("SELECT record, reason FROM raw.rejection ORDER BY ALL") == [
        (0, "unknown_format"),
        (2, "unknown_format"),
        (3, "unknown_format"),
    ]


def test_every_message_may_name_another_format(ledger: Ledger) -> None:
    """Names that senders make up cost a question each, one transaction for all, and are not remembered."""
    asked: list[str] = []

    def find(name: str) -> Format | None:
        asked.append(name)
        return CANONICAL.get(name)

    landing = Landing("k", "usage", SOURCE, ledger=ledger, find_format=find, rules=RULES, clock=FrozenClock(NOON))
    asked.clear()
    messages: dict[int, bytes | None] = {number: usage(number) for number in range(2000)}
    unknown = [f"usage; id={number // 2}" for number in range(1, 2000)]
    outcome = landing.land([delivery(Claim(("t", 0), STREAM, 0), messages, [None, *unknown])])

    assert (outcome.landed, dict(outcome.rejections)) == (1, {"unknown_format": 1999})
    assert sorted(asked) == sorted({"usage", *unknown})
    assert list(landing._landers) == ["usage"]
    assert ledger.session().value("SELECT count(*) FROM raw.batch") == 1
    landing.close()


def test_a_landing_lets_go_of_its_sessions(ledger: Ledger) -> None:
    """A closed landing leaves neither a session nor a spool, so that failing again and again costs nothing."""
    landing = Landing(
        "k", "usage", SOURCE, ledger=ledger, find_format=CANONICAL.get, rules=RULES, clock=FrozenClock(NOON)
    )
    landing.land([delivery(Claim(("t", 0), STREAM, 0), {0: usage(0)})])
    [bench] = landing._benches
    landing.close()

    assert not bench.spool.path.exists()
    with pytest.raises(Exception, match=r"(?i)closed"):
        bench.session.rows("SELECT 1")


def test_what_cannot_be_told_apart_is_halved(
    ledger: Ledger, landing: Landing, positions: Positions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message that a slice cannot be landed with is refused by itself, and blocks nothing."""
    original = Lander.land_parts

    def picky(self: Lander, piece: Slice) -> list[Receipt]:
        if b"poison" in piece.data and not (piece.sifted and any(one.fault for one in piece.sifted)):
            raise InputError("cannot be told apart")
        return original(self, piece)

    monkeypatch.setattr(Lander, "land_parts", picky)
    messages = {0: usage(0), 1: usage(1), 2: b'{"poison": 1}', 3: usage(3)}
    outcome = landing.land([delivery(Claim(("t", 0), STREAM, 0), messages)])

    assert (outcome.landed, tokens(ledger), positions.of([STREAM])) == (3, [0, 1, 3], {STREAM: 4})
    assert ledger.session().rows("SELECT record, reason FROM raw.rejection") == [(2, "malformed")]


@pytest.mark.parametrize(
    ("header", "said"),
    [(b"gpu", "gpu"), (b"x" * 256, "x" * 256), (b"x" * 257, "x" * 64 + "…"), (b"\xff", "\ufffd"), (None, None)],
)
def test_a_long_name_of_a_format_is_not_held(header: bytes | None, said: str | None) -> None:
    """What a header holds counts, and of one that is longer than any name only the beginning is kept."""
    claim = Claim(("t", 0), STREAM, 0)
    made = fetched.delivery(claim, [Sent(0, b"{}", [("f", b"old"), ("f", header or b"old"), ("g", b"x")])], "f")

    assert (list(made.formats), made.bytes_held) == ([said or "old"], 2 + len(said or "old"))


def test_messages_that_name_no_format_cost_nothing() -> None:
    """Headers of other names, and empty ones, leave a delivery without formats."""
    made = fetched.delivery(
        Claim(("t", 0), STREAM, 0), [Sent(0, b"{}", [("g", b"x")]), Sent(1, b"{}", [("f", b"")])], "f"
    )

    assert (list(made.formats), list(made.records), made.bytes_held) == ([], [], 4)


def test_records_are_bounded_and_not_only_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message counts for as many records as it holds; one that holds too many is refused as one."""
    monkeypatch.setattr(fetched, "MESSAGE_RECORDS_MAX", 5)
    monkeypatch.setattr(kafka_pending, "ROW_GROUP_RECORDS", 4)
    monkeypatch.setattr(kafka_pending, "SLICE_RECORDS", 8)
    claim = Claim(("t", 0), STREAM, 0)
    values = [b"{}\n{}\n{}\n{}", b"[{}, {}, {}]", b"{}", b"[1,2,3,4,5,6]", None, b'{\n"a": 1}', b"{}\n{}"]
    made = fetched.delivery(claim, [Sent(number, value) for number, value in enumerate(values)], "f")
    pending = Pending(0)
    pending.put(made)

    assert (list(made.records), made.size) == ([4, 3, 1, 1, 1, 1, 2], 13)
    assert [[*one.offsets] for one in pending.take()] == [[0, 1, 2]]
    assert [[*one.offsets] for one in pending.take()] == [[3, 4, 5, 6]]
    pending.close()
    assert (pending.take(), pending.is_idle) == ([], True)


def test_a_message_of_too_many_records_is_refused(ledger: Ledger, landing: Landing, positions: Positions) -> None:
    """It is one rejection, what stands beside it lands, and the position moves past it."""
    outcome = landing.land(
        [delivery(Claim(("t", 0), STREAM, 0), {0: usage(0), 1: b"[" + b"{}," * 10_000 + b"{}]", 2: usage(2)})]
    )

    assert (outcome.landed, dict(outcome.rejections), positions.of([STREAM])) == (2, {"oversized": 1}, {STREAM: 3})
    assert ledger.session().rows("SELECT record, reason FROM raw.rejection") == [(1, "oversized")]


def test_only_tombstones_move_the_position(landing: Landing, positions: Positions) -> None:
    """A slice without a record is committed all the same."""
    claim = Claim(("t", 0), STREAM, 0)

    assert landing.land([delivery(claim, {0: None, 1: b"", 2: b" \n"})]).received == 0
    assert positions.of([STREAM]) == {STREAM: 3}


def test_a_format_that_needs_its_file_is_refused(ledger: Ledger, clock: FrozenClock) -> None:
    """A source whose format messages cannot be in says so before it connects."""
    with pytest.raises(InputError, match="source k: format 'csv'"):
        Landing("k", "csv", SOURCE, ledger=ledger, find_format=CANONICAL.get, rules=RULES, clock=clock)


def test_unknown_partitions_begin_at_their_first_offset(positions: Positions) -> None:
    """The ledger's position goes before everything; without one, reading begins where the log does."""
    positions.begin({STREAM: 7})
    log = Log(bounds={("t", 0): (5, 9), ("t", 1): (4, 9)})
    claims = beginnings(log, positions, []).begin([("t", 0), ("t", 1), ("gone", 0)])

    assert [(claim.stream, claim.landed) for claim in claims] == [(STREAM, 7), ("kafka:k/t[id]/1", 4)]


def test_latest_skips_a_topic_once(positions: Positions) -> None:
    """`latest` passes over what all partitions hold when a topic is first seen, and nothing of one that is made again."""
    log = Log(bounds={("t", 0): (5, 9), ("t", 1): (0, 3)})
    begin = beginnings(log, positions, [], start="latest")

    assert [claim.landed for claim in begin.begin([("t", 0)])] == [9]
    assert positions.of([STREAM, "kafka:k/t[id]/1"]) == {STREAM: 9, "kafka:k/t[id]/1": 3}
    log.ids["t"] = "other"
    assert [(claim.stream, claim.landed) for claim in begin.begin([("t", 1)])] == [("kafka:k/t[other]/1", 0)]
    assert begin.replaced([Claim(("t", 0), STREAM, 9)]) != []


@pytest.mark.parametrize(
    ("bounds", "position", "gap"),
    [((8, 20), 8, [(STREAM, 5, 8, "retention")]), ((0, 4), 4, []), ((0, 9), 5, [])],
)
def test_out_of_range(
    ledger: Ledger, positions: Positions, bounds: tuple[int, int], position: int, gap: list[tuple[str, int, int, str]]
) -> None:
    """Lost records are a gap; a log that became shorter is none; an offset that is there after all changes nothing."""
    positions.begin({STREAM: 5})
    notes: list[str] = []
    beginnings(Log(bounds={("t", 0): bounds}), positions, notes).out_of_range(Claim(("t", 0), STREAM, 5))

    assert positions.of([STREAM]) == {STREAM: position}
    assert ledger.session().rows("SELECT stream, position_from, position_to, reason FROM raw.stream_gap") == gap
    assert len(notes) == (position != 5)


@pytest.mark.parametrize("end", [11, 12, 13, 17, 64, 100, 1000])
def test_a_corrupt_batch_is_passed_over_exactly(ledger: Ledger, positions: Positions, end: int) -> None:
    """Its end is found by asking the broker, in steps that double and halve."""
    positions.begin({STREAM: 10})
    log = Log(bounds={("t", 0): (0, 1000)}, corrupt=(10, end))
    beginnings(log, positions, []).corrupt(Claim(("t", 0), STREAM, 10), 10)

    assert ledger.session().rows("SELECT * EXCLUDE (noticed_at) FROM raw.stream_gap") == [(STREAM, 10, end, "corrupt")]
    assert log.probes <= 23


def test_a_batch_that_is_sound_the_second_time_is_read_again(ledger: Ledger, positions: Positions) -> None:
    """What went wrong on the way here is no gap."""
    positions.begin({STREAM: 40})
    notes: list[str] = []
    beginnings(Log(bounds={("t", 0): (0, 100)}), positions, notes).corrupt(Claim(("t", 0), STREAM, 40), 30)

    assert (positions.of([STREAM]), notes) == ({STREAM: 40}, [])
    assert ledger.session().rows("SELECT * FROM raw.stream_gap") == []


def test_a_silent_partition_holds_up_no_other(positions: Positions) -> None:
    """One whose offsets nobody says is not begun; with `latest`, a new topic waits for all of its partitions."""
    log = Log(bounds={("t", 1): (4, 9)})
    both = [("t", 0), ("t", 1)]

    assert [claim.place for claim in beginnings(log, positions, []).begin(both)] == [("t", 1)]
    latest = beginnings(log, positions, [], start="latest")
    assert latest.begin(both) == []
    log.bounds["t", 0] = (0, 3)
    assert [(claim.place, claim.landed) for claim in latest.begin(both)] == [(("t", 0), 3), (("t", 1), 9)]
    del log.bounds["t", 0]
    latest.out_of_range(Claim(("t", 0), STREAM, 3))
    assert positions.of([STREAM]) == {STREAM: 3}


def test_a_gap_is_only_where_the_ledger_stands(ledger: Ledger, positions: Positions) -> None:
    """Somebody else who moved the partition meanwhile knows better."""
    positions.begin({STREAM: 6})

    assert not positions.pass_over(STREAM, 5, 8, "retention")
    assert positions.of([STREAM]) == {STREAM: 6}
    assert ledger.session().rows("SELECT * FROM raw.stream_gap") == []


def test_brokers_without_ids_leave_names() -> None:
    """The brackets are of the topic's id."""
    assert (stream_name("k", "t", "id", 0), stream_name("k", "t", "", 3)) == (STREAM, "kafka:k/t/3")


def test_waiting_is_bounded_and_cut_to_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers are told to pause; slices are whole row groups, as many as they may be, in the order that was fetched."""
    monkeypatch.setattr(kafka_pending, "ROW_GROUP_RECORDS", 2)
    monkeypatch.setattr(kafka_pending, "SLICE_RECORDS", 4)
    monkeypatch.setattr(kafka_pending, "WAITING_RECORDS_MAX", 8)
    pending, claim = Pending(3600), Claim(("t", 0), STREAM, 0)
    pending.put(delivery(claim, dict.fromkeys(range(3), b"x")))
    assert not pending.is_full
    pending.put(delivery(claim, dict.fromkeys(range(3, 9), b"x")))
    assert pending.is_full

    assert [[*one.offsets] for one in pending.take()] == [[0, 1, 2], [3]]
    assert (pending.is_full, pending.messages_of(claim)) == (False, 9)
    assert [[*one.offsets] for one in pending.take()] == [[4, 5, 6, 7]]
    pending.put(delivery(claim, dict.fromkeys(range(9, 11), b"x")))
    assert [[*one.offsets] for one in pending.take()] == [[8], [9]]
    pending.close()
    assert [[*one.offsets] for one in pending.take()] == [[10]]
    assert (pending.take(), pending.messages_of(claim)) == ([], 0)


def test_nothing_waits_longer_than_the_seconds() -> None:
    """What came is handed out when the oldest of it has waited long enough."""
    now = [0.0]
    pending, claim = Pending(1, monotonic=lambda: now[0]), Claim(("t", 0), STREAM, 0)
    pending.put(delivery(claim, {0: b"x"}))
    now[0] = 1.0

    assert len(pending.take()) == 1


def test_a_password_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's options show no password, though they hold it."""
    monkeypatch.setenv("KAFKA_PASSWORD", "hush")
    secured = KafkaSource(
        brokers=("b:9092",),
        topics=("t",),
        security="SASL_SSL",
        mechanism="PLAIN",
        username="u",
        password=Secret("KAFKA_PASSWORD"),
    )
    options = kafka_options.reading(secured, None)

    assert options["sasl_plain_password"] == "hush"
    assert "hush" not in f"{options} {secured}"


def test_errors_of_reading_name_their_partitions() -> None:
    """What the reader has to resolve says where it is."""
    assert OutOfRangeError([("t", 0)]).places == (("t", 0),)
    assert (CorruptError(("t", 1), 5).place, CorruptError(("t", 1), 5).offset) == (("t", 1), 5)
