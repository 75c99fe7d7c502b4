"""Canonical records: what lands, in which form, and that every way of writing it down is the same record."""

from __future__ import annotations

import gzip
import json

import pytest
import zstandard

from tests.unit.ingest.desk import Desk, event, lines, sample

FULL = {
    "event_id": "full",
    "source": "litellm",
    "occurred_at": "2026-10-15T13:30:00.1234567+02:00",
    "model": "llama-3.1-70b",
    "provider": "self",
    "cluster": "eu",
    "deployment": "d",
    "replica": "r",
    "principal": "key-1",
    "namespace": "ns",
    "tags": {"team": "ads", "project": "p1"},
    "revision": 2,
    "trace_id": "t",
    "session_id": "s",
    "uncached_input_tokens": 1,
    "cache_read_tokens": 2,
    "cache_write_tokens": 3,
    "output_tokens": 4,
    "reasoning_tokens": 5,
    "requests": 0,
    "ttft_ms": 1.5,
    "duration_ms": 2000,
    "queue_ms": 0,
    "status": "failed",
    "usage_quality": "estimated",
    "tier": "batch",
    "language": "de",
    "region": "eu-west-1",
}
FULL_LANDED = {
    **FULL,
    "occurred_at": "2026-10-15T11:30:00.123456Z",
    "tags": '{"project":"p1","team":"ads"}',
    "ttft_us": 1500,
    "duration_us": 2_000_000,
    "queue_us": 0,
}
for _name in ("ttft_ms", "duration_ms", "queue_ms"):
    del FULL_LANDED[_name]


def test_every_field_of_an_event_lands(desk: Desk) -> None:
    """Times in UTC to the microsecond, tags sorted, latencies in microseconds, everything else as it was sent."""
    desk.hand_in(FULL)

    assert desk.events() == [FULL_LANDED]


def test_defaults_fill_what_is_absent(desk: Desk) -> None:
    """Absent tokens are 0, requests 1, the rest its default; unknown latencies stay unknown, never 0."""
    desk.hand_in({"event_id": "e", "source": "s", "occurred_at": "2026-10-15T11:00:00Z", "model": "m"})

    (landed,) = desk.events()
    assert landed == {
        "source": "s",
        "event_id": "e",
        "occurred_at": "2026-10-15T11:00:00.000000Z",
        "model": "m",
        "provider": "self",
        "cluster": "",
        "deployment": "",
        "replica": "",
        "principal": "",
        "namespace": "",
        "tags": "{}",
        "revision": 0,
        "trace_id": None,
        "session_id": None,
        "uncached_input_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 0,
        "reasoning_tokens": 0,
        "requests": 1,
        "ttft_us": None,
        "duration_us": None,
        "queue_us": None,
        "status": "success",
        "usage_quality": "reported",
        "tier": "",
        "language": "",
        "region": "",
    }


def test_defaults_written_out_are_the_same_content(desk: Desk) -> None:
    """An event with its defaults written out, nulls, empty texts or its keys in another order is a duplicate of the bare one."""
    bare = {
        "event_id": "e",
        "source": "s",
        "occurred_at": "2026-10-15T11:00:00Z",
        "model": "m",
        "tags": {"project": "p", "team": "t"},
    }
    written_out = {
        "tags": {"team": "t", "project": "p"},
        "model": "m",
        "provider": "self",
        "requests": 1,
        "status": "success",
        "usage_quality": "reported",
        "revision": 0,
        "output_tokens": 0,
        "cluster": "",
        "trace_id": "",
        "session_id": None,
        "ttft_ms": None,
        "occurred_at": "2026-10-15T13:00:00.000+02:00",
        "source": "s",
        "event_id": "e",
    }
    assert desk.hand_in(bare).landed == 1

    assert desk.hand_in(written_out).duplicates == 1
    assert desk.hand_in(json.dumps(bare).replace('"e"', '"\\u0065"')).duplicates == 1


def test_texts_keep_every_character(desk: Desk) -> None:
    """Quotes, backslashes, other scripts and text that looks like SQL or JSON are content, nothing more."""
    texts = [
        "CORP\\bob",
        "C:\\new\\table",
        "a\"b'c",
        "'; DROP TABLE raw.usage_event; --",
        "日本語 🙂",
        '{"x":1}',
        "$.x",
        "a,b",
        " ",
    ]
    assert desk.hand_in(
        *(event(f"id {text}", principal=text, model=text, trace_id=text) for text in texts)
    ).landed == len(texts)

    assert sorted(desk.events("event_id", "principal", "model", "trace_id")) == sorted(
        (f"id {t}", t, t, t) for t in texts
    )


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_line_ends_and_blank_lines_do_not_matter(desk: Desk, ending: bytes) -> None:
    """LF or CRLF, blank lines anywhere, spaces around records, a byte order mark, and no end after the last line."""
    whole = ending.join(
        [
            b"",
            json.dumps(event("a")).encode(),
            b"  ",
            b"\t" + json.dumps(event("b")).encode() + b" ",
            b"",
            b"",
            json.dumps(event("c")).encode(),
        ]
    )
    outcome = desk.read(desk.file(b"\xef\xbb\xbf" + whole))

    assert (outcome.received, outcome.landed, desk.notes) == (3, 3, [])


