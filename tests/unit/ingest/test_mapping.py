"""Mappings: units, time formats and zones, constants, tags, ids made from templates, counts inside counts, paths into JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.ingest.desk import Desk

BASE = """
[[sources]]
name = "x"
kind = "usage"
format = "csv"
event_id = "{line}"
time = { column = "at", format = "iso" }
"""
AT = "2026-10-15T11:00:00Z"


def read(desk: Desk, mapping: str, header: str, *rows: str, form: str = "x") -> None:
    """Ingest rows of a CSV through a mapping."""
    desk.describe(mapping)
    desk.read(desk.file("\n".join([header, *rows]).encode(), "t.csv"), form)


LATENCIES = [
    ("ms", "1.5", 1_500),
    ("s", "0.0015", 1_500),
    ("us", "1500", 1_500),
    ("ns", "1500499", 1_500),
    ("s", "1e1", 10_000_000),
    ("s", " 2 ", 2_000_000),
    ("s", "+.5", 500_000),
    ("s", "86400", 86_400_000_000),
    ("ns", "0", 0),
]


def test_latencies_come_in_any_unit(desk: Desk) -> None:
    """Exact in decimal, to the microsecond."""
    for unit in ("ms", "s", "us", "ns"):
        columns = f'columns = {{ event_id = "id", model = "m", output_tokens = "o", duration_ms = {{ column = "d", unit = "{unit}" }} }}'
        rows = [f"{number},{AT},m,1,{written}" for number, (of, written, _) in enumerate(LATENCIES) if of == unit]
        read(desk, BASE.replace('event_id = "{line}"', "") + columns, "id,at,m,o,d", *rows)

    assert desk.events("event_id", "duration_us") == [
        (str(number), landed) for number, (_, _, landed) in enumerate(LATENCIES)
    ]


def test_what_is_no_number_is_rejected_and_shown(desk: Desk) -> None:
    """Nothing that only looks like a number to a lenient parser is believed."""
    written = ["1_000", "1,5", "12 ms", "NaN", "inf", "0x10", "--1", "1e", "true", "1e999"]
    read(
        desk,
        BASE + 'columns = { model = "m", output_tokens = "o", duration_ms = { column = "d", unit = "s" } }',
        "at,m,o,d",
        *(f'{AT},m,1,"{text}"' for text in written),
        f"{AT},m,1,1",
    )

    assert desk.rejections("reason", "record") == [("wrong_type", number) for number in range(1, len(written) + 1)]
    assert [
        text
        for text, detail in zip(written, desk.rejections("detail"), strict=True)
        if f'duration_ms is "{text}"' not in detail
    ] == []
    assert desk.events("event_id") == [str(len(written) + 1)]


def test_counts_are_whole_numbers(desk: Desk) -> None:
    """12.0 is believed, because spreadsheets write it; an empty count is absent, and so 0."""
    sound = {"12.0": 12, " 12 ": 12, "": 0, "007": 7}
    wrong = {
        "12.5": "wrong_type",
        "1_2": "wrong_type",
        "1e3": "wrong_type",
        "-3": "negative",
        "9" * 40: "too_large",
        "twelve": "wrong_type",
        "9223372036854775807": "too_large",
        "-9223372036854775808": "negative",
        "12.0.0": "wrong_type",
    }
    read(
        desk,
        BASE + 'columns = { model = "m", output_tokens = "o" }',
        "at,m,o",
        *(f"{AT},m,{text}" for text in [*sound, *wrong]),
    )

    assert desk.events("output_tokens") == list(sound.values())
    assert desk.rejections("reason") == list(wrong.values())


GPU = """
[[sources]]
name = "g"
kind = "gpu"
format = "csv"
time = { column = "at", format = "iso" }
constants = { node = "n1" }
"""
SETS = [
    """active_ratio = "a", memory_used_bytes = "m", power_watts = "p", energy_joules = "e" """,
    """active_ratio = { column = "a", unit = "percent" }, memory_used_bytes = { column = "m", unit = "mib" },
       power_watts = { column = "p", unit = "milliwatts" }, energy_joules = { column = "e", unit = "microjoules" }""".replace(
        "\n", ""
    ),
    """active_ratio = "a", energy_joules = { column = "e", unit = "kilowatt_hours" }""",
]


def test_measurements_come_in_any_unit(desk: Desk) -> None:
    """Percent, MiB, mW, mJ, µJ and kWh are converted at the border, exact in decimal; an empty value is unknown."""
    rows = [
        ["a,0.875,12.0,700.0005,1234.5678", "b,,,,"],
        [
            "c,87.5,81559,699999,123456789012345000",
            "d,0.00005,0,0,0",
            "e,0.00015,0,0,499",
            "f,0.0000500000000000000001,,,500",
        ],
        ["g,1,,,1.5"],
    ]
    for columns, lines in zip(SETS, rows, strict=True):
        read(
            desk,
            GPU + f'columns = {{ gpu_uuid = "u", {columns} }}',
            "u,a,m,p,e,at",
            *(f"{line},{AT}" for line in lines),
            form="g",
        )

    assert desk.samples("gpu_uuid", "active_ppm", "memory_used_bytes", "power_milliwatts", "energy_millijoules") == [
        ("a", 875_000, 12, 700_000, 1_234_568),
        ("b", None, None, None, None),
        ("c", 875_000, 85_520_809_984, 699_999, 123_456_789_012_345),
        ("d", 0, 0, 0, 0),
        ("e", 2, 0, 0, 0),
        ("f", 1, None, None, 0),
        ("g", 1_000_000, None, None, 5_400_000_000),
    ]


def test_measurements_out_of_range_are_rejected_alone(desk: Desk) -> None:
    """However large: a value that overflows its unit's arithmetic rejects its record, not its file."""
    rows = [
        {
            "50,,,": "too_large",
            "-0.1,,,": "negative",
            "half,,,": "wrong_type",
            ",-1,,": "negative",
            ",,1e30,": "too_large",
            ",,-0.1,": "negative",
            ",,," + "9" * 40: "too_large",
        },
        {
            "100.1,,,": "too_large",
            "50000,,,": "too_large",
            "-1,,,": "negative",
            ",9999999999999999,,": "too_large",
            f",{'9' * 35},,": "too_large",
            ",,," + "9" * 30: "too_large",
        },
        {",,," + "9" * 16: "too_large"},
    ]
    for number, (columns, lines) in enumerate(zip(SETS, rows, strict=True)):
        read(
            desk,
            GPU + f'columns = {{ gpu_uuid = "u", {columns} }}',
            "u,a,m,p,e,at",
            *(f"bad,{line},{AT}" for line in lines),
            f"good-{number},0,,,,{AT}",
            form="g",
        )

    assert desk.rejections("reason") == [reason for lines in rows for reason in lines.values()]
    assert desk.count("raw.gpu_sample") == len(rows)


