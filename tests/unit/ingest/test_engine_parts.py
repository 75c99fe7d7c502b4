"""Engine samples that arrive in pieces or twice: they complete each other, and only what contradicts is a conflict."""

from __future__ import annotations

from collections import Counter
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import times
from tests.unit.ingest.desk import Desk, engine_sample

AT = ("2026-10-15T10:00:00Z", "2026-10-15T10:00:30Z")
WHOLE: dict[str, Any] = {
    "software": "sglang",
    "namespace": "llm",
    "replica": "0",
    "started_at": "2026-10-15T09:00:00.000001Z",
    "prompt_tokens": 10**15,
    "output_tokens": 0,
    "prefill_seconds": 0.1,
    "estimated_flops": 10**27,
    "requests_running": 3,
    "kv_cache_ratio": 0.5,
}
_NUMBER = count(1)


def rows(desk: Desk, instance: str) -> list[dict[str, Any]]:
    """The samples of one instance as they lie in the ledger."""
    return [row for row in desk.engines() if row["instance"] == instance]


@settings(max_examples=times(6), deadline=None)
@given(data=st.data())
def test_samples_split_by_field_and_shuffled_end_as_the_same_rows(shared_desk: Desk, data: st.DataObject) -> None:
    """However fields are spread over records, records over files, and in whichever order they come."""
    whole, split = f"whole-{next(_NUMBER)}", f"split-{next(_NUMBER)}"
    shared_desk.hand_in(*({"instance": whole, "sampled_at": at} | WHOLE for at in AT), format_name="engine")
    pieces = []
    for at in AT:
        groups: dict[int, dict[str, Any]] = {}
        for name, value in WHOLE.items():
            groups.setdefault(data.draw(st.integers(0, 3)), {})[name] = value
        pieces += [{"instance": split, "sampled_at": at} | group for group in groups.values()]
    again = data.draw(st.lists(st.sampled_from(pieces), max_size=3))
    order = data.draw(st.permutations(pieces + again))
    total: Counter[str] = Counter()
    for start, end in pairwise([0, *sorted(data.draw(st.sets(st.integers(1, len(order))))), len(order)]):
        if start < end:
            outcome = shared_desk.hand_in(*order[start:end], format_name="engine")
            total += Counter({"conflicts": outcome.conflicts, "landed": outcome.landed, "again": outcome.duplicates})

    assert [row | {"instance": whole} for row in rows(shared_desk, split)] == rows(shared_desk, whole)
    assert total == Counter(landed=len(AT), again=len(again))


def test_the_same_sample_again_is_a_duplicate(desk: Desk) -> None:
    """In the file, in another file, and beside one that says other things."""
    first = desk.hand_in(engine_sample(), engine_sample(), format_name="engine")
    again = desk.hand_in(engine_sample(), engine_sample("2026-10-15T11:00:15Z"), format_name="engine")

    assert (first.landed, first.duplicates) == (1, 1)
    assert (again.landed, again.duplicates) == (1, 1)
    assert desk.engines("output_tokens") == [100, 100]


def test_samples_of_one_time_complete_each_other(desk: Desk) -> None:
    """In one file or several; whoever adds nothing is a duplicate, and absent never overwrites."""
    parts = (
        {"output_tokens": 5, "software": None},
        {"output_tokens": None, "prefill_seconds": 1.5, "estimated_flops": 10**26},
        {"output_tokens": None, "started_at": "2026-10-15T10:59:00.000001Z", "kv_cache_ratio": 0.25},
        {"output_tokens": None, "requests": 3},
        {"output_tokens": 5, "requests": 3},
    )
    records = [engine_sample(**part) for part in parts]
    together = desk.hand_in(*records[:3], format_name="engine")
    alone = desk.hand_in(*records[3:], format_name="engine")

    assert (together.landed, together.superseded, alone.superseded, alone.duplicates) == (1, 2, 1, 1)
    columns = ("software", "started_at", "output_tokens", "requests", "prefill_us", "estimated_flops", "kv_cache_ppm")
    assert desk.engines(*columns) == [("vllm", "2026-10-15T10:59:00.000001Z", 5, 3, 1_500_000, 10**26, 250_000)]
    assert desk.engines("prompt_tokens") == [None]


@pytest.mark.parametrize(
    "other",
    [{"output_tokens": 101}, {"pod": "b"}, {"started_at": "2026-10-15T10:00:00Z"}, {"estimated_bytes": 10**26 + 1}],
    ids=lambda other: next(iter(other)),
)
def test_a_sample_that_contradicts_is_a_conflict(desk: Desk, other: dict[str, Any]) -> None:
    """The first stays whole, and nothing of the second is taken, not even what nobody had said."""
    first = {"pod": "a", "started_at": "2026-10-15T09:00:00Z", "estimated_bytes": 10**26}
    desk.hand_in(engine_sample(**first), format_name="engine")
    desk.clear_dirty()
    outcome = desk.hand_in(engine_sample(**(first | other), requests=9), format_name="engine")

    assert (outcome.conflicts, desk.dirty()) == (1, [])
    assert desk.engines("pod", "output_tokens", "estimated_bytes", "requests") == [("a", 100, 10**26, None)]
    assert desk.rejections("reason") == ["conflict"]