def test_gzip_and_zstd_are_told_by_their_first_bytes(desk: Desk) -> None:
    """Whatever the file is called, one member or several, empty members and padding included."""
    zstd = zstandard.ZstdCompressor().compress
    parts = [lines([event(f"{name}{number}") for number in range(3)]) for name in "abcd"]
    files = [
        gzip.compress(parts[0]),
        gzip.compress(parts[1][:40]) + gzip.compress(b"") + gzip.compress(parts[1][40:]) + b"\0" * 512,
        zstd(parts[2]),
        zstd(parts[3][:40]) + zstd(b"") + zstd(parts[3][40:]),
    ]
    outcomes = [desk.read(desk.file(data, f"export{number}.txt")) for number, data in enumerate(files)]

    assert [outcome.landed for outcome in outcomes] == [3, 3, 3, 3]
    assert desk.notes == []
    assert len(desk.events()) == 12


def test_a_json_array_is_as_good_as_lines(desk: Desk) -> None:
    """Pretty-printed or not, compressed or not, each element one record; the line is the element's number."""
    pretty = json.dumps([event("a"), event("b", output_tokens=-1), event("c")], indent=2).encode()
    dense = json.dumps([event("d"), "no record", event("f")], separators=(",", ":")).encode()

    outcomes = [desk.read(desk.file(pretty)), desk.read(desk.file(gzip.compress(dense)))]

    assert [(outcome.landed, outcome.rejected) for outcome in outcomes] == [(2, 1), (2, 1)]
    assert desk.events("event_id") == ["a", "c", "d", "f"]
    assert desk.rejections("reason", "line", "record") == [("negative", 2, 2), ("malformed", 2, 2)]


def test_numbers_of_an_array_keep_their_digits(desk: Desk) -> None:
    """An element is passed on as it was written: nothing goes through a binary float on the way."""
    text = '[{"event_id":"a","source":"s","model":"m","occurred_at":"2026-10-15T11:00:00Z","ttft_ms":\n0.0005,"output_tokens":9999999999}]'
    desk.read(desk.file(text.encode()))

    assert desk.events("ttft_us", "output_tokens") == [(1, 9_999_999_999)]


def test_an_array_cut_short_lands_what_is_whole_and_says_so(desk: Desk) -> None:
    """Elements before the cut land; the whole array later brings the rest."""
    whole = json.dumps([event("a"), event("b"), event("c")]).encode()
    path = desk.file(whole[:-40], "array.json")

    assert desk.read(path).landed == 2
    assert "cut short" in desk.notes[0]
    path.write_bytes(whole)
    assert desk.read(path).landed == 1
    assert desk.read(path).received == 0
    assert desk.events("event_id") == ["a", "b", "c"]


def test_a_first_line_that_is_an_array_is_one_bad_line(desk: Desk) -> None:
    """A file of lines is not taken for an array because its first line is one."""
    outcome = desk.hand_in(b"[1, 2]", event("a"))

    assert (outcome.landed, outcome.rejected) == (1, 1)


def test_arrays_one_after_another_are_all_read(desk: Desk) -> None:
    """Pages that a script appended to each other are one stream of elements."""
    outcome = desk.read(
        desk.file(json.dumps([event("a")], indent=1).encode() + b"\n" + json.dumps([event("b")], indent=1).encode())
    )

    assert (outcome.landed, desk.notes) == (2, [])


def test_every_field_of_a_sample_lands(desk: Desk) -> None:
    """Ratios in parts per million, power in milliwatts, energy in millijoules."""
    desk.hand_in(
        sample(
            cluster="c",
            deployment="d",
            namespace="ns",
            pod="p",
            container="k",
            mig_profile="1g.10gb",
            active_ratio=0.123456,
            sm_active_ratio=1,
            tensor_active_ratio=0,
            dram_active_ratio=0.9999995,
            memory_used_bytes=85_899_345_920,
            power_watts=699.9995,
            energy_joules=1e9,
        ),
        format_name="gpu",
    )

    assert desk.samples() == [
        {
            "gpu_uuid": "GPU-1",
            "mig_profile": "1g.10gb",
            "sampled_at": "2026-10-15T11:00:00.000000Z",
            "gpu": "H100_SXM",
            "cluster": "c",
            "node": "n1",
            "deployment": "d",
            "namespace": "ns",
            "pod": "p",
            "container": "k",
            "active_ppm": 123_456,
            "sm_active_ppm": 1_000_000,
            "tensor_active_ppm": 0,
            "dram_active_ppm": 1_000_000,
            "memory_used_bytes": 85_899_345_920,
            "power_milliwatts": 700_000,
            "energy_millijoules": 1_000_000_000_000,
        }
    ]


def test_ratios_round_half_to_even_from_their_decimal_text(desk: Desk) -> None:
    """0.0000005 is 0 ppm, 0.0000015 and 0.0000025 are 2, a hair more than half goes up; absent is unknown, not 0."""
    ratios = ["0.0000005", "0.0000015", "0.0000025", "0.000000500000001", "5e-7", "1.0", None]
    desk.hand_in(
        *(
            f'{{"sampled_at":"2026-10-15T11:00:0{second}Z","gpu_uuid":"G","active_ratio":{ratio or "null"}}}'
            for second, ratio in enumerate(ratios)
        ),
        format_name="gpu",
    )

    assert desk.samples("active_ppm") == [0, 2, 2, 1, 0, 1_000_000, None]


def test_sums_beyond_32_bits_do_not_overflow(desk: Desk) -> None:
    """A count may be ten thousand million, and latencies in microseconds exceed 32 bits."""
    desk.hand_in(event("a", output_tokens=10_000_000_000, duration_ms=86_400_000_000, revision=2_147_483_647))

    assert desk.events("output_tokens", "duration_us", "revision") == [
        (10_000_000_000, 86_400_000_000_000, 2_147_483_647)
    ]