TIMES: dict[str, dict[str, str]] = {
    'format = "iso"': {
        "2026-10-15T11:00:00.1234567Z": "2026-10-15T11:00:00.123456Z",
        "2026-10-15 13:00:00+02": "2026-10-15T11:00:00.000000Z",
        "2026-10-15 13:00:00.5 +0200": "2026-10-15T11:00:00.500000Z",
        "2026-10-15 11:00:00 UTC": "2026-10-15T11:00:00.000000Z",
        "2026-10-15T11:00:00": "no_zone",
        "2026-10-15": "bad_time",
    },
    'format = "iso", zone = "Europe/Berlin"': {
        "2026-10-15 13:00:00": "2026-10-15T11:00:00.000000Z",
        "2026-10-15T13:00:00,6805900": "2026-10-15T11:00:00.680590Z",
        "2026-10-15T11:00:00Z": "2026-10-15T11:00:00.000000Z",
        "2026-10-15T12:00:00+01": "2026-10-15T11:00:00.000000Z",
        "2026-10-15": "2026-10-14T22:00:00.000000Z",
        "2026-02-28T23:59": "2026-02-28T22:59:00.000000Z",
        "2024-02-29 12:00:00": "2024-02-29T11:00:00.000000Z",
        "2026-03-29 01:59:59": "2026-03-29T00:59:59.000000Z",
        "2026-03-29 03:00:00": "2026-03-29T01:00:00.000000Z",
        "2026-03-29 02:30:00": "2026-03-29T01:30:00.000000Z",
        "2025-10-26 02:30:00": "2025-10-26T01:30:00.000000Z",
        "2025-10-26 03:00:00": "2025-10-26T02:00:00.000000Z",
        "2026-10-15T11:00:00 Europe/Berlin": "bad_time",
        "2026-10-15T24:00:00": "bad_time",
        "2026-02-29": "bad_time",
        "epoch": "bad_time",
        "infinity": "bad_time",
        "15.10.2026": "bad_time",
        "1970-01-01 00:59:59": "too_old",
        "": "missing_field",
    },
    'format = "%d/%b/%Y:%H:%M:%S %z"': {
        "15/Oct/2026:13:00:00 +0200": "2026-10-15T11:00:00.000000Z",
        "15/Oct/2026:13:00:00": "bad_time",
    },
    'format = "%d/%b/%Y:%H:%M:%S %z", zone = "Asia/Tokyo"': {
        "15/Oct/2026:13:00:00 +0200": "2026-10-15T11:00:00.000000Z"
    },
    'format = "%m/%d/%Y %I:%M %p", zone = "America/New_York"': {
        "10/15/2026 07:00 AM": "2026-10-15T11:00:00.000000Z",
        "15.10.2026": "bad_time",
    },
    'format = "%Y-%m-%d %H:%M:%S.%f", zone = "UTC"': {
        "2026-10-15 11:00:00.6805900": "2026-10-15T11:00:00.680590Z",
        "9999999-10-15 11:00:00.0": "bad_time",
    },
    'format = "epoch_s"': {
        "1792062000": "2026-10-15T11:00:00.000000Z",
        "1792062000.1234567": "2026-10-15T11:00:00.123456Z",
        "1.792062e9": "2026-10-15T11:00:00.000000Z",
        "soon": "bad_time",
        "1_792_062_000": "bad_time",
        "1792062000000": "bad_time",
        "9" * 19: "bad_time",
        "9" * 60: "bad_time",
        "1999999999": "too_far_ahead",
        "-1": "too_old",
    },
    'format = "epoch_ms"': {" 1792062000123 ": "2026-10-15T11:00:00.123000Z", "1792062000": "too_old"},
    'format = "epoch_us"': {"1792062000123456": "2026-10-15T11:00:00.123456Z", "9223372036854775807": "bad_time"},
    'format = "epoch_ns"': {"1792062000123456789": "2026-10-15T11:00:00.123456Z"},
}


