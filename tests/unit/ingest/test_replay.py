"""Replay of the quarantine: what a fix lets land, lands once, as it would have landed."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from ingest.gather import Run, gathered
from ingest.land import Lander
from ingest.replay import replay
from ingest.slices import Part
from ingest.streams import shown_name, source_of
from tests.unit.ingest.desk import NOON, RULES, Desk, event

CSV = """
[[sources]]
name = "x"
kind = "usage"
format = "csv"
event_id = "{file}:{line}"
columns = { model = "model", output_tokens = "out" }
time = { column = "at", format = "%Y-%m-%d %H:%M", zone = "UTC" }
"""
ROWS = 'at,model,out\n2026-10-15 11:00,a,1\n2026-10-15 11:00:30,b,2\n\n2026-10-15 11:01,c,-3\n2026-10-15 11:02:30,"d,d",4\n'


def test_a_mended_mapping_lands_records_under_their_own_ids(desk: Desk) -> None:
    """A record keeps the number it has in its file; what is still wrong stays, with the newest reason."""
    desk.describe(CSV)
    desk.read(desk.file(ROWS.encode(), "t.csv"), "x")
    assert desk.rejections("record", "reason") == [(2, "bad_time"), (3, "negative"), (4, "bad_time")]
    assert "send %Y-%m-%d %H:%M in zone UTC, or correct time in [[sources]] x" in desk.rejections("detail")[0]

    desk.describe(CSV.replace("%H:%M", "%H:%M:%S"))
    desk.clock.advance(timedelta(hours=1))
    outcome = desk.replay()

    assert (outcome.received, outcome.landed, outcome.rejected) == (3, 2, 1)
    assert desk.events("event_id", "model") == [("t.csv:1", "a"), ("t.csv:2", "b"), ("t.csv:4", "d,d")]
    assert desk.rejections("record", "reason", "replayed_at") == [
        (2, "bad_time", NOON + timedelta(hours=1)),
        (3, "bad_time", None),
        (4, "bad_time", NOON + timedelta(hours=1)),
    ]


def test_replaying_again_changes_nothing(desk: Desk) -> None:
    """What has landed is not tried again; what has not is judged anew, with the same verdict."""
    desk.hand_in(event("a", output_tokens=-1), event("b", occurred_at="2026-10-17T11:00:00Z"), event("c"))
    desk.clock.advance(timedelta(days=2))
    assert desk.replay().landed == 1
    before = (desk.events(), desk.rejections())

    outcome = desk.replay()
    assert (outcome.received, outcome.rejected) == (1, 1)
    assert (desk.events(), desk.rejections()) == before


def test_a_replay_counts_and_moves_no_position(desk: Desk) -> None:
    """Its batch adds up like any other, and the file goes on where it was."""
    path = desk.file(b"", "x.ndjson")
    path.write_bytes(b'{"event_id":"a","source":"s","model":"m","occurred_at":"2026-10-17T11:00:00Z"}\n')
    desk.read(path)
    position = desk.ledger.session().rows("SELECT * FROM raw.stream_position")
    desk.clock.advance(timedelta(days=2))
    desk.replay()

    assert desk.ledger.session().rows("SELECT * FROM raw.stream_position") == position
    assert desk.totals() | {"received": 2, "landed": 1, "rejected": 1} == desk.totals()
    assert desk.read(path).received == 0


def test_hours_of_replayed_events_are_metered_again(desk: Desk) -> None:
    """A replay is a landing: its hours are dirty."""
    desk.hand_in(event("a", occurred_at="2026-10-17T09:00:00Z"))
    assert desk.dirty() == []
    desk.clock.advance(timedelta(days=2))
    desk.replay()

    assert desk.dirty() == ["2026-10-17T09"]


def test_what_was_delivered_again_meanwhile_is_a_duplicate(desk: Desk) -> None:
    """Replaying never doubles an event that arrived mended by another way; what differs is a conflict, and stays."""
    desk.hand_in(event("a", occurred_at="2026-10-17T09:00:00Z"), event("b", occurred_at="2026-10-17T09:00:00Z"))
    desk.clock.advance(timedelta(days=2))
    desk.hand_in(
        event("a", occurred_at="2026-10-17T09:00:00Z"), event("b", occurred_at="2026-10-17T09:00:00Z", output_tokens=99)
    )
    outcome = desk.replay()

    assert (outcome.duplicates, outcome.conflicts) == (1, 1)
    assert desk.rejections("reason", "replayed_at") == [("too_far_ahead", NOON + timedelta(days=2)), ("conflict", None)]


def test_the_same_rejection_twice_lands_once(desk: Desk) -> None:
    """A bad file that was handed in under two names."""
    for _ in range(2):
        desk.hand_in(event("a", occurred_at="2026-10-17T09:00:00Z"))
    desk.clock.advance(timedelta(days=2))
    first, second = desk.replay(), desk.replay()

    assert (first.landed + first.duplicates, second.received, len(desk.events())) == (2, 0, 1)
    assert None not in desk.rejections("replayed_at")


def test_a_format_that_is_gone_is_said(desk: Desk) -> None:
    """Records of a removed mapping wait, and the note says for what."""
    desk.describe(CSV)
    desk.read(desk.file(ROWS.encode(), "t.csv"), "x")
    del desk.formats["x"]

    assert desk.replay().received == 0
    assert desk.notes == ["3 records of format x wait: the config has no [[sources]] of that name any more."]


def test_a_mapping_that_no_longer_fits_the_file_is_said(desk: Desk) -> None:
    """A column that the file's header does not have stops only this file's records."""
    desk.describe(CSV)
    desk.read(desk.file(ROWS.encode(), "t.csv"), "x")
    desk.hand_in(event("a", occurred_at="2026-10-17T09:00:00Z"))
    desk.describe(CSV.replace('"out"', '"output"'))
    desk.clock.advance(timedelta(days=2))

    assert desk.replay().landed == 1
    assert ["no column is named 'output'" in note for note in desk.notes] == [True]


def test_a_replay_believes_no_more_than_the_source_may_say(desk: Desk) -> None:
    """An event of a source that its sender may not speak for stays out, until the sender may."""
    lander = Lander(
        desk.ledger,
        desk.formats["usage"],
        replace(RULES, sources=("mine",)),
        desk.clock,
        stream="http:gw#usage",
        file="gw",
    )
    lander.land_parts(
        gathered(
            [
                Run(
                    part=Part(stream="http:gw#usage", start=0, end=1, records=0),
                    values=[json.dumps(event("1")).encode()],
                )
            ]
        )
    )

    def replayed(*sources: str) -> int:
        rules = replace(RULES, sources=sources)
        return replay(
            desk.ledger, desk.formats.get, lambda stream: rules if stream == "http:gw#usage" else None, desk.clock
        )[0].landed

    assert [replayed("mine"), replayed("mine", "litellm")] == [0, 1]


@pytest.mark.parametrize(
    ("stream", "source", "shown"),
    [
        ("kafka:k2/llm-usage[abc]/3", "k2", "k2"),
        ("kafka:k2", "k2", "k2"),
        ("http:gw#usage", "gw", "gw"),
        ("tail:/var/log/app.log@2#usage", None, "app.log@2"),
        ("file:/tmp/a#b.ndjson#usage", None, "a#b.ndjson"),
    ],
)
def test_a_stream_says_whose_it_is(stream: str, source: str | None, shown: str) -> None:
    """Topics and requests name their source; ids made from `{file}` are the same at arrival and at replay."""
    assert (source_of(stream), shown_name(stream)) == (source, shown)


def test_records_of_a_source_that_is_gone_wait(desk: Desk) -> None:
    """Nobody knows any more whom it might speak for."""
    desk.hand_in(event("1", output_tokens=-1))
    outcome, notes = replay(desk.ledger, desk.formats.get, lambda _: None, desk.clock)

    assert outcome.received == 0
    assert "no [[sources]] of that name any more" in notes[0]


def test_records_of_a_replaced_table_are_not_read_by_its_new_header(desk: Desk) -> None:
    """Columns may have moved and numbers name other rows: such records wait, and the note says why."""
    desk.describe(CSV)
    path = desk.file(ROWS.encode(), "t.csv")
    desk.read(path, "x")
    path.write_text("out,at,model\n5,2026-10-15 11:00,x\n6,2026-10-15 11:01:30,y\n")
    desk.read(path, "x")
    desk.describe(CSV.replace("%H:%M", "%H:%M:%S"))
    desk.replay()

    assert desk.events("event_id", "model", "output_tokens") == [("t.csv:1", "a", 1), ("t.csv:2", "y", 6)]
    assert ["was replaced since" in note for note in desk.notes] == [True]


def test_what_was_not_kept_whole_is_not_tried(desk: Desk) -> None:
    """Bytes that do not parse, that were cut at 64 KiB or that expired: the verdict of the whole record stands."""
    desk.hand_in('{"event_id": "a", "prompt": "x', event("b", principal="p" * 70_000), event("c", output_tokens=-1))
    before = desk.rejections("reason", "detail")
    assert desk.replay().received == 1
    desk.clock.advance(timedelta(days=31))

    assert desk.replay().received == 0
    assert desk.rejections("reason", "detail") == before
    assert desk.rejections("bytes") == [None, None, None]


def test_a_record_without_its_prompt_is_the_same_event(desk: Desk) -> None:
    """What the quarantine kept lands as the record itself would have: delivering it again is a duplicate."""
    full = event("a", occurred_at="2026-10-17T09:00:00Z", prompt="x", tags={"team": "t", "note": "x"}, ttft_ms=1.5)
    desk.hand_in(full)
    desk.clock.advance(timedelta(days=2))

    assert desk.replay().landed == 1
    assert desk.hand_in(full).duplicates == 1


def test_parquet_rows_and_samples_replay(desk: Desk, tmp_path: Path) -> None:
    """Rows are kept as canonical JSON, with their times."""
    path = tmp_path / "x.parquet"
    duckdb.sql(
        f"COPY (SELECT 'a' AS event_id, 's' AS source, 'm' AS model, TIMESTAMPTZ '2026-10-17 11:00:00.123456+02' AS occurred_at) TO '{path}' (FORMAT parquet)"
    )
    desk.read(path)
    desk.hand_in({"gpu_uuid": "G", "sampled_at": "2026-10-17T09:00:00Z", "active_ratio": 0.5}, format_name="gpu")
    desk.clock.advance(timedelta(days=2))

    assert desk.replay().landed == 2
    assert desk.events("event_id", "occurred_at") == [("a", "2026-10-17T09:00:00.123456Z")]
    assert desk.samples("active_ppm") == [500_000]


def test_many_are_tried_in_groups(desk: Desk) -> None:
    """A large quarantine is replayed a few thousand records at a time, each with its own number."""
    desk.describe(CSV.replace('format = "csv"', 'format = "json"'))
    row = '{{"at": "2026-10-15 11:00:30", "model": "m{0}", "out": {0}}}'
    desk.hand_in(*(row.format(number) if number % 2 else "[]" for number in range(1, 4_600)), format_name="x")
    assert desk.events() == []
    desk.describe(CSV.replace('format = "csv"', 'format = "json"').replace("%H:%M", "%H:%M:%S").replace("{file}:", ""))

    outcome = desk.replay()
    assert (outcome.received, outcome.landed) == (2_300, 2_300)
    assert {(event_id, f"m{tokens}") for event_id, tokens in desk.events("event_id", "output_tokens")} == {
        (str(number), f"m{number}") for number in range(1, 4_600, 2)
    }
    assert len(desk.batches()) == 3


def test_an_allow_list_that_changed_applies_to_what_is_replayed(desk: Desk) -> None:
    """Tags that were not allowed when the record came were never kept, so they cannot come back."""
    desk.hand_in(event("a", occurred_at="2026-10-17T09:00:00Z", tags={"team": "t", "env": "prod"}))
    desk.rules = dataclasses.replace(desk.rules, tags=frozenset({"team", "env"}))
    desk.clock.advance(timedelta(days=2))
    desk.replay()

    assert desk.events("tags") == ['{"team":"t"}']
