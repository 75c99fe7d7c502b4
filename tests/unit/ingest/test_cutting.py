"""Cutting: however the bytes arrive and however small the limits are, the slices are the stream."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.collectors import cutting
from ingest.collectors.cutting import Cutter, Position
from ingest.formats.ndjson import Ndjson
from ingest.kinds import USAGE
from ingest.slices import Slice

FORMAT = Ndjson("usage", USAGE)
LIMIT = 40


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of four records or 100 bytes, records of at most 40 bytes, looked at seven bytes at a time."""
    monkeypatch.setattr(cutting, "SLICE_RECORDS", 4)
    monkeypatch.setattr(cutting, "SLICE_BYTES_MAX", 100)
    monkeypatch.setattr(cutting, "RECORD_BYTES_MAX", LIMIT)
    monkeypatch.setattr(cutting, "PART_BYTES", 7)


def slices_of(chunks: list[bytes], *, damaged: bool = False) -> tuple[list[Slice], Cutter]:
    """Everything that a cutter makes of some chunks."""
    cutter = Cutter(FORMAT, b"", Position(), b"")
    found = [piece for chunk in chunks for piece in cutter.feed(chunk)]
    return found + list(cutter.finish(damaged=damaged)), cutter


line = st.one_of(
    st.binary(max_size=2 * LIMIT).map(lambda data: data.replace(b"\n", b"")),
    st.integers(0, 9).map(lambda number: b'{"a":%d}' % number),
    st.sampled_from([b"", b" ", b"\x0b", b"\x0c ", b"x" * LIMIT, b"x" * (LIMIT + 1), b"x" * 500]),
)


@settings(max_examples=200)
@given(st.lists(line, max_size=20), st.booleans(), st.lists(st.integers(0, 2_000), max_size=8), st.booleans())
def test_slices_are_the_stream(lines: list[bytes], ended: bool, cuts: list[int], damaged: bool) -> None:
    """Positions follow one another, each line is in one slice, overlong ones are rejected by themselves, the rest is torn."""
    stream = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    ends = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    found, cutter = slices_of([stream[a:b] for a, b in pairwise(ends)], damaged=damaged)

    at, record, line_ends = 0, 0, 0
    for piece in found:
        assert (piece.start, piece.first_record, piece.first_line) == (at, record, line_ends)
        whole = stream[piece.start : piece.end]
        if piece.fault is None:
            assert piece.data == whole
            assert all(len(part) <= LIMIT for part in whole.split(b"\n"))
            assert piece.records == sum(1 for part in whole.split(b"\n") if part.strip())
        else:
            assert piece.data == whole
            assert (piece.records, piece.digest) == (1, hashlib.sha256(whole[:-1]).hexdigest())
            assert (whole.count(b"\n"), len(whole) > LIMIT) == (1, True)
        at, record, line_ends = piece.end, record + piece.records, line_ends + whole.count(b"\n")
    rest = stream[at:]
    assert b"\n" not in rest
    assert cutter.torn == (len(rest) if rest.strip() else 0)
    assert (cutter.at.offset, cutter.at.records, cutter.at.lines) == (at, record, line_ends)
    assert cutter.tail == stream[max(0, at - 4096) : at]


def test_slices_end_with_their_records() -> None:
    """Four records, or what is beyond a hundred bytes, whichever comes first."""
    found, _ = slices_of([b'{"a":1}\n' * 10])

    assert [piece.records for piece in found] == [4, 4, 2]


def test_a_last_record_needs_no_end_unless_the_stream_is_damaged() -> None:
    """An object that is whole is taken; of a damaged stream nobody knows what would have followed."""
    assert [piece.records for piece in slices_of([b'{"a":1}\n{"b":2}'])[0]] == [2]
    assert [piece.records for piece in slices_of([b'{"a":1}\n{"b":2}'], damaged=True)[0]] == [1]
    assert slices_of([b'{"a":1}\n{"b":'])[1].torn == 5
