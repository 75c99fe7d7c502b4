"""Parquet: whatever types a data frame or a warehouse chose, the same events."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from apportion.domain.errors import InputError
from ingest.outcome import Outcome
from tests.unit.ingest.desk import Desk, event

AT = "TIMESTAMPTZ '2026-10-15 11:00:00+00'"
LEAST = f"'e' AS event_id, 's' AS source, 'm' AS model, {AT} AS occurred_at"


def write(desk: Desk, sql: str, name: str = "x.parquet", options: str = "") -> Path:
    """A query's rows as a Parquet file."""
    path = desk.folder / name
    path.unlink(missing_ok=True)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet{options})")
    return path


def handed_in(desk: Desk, sql: str) -> Outcome:
    """Ingest a query's rows."""
    return desk.read(write(desk, sql))


def test_missing_columns_are_absent_fields(desk: Desk) -> None:
    """Only what every event needs has to be there; other columns do not matter."""
    handed_in(desk, f"SELECT {LEAST}, 7 AS output_tokens, 'x' AS prompt, NULL::BIGINT AS cache_read_tokens")

    assert desk.hand_in(event("e", source="s", model="m", output_tokens=7)).duplicates == 1


@pytest.mark.parametrize("type_", ["TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"])
def test_times_without_a_zone_are_refused_as_a_whole(desk: Desk, type_: str) -> None:
    """Not guessed: the sentence says which column, and how to write it."""
    path = write(
        desk,
        f"SELECT 'e' AS event_id, 's' AS source, 'm' AS model, '2026-10-15 11:00:00'::TIMESTAMP::{type_} AS occurred_at",
    )

    with pytest.raises(InputError, match=r"x\.parquet: occurred_at has no zone; write it as TIMESTAMP WITH TIME ZONE"):
        desk.read(path)
    assert desk.count("raw.stream_position") == 0


@pytest.mark.parametrize("time", [AT, "'2026-10-15T13:00:00+02:00'", "'2026-10-15 11:00:00.000Z'"])
def test_times_are_zoned_timestamps_or_text(desk: Desk, time: str) -> None:
    """Both mean the same instant, whatever zone the writer's session had."""
    handed_in(desk, f"SELECT 'e' AS event_id, 's' AS source, 'm' AS model, {time} AS occurred_at")

    assert desk.events("occurred_at") == ["2026-10-15T11:00:00.000000Z"]


@pytest.mark.parametrize(
    "tags",
    [
        "MAP {'team': 't', 'project': 'p', 'other': 'o'}",
        "{'project': 'p', 'team': 't', 'other': NULL}",
        """'{"team": "t", "project": "p"}'""",
        """'{"team": "t", "project": "p"}'::JSON""",
    ],
)
def test_tags_are_maps_structs_or_json_text(desk: Desk, tags: str) -> None:
    """All are the same tags."""
    handed_in(desk, f"SELECT {LEAST}, {tags} AS tags")

    assert desk.events("tags") == ['{"project":"p","team":"t"}']


def test_tags_that_are_no_object_are_rejected(desk: Desk) -> None:
    """Text that is no JSON, and JSON that is no object."""
    outcome = handed_in(
        desk, f"""SELECT {LEAST}, tags FROM (VALUES ('team=t'), ('["t"]'), ('7'), (NULL), ('{{}}')) AS given(tags)"""
    )

    assert (outcome.rejections, outcome.landed + outcome.duplicates) == ({"wrong_type": 3}, 2)


@pytest.mark.parametrize(
    "type_", ["TINYINT", "UBIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL(18, 2)", "DECIMAL(38, 0)"]
)
def test_whole_numbers_of_any_type_are_counts(desk: Desk, type_: str) -> None:
    """Data frames make counts with gaps floats; 12.0 is 12."""
    handed_in(
        desk,
        f"SELECT {LEAST}, 12::{type_} AS output_tokens, NULL::{type_} AS reasoning_tokens, 1.5::DECIMAL(9, 4) AS ttft_ms, 2.25::DOUBLE AS queue_ms",
    )

    assert desk.events("output_tokens", "reasoning_tokens", "ttft_us", "queue_us") == [(12, 0, 1_500, 2_250)]


def test_numbers_that_are_no_counts_are_rejected(desk: Desk) -> None:
    """Fractions, NaN, infinities, negative ones and those beyond any type; one bad row never blocks its file."""
    values = ["1.5", "'NaN'", "'inf'", "-1", "1e300", "12"]
    rows = " UNION ALL ".join(
        f"SELECT 'e{number}' AS event_id, 's' AS source, 'm' AS model, {AT} AS occurred_at, {value}::DOUBLE AS output_tokens"
        for number, value in enumerate(values)
    )
    handed_in(desk, rows)

    assert desk.events("event_id") == ["e5"]
    assert desk.rejections("reason", "record", "line") == [
        ("wrong_type", 1, 1),
        ("wrong_type", 2, 2),
        ("wrong_type", 3, 3),
        ("negative", 4, 4),
        ("wrong_type", 5, 5),
    ]


