"""Samples that arrive in pieces: readings of one device and time complete each other, and only what contradicts is a conflict."""

from __future__ import annotations

from collections import Counter
from itertools import count, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import times
from tests.unit.ingest.desk import Desk, sample

AT = ("2026-10-15T10:00:00Z", "2026-10-15T10:00:30Z")
WHOLE: dict[str, Any] = {
    "node": "n1",
    "namespace": "llm",
    "pod": "vllm-0",
    "active_ratio": 0.5,
    "sm_active_ratio": 0.25,
    "memory_used_bytes": 2**63 - 1,
    "power_watts": 300,
    "energy_joules": 1000,
}
_ROW = {
    "active_ratio": "active_ppm",
    "sm_active_ratio": "sm_active_ppm",
    "power_watts": "power_milliwatts",
    "energy_joules": "energy_millijoules",
}
_NUMBER = count(1)


def rows(desk: Desk, device: str) -> list[dict[str, Any]]:
    """The samples of one device as they lie in the ledger."""
    return [row for row in desk.samples() if row["gpu_uuid"] == device]


@settings(max_examples=times(6), deadline=None)
@given(data=st.data())
def test_samples_split_by_field_and_shuffled_end_as_the_same_rows(shared_desk: Desk, data: st.DataObject) -> None:
    """However fields are spread over records, records over files, and in whichever order they come."""
    whole, split = f"whole-{next(_NUMBER)}", f"split-{next(_NUMBER)}"
    shared_desk.hand_in(*({"gpu_uuid": whole, "sampled_at": at} | WHOLE for at in AT), format_name="gpu")
    pieces = []
    for at in AT:
        groups: dict[int, dict[str, Any]] = {}
        for name, value in WHOLE.items():
            groups.setdefault(data.draw(st.integers(0, 3)), {})[name] = value
        pieces += [{"gpu_uuid": split, "sampled_at": at} | group for group in groups.values()]
    again = data.draw(st.lists(st.sampled_from(pieces), max_size=3))
    order = data.draw(st.permutations(pieces + again))
    total: Counter[str] = Counter()
    for start, end in pairwise([0, *sorted(data.draw(st.sets(st.integers(1, len(order))))), len(order)]):
        if start < end:
            outcome = shared_desk.hand_in(*order[start:end], format_name="gpu")
            total += Counter({"conflicts": outcome.conflicts, "landed": outcome.landed, "again": outcome.duplicates})

    assert [row | {"gpu_uuid": whole} for row in rows(shared_desk, split)] == rows(shared_desk, whole)
    assert total == Counter(landed=len(AT), again=len(again))


def folded(records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """What one record after the other must come to, and what each counts as."""
    held: dict[str, dict[str, Any]] = {}
    counts: Counter[str] = Counter()
    for record in records:
        before = held.get(record["sampled_at"])
        if before is None:
            counts["landed"] += 1
        elif any(before.get(name, value) != value for name, value in record.items()):
            counts["conflicts"] += 1
            continue
        else:
            counts["superseded" if record.keys() - before.keys() else "duplicates"] += 1
        held[record["sampled_at"]] = (before or {}) | record
    return [held[at] for at in sorted(held)], counts


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_contradictions_come_out_the_same_however_a_stream_is_cut(shared_desk: Desk, data: st.DataObject) -> None:
    """As if each record had arrived alone: a conflict adds nothing, and nobody contradicts what only it said."""
    device = f"contradicted-{next(_NUMBER)}"
    fields: dict[str, st.SearchStrategy[Any]] = {name: st.sampled_from([0, 1]) for name in _ROW} | {
        name: st.sampled_from("xy") for name in ("node", "pod")
    }
    said = st.fixed_dictionaries({"sampled_at": st.sampled_from(AT)}, optional=fields)
    records = [{"gpu_uuid": device} | one for one in data.draw(st.lists(said, min_size=1, max_size=14))]
    total: Counter[str] = Counter()
    for start, end in pairwise(
        [0, *sorted(data.draw(st.sets(st.integers(1, len(records)), max_size=3))), len(records)]
    ):
        if start < end:
            outcome = shared_desk.hand_in(*records[start:end], format_name="gpu")
            total += Counter(
                {name: getattr(outcome, name) for name in ("landed", "duplicates", "superseded", "conflicts")}
            )
    expected, counts = folded(records)

    assert total == counts
    assert [
        {name: row[_ROW.get(name, name)] for name in [*_ROW, "node", "pod"]} for row in rows(shared_desk, device)
    ] == [
        {name: None if name not in one else one[name] * (10**6 if "ratio" in name else 1000) for name in _ROW}
        | {name: one.get(name, "") for name in ("node", "pod")}
        for one in expected
    ]


def test_a_reading_that_completes_a_sample_dirties_its_hours(desk: Desk) -> None:
    """What it adds changes them; the same again changes nothing."""
    at = "2026-10-15T10:59:00Z"
    desk.hand_in(sample(at, active_ratio=None, power_watts=300), format_name="gpu")
    desk.clear_dirty()
    added = desk.hand_in(sample(at), format_name="gpu")
    dirty = desk.dirty()
    desk.clear_dirty()
    again = desk.hand_in(sample(at), sample(at, active_ratio=None, power_watts=300), format_name="gpu")

    assert (added.superseded, dirty) == (1, ["2026-10-15T10", "2026-10-15T11"])
    assert (again.duplicates, desk.dirty()) == (2, [])
    assert desk.samples("active_ppm", "power_milliwatts") == [(500_000, 300_000)]


def test_many_contradictions_of_one_sample_are_judged_at_once(desk: Desk) -> None:
    """Rounds are as many as fields, not as records."""
    outcome = desk.hand_in(*(sample(power_watts=watts) for watts in range(20_000)), format_name="gpu")

    assert (outcome.landed, outcome.conflicts) == (1, 19_999)
    assert desk.samples("power_milliwatts") == [0]
