"""Files as streams of slices, before anything is landed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from apportion.domain.errors import InputError
from ingest.collectors.files import FileCollector
from ingest.collectors.streams import ByteStream
from ingest.formats.ndjson import Ndjson
from ingest.kinds import USAGE


def test_a_stream_is_named_by_its_path_and_format(tmp_path: Path) -> None:
    """The same file read as another format is another stream, with a position of its own."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"{}\n")

    assert FileCollector(path, Ndjson("usage", USAGE)).stream == f"file:{path}#usage"


def test_compressed_bytes_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    """A gzip file needs no suffix, and reading from a position skips decompressed bytes."""
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(b"one\ntwo\n") + gzip.compress(b"three\n"))
    stream = ByteStream(path)

    assert stream.compressed
    assert b"".join(stream.chunks(4)) == b"two\nthree\n"
    assert stream.damage is None


def test_a_file_cut_short_gives_what_is_whole_and_says_so(tmp_path: Path) -> None:
    """The decompressed bytes before the cut are there, and the damage is a sentence with the next step."""
    path = tmp_path / "cut.gz"
    whole = b"".join(b"%d\n" % number for number in range(20_000))
    path.write_bytes(gzip.compress(whole)[:-4_000])
    stream = ByteStream(path)
    read = b"".join(stream.chunks(0))

    assert 0 < len(read) < len(whole)
    assert whole.startswith(read)
    assert "cut short" in str(stream.damage)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    """Its path and what to check, not an exception of the operating system."""
    with pytest.raises(InputError, match=r"absent\.ndjson: cannot be read"):
        FileCollector(tmp_path / "absent.ndjson", Ndjson("usage", USAGE))
