"""CSV exports as they come: quotes, line ends, broken rows, headers."""

from __future__ import annotations

import csv
import gzip
import io

import pytest

from apportion.domain.errors import InputError
from ingest.formats import csv_records
from tests.unit.ingest.desk import Desk

SOURCE = """
[[sources]]
name = "x"
kind = "usage"
format = "csv"
event_id = "{file}:{line}"
columns = { model = "model", output_tokens = "out" }
time = { column = "at", format = "iso", zone = "UTC" }
"""
HEADER = "at,model,out\n"
AT = "2026-10-15 11:00:00"


@pytest.fixture
def table(desk: Desk) -> Desk:
    """A desk that reads CSV of time, model and output tokens."""
    desk.describe(SOURCE)
    return desk


def landed(desk: Desk, text: str | bytes, name: str = "t.csv") -> list[tuple[str, str, int]]:
    """Ingest a CSV. Returns: id, model and output tokens of what is in the ledger."""
    desk.read(desk.file(text.encode() if isinstance(text, str) else text, name), "x")
    return [tuple(row) for row in desk.events("event_id", "model", "output_tokens")]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_rows_become_events_named_by_file_and_number(table: Desk, ending: str) -> None:
    """The header is no record; numbers count records from 1, so that an id stays with its row."""
    text = f"{HEADER}{AT},a,1\n{AT},b,2\n{AT},c,3".replace("\n", ending)

    assert landed(table, text) == [("t.csv:1", "a", 1), ("t.csv:2", "b", 2), ("t.csv:3", "c", 3)]
    assert table.notes == []


def test_quoted_fields_hold_delimiters_quotes_and_line_ends(table: Desk) -> None:
    """What stands in quotes is content; the line of a record is its first, its number counts records."""
    models = ["a,b", 'say ""hi""', " x ", '5" disk']
    text = (
        HEADER
        + "".join(f'{AT},"{model}",1\n' for model in models[:3])
        + f"{AT},{models[3]},1\n"
        + f'{AT},"two\r\nlines",-1\n'
        + f'"{AT}","z","2"\n'
    )

    assert [row[1] for row in landed(table, text)] == ["a,b", 'say "hi"', " x ", '5" disk', "z"]
    assert table.rejections("record", "line", "reason") == [(5, 6, "negative")]
    assert table.events("event_id")[-1] == "t.csv:6"


@pytest.mark.parametrize(
    "mixed",
    [f"{AT},a,1\r\n{AT},b,2\n{AT},c,3\r\n", f"{AT},a,1\n{AT},b,2\r\n{AT},c,3", f'{AT},"a",1\r\n{AT},b,2\n{AT},c,3\n'],
)
def test_mixed_line_ends_are_line_ends(table: Desk, mixed: str) -> None:
    """DuckDB refuses such a file as a whole; each of its lines is a record all the same."""
    assert landed(table, HEADER + mixed) == [("t.csv:1", "a", 1), ("t.csv:2", "b", 2), ("t.csv:3", "c", 3)]


def test_a_byte_order_mark_is_no_part_of_the_header(table: Desk) -> None:
    """Spreadsheets write one."""
    assert landed(table, b"\xef\xbb\xbf" + f"{HEADER}{AT},a,1\n".encode()) == [("t.csv:1", "a", 1)]


def test_blank_lines_are_no_records(table: Desk) -> None:
    """Before the header, between records and at the end; lines still count in what is said about a place."""
    assert landed(table, f"\n\r\n{HEADER}\n{AT},a,1\n   \n{AT},b,-2\n\n\n") == [("t.csv:1", "a", 1)]
    assert table.rejections("record", "line") == [(2, 7)]


def test_ragged_rows_are_rejected_alone(table: Desk) -> None:
    """Too few or too many fields is no record: nothing is guessed, and what stands around it lands."""
    text = f"{HEADER}{AT},a,1\n{AT},b\n{AT},c,3,4\n{AT},d,4\njust words\n{AT},e,5\n"

    assert [row[:2] for row in landed(table, text)] == [("t.csv:1", "a"), ("t.csv:4", "d"), ("t.csv:6", "e")]
    assert table.rejections("reason", "line", "detail") == [
        ("malformed", 3, "2 fields where the header has 3"),
        ("malformed", 4, "4 fields where the header has 3"),
        ("malformed", 6, "1 fields where the header has 3"),
    ]
    assert table.rejections("bytes") == [f"{AT},b".encode(), f"{AT},c,3,4".encode(), b"just words"]


