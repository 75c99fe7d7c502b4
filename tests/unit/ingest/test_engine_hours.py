"""Which hours engine samples dirty: their own, and those over which the increment of a counter changed; no others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.ingest.desk import NOON, Desk, engine_sample

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
COUNTERS = ("prompt_tokens", "output_tokens", "prefill_us")
_NUMBER = count(1)


def at(clock: str, **fields: object) -> dict[str, Any]:
    """A sample of 14 October at a time of day; `output_tokens` counts unless said."""
    return engine_sample(f"2026-10-14T{clock}Z", **fields)


def dirtied(desk: Desk, *records: dict[str, Any]) -> list[str]:
    """The hours of the day that a landing dirties."""
    desk.clear_dirty()
    desk.hand_in(*records, format_name="engine")
    return [hour.removeprefix("2026-10-14T") for hour in desk.dirty()]


def test_a_live_reading_dirties_its_own_hour(desk: Desk) -> None:
    """And the one before only where it is the first of its hour."""
    assert dirtied(desk, at("09:59:30")) == ["09"]
    assert dirtied(desk, at("09:59:45")) == ["09"]
    assert dirtied(desk, at("10:00:00")) == ["09", "10"]
    assert dirtied(desk, at("10:00:15")) == ["10"]
    assert dirtied(desk, at("10:00:30"), at("10:00:45", engine="new")) == ["10"]


def test_a_gap_is_dirtied_where_it_ends(desk: Desk) -> None:
    """Over all of its hours, as far as a day; beyond it nothing is known of them."""
    desk.hand_in(at("01:30:00"), format_name="engine")

    assert dirtied(desk, at("05:10:00")) == ["01", "02", "03", "04", "05"]
    assert dirtied(desk, engine_sample("2026-10-15T05:10:00.000001Z")) == ["2026-10-15T05"]
    assert len(dirtied(desk, engine_sample("2026-10-13T05:10:00Z"))) == 21
    assert dirtied(desk, engine_sample("2026-10-11T05:09:59Z")) == ["2026-10-11T05"]


def test_a_late_reading_between_two_dirties_the_increments_it_splits(desk: Desk) -> None:
    """Not the hours beyond its neighbours, and only its own hour where both of them stand in it."""
    desk.hand_in(at("07:00:00"), at("08:30:00"), at("09:10:00"), at("12:00:00"), at("13:00:00"), format_name="engine")

    assert dirtied(desk, at("08:45:00")) == ["08", "09"]
    assert dirtied(desk, at("08:50:00")) == ["08", "09"]
    assert dirtied(desk, at("08:47:00")) == ["08"]
    assert dirtied(desk, at("11:00:00")) == ["09", "10", "11"]


def test_each_counter_has_neighbours_of_its_own(desk: Desk) -> None:
    """A sample that does not read a counter is none of its neighbours; a gauge says nothing of other hours."""
    desk.hand_in(at("06:10:00"), at("08:10:00", output_tokens=None, requests=4), format_name="engine")

    assert dirtied(desk, at("08:20:00", output_tokens=None, kv_cache_ratio=0.5)) == ["08"]
    assert dirtied(desk, at("08:30:00", output_tokens=None, requests=5)) == ["08"]
    assert dirtied(desk, at("08:40:00", requests=6)) == ["06", "07", "08"]


def test_a_tier_of_the_cache_is_a_counter_of_its_own(desk: Desk) -> None:
    """Told by some readings only, it grew since the last of them."""
    told = {"output_tokens": None, "cache_read_tokens": 9}
    desk.hand_in(
        at("06:10:00", **told, cache_read_host_tokens=4),
        at("07:10:00", **told, cache_read_storage_tokens=2),
        at("08:10:00", **told),
        format_name="engine",
    )

    assert dirtied(desk, at("08:20:00", **told)) == ["08"]
    assert dirtied(desk, at("08:30:00", **told, cache_read_storage_tokens=3)) == ["07", "08"]
    assert dirtied(desk, at("08:40:00", **told, cache_read_host_tokens=5)) == ["06", "07", "08"]


def test_a_first_reading_reaches_back_to_the_start_of_its_process(desk: Desk) -> None:
    """Where that is within a day; an earlier reading takes those hours away again."""
    started = {"started_at": "2026-10-14T03:20:00Z"}

    assert dirtied(desk, at("06:10:00", **started)) == ["03", "04", "05", "06"]
    assert dirtied(desk, at("06:20:00", **started)) == ["06"]
    assert dirtied(desk, at("05:50:00")) == ["03", "04", "05", "06"]
    assert dirtied(desk, at("05:40:00", engine="old", started_at="2026-10-13T05:39:59Z")) == ["05"]


def test_a_start_that_is_learned_later_dirties_what_it_explains(desk: Desk) -> None:
    """Completing the first sample makes it count from zero."""
    desk.hand_in(at("06:10:00"), at("06:20:00"), format_name="engine")

    assert dirtied(desk, at("06:10:00", started_at="2026-10-14T04:30:00Z")) == ["04", "05", "06"]
    assert dirtied(desk, at("06:10:00", started_at="2026-10-14T04:30:00Z")) == []


def test_engines_are_no_neighbours_of_each_other(desk: Desk) -> None:
    """Of another instance, rank or model."""
    desk.hand_in(at("06:10:00"), format_name="engine")

    for other in ({"instance": "x"}, {"engine": "1"}, {"model": "y"}):
        assert dirtied(desk, at("08:10:00", **other)) == ["08"]


def hourly(samples: Sequence[dict[str, Any]]) -> dict[tuple[str, datetime], tuple[int, int]]:
    """By counter and hour how much it went up and over how many microseconds that is known: what metering makes of samples."""
    found: dict[tuple[str, datetime], tuple[int, int]] = {}
    for counter in COUNTERS:
        read = [(time(one["sampled_at"]), one) for one in samples if one[counter] is not None]
        for (before, earlier), (then, sample) in pairwise([(None, None), *read]):
            assert then is not None
            assert sample is not None
            start = time(sample["started_at"]) if sample["started_at"] else None
            whole = sample[counter]
            if before is not None and earlier is not None and then - before <= DAY:
                reset = whole < earlier[counter] or (start is not None and start > before)
                begin, whole = before, whole if reset else whole - earlier[counter]
            elif start is not None and then - DAY <= start < then:
                begin = start
            else:
                continue
            for hour, part in spread(begin, then, whole):
                more, known = found.get((counter, hour), (0, 0))
                found[counter, hour] = (more + part[0], known + part[1])
    return found


def spread(begin: datetime, end: datetime, whole: int) -> list[tuple[datetime, tuple[int, int]]]:
    """An increment over the hours between two readings, by its interpolated value at each boundary."""
    bounds = [begin]
    while (following := bounds[-1].replace(minute=0, second=0, microsecond=0) + HOUR) < end:
        bounds.append(following)
    tick = timedelta(microseconds=1)
    values = [whole * ((bound - begin) // tick) // ((end - begin) // tick) for bound in [*bounds, end]]
    return [
        (low.replace(minute=0, second=0, microsecond=0), (values[n + 1] - values[n], (high - low) // tick))
        for n, (low, high) in enumerate(pairwise([*bounds, end]))
    ]


def time(text: str) -> datetime:
    """A time as the desk shows it."""
    return datetime.fromisoformat(text).astimezone(UTC)


moments = st.integers(0, 3 * 24 * 4).map(lambda quarter: NOON - quarter * timedelta(minutes=15))
told = st.fixed_dictionaries(
    {"sampled_at": moments},
    optional={
        "prompt_tokens": st.integers(0, 3),
        "output_tokens": st.sampled_from([0, 10**6, 10**15]),
        "prefill_seconds": st.integers(0, 10**6),
        "kv_cache_ratio": st.just(0.5),
        "started_at": moments,
    },
)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_hour_whose_increments_change_is_dirtied(shared_desk: Desk, data: st.DataObject) -> None:
    """Whatever lands in whichever order and slices: beside the hours of what landed, each that metering would see otherwise."""
    instance = f"e{next(_NUMBER)}"
    records = data.draw(st.lists(told, min_size=1, max_size=12))
    held: list[dict[str, Any]] = []
    for start, end in pairwise([0, *sorted(data.draw(st.sets(st.integers(1, len(records))))), len(records)]):
        if start == end:
            continue
        shared_desk.clear_dirty()
        batch = [
            {"instance": instance} | {k: v.isoformat() if isinstance(v, datetime) else v for k, v in one.items()}
            for one in records[start:end]
        ]
        shared_desk.hand_in(*batch, format_name="engine")
        before, held = held, [row for row in shared_desk.engines() if row["instance"] == instance]
        was, now = hourly(before), hourly(held)
        changed = {hour for key in was.keys() | now.keys() if was.get(key) != now.get(key) for hour in [key[1]]}
        changed |= {time(row["sampled_at"]).replace(minute=0) for row in held if row not in before}

        assert {f"{hour:%Y-%m-%dT%H}" for hour in changed} <= set(shared_desk.dirty())