def test_a_negative_fraction_and_texts_are_rejected(desk: Desk) -> None:
    """Types that a field cannot have."""
    handed_in(desk, f"SELECT {LEAST}, '12' AS output_tokens UNION ALL SELECT 'f', 's', 'm', {AT}, '-1'")
    handed_in(
        desk, f"SELECT 7 AS event_id, 's' AS source, 'm' AS model, {AT} AS occurred_at, {{'x': 'secret'}} AS principal"
    )

    assert desk.rejections("reason") == ["wrong_type", "wrong_type", "wrong_type"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (f"'e' AS id, {AT} AS occurred_at", "no column named event_id"),
        ("'e' AS event_id", "no column named occurred_at"),
    ],
)
def test_a_file_without_ids_or_times_is_a_sentence(desk: Desk, columns: str, words: str) -> None:
    """It says what is missing and what to do."""
    with pytest.raises(InputError, match=words):
        handed_in(desk, f"SELECT {columns}")


@pytest.mark.parametrize("cut", [10, 400])
def test_a_damaged_file_is_a_sentence(desk: Desk, cut: int) -> None:
    """A Parquet file that is cut short has no footer, so nothing of it can be read."""
    path = write(desk, f"SELECT {LEAST}, range AS output_tokens FROM range(100)")
    path.write_bytes(path.read_bytes()[:-cut])

    with pytest.raises(InputError, match=r"x\.parquet: cannot be read as Parquet .*; fetch or write the file again"):
        desk.read(path)


def test_damage_in_the_middle_keeps_what_was_landed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows before the damage have been committed; the sentence names the file."""
    monkeypatch.setattr("ingest.slices.SLICE_RECORDS", 2_048)
    path = write(
        desk,
        f"SELECT 'e' || range AS event_id, 's' AS source, 'm' AS model, {AT} AS occurred_at, hash(range)::VARCHAR AS trace_id FROM range(20000)",
        options=", ROW_GROUP_SIZE 2048, COMPRESSION zstd",
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)

    with pytest.raises(InputError, match=r"x\.parquet: cannot be read as Parquet"):
        desk.read(path)
    assert 0 < desk.count("raw.usage_event") < 20_000


def test_slices_are_row_ranges(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commits its own position; a file read again is a no-op, a replaced one is read from its start."""
    monkeypatch.setattr("ingest.slices.SLICE_RECORDS", 3)
    sql = "SELECT 'e' || range AS event_id, 's' AS source, 'm' AS model, {} AS occurred_at, range - {} AS output_tokens FROM range(8)"
    path = write(desk, sql.format(AT, 1))
    assert (desk.read(path).landed, desk.rejections("record", "reason")) == (7, [(1, "negative")])
    assert [batch[:2] for batch in desk.batches()] == [
        (0, 3),
        (3, 6),
        (6, 8),
    ]
    assert desk.read(path).received == 0

    outcome = desk.read(write(desk, sql.format(AT, 0)))
    assert (outcome.conflicts, outcome.landed, outcome.received) == (7, 1, 8)
    assert ["not the file that was read before" in note for note in desk.notes] == [True]


@pytest.mark.parametrize("name", ["it's.parquet", 'a "b" {c}.parquet', "x" * 240 + ".parquet"])
def test_file_names_are_only_names(desk: Desk, name: str) -> None:
    """Quotes and length do not matter."""
    path = write(desk, f"SELECT {LEAST}")

    assert desk.read(path.rename(path.with_name(name))).landed == 1


def test_a_file_without_rows_is_no_error(desk: Desk) -> None:
    """Nothing is received."""
    assert handed_in(desk, f"SELECT {LEAST} LIMIT 0").received == 0


def test_a_file_on_another_disk_is_copied(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a second name is impossible; the original stays as it is."""

    def refuse(_: Path, target: Path) -> None:
        raise OSError(18, f"Invalid cross-device link: {target}")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = write(desk, f"SELECT {LEAST}")
    before = path.read_bytes()

    assert desk.read(path).landed == 1
    assert path.read_bytes() == before


def test_gpu_samples_come_as_parquet_too(desk: Desk) -> None:
    """The same contract, the same rules."""
    path = write(
        desk,
        f"SELECT 'G' AS gpu_uuid, {AT} AS sampled_at, 0.5::FLOAT AS active_ratio, 81559::DOUBLE AS power_watts, 5::UBIGINT AS memory_used_bytes",
    )

    assert desk.read(path, "gpu").landed == 1
    assert desk.samples("active_ppm", "power_milliwatts", "memory_used_bytes") == [(500_000, 81_559_000, 5)]


def test_engine_samples_come_as_parquet_too(desk: Desk) -> None:
    """Data frames make floats of counters with gaps; whole ones are believed, also beyond 64 bits."""
    path = write(
        desk,
        f"SELECT 'E' AS instance, {AT} AS sampled_at, {AT} AS started_at, 12::DOUBLE AS output_tokens, 1e22::DOUBLE AS estimated_flops, "
        "0.25 AS prefill_seconds UNION ALL SELECT 'F', "
        f"{AT}, NULL, 12.5, NULL, NULL",
    )

    assert (desk.read(path, "engine").landed, desk.rejections("reason")) == (1, ["wrong_type"])
    assert desk.engines("started_at", "output_tokens", "estimated_flops", "prefill_us") == [
        ("2026-10-15T11:00:00.000000Z", 12, 10**22, 250_000)
    ]


def test_a_start_without_a_zone_is_refused(desk: Desk) -> None:
    """Every time of a record needs its zone, not only the one that places it."""
    path = write(desk, f"SELECT 'E' AS instance, {AT} AS sampled_at, TIMESTAMP '2026-10-15 11:00:00' AS started_at")

    with pytest.raises(InputError, match="started_at has no zone"):
        desk.read(path, "engine")
