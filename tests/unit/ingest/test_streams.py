"""Streams: the same bytes whatever compresses them, from any position, in bounded pieces; arrays as lines."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from apportion.domain.errors import InputError
from ingest.collectors.arrays import ArrayStream, is_array
from ingest.collectors.cutting import Position
from ingest.collectors.files import FileCollector
from ingest.collectors.streams import ByteStream
from ingest.formats import parquet
from ingest.formats.ndjson import Ndjson
from ingest.kinds import USAGE

DATA = random.Random(5).randbytes(3_000) * 4


class Chunks(ByteStream):
    """A stream that delivers the chunks it is given."""

    def __init__(self, path: Path, chunks: list[bytes]) -> None:
        path.touch()
        super().__init__(path)
        self._chunks = chunks

    def chunks(self, start: int) -> Iterator[bytes]:
        """All of them; nobody asks for others."""
        assert start == 0
        yield from self._chunks


@pytest.mark.parametrize(
    "compress",
    [
        bytes,
        gzip.compress,
        zstandard.ZstdCompressor().compress,
        lambda data: gzip.compress(data[:7_000]) + gzip.compress(data[7_000:]) + bytes(99),
    ],
)
@pytest.mark.parametrize("start", [0, 1, 6_999, 7_000, 11_999, 12_000, 20_000])
def test_a_stream_begins_anywhere(tmp_path: Path, compress: type[bytes], start: int) -> None:
    """Positions are those of the decompressed bytes."""
    path = tmp_path / "data"
    path.write_bytes(compress(DATA))
    stream = ByteStream(path)

    assert b"".join(stream.chunks(start)) == DATA[start:]
    assert stream.damage is None


def test_pieces_are_bounded(tmp_path: Path) -> None:
    """However much a compressed byte stands for."""
    path = tmp_path / "data"
    for compress, most in ((gzip.compress, 4 << 20), (zstandard.ZstdCompressor().compress, 64 << 20)):
        path.write_bytes(compress(bytes(20 << 20)))
        sizes = [len(chunk) for chunk in ByteStream(path).chunks(0)]

        assert (sum(sizes), max(sizes) <= most) == (20 << 20, True)


def test_a_file_that_goes_away_is_a_sentence(tmp_path: Path) -> None:
    """Between looking at it and reading it."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    stream = ByteStream(path)
    path.unlink()

    with pytest.raises(
        InputError, match=r"data: cannot be read \(No such file or directory\); what was read before is kept"
    ):
        list(stream.chunks(0))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=5) | st.just('\\"[{,]}\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(
    st.lists(values, max_size=8), st.sampled_from([None, 1]), st.booleans(), st.lists(st.integers(0, 400), max_size=5)
)
def test_lines_of_an_array_are_its_elements(
    tmp_path_factory: pytest.TempPathFactory, elements: list[object], indent: int | None, ascii_: bool, cuts: list[int]
) -> None:
    """In any layout and any chunks; of an array cut in half the first ones, and a word about it."""
    text = json.dumps(elements, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    ends = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    path = tmp_path_factory.getbasetemp() / "array"
    whole = ArrayStream(path, Chunks(path, [text[a:b] for a, b in pairwise(ends)]))
    cut = ArrayStream(path, Chunks(path, [text[: len(text) // 2]]))

    assert [json.loads(line) for line in b"".join(whole.chunks(0)).splitlines()] == elements
    assert whole.damage is None
    lines = [json.loads(line) for line in b"".join(cut.chunks(0)).splitlines()]
    assert lines == elements[: len(lines)]
    assert cut.damage is not None


def test_an_array_goes_on_from_a_position(tmp_path: Path) -> None:
    """Which counts the bytes of its lines."""
    path = tmp_path / "array"
    path.write_text('[{"a": 1}, {"b":\n2}]')
    lines = b'{"a": 1}\n{"b": 2}\n'

    assert [b"".join(ArrayStream(path, ByteStream(path)).chunks(at)) for at in range(len(lines) + 2)] == [
        lines[at:] for at in range(len(lines) + 2)
    ]


def test_a_damaged_archive_of_an_array_says_so(tmp_path: Path) -> None:
    """The archive's damage is what the person has to know."""
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(json.dumps([{"a": number} for number in range(900)]).encode())[:-20])
    stream = ArrayStream(path, ByteStream(path))
    list(stream.chunks(0))

    assert stream.damage is not None
    assert "cut short" in stream.damage


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"[]", True), (b"\xef\xbb\xbf \n [\n{", True), (b"[{}]\n", True), (b"[{}]\n\n{}", False), (b"[1]\n[2]", False), (b"{}", False), (b"", False),
    ],
)  # fmt: skip
def test_an_array_is_told_from_lines(tmp_path: Path, text: bytes, answer: bool) -> None:
    """By its bracket, unless its first line is a value by itself and others follow."""
    assert is_array(Chunks(tmp_path / "data", [text])) is answer


def test_columns_that_the_contract_does_not_know_are_not_read(tmp_path: Path) -> None:
    """The SELECT over a Parquet file names the contract's columns only, and the file as a literal."""
    format_ = parquet.Parquet(name="usage", kind=USAGE, present={"event_id": "VARCHAR"})
    sql = format_.view(tmp_path / "it's", "x", b"", sifted=False)

    assert "it''s" in sql
    assert sql.count(" AS ") == len(USAGE.columns)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_progress_counts_bytes_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: type[bytes]
) -> None:
    """It never goes back, and ends at the file's size, compressed or not."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 100)
    path = tmp_path / "data"
    path.write_bytes(compress(b"".join(b'{"a":%d}\n' % number for number in range(1_000))))
    collector = FileCollector(path, Ndjson("usage", USAGE))
    behind = [collector.consumed(piece) for piece in collector.slices(Position())]

    assert behind == sorted(behind)
    assert behind[-1] == collector.size == path.stat().st_size
