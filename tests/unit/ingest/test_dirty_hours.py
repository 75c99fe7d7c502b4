"""Hours that requests ran through are metered again where engines are known, because their engines' tokens have a log now."""

from __future__ import annotations

import pytest

from tests.unit.ingest.desk import Desk, event

ENGINE_SAMPLE = """
INSERT INTO raw.engine_sample (sampled_at, engine_no, engine_series_no, batch_no) VALUES (TIMESTAMP '2026-10-01', 1, 1, 1)
"""


@pytest.fixture
def engines(desk: Desk) -> Desk:
    """A desk whose ledger knows engines."""
    with desk.ledger.transaction() as session:
        session.do("DELETE FROM raw.engine_sample")
        session.do(ENGINE_SAMPLE)
    return desk


def lasting(minutes: float, event_id: str = "a", **fields: object) -> dict[str, object]:
    """A request that ended at 09:30."""
    return event(event_id, occurred_at="2026-10-15T09:30:00Z", duration_ms=minutes * 60_000, **fields)


@pytest.mark.parametrize(("minutes", "first"), [(0, 9), (30, 9), (30.001, 8), (90, 8), (91, 7), (9 * 60 + 30, 0)])
def test_every_hour_a_request_ran_in_is_dirty(engines: Desk, minutes: float, first: int) -> None:
    """From the one it began in to the one it ended in."""
    engines.hand_in(lasting(minutes))

    assert engines.dirty() == [f"2026-10-15T{hour:02d}" for hour in range(first, 10)]


def test_no_request_reaches_back_beyond_a_day(engines: Desk) -> None:
    """Longer durations are taken for a day, as metering takes them."""
    engines.hand_in(lasting(10**6))

    assert (engines.dirty()[0], len(engines.dirty())) == ("2026-10-14T09", 25)


def test_an_amended_request_leaves_the_hours_it_was_thought_to_run_in(engines: Desk) -> None:
    """Those of the revision that is history now are dirty too."""
    engines.hand_in(lasting(91))
    engines.clear_dirty()
    engines.hand_in(lasting(1, revision=1))

    assert engines.dirty() == ["2026-10-15T07", "2026-10-15T08", "2026-10-15T09"]


def test_without_engines_only_the_hour_it_ended_in_is_dirty(desk: Desk) -> None:
    """Nothing compares the others with anything."""
    with desk.ledger.transaction() as session:
        session.do("DELETE FROM raw.engine_sample")
    desk.hand_in(lasting(91))
    desk.hand_in(lasting(92, revision=1))

    assert desk.dirty() == ["2026-10-15T09"]