@pytest.mark.parametrize("time", TIMES)
def test_times_come_in_any_format_and_zone(shared_desk: Desk, time: str) -> None:
    """UTC to the microsecond, or a reason: no offset is dropped, no zone guessed, no number overflows.

    A repeated local hour is the second one; a skipped one goes on as if the clock had not changed.
    """
    number = list(TIMES).index(time)
    mapping = (
        BASE.replace('"{line}"', f'"{number}:{{line}}"').replace('format = "iso"', time)
        + 'columns = { model = "m", output_tokens = "o" }'
    )
    before = shared_desk.count("raw.rejection")
    read(shared_desk, mapping, f"at,m,o,{number}", *(f'"{written}",m,1,' for written in TIMES[time]))

    found = dict(shared_desk.events("event_id", "occurred_at"))
    found |= {f"{number}:{record}": reason for record, reason in shared_desk.rejections("record", "reason")[before:]}
    assert {written: found[f"{number}:{line}"] for line, written in enumerate(TIMES[time], 1)} == TIMES[time]


def test_constants_defaults_and_tags(desk: Desk) -> None:
    """A constant stands in every record, a default where the column is empty; tags are texts, empty ones absent, others dropped."""
    read(
        desk,
        BASE
        + """
columns = { output_tokens = { column = "o", default = 7 }, tier = { column = "tier", default = "it's" }, requests = { column = "n", default = 1 } }
constants = { model = "m'; --", source = "azure", provider = "openai", usage_quality = "estimated", uncached_input_tokens = 3, ttft_ms = "1.5" }
tags = { team = "t", project = "p", other = "o" }
""",
        "at,o,tier,n,t,p",
        f'{AT},1,gold,0,"a""b\\c",p1',
        f"{AT},,,,,",
    )

    names = (
        "event_id",
        "source",
        "model",
        "provider",
        "usage_quality",
        "uncached_input_tokens",
        "output_tokens",
        "tier",
        "requests",
        "ttft_us",
        "tags",
    )
    assert desk.events(*names) == [
        ("1", "azure", "m'; --", "openai", "estimated", 3, 1, "gold", 0, 1500, '{"project":"p1","team":"a\\"b\\\\c"}'),
        ("2", "azure", "m'; --", "openai", "estimated", 3, 7, "it's", 1, 1500, "{}"),
    ]
    assert desk.totals()["dropped_tags"] == 1