def test_bytes_that_are_no_text_are_rejected_alone(table: Desk) -> None:
    """Invalid UTF-8 and NUL."""
    text = HEADER.encode() + f"{AT},a,1\n{AT},\xff,2\n".encode("latin-1") + f"{AT},\0,3\n{AT},d,4\n".encode()

    assert [row[:2] for row in landed(table, text)] == [("t.csv:1", "a"), ("t.csv:4", "d")]
    assert table.rejections("reason", "line") == [("malformed", 3), ("control_character", 4)]


def test_text_after_a_closing_quote_is_rejected_alone(table: Desk) -> None:
    """Such a field can be read in two ways, so it is read in none."""
    assert [row[1] for row in landed(table, f'{HEADER}{AT},a,1\n{AT},"b" x,2\n{AT},c,3\n')] == ["a", "c"]
    assert table.rejections("reason", "line") == [("malformed", 3)]


def test_a_quote_never_closed_costs_its_line_only(table: Desk) -> None:
    """Later lines that are records by themselves are not swallowed, at the file's end or where another quote closes it."""
    text = f'{HEADER}{AT},"a,1\n{AT},b,2\n{AT},c,3\n{AT},"d",4\n{AT},"e,5\n{AT},f,6\n'

    assert [row[:2] for row in landed(table, text)] == [
        ("t.csv:2", "b"),
        ("t.csv:3", "c"),
        ("t.csv:4", "d"),
        ("t.csv:6", "f"),
    ]
    assert table.rejections("reason", "line") == [("malformed", 2), ("malformed", 6)]


def test_a_record_torn_inside_quotes_waits(table: Desk) -> None:
    """A file that is still being written ends in the middle of a quoted field: it is read when the rest is there."""
    whole = f'{HEADER}{AT},a,1\n{AT},"two\nlines, and more\nof them",2\n{AT},c,3\n'
    assert [row[1] for row in landed(table, whole[:70])] == ["a"]
    assert "not a whole record yet" in table.notes[0]
    assert "from line 3 on" in table.notes[0]

    assert [row[1] for row in landed(table, whole)] == ["a", "c"]
    assert table.rejections("line", "reason") == [(3, "control_character")]


def test_a_torn_number_is_not_believed_when_the_file_grows(table: Desk) -> None:
    """The last line lacked its end and was taken as it stood; what it came to say shows as a conflict, not as a new record."""
    assert landed(table, f"{HEADER}{AT},a,1\n{AT},b,12") == [("t.csv:1", "a", 1), ("t.csv:2", "b", 12)]

    outcome = table.read(table.file(f"{HEADER}{AT},a,1\n{AT},b,1234\n{AT},c,3\n".encode(), "t.csv"), "x")
    assert (outcome.duplicates, outcome.conflicts, outcome.landed) == (1, 1, 1)
    assert "has grown since" in table.notes[0]


@pytest.mark.parametrize("more", ["\n", f"\n{AT},c,3\n", f"\r\n{AT},c,3"])
def test_a_last_line_that_only_gets_its_end_continues(table: Desk, more: str) -> None:
    """A file whose last line had no end is not read again when lines follow it."""
    first = f"{HEADER}{AT},a,1\n{AT},b,2"
    landed(table, first)
    outcome = table.read(table.file((first + more).encode(), "t.csv"), "x")

    assert (outcome.received, outcome.landed, table.notes) == ((0, 0, []) if more == "\n" else (1, 1, []))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("at,modell,out", "no column is named 'model'; the header has at, modell, out"),
        ("at;model;out", "no column is named"),
        ("at,model,out,model", "more than one column is named 'model'"),
        ("2026-10-15 11:00:00,a,1", "no column is named"),
    ],
)
def test_a_header_without_a_mapped_column_is_a_sentence(table: Desk, header: str, words: str) -> None:
    """It names the file, the column, what the header has, and what to correct; nothing is landed or remembered."""
    with pytest.raises(InputError, match=r"t\.csv: .*Correct \[\[sources\]\] x, or the file") as raised:
        landed(table, f"{header}\n{AT},a,1\n")

    assert words in str(raised.value)
    assert table.count("raw.stream_position") == 0


