"""Clocks that run ahead: up to a day is a skew, taken at arrival and remembered."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.ingest.desk import NOON, Desk, event, sample

AHEAD = event("a", occurred_at="2026-10-15T18:30:00Z")


def test_an_event_ahead_of_the_clock_is_placed_at_arrival(desk: Desk) -> None:
    """Flagged, counted, and the time it claimed kept beside the one it has."""
    outcome = desk.hand_in(AHEAD, event("b"))

    assert (outcome.landed, outcome.skewed) == (2, 1)
    assert desk.events("event_id", "occurred_at") == [
        ("a", "2026-10-15T12:00:00.000000Z"),
        ("b", "2026-10-15T11:00:00.000000Z"),
    ]
    assert desk.ledger.session().rows("SELECT event_id, reported_at, occurred_at FROM raw.skewed_event") == [
        ("a", NOON + timedelta(hours=6, minutes=30), NOON)
    ]
    assert desk.dirty() == ["2026-10-15T11", "2026-10-15T12"]
    assert desk.totals()["skewed"] == 1


def test_an_event_at_the_very_moment_is_not_ahead(desk: Desk) -> None:
    """Only what is later than its arrival is a skew."""
    assert (
        desk.hand_in(
            event("a", occurred_at="2026-10-15T12:00:00Z"), event("b", occurred_at="2026-10-15T12:00:00.000001Z")
        ).skewed
        == 1
    )
    assert desk.count("raw.skewed_event") == 1


def test_a_skewed_event_delivered_hours_later_is_a_duplicate(desk: Desk) -> None:
    """Before the time it claims and after it, alone or among others, it stays where it was placed."""
    desk.hand_in(AHEAD)
    before = desk.events()
    desk.clear_dirty()
    for hours in (2, 5, 30):
        desk.clock.advance(timedelta(hours=hours))
        outcome = desk.hand_in(AHEAD, event(f"b{hours}"))
        assert (outcome.duplicates, outcome.landed, outcome.skewed) == (1, 1, 0)

    assert [row for row in desk.events() if row["event_id"] == "a"] == before
    assert desk.dirty() == ["2026-10-15T11"]


def test_a_skewed_event_with_other_content_is_a_conflict(desk: Desk) -> None:
    """Another claimed time is other content."""
    desk.hand_in(AHEAD)
    desk.clock.advance(timedelta(hours=8))

    assert desk.hand_in(AHEAD | {"output_tokens": 11}, AHEAD | {"occurred_at": "2026-10-15T18:30:01Z"}).conflicts == 2


def test_a_skewed_event_can_be_amended(desk: Desk) -> None:
    """Its revisions find it, hours later and in any order."""
    desk.hand_in(AHEAD)
    desk.clock.advance(timedelta(hours=8))
    outcome = desk.hand_in(AHEAD | {"revision": 1, "output_tokens": 0})

    assert (outcome.superseded, outcome.landed) == (1, 0)
    assert desk.events("event_id", "revision", "occurred_at") == [("a", 1, "2026-10-15T18:30:00.000000Z")]
    assert desk.hand_in(AHEAD).duplicates == 1


def test_skewed_duplicates_in_one_batch_land_once(desk: Desk) -> None:
    """Counted once as skewed."""
    outcome = desk.hand_in(AHEAD, AHEAD, AHEAD | {"revision": 2})

    assert (outcome.landed, outcome.duplicates, outcome.superseded, outcome.skewed) == (1, 1, 1, 2)


def test_samples_ahead_of_the_clock_are_counted(desk: Desk) -> None:
    """They stay at the time they claim, since two of one device must not meet at arrival; more than a day is rejected."""
    outcome = desk.hand_in(
        sample("2026-10-15T13:00:00Z"),
        sample("2026-10-15T13:01:00Z"),
        sample("2026-10-16T12:00:01Z"),
        sample("1969-12-31T00:00:00Z"),
        format_name="gpu",
    )

    assert (outcome.landed, outcome.skewed, outcome.rejections) == (2, 2, {"too_far_ahead": 1, "too_old": 1})
    assert desk.samples("sampled_at") == ["2026-10-15T13:00:00.000000Z", "2026-10-15T13:01:00.000000Z"]