def test_ids_from_templates(desk: Desk) -> None:
    """File, number, columns and braces of its own; a record that lacks a part has no id."""
    read(
        desk,
        BASE.replace('"{line}"', '"{{{file}}}/{line}/{run id}"') + 'columns = { model = "m", output_tokens = "o" }',
        "at,m,o,run id",
        f"{AT},m,1,r'1",
        f"{AT},m,1,",
    )

    assert desk.events("event_id", "source") == [("{t.csv}/1/r'1", "file:x")]
    assert desk.rejections("reason", "detail") == [("missing_field", "event_id is absent; it is required")]


def test_counts_inside_counts_are_taken_out(desk: Desk) -> None:
    """Kinds are disjoint: cached tokens inside the prompt are taken out of it, reasoning out of the output."""
    read(
        desk,
        BASE
        + """
columns = { model = "m", uncached_input_tokens = "in", cache_read_tokens = "cached", cache_write_tokens = "written", output_tokens = "out", reasoning_tokens = { column = "r", default = 2 } }
minus = { uncached_input_tokens = ["cache_read_tokens", "cache_write_tokens"], output_tokens = "reasoning_tokens" }
""",
        "at,m,in,cached,written,out,r",
        f"{AT},m,100,30,20,10,4",
        f"{AT},m,100,,,10,",
        f"{AT},m,10,30,0,10,4",
        f"{AT},m,x,30,0,10,4",
        f"{AT},m,10,x,0,10,4",
        f"{AT},m,9223372036854775807,-9223372036854775807,0,1,0",
    )

    names = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert desk.events(*names) == [(50, 30, 20, 6, 4), (100, 0, 0, 8, 2)]
    assert desk.rejections("reason", "record") == [
        ("negative", 3),
        ("wrong_type", 4),
        ("wrong_type", 5),
        ("too_large", 6),
    ]
    assert "uncached_input_tokens is -20" in desk.rejections("detail")[0]


JSON = """
[[sources]]
name = "j"
kind = "usage"
format = "json"
columns = { event_id = "id", model = "body.model", output_tokens = "usage.'completion tokens'", trace_id = "'a.b'.'c/d~e'", principal = "user" }
time = { column = "meta.at", format = "epoch_s" }
tags = { team = "meta.labels.team" }
""".replace("'", '\\"')


def document(identity: object = "a", **more: Any) -> dict[str, Any]:
    """A nested record."""
    return {
        "id": identity,
        "body": {"model": "m", "messages": ["x"]},
        "usage": {"completion tokens": 5},
        "a.b": {"c/d~e": "t"},
        "meta": {"at": 1792062000.5, "labels": {"team": "ads"}},
        "user": None,
        **more,
    }


