"""What happens in a round: who sends what in which order, and what goes wrong when. All of it follows from the seed.

A lane is what keeps an order: a Kafka partition, a sender of requests, a log with its rotations. The versions of an event
go to any lanes, some several times; a twin that contradicts its event follows it in the same lane, so that it is known
which of them lands.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final, Literal

from tests.faults.storm.world import Document, World, line, world

PARTITIONS: Final = 3
SENDERS: Final = 3
LOGS: Final = 2
SECONDS: Final = 5.0
"""How long producers take, if nothing stops them."""

CODECS: Final = ("none", "gzip", "lz4", "zstd", "snappy")
Fate = Literal[
    "kill", "kill in commit", "term", "term twice", "broker", "rebalance", "full disk", "clock forward", "clock back"
]
Rotation = Literal["", "rename", "gzip", "copytruncate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something that is sent: an event, a sample, a twin that conflicts, or something bad."""

    data: bytes
    bad: str = ""
    conflicts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages that a producer sends together; some hold several records, some none (None)."""

    values: list[bytes | None]
    codec: str
    pause: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A body, sent until it is answered with 200.

    Attributes:
        contents: the records it holds.
        key: idempotency key, or empty.
        aborts: parts of the body after which the sender hangs up, one attempt each, before it sends it whole.
        slowly: whether it dawdles.
        again: whether it is sent once more after it was answered, as if the answer had been lost.
    """

    path: str
    body: bytes
    kind: str
    encoding: str
    contents: tuple[Record, ...]
    key: str
    aborts: tuple[float, ...]
    slowly: bool
    again: bool
    pause: float

    @property
    def records(self) -> int:
        """How many it holds."""
        return len(self.contents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Lines for a log, the last of which may come in two pieces; then the log may be rotated."""

    data: bytes
    torn_at: int
    rotation: Rotation
    pause: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        at: seconds after the round began.
        fate: what.
        extent: for how many seconds; of a clock, how many it jumps.
        warm: seconds that `serve` has to be at work before; None where it may hit it while it starts.
    """

    at: float
    fate: Fate
    extent: float
    warm: float | None = None


@dataclass(slots=True, kw_only=True)
class Plan:
    """A round.

    Attributes:
        seed: of it.
        truth: what the ledger must hold in the end.
        topic: lanes of the usage topic, one per partition.
        samples: of the topic of GPU samples, which has one partition.
        senders: of requests, one lane each.
        logs: lanes of files.
        faults: in order.
        lanes: what is sent where, record by record; "topic 0", "sender 0", "log 0" and so on, and "samples".
    """

    seed: int
    truth: World
    topic: list[list[Batch]]
    samples: list[Batch]
    senders: list[list[Request]]
    logs: list[list[Writing]]
    faults: list[Fault]
    lanes: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def document(self) -> Document:
        """The config, but for what only the processes know."""
        return self.truth.document


def plan(seed: int, first: datetime) -> Plan:
    """The round of a seed, in a world that begins at an hour."""
    random = Random(seed)
    truth = world(random, first)
    lanes = _dealt(random, truth)
    topic = [lanes[f"topic {number}"] for number in range(PARTITIONS)]
    samples = [Record(data=line(sample)) for sample in truth.samples]
    lanes["samples"] = [*samples, *(one for one in samples if random.random() < 0.1)]
    random.shuffle(lanes["samples"])
    return Plan(
        seed=seed,
        truth=truth,
        topic=[_batches(random, records) for records in topic],
        samples=_batches(random, lanes["samples"]),
        senders=[_requests(random, seed, number, lanes[f"sender {number}"]) for number in range(SENDERS)],
        logs=[_writings(random, lanes[f"log {number}"]) for number in range(LOGS)],
        faults=_faults(random),
        lanes=lanes,
    )


def _dealt(random: Random, truth: World) -> dict[str, list[Record]]:
    """Who sends what, in order."""
    names = [
        f"{kind} {n}"
        for kind, count in (("topic", PARTITIONS), ("sender", SENDERS), ("log", LOGS))
        for n in range(count)
    ]
    lanes: dict[str, list[Record]] = {name: [] for name in names}
    originals: dict[bytes, str] = {}
    for key, versions in truth.versions.items():
        for version in versions:
            lane, record = random.choice(names), Record(data=line(version))
            lanes[lane].append(record)
            originals[line(version)] = lane
            while random.random() < 0.2:
                other = lane if key in truth.twins else random.choice(names)
                lanes[other].append(record)
    for bad in truth.bad:
        lanes[random.choice(names)].append(Record(data=bad.data, bad=bad.reason))
    for records in lanes.values():
        random.shuffle(records)
    for key, twin in truth.twins.items():
        original = line(truth.versions[key][0])
        records = lanes[originals[original]]
        first = next(n for n, record in enumerate(records) if record.data == original)
        records.insert(random.randint(first + 1, len(records)), Record(data=line(twin), conflicts=True))
    return lanes


def _pieces(random: Random, records: list[Record], most: int) -> list[list[Record]]:
    pieces, at = [], 0
    while at < len(records):
        size = random.randint(1, most)
        pieces.append(records[at : at + size])
        at += size
    return pieces


def _pause(random: Random, pieces: int) -> float:
    return random.uniform(0, 2 * SECONDS / max(pieces, 1))


def _batches(random: Random, records: list[Record]) -> list[Batch]:
    pieces = _pieces(random, records, 8)
    found = []
    for piece in pieces:
        values: list[bytes | None] = []
        for group in _pieces(random, piece, 1 if random.random() < 0.7 else 4):
            if len(group) > 1 and random.random() < 0.5 and all(one.bad != "malformed" for one in group):
                values.append(b"[" + b",".join(one.data for one in group) + b"]")
            elif any(one.bad == "malformed" for one in group):
                values += [one.data for one in group]
            else:
                values.append(b"\n".join(one.data for one in group))
            if random.random() < 0.05:
                values.append(None)
        found.append(Batch(values=values, codec=random.choice(CODECS), pause=_pause(random, len(pieces))))
    return found


def _requests(random: Random, seed: int, sender: int, records: list[Record]) -> list[Request]:
    pieces: list[list[Record]] = []
    for piece in _pieces(random, records, 30):
        if pieces and all(
            one.bad == "malformed" for one in piece
        ):  # with nothing to be read it would be refused as a whole
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return [_request(random, f"{seed}-{sender}-{n}", piece, len(pieces)) for n, piece in enumerate(pieces)]


def _request(random: Random, name: str, piece: list[Record], of: int) -> Request:
    """Conflicts come in requests with a key: repeated without one, they would conflict again."""
    is_array = random.random() < 0.3 and all(one.bad != "malformed" for one in piece)
    piece = sorted(piece, key=lambda one: one.bad == "malformed")
    lines = [one.data for one in piece]
    body = b"[" + b", ".join(lines) + b"]" if is_array else b"\n".join(lines) + b"\n" * random.randint(0, 2)
    is_packed = random.random() < 0.3
    return Request(
        path="/v1/usage",
        body=gzip.compress(body, mtime=0) if is_packed else body,
        kind="application/json" if is_array else "application/x-ndjson",
        encoding="gzip" if is_packed else "identity",
        contents=tuple(piece),
        key=f"storm-{name}" if random.random() < 0.5 or any(one.conflicts for one in piece) else "",
        aborts=tuple(random.random() for _ in range(random.choice([0, 0, 0, 1, 2]))),
        slowly=random.random() < 0.1,
        again=random.random() < 0.2,
        pause=_pause(random, of) / 4,  # it waits for answers, too
    )


def _writings(random: Random, records: list[Record]) -> list[Writing]:
    pieces = _pieces(random, records, 10)
    found = []
    for piece in pieces:
        data = b"".join(one.data + b"\n" for one in piece)
        torn_at = random.randrange(1, len(data)) if random.random() < 0.4 else 0
        rotation: Rotation = random.choice(["rename", "gzip", "copytruncate"]) if random.random() < 0.25 else ""
        found.append(Writing(data=data, torn_at=torn_at, rotation=rotation, pause=_pause(random, len(pieces))))
    return found


CHANCES: Final[dict[Fate, float]] = {
    "kill": 0.5,
    "kill in commit": 0.5,
    "term": 0.3,
    "term twice": 0.25,
    "broker": 0.2,
    "rebalance": 0.25,
    "full disk": 0.3,
    "clock forward": 0.2,
    "clock back": 0.2,
}
EXTENTS: Final[dict[Fate, tuple[float, float]]] = {
    "kill": (0, 0.5),
    "kill in commit": (0, 0.01),
    "term": (0, 0.3),
    "term twice": (0, 0.15),
    "broker": (0, 1),
    "rebalance": (0.5, 4),
    "full disk": (0.3, 1.5),
    "clock forward": (60, 5 * 3600),
    "clock back": (-40 * 60, -60),
}


FAULTS_MAX: Final = 3


def _faults(random: Random) -> list[Fault]:
    fates = [fate for fate, chance in CHANCES.items() if random.random() < chance] or ["kill"]
    random.shuffle(fates)
    faults = [
        Fault(
            at=random.uniform(0.3, SECONDS),
            fate=fate,
            extent=random.uniform(*EXTENTS[fate]),
            warm=random.uniform(0, 1.5) if random.random() < 0.8 else None,
        )
        for fate in fates[:FAULTS_MAX]
    ]
    return sorted(faults, key=lambda fault: fault.at)