def test_columns_nobody_reads_may_have_any_name(table: Desk) -> None:
    """Empty, doubled, in other cases, or what DuckDB or the SQL around it uses: they reach SQL by their number only."""
    names = [
        "",
        "",
        "MODEL",
        "at ",
        "record_no",
        "v1",
        "c0",
        "json",
        "select",
        "'; DROP TABLE raw.batch; --",
        'a"b',
        "größe",
    ]
    header, row = io.StringIO(), io.StringIO()
    csv.writer(header, lineterminator="\n").writerow([*names, "at", "model", "out"])
    csv.writer(row, lineterminator="\n").writerow([*("junk" for _ in names), AT, "a", "1"])

    assert landed(table, header.getvalue() + row.getvalue() * 2) == [("t.csv:1", "a", 1), ("t.csv:2", "a", 1)]


@pytest.mark.parametrize(
    "name", ["it's; DROP TABLE raw.batch; --.csv", 'a"b{c}.csv', "größe $1.csv", "x" * 240 + ".csv"]
)
def test_file_names_are_only_names(table: Desk, name: str) -> None:
    """Quotes and SQL in a file's name end up in the ids, and nowhere else."""
    assert landed(table, f"{HEADER}{AT},a,1\n", name) == [(f"{name}:1", "a", 1)]


@pytest.mark.parametrize("text", ["", "\n\n", HEADER, HEADER[:-1], "\ufeff", HEADER + "\n \n"])
def test_a_file_without_records_is_no_error(table: Desk, text: str) -> None:
    """Empty, blank, or nothing but a header."""
    outcome = table.read(table.file(text.encode(), "t.csv"), "x")

    assert (outcome.received, table.notes) == (0, [])


def test_other_delimiters(desk: Desk) -> None:
    """Semicolons and tabs; commas are content then."""
    desk.describe(
        SOURCE.replace('name = "x"', 'name = "s"\ndelimiter = ";"')
        + SOURCE.replace('name = "x"', 'name = "t"\ndelimiter = "\\t"')
    )
    desk.read(desk.file(f"at;model;out\n{AT};a,b;1\n{AT};'c;2\n".encode(), "s.csv"), "s")
    desk.read(desk.file(f'at\tmodel\tout\n{AT}\t"d\te"\t-1\n{AT}\tf,g\t2\n'.encode(), "t.csv"), "t")

    assert desk.events("model") == ["a,b", "'c", "f,g"]


def test_a_long_quoted_field_is_no_limit(table: Desk) -> None:
    """Longer than the CSV module of the standard library and DuckDB's lines allow, whatever else is in the slice."""
    long = "y" * 3_000_000
    assert [row[1] for row in landed(table, f'{HEADER}{AT},a,1\n{AT},{long},2\n{AT},"b",3\n')] == ["a", "b"]
    assert table.rejections("reason", "line") == [("too_long", 3)]

    assert [row[1] for row in landed(table, f"{HEADER}{AT},c,1\n{AT},{long},2\n{AT},d,3\n", "plain.csv")] == [
        "c",
        "d",
        "a",
        "b",
    ]


def test_slices_cut_between_records_only(table: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a slice is, records with line ends in them stay whole, and numbers and lines go on."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 4)
    rows = "".join(
        f'{AT},"m{number}",{number}\n' if number % 3 else f'{AT},"a\nb\nc\nd\ne\nf\ng\nh {number}",{number}\n'
        for number in range(1, 13)
    )
    data = gzip.compress((HEADER + rows).encode())

    assert [row[0] for row in landed(table, data)] == sorted(f"t.csv:{number}" for number in range(1, 13) if number % 3)
    assert table.rejections("record", "line") == [
        (number, 1 + number + 7 * (number // 3 - 1)) for number in range(3, 13, 3)
    ]
    assert len(table.batches()) > 3


@pytest.mark.parametrize(
    "text",
    [
        b'a,"b\nc",d\ne,f,g\n',
        b'a,5" x,d\n',
        b'"a""b",c\n"d',
        b'a,"b',
        b'a,""",b\nc\n',
        b'""\n""""\n"""\n',
        b'a,b"c,"d\ne"\n',
        b'x,"y\n\nz"\n\n',
    ],
)
def test_records_are_those_of_the_standard_library(text: bytes) -> None:
    """On well-formed input the splitting into records agrees with Python's csv module."""
    read = lambda record: csv_records.fields(record, ",")  # noqa: E731
    spans, end = csv_records.scan(text, read, b",", "all")

    assert end == len(text)
    try:
        expected = [row for row in csv.reader(io.StringIO(text.decode(), newline=""), strict=True) if row]
    except csv.Error:
        assert any(isinstance(span.fields, str) for span in spans)
    else:
        assert [span.fields for span in spans] == expected
