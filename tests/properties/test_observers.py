"""Calls that several sources tell of: an event that lands marks every hour whose metered events it changes, near or far."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from tests.blank import blank
from tests.frozen import FrozenClock
from tests.oracle_fleet import fleet
from tests.oracle_usage import landed, metered
from tests.thorough import times
from tests.unit.ingest.desk import NOON, Desk

NUMBERS = count()
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One ledger for all examples; each has sources and names of its own."""
    folder: Path = tmp_path_factory.mktemp("observers")
    with Ledger(blank(folder / "apportion.duckdb")) as opened:
        yield Desk(opened, FrozenClock(NOON), folder)
    shutil.rmtree(folder)


told = st.fixed_dictionaries(
    {
        "source": st.sampled_from(("gateway", "engine", "client")),
        "event_id": st.sampled_from("ab"),
        "revision": st.integers(0, 1),
        "occurred_at": st.integers(3, 6).map(lambda hour: f"2026-10-15T{hour:02d}:30:00Z"),
    },
    optional={
        "response_id": st.sampled_from(("x", "y", "")),
        "call_id": st.sampled_from(("x", "z")),
        "usage_quality": st.just("missing"),
    },
)


def hours(events: Events, observers: dict[str, Any]) -> dict[str, set[tuple[str, str, int]]]:
    """Metered events by hour."""
    found: dict[str, set[tuple[str, str, int]]] = defaultdict(set)
    for event in metered(fleet({"policy": observers}), landed(events)):
        found[event["occurred_at"][:13]].add((event["source"], event["event_id"], event["revision"]))
    return found


@settings(max_examples=times(20), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        told, min_size=2, max_size=6, unique_by=lambda event: (event["source"], event["event_id"], event["revision"])
    )
)
def test_every_hour_that_changes_is_dirty(desk: Desk, events: Events) -> None:
    """Whatever comes in whatever order: an hour that was metered and is not dirty would come out the same again."""
    own = f"#{next(NUMBERS)}"
    one_time = {(event["source"], event["event_id"]): event["occurred_at"] for event in events}
    mine = [
        {
            **event, "source": event["source"] + own, "model": "m", "occurred_at": one_time[event["source"], event["event_id"]],
            **{name: event[name] and event[name] + own for name in ("response_id", "call_id") if name in event},
        }
        for event in events
    ]  # fmt: skip
    observers = {"observers": ["gateway*", "engine*"]}
    before: dict[str, set[tuple[str, str, int]]] = {}
    for number, event in enumerate(mine, 1):
        desk.clear_dirty()
        desk.hand_in(event)
        after = hours(mine[:number], observers)

        changed = {hour for hour in {*before, *after} if before.get(hour) != after.get(hour)}
        assert changed <= set(desk.dirty())
        before = after


@pytest.mark.parametrize("gone", [{}, {"response_id": "other"}, {"usage_quality": "missing", "response_id": "x"}])
def test_an_event_that_takes_its_name_back_marks_who_shared_it(desk: Desk, gone: dict[str, str]) -> None:
    """Whom it was believed before is metered from now on, in an hour of their own."""
    own = f"#{next(NUMBERS)}"
    gateway = {"event_id": "a", "source": f"gateway{own}", "model": "m", "occurred_at": "2026-10-15T04:30:00Z"}
    desk.hand_in({**gateway, "response_id": f"x{own}"})
    desk.hand_in({**gateway, "source": f"engine{own}", "response_id": f"x{own}", "occurred_at": "2026-10-15T05:30:00Z"})
    desk.clear_dirty()
    named = {"response_id": gone["response_id"] + own} if gone else {}
    desk.hand_in({**gateway, **gone, **named, "revision": 1})

    assert desk.dirty() == ["2026-10-15T04", "2026-10-15T05"]


def test_an_event_without_names_marks_its_own_hour(desk: Desk) -> None:
    """Nothing is compared with what has no name."""
    own = f"#{next(NUMBERS)}"
    for number, hour in enumerate(("07", "08")):
        desk.clear_dirty()
        desk.hand_in({"event_id": str(number), "source": own, "model": "m", "occurred_at": f"2026-10-15T{hour}:00:00Z"})

    assert desk.dirty() == ["2026-10-15T08"]
