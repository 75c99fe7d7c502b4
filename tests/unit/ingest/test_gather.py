"""Messages become slices: one record per line, each part with as many as it holds, whatever the messages look like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import gather
from ingest.gather import Run, gathered, records_of
from ingest.slices import Part


def run(*values: bytes | None, first: int = 0, stream: str = "s") -> Run:
    """Messages of a stream, numbered like Kafka offsets from `first` on."""
    part = Part(stream=stream, start=first, end=first + len(values), records=0, first_record=first - 1)
    return Run(part=part, values=values, numbers=range(first, first + len(values)))


def test_one_record_per_message_needs_no_numbers() -> None:
    """Consecutive messages of a line each are joined, and numbered by where the first one stands."""
    piece = gathered([run(b'{"a":1}', b'{"a":2}', first=40)])

    assert piece.data == b'{"a":1}\n{"a":2}'
    assert piece.records == 2
    assert piece.sifted is None
    assert [piece.parts[0].number(nth) for nth in (1, 2)] == [40, 41]


def test_pretty_printed_records_become_one_line() -> None:
    """Line ends inside one JSON object are not ends of records."""
    pretty = json.dumps({"a": [1, {"b": "x\ny"}]}, indent=2).encode()

    (line,) = records_of(pretty)

    assert b"\n" not in line
    assert json.loads(line) == {"a": [1, {"b": "x\ny"}]}


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (b'{"a":1}\n{"a":2}\r\n\n', [b'{"a":1}', b'{"a":2}']),
        (b'[{"a":1}, {"a":2}]', [b'{"a":1}', b'{"a":2}']),
        (b' [\n{"a":\n1}\n]\n', [b'{"a": 1}']),
        (b"[1, 2", [b"[1, 2"]),
        (b'{"a":1} {"a":2}', [b'{"a":1}', b'{"a":2}']),
        (b'\xef\xbb\xbf{"a":1}', [b'{"a":1}']),
        (b'{\n"a":1}\n{\n"a":2}', [b'{ "a":1}', b'{ "a":2}']),
        (b"nope\nneither", [b"nope", b"neither"]),
        (b" \r\n ", []),
    ],
)
def test_what_a_message_may_hold(value: bytes, lines: list[bytes]) -> None:
    """Lines, arrays, and what is neither, which stays to be rejected; blank messages hold nothing."""
    assert records_of(value) == lines


def test_gaps_tombstones_and_batches_keep_their_offsets() -> None:
    """A record is numbered by the offset of its message, also where messages hold none or several, or offsets are missing."""
    part = Part(stream="t", start=10, end=20, records=0, first_record=9)
    piece = gathered([Run(part=part, values=[b"{}", None, b"{}\n{}", b"{}"], numbers=[10, 11, 12, 19])])

    assert piece.records == 4
    assert [piece.parts[0].number(nth) for nth in range(1, 5)] == [10, 12, 12, 19]
    assert (piece.parts[0].start, piece.parts[0].end) == (10, 20)


def test_a_stream_of_tombstones_still_moves_on() -> None:
    """A part without records keeps its positions."""
    piece = gathered([run(None, b"", first=5), run(b"{}", first=1, stream="t")])

    assert [part.records for part in piece.parts] == [0, 1]
    assert piece.data == b"{}"


def test_an_overlong_record_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is too long is passed over with its length; its neighbours are kept."""
    monkeypatch.setattr(gather, "RECORD_BYTES_MAX", 20)
    piece = gathered([run(b'{"a":1}', b'{"a":"' + b"x" * 30 + b'"}', b'{"a":3}', first=1)])

    assert piece.records == 3
    assert piece.sifted is not None
    assert [record.fault for record in piece.sifted] == [
        None,
        "oversized: the record has 38 bytes; at most 20 are read",
        None,
    ]


def test_a_message_of_too_many_records_is_one_rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are the business of requests: nobody can hide a slice's worth of records in one message."""
    monkeypatch.setattr(gather, "MESSAGE_RECORDS_MAX", 3)
    piece = gathered([run(b"[{},{},{},{}]", b"{}", first=1)])

    assert piece.records == 2
    assert piece.sifted is not None
    assert [record.fault for record in piece.sifted] == [
        "oversized: the message holds 4 records; at most 3 are read of one",
        None,
    ]


VALUES = st.one_of(
    st.none(),
    st.sampled_from(
        [b"", b" ", b"\n", b"{}", b"[]", b"[{}]", b"{}\n{}", b"[", b"\x00", b'"x"', b"{\n}", b"[[1],\n[2]]"]
    ),
    st.binary(max_size=12),
)


@given(st.lists(st.lists(VALUES, max_size=5), max_size=4))
def test_parts_always_add_up(runs: list[list[bytes | None]]) -> None:
    """The parts' records are the slice's, and no record spans lines."""
    piece = gathered(
        [run(*values, first=100 * index, stream=str(index)) for index, values in enumerate(runs) if values]
    )
    lines = [line for line in piece.data.split(b"\n") if line and not line.isspace()]

    assert piece.records == sum(part.records for part in piece.parts) == len(lines)
    assert all(not part.numbers or len(part.numbers) == part.records for part in piece.parts)
