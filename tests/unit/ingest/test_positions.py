"""Files read again, grown, torn, replaced, cut short or unreadable."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from apportion.domain.errors import InputError
from tests.unit.ingest.desk import Desk, event, lines

EVENTS = [event(f"e{number:02d}", output_tokens=number) for number in range(12)]
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("how", COMPRESSED)
def test_reading_again_is_a_no_op(desk: Desk, how: str) -> None:
    """Nothing is received, no batch is written, nothing is said."""
    path = desk.file(COMPRESSED[how](lines(EVENTS)))
    assert desk.read(path).landed == 12
    batches = desk.batches()

    assert (desk.read(path).received, desk.notes, desk.batches()) == (0, [], batches)


@pytest.mark.parametrize("how", COMPRESSED)
def test_a_file_that_grew_continues(desk: Desk, how: str) -> None:
    """Only what is new is received; numbers and lines go on. Compressed files may grow by members or be written anew."""
    path = desk.file(COMPRESSED[how](b"\n" + lines(EVENTS[:5])))
    desk.read(path)
    path.write_bytes(path.read_bytes() + COMPRESSED[how](lines([*EVENTS[5:8], b"nope"])))
    outcome = desk.read(path)
    assert (outcome.received, outcome.landed, desk.notes) == (4, 3, [])
    assert desk.rejections("record", "line") == [(9, 10)]

    path.write_bytes(COMPRESSED[how](b"\n" + lines([*EVENTS[:8], b"nope", *EVENTS[8:]])))
    assert (desk.read(path).landed, desk.notes) == (4, [])


def test_a_torn_last_line_waits(desk: Desk) -> None:
    """It is neither landed nor rejected, but said; when it is whole it lands, once."""
    whole = lines(EVENTS[:3])
    path = desk.file(whole[:-30])
    assert desk.read(path).received == 2
    assert "not a whole record yet" in desk.notes[0]
    assert "from line 3 on" in desk.notes[0]
    assert desk.read(path).received == 0
    path.write_bytes(whole[:-1])

    assert (desk.read(path).landed, desk.notes) == (1, [])
    path.write_bytes(lines(EVENTS[:4]))
    assert (desk.read(path).landed, desk.notes) == (1, [])


@pytest.mark.parametrize("cut", [8, 200])
@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_file_cut_short_lands_what_is_whole_and_says_so(desk: Desk, how: str, cut: int) -> None:
    """A half-copied archive: records before the cut land, the note says that it is cut, and the whole file brings the rest."""
    whole = COMPRESSED[how](
        lines(
            event(f"e{number:04d}", principal=hashlib.sha256(bytes([number % 256, number // 256])).hexdigest())
            for number in range(400)
        )
    )
    path = desk.file(whole[:-cut])
    first = desk.read(path).landed
    assert ["cut short" in note for note in desk.notes] == [True]
    assert desk.read(path).received == 0
    path.write_bytes(whole)

    assert first + desk.read(path).landed == 400
    assert desk.notes == []
    assert desk.count("raw.usage_event") == 400
    assert desk.count("raw.rejection") == 0


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_damaged_archive_lands_what_is_whole_and_says_so(desk: Desk, how: str) -> None:
    """Bytes that do not decompress end the file; what came before stays."""
    first, second = (COMPRESSED[how](lines(part)) for part in (EVENTS[:6], EVENTS[6:]))
    path = desk.file(first + second[:5] + b"\xff" * 40)

    assert desk.read(path).landed == 6
    assert ["damaged after what was read" in note for note in desk.notes] == [True]


def test_a_replaced_file_is_read_from_its_start(desk: Desk) -> None:
    """Known events are recognised, new ones land, and the note says why it took longer; also when it is longer than before."""
    path = desk.file(lines(EVENTS[:6]))
    desk.read(path)
    path.write_bytes(lines(EVENTS[3:10]))
    outcome = desk.read(path)

    assert (outcome.duplicates, outcome.landed) == (3, 4)
    assert ["not the file that was read before" in note for note in desk.notes] == [True]
    assert desk.read(path).received == 0


def test_a_truncated_file_is_read_from_its_start(desk: Desk) -> None:
    """Log rotation by copy and truncate: the same name begins anew, shorter than the position."""
    path = desk.file(lines(EVENTS[:6]))
    desk.read(path)
    path.write_bytes(lines(EVENTS[6:7]))

    assert (desk.read(path).landed, len(desk.notes)) == (1, 1)


def test_a_file_changed_before_the_position_is_read_from_its_start(desk: Desk) -> None:
    """The same length and the same first lines, but other bytes before the position."""
    path = desk.file(lines(EVENTS))
    desk.read(path)
    path.write_bytes(lines([*EVENTS[:11], EVENTS[11] | {"output_tokens": 99}]))

    assert desk.read(path).conflicts == 1


def test_a_file_that_changes_its_kind_is_read_from_its_start(desk: Desk, tmp_path: Path) -> None:
    """NDJSON where Parquet was, and the other way round."""
    path = tmp_path / "x.data"
    import duckdb

    table = "SELECT 'p' AS event_id, 's' AS source, 'm' AS model, TIMESTAMPTZ '2026-10-15 11:00:00+00' AS occurred_at"
    path.write_bytes(lines(EVENTS[:2]))
    landed = [desk.read(path).landed]
    duckdb.sql(f"COPY ({table}) TO '{path}' (FORMAT parquet)")
    landed += [desk.read(path).landed, desk.read(path).received]
    path.write_bytes(lines(EVENTS[:3]))
    landed += [desk.read(path).landed]

    assert landed == [2, 1, 0, 1]


def test_the_same_file_under_another_name_brings_duplicates(desk: Desk) -> None:
    """Positions are per file; events are not."""
    desk.read(desk.file(lines(EVENTS), "a.ndjson"))

    assert desk.read(desk.file(lines(EVENTS), "b.ndjson")).duplicates == 12


def test_a_link_is_the_file_it_leads_to(desk: Desk) -> None:
    """Whatever path it is reached by."""
    path = desk.file(lines(EVENTS), "a.ndjson")
    desk.read(path)
    link = path.with_name("link.ndjson")
    link.symlink_to(path)

    assert desk.read(link).received == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n \n\t\r\n\n",
        b"\xef\xbb\xbf",
        gzip.compress(b"", mtime=0),
        zstandard.ZstdCompressor().compress(b"\n\n"),
        b"[]",
        b" [\n ] ",
    ],
)
def test_files_without_records_are_no_error(desk: Desk, data: bytes) -> None:
    """Empty, blank, an empty archive, an empty array."""
    outcome = desk.read(desk.file(data, "x.ndjson"))

    assert (outcome.received, desk.notes) == (0, [])
    assert desk.read(desk.file(data + (b"" if data[:2] != b"\n " else lines(EVENTS[:1])), "x.ndjson")).received == (
        data[:2] == b"\n "
    )


def test_a_file_of_only_bad_lines_is_read_to_its_end(desk: Desk) -> None:
    """All of them are quarantined, and reading again finds nothing new."""
    path = desk.file(lines([b"a", b"b", b"{}", b"c"]))

    assert (desk.read(path).rejected, desk.read(path).received) == (4, 0)
    assert desk.rejections("line") == [1, 2, 3, 4]


def test_an_unreadable_file_is_a_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, a folder, forbidden, or with a name that is no text: which file, why, and what to do."""
    with pytest.raises(InputError, match=r"gone\.ndjson: cannot be read \(No such file or directory\); check the path"):
        desk.read(desk.folder / "gone.ndjson")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        desk.read(desk.folder)
    with pytest.raises(InputError, match="the name is not UTF-8; rename the file"):
        desk.read(Path(f"{desk.folder}/\udcff.ndjson"))
    forbidden = desk.file(lines(EVENTS), "forbidden.ndjson")

    def refuse(_: Path, *__: object, **___: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(
        InputError, match=r"forbidden\.ndjson: cannot be read \(Permission denied\); check the path and its permissions"
    ):
        desk.read(forbidden)


def test_slices_of_three_records(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every boundary: blank lines, bad lines, a last line without its end; each slice commits its own position."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 3)
    records = [b"", *EVENTS[:2], b"", b"bad", EVENTS[2], b"  ", b"", b"", b"worse", *EVENTS[3:9]]
    path = desk.file(lines(records)[:-1])
    outcome = desk.read(path)

    assert (outcome.received, outcome.landed, desk.notes) == (11, 9, [])
    assert desk.rejections("record", "line") == [(3, 5), (5, 10)]
    rows = desk.batches()
    assert [row[0] for row in rows[1:]] == [row[1] for row in rows[:-1]]
    assert (rows[0][0], rows[-1][1], sum(row[2] for row in rows)) == (0, path.stat().st_size, 11)


def test_a_run_that_broke_off_goes_on_after_its_last_slice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed is not received again, what was not is."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 5)
    path = desk.file(lines(EVENTS))
    landed: list[int] = []

    from ingest.land import Lander

    land = Lander.land

    def breaks(self: Lander, *args: object, **kwargs: object) -> object:
        if len(landed) == 1:
            raise KeyboardInterrupt
        landed.append(1)
        return land(self, *args, **kwargs)

    monkeypatch.setattr(Lander, "land", breaks)
    with pytest.raises(KeyboardInterrupt):
        desk.read(path)
    monkeypatch.setattr(Lander, "land", land)
    outcome = desk.read(path)

    assert (outcome.received, outcome.landed) == (7, 7)
    assert desk.count("raw.usage_event") == 12


def test_a_bomb_does_not_fill_the_memory(desk: Desk) -> None:
    """A quarter of a gibibyte of zeros in a small archive is read in bounded pieces, and is no whole record."""
    compressor = zlib.compressobj(1, wbits=31)
    zeros = bytes(1 << 20)
    bomb = [
        compressor.compress(lines(EVENTS[:1])),
        *(compressor.compress(zeros) for _ in range(256)),
        compressor.flush(),
    ]
    path = desk.file(b"".join(bomb))
    tracemalloc.start()
    outcome = desk.read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outcome.landed == 1
    assert f"the last {1 << 28} bytes" in desk.notes[0]
    assert peak < 48 << 20


def test_evidence_is_small_and_readable(desk: Desk) -> None:
    """A position remembers digests, not content."""
    path = desk.file(lines(EVENTS))
    desk.read(path)
    ((stream, position, records, evidence),) = desk.ledger.session().rows(
        "SELECT stream, position, records, evidence FROM raw.stream_position"
    )

    assert (stream, position, records) == (f"file:{path.resolve()}#usage", path.stat().st_size, 12)
    assert set(json.loads(evidence)) == {"head_bytes", "head", "tail_bytes", "tail", "lines", "header"}