def test_json_paths_reach_into_records(desk: Desk) -> None:
    """Dots separate keys, quotes hold keys with dots; slashes, tildes and spaces are only characters."""
    desk.describe(JSON)
    desk.hand_in(document(), format_name="j")

    assert desk.events("event_id", "model", "output_tokens", "trace_id", "principal", "tags", "occurred_at") == [
        ("a", "m", 5, "t", "", '{"team":"ads"}', "2026-10-15T11:00:00.500000Z")
    ]


def test_json_values_of_other_types(desk: Desk) -> None:
    """Numbers for ids and text for counts are what exports contain; objects where a value belongs are rejected, and not shown."""
    desk.describe(JSON)
    outcome = desk.hand_in(
        document(17),
        document("b", usage={"completion tokens": "6"}),
        document({"x": "secret"}),
        document("d", usage={"completion tokens": {"x": "secret"}}),
        document("e", user=["secret"]),
        document("f", usage=7),
        document("g", body=None),
        document("h", meta={"at": "soon"}),
        "{}",
        "[1]",
        "nope",
        document(""),
        format_name="j",
    )

    assert desk.events("event_id", "output_tokens") == [("17", 5), ("b", 6), ("f", 0)]
    assert outcome.received == 12
    assert desk.rejections("reason", "line") == [
        ("wrong_type", 3),
        ("wrong_type", 4),
        ("wrong_type", 5),
        ("missing_field", 7),
        ("bad_time", 8),
        ("missing_field", 9),
        ("malformed", 10),
        ("malformed", 11),
        ("missing_field", 12),
    ]
    assert [detail for detail in desk.rejections("detail") if "secret" in detail] == []


def test_json_ids_from_line_numbers_stay_with_their_records(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where lines before them are no JSON, and in later slices."""
    monkeypatch.setattr("ingest.collectors.cutting.SLICE_RECORDS", 4)
    desk.describe(JSON.replace('event_id = "id", ', "") + 'event_id = "{line}-{id}"')
    desk.hand_in(*(document(number) if number % 3 else b'{"id": broken' for number in range(1, 14)), format_name="j")

    assert sorted(desk.events("event_id"), key=lambda name: int(name.split("-")[0])) == [
        f"{n}-{n}" for n in range(1, 14) if n % 3
    ]
    assert desk.rejections("record") == [3, 6, 9, 12]


def test_a_json_array_through_a_mapping(desk: Desk) -> None:
    """Exports are often one array, pretty-printed."""
    desk.describe(JSON)
    outcome = desk.read(desk.file(json.dumps([document("a"), document("b")], indent=1).encode()), "j")

    assert (outcome.landed, desk.events("event_id")) == (2, ["a", "b"])


ENGINE = """
[[sources]]
name = "counters"
kind = "engine"
format = "csv"
time = { column = "at", format = "iso" }
constants = { software = "other" }
columns = { instance = "i", output_tokens = "o", started_at = { column = "s", unit = "epoch_s" }, kv_cache_ratio = { column = "k", unit = "percent" }, \
prefill_seconds = { column = "p", unit = "ms" }, decode_seconds = { column = "d", default = "0" } }
""".replace("\\\n", "")


def test_engine_samples_come_from_any_table(desk: Desk) -> None:
    """Seconds in their units, a start as an epoch, a ratio in percent; what is empty is unknown, or the default."""
    read(
        desk,
        ENGINE,
        "i,o,s,k,p,d,at",
        f"a,12.0,1760000000.25,12.5,1234.5675,2.0000005,{AT}",
        f"b,,,,,,{AT}",
        f"c,1.2e+06,,,,,{AT}",
        form="counters",
    )

    assert desk.engines("instance", "output_tokens", "started_at", "kv_cache_ppm", "prefill_us", "decode_us") == [
        ("a", 12, "2025-10-09T08:53:20.250000Z", 125_000, 1_234_568, 2_000_000),
        ("b", None, None, None, None, 0),
    ]
    assert desk.rejections("reason") == ["wrong_type"]
