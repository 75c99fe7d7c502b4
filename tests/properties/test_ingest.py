"""Laws of ingest: order, pieces and repetition change nothing; the SQL's verdict is that of the contract in plain Python."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from ingest.outcome import Outcome
from tests.blank import blank
from tests.frozen import FrozenClock
from tests.unit.ingest import contract
from tests.unit.ingest.desk import NOON, RULES, Desk, lines

NUMBERS = count()
MODERATE = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One ledger for all examples; each has sources of its own."""
    folder: Path = tmp_path_factory.mktemp("properties")
    with Ledger(blank(folder / "apportion.duckdb")) as opened:
        yield Desk(opened, FrozenClock(NOON), folder)
    shutil.rmtree(folder)


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
counts = st.integers(0, 10_000_000_000)
contents = st.fixed_dictionaries(
    {"model": texts.filter(bool), "second": st.integers(0, 3599)},
    optional={
        "provider": texts,
        "principal": texts,
        "cluster": texts,
        "trace_id": texts,
        "status": st.sampled_from(("success", "failed", "cancelled")),
        "usage_quality": st.sampled_from(("reported", "partial")),
        "output_tokens": counts,
        "cache_read_tokens": counts,
        "requests": st.integers(0, 3),
        "ttft_ms": st.decimals(0, 10**6, places=3).map(float),
        "unknown": st.none() | st.integers(),
        "tags": st.dictionaries(st.sampled_from(("team", "project", "other", 'a"b')), texts | st.none(), max_size=4),
    },
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Events with revisions, no two of one id and revision with different content; and batches that deliver each at least once."""
    ids = draw(
        st.lists(
            st.tuples(st.sampled_from("ab"), st.text("xyz'\\", min_size=1, max_size=2)),
            min_size=1,
            max_size=8,
            unique=True,
        )
    )
    events = []
    for source, name in ids:
        for revision in draw(st.sets(st.integers(0, 3), min_size=1, max_size=3)):
            content = draw(contents)
            second = content.pop("second")
            events.append(
                content
                | {
                    "event_id": name,
                    "source": source,
                    "revision": revision,
                    "occurred_at": f"2026-10-15T10:{second // 60:02d}:{second % 60:02d}Z",
                }
            )
    again = draw(st.lists(st.sampled_from(events), max_size=6))
    order = draw(st.permutations([*events, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=3)))
    return events, [
        order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True) if order[start:end]
    ]


def expected(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What has to be live: of each id the highest revision."""
    live: dict[tuple[str, str], dict[str, Any]] = {}
    for event in sorted(events, key=lambda event: int(event["revision"])):
        row = contract.landed(json.dumps(event).encode(), now=NOON, oldest=RULES.oldest, tags=RULES.tags)
        assert row is not None
        live[event["source"], event["event_id"]] = row
    return list(live.values())


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in one order."""
    return sorted(rows, key=lambda row: (row["source"], row["event_id"]))


@MODERATE
@given(deliveries())
def test_any_delivery_of_the_same_events_is_the_same_ledger(
    desk: Desk, given_: tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]
) -> None:
    """Partition, permutation and repetition change neither rows nor counts, duplicates apart."""
    events, batches = given_
    own = f"#{next(NUMBERS)}"
    renamed = [[event | {"source": event["source"] + own} for event in batch] for batch in batches]
    total = Outcome()
    for batch in renamed:
        total.add(desk.hand_in(*batch))

    rows = [row | {"source": row["source"].removesuffix(own)} for row in desk.events() if row["source"].endswith(own)]
    assert by_id(rows) == by_id(expected(events))
    ids = {(event["source"], event["event_id"]) for event in events}
    assert (total.landed, total.superseded, total.conflicts, total.rejected) == (len(ids), len(events) - len(ids), 0, 0)
    assert total.duplicates == sum(map(len, batches)) - len(events)
    assert total.dropped_tags == sum(key not in RULES.tags for event in events for key in event.get("tags", {}))


VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        1,
        12,
        1.5,
        1e3,
        10**10,
        10**10 + 1,
        2**63,
        -0.0,
        "",
        "x",
        "12",
        "true",
        [],
        {},
        ["x"],
        {"team": "x"},
        {"team": 1},
        {"team": None},
        "success",
        "ok",
        "2026-10-15T11:00:00Z",
        "2026-10-15T11:00:00",
        "2026-10-15 11:00:00.123456789+0530",
        "1969-12-31T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-10-15T23:59:59-23:59",
        "x" * 256,
        "x" * 257,
        "é" * 512,
        "é" * 513,
        "a\nb",
        "a\x7fb",
        "a\\b",
        "a\0b",
        "🙂",
        "\u200d",
        "'",
        '"',
    ]
)
FIELDS = [*contract.TEXTS, *contract.COUNTS, *contract.MEASURES, "occurred_at", "tags", "prompt"]


@st.composite
def corrupted(draw: st.DrawFn) -> list[bytes]:
    """Sound events, a random part of them with values swapped, bytes flipped, ends cut off, or bytes put in between."""
    found: list[bytes] = []
    for number in range(draw(st.integers(5, 40))):
        event: dict[str, Any] = {
            "event_id": f"OWN-{number}-OWN-{number}-OWN",
            "source": "s",
            "occurred_at": f"2026-10-15T10:00:{number:02d}Z",
            "model": f"m{number % 3}",
            "output_tokens": number,
            "tags": {"team": "t"},
            "ttft_ms": 1.5,
            "trace_id": "a\\b",
        }
        for field in draw(st.lists(st.sampled_from(FIELDS), max_size=2)):
            event[field] = draw(VALUES)
        if isinstance(event["event_id"], str) and event["event_id"] and "OWN" not in event["event_id"]:
            event["event_id"] += (
                f"{number}OWN-OWN"  # twice: an id that lost one would be a duplicate in the next example
            )
        line = bytearray(json.dumps(event, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
        harm = draw(st.sampled_from(["none", "none", "none", "cut", "flip", "put"]))
        at = draw(st.integers(0, len(line) - 1))
        if harm == "cut":
            del line[at:]
        elif harm == "flip":
            line[at] ^= 1 << draw(st.integers(0, 7))
        elif harm == "put":
            line[at:at] = draw(
                st.sampled_from(
                    [
                        b"\n",
                        b"\0",
                        b"\xff",
                        b"\xc3\x28",
                        b'"',
                        b"{",
                        b",",
                        b"\r",
                        b"\r\n",
                        b"\\",
                        b"\xed\xa0\x80",
                        b" ",
                        b"\t",
                        b"\x1f",
                    ]
                )
            )
        found.append(bytes(line))
    return found


@settings(MODERATE, max_examples=15)
@given(corrupted())
def test_good_lines_land_and_each_bad_one_is_quarantined_once(desk: Desk, given_: list[bytes]) -> None:
    """With its exact line, record number and digest; the SQL's verdict is the contract's, row by row and value by value."""
    own = f"#{next(NUMBERS)}#"
    data = lines(line.replace(b"OWN", own.encode()) for line in given_)
    already = desk.count("raw.rejection")
    outcome = desk.read(desk.file(data))

    received = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    verdicts = [contract.landed(line, now=NOON, oldest=RULES.oldest, tags=RULES.tags) for _, line in received]
    good = [row for row in verdicts if row is not None]
    bad = [
        (record, number, hashlib.sha256(line).hexdigest())
        for record, ((number, line), verdict) in enumerate(zip(received, verdicts, strict=True), 1)
        if verdict is None
    ]
    assert desk.rejections("record", "line", "digest")[already:] == bad
    assert (outcome.received, outcome.landed, outcome.rejected) == (len(received), len(good), len(bad))
    landed = {row["event_id"]: row for row in desk.events() if own in row["event_id"]}
    assert [landed[row["event_id"]] for row in good] == good
    for kept, (_, number, _digest) in zip(desk.rejections("bytes")[already:], bad, strict=True):
        assert kept is None or b"prompt" not in kept or data.split(b"\n")[number - 1].startswith(kept)
