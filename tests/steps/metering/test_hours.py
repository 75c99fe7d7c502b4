"""Which hours are due, and which must wait for a rate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apportion.domain.errors import UsageError
from metering.gaps import gaps
from metering.hours import due, first_hour
from tests.steps.metering.facts import HOUR, Event, Facts, Pool, Rate, Shared, at, load, moment


def hours(found) -> list[int]:
    """Times of day as whole hours of 2026-10-01."""
    return [(time - moment(at("00:00"))).total_seconds() // 3600 for time in found]


def book(ledger, facts: Facts, *, metered: tuple[str, ...] = (), dirty: tuple[str, ...] = (), setting: str = ""):
    """A session with facts, hours already metered and hours marked by a change of the book."""
    with ledger.transaction() as session:
        load(session, facts)
        session.do("DELETE FROM book.setting")
        if setting:
            session.do("INSERT INTO book.setting VALUES ('metered_from', ?)", [setting])
        for hour in metered:
            session.do("INSERT INTO metering.metered_hour VALUES (?, ?, 1)", [moment(at(hour)), moment(0)])
        for hour in dirty:
            session.do("INSERT INTO book.dirty_hour VALUES (?, ?)", [moment(at(hour)), moment(0)])
    return ledger.session()


POOL = Facts(pools=(Pool(start=at("02:30")),), rates=(Rate(),))


def test_elapsed_hours_since_the_first_pool_are_due(ledger) -> None:
    """The passing of an hour is enough; one that is not over is not due."""
    session = book(ledger, POOL)

    assert hours(due(session, now=moment(at("05:59")))) == [2, 3, 4]
    assert hours(due(session, now=moment(at("06:00")))) == [2, 3, 4, 5]
    assert due(session, now=moment(at("02:59"))) == []


def test_metered_hours_are_due_again_only_when_dirty(ledger) -> None:
    """By an event, by a change of the book, or not at all; a dirty hour that is not over waits."""
    facts = replace(POOL, events=(Event(at=at("03:10")), Event(at=at("05:10"))))
    session = book(ledger, facts, metered=("02:00", "03:00", "04:00"), dirty=("04:00", "06:00"))

    assert hours(due(session, now=moment(at("05:00")))) == [3, 4]


def test_usage_before_any_pool_is_due(ledger) -> None:
    """An event that no pool was there for is a line all the same."""
    assert hours(due(book(ledger, replace(POOL, events=(Event(at=at("01:10")),))), now=moment(at("03:00")))) == [1, 2]


def test_shared_costs_alone_make_hours_due(ledger) -> None:
    """They cost whether or not a GPU does."""
    assert hours(
        due(book(ledger, Facts(shared=(Shared(id="s", nano=1, start=at("01:00")),))), now=moment(at("03:00")))
    ) == [1, 2]


def test_metering_begins_where_it_is_told_to(ledger) -> None:
    """`metered_from` goes before whatever the inventory says, and before dirty hours too."""
    facts = replace(POOL, events=(Event(at=at("01:10")), Event(at=at("03:10"))))
    session = book(ledger, facts, dirty=("02:00",), setting="2026-10-01T06:00:00+02:00")

    assert hours(due(session, now=moment(at("06:00")))) == [4, 5]
    with pytest.raises(UsageError, match="--since 2026-10-01T03:00:00Z is before metered_from 2026-10-01T04:00:00Z"):
        due(session, now=moment(at("06:00")), since=moment(at("03:00")))


def test_an_empty_ledger_has_no_hours(ledger) -> None:
    """Nothing bought, nothing used, nothing to meter."""
    session = book(ledger, Facts())

    assert first_hour(session) is None
    assert due(session, now=moment(at("06:00"))) == []


def test_a_window_is_due_whole(ledger) -> None:
    """Metered or not; an open side reaches to the first hour or the last."""
    session, now = book(ledger, POOL, metered=("02:00", "03:00", "04:00")), moment(at("05:30"))

    assert hours(due(session, now=now, since=moment(at("03:00")), until=moment(at("05:00")))) == [3, 4]
    assert hours(due(session, now=now, since=moment(at("04:00")))) == [4]
    assert hours(due(session, now=now, until=moment(at("04:00")))) == [2, 3]


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("03:30", "04:00", "--since 2026-10-01T03:30:00Z is inside an hour"),
        (
            "03:00",
            "06:00",
            "--until 2026-10-01T06:00:00Z has not passed yet; the last hour ended at 2026-10-01T05:00:00Z",
        ),
        ("04:00", "04:00", "--since 2026-10-01T04:00:00Z is not before --until 2026-10-01T04:00:00Z"),
    ],
)
def test_a_window_of_anything_but_elapsed_hours_is_refused(ledger, since: str, until: str, said: str) -> None:
    """With a sentence that says which end is wrong, and why."""
    session = book(ledger, POOL)

    with pytest.raises(UsageError, match=said):
        due(session, now=moment(at("05:30")), since=moment(at(since)), until=moment(at(until)))


def test_a_time_without_a_zone_is_refused(ledger) -> None:
    """Nobody guesses whose time it is."""
    with pytest.raises(UsageError, match="has no zone"):
        due(book(ledger, POOL), now=moment(at("05:30")), since=moment(at("03:00")).replace(tzinfo=None))


def refused(ledger, facts: Facts, *times: str) -> dict[str, str]:
    """Reasons by time of day."""
    found = gaps(book(ledger, facts), [moment(at(time)) for time in times])
    return {f"{hour:%H:%M}": reason for hour, reason in found.items()}


def test_paid_time_without_an_accelerator_rate_is_refused(ledger) -> None:
    """Every hour that the hole touches, and only while GPUs are paid for."""
    facts = Facts(
        pools=(Pool(start=at("01:00"), end=at("06:00")),),
        rates=(Rate(end=at("02:30")), Rate(start=at("04:00"), end=at("05:59"))),
    )
    found = refused(ledger, facts, "00:00", "01:00", "02:00", "03:00", "04:00", "05:00", "06:00")

    assert list(found) == ["02:00", "03:00", "05:00"]
    assert found["03:00"] == (
        "pool p has no accelerator rate from 2026-10-01T02:30:00Z to 2026-10-01T04:00:00Z; add a [[rates]] row that covers it")  # fmt: skip


def test_a_pool_without_any_rate_is_refused_for_good(ledger) -> None:
    """And says since when."""
    found = refused(
        ledger, Facts(pools=(Pool(start=at("01:30")), Pool(id="q")), rates=(Rate(pool="q"),)), "00:00", "01:00", "23:00"
    )

    assert list(found) == ["01:00", "23:00"]
    assert "pool p has no accelerator rate from 2026-10-01T01:30:00Z on;" in found["23:00"]


def test_another_component_may_begin_and_end_but_not_pause(ledger) -> None:
    """A licence that is bought later and dropped earlier is no hole; one that comes back is."""
    pauses = (
        Rate(component="licence", start=at("02:00"), end=at("03:00")),
        Rate(component="licence", start=at("04:00"), end=at("05:00")),
    )
    facts = Facts(pools=(Pool(start=at("00:00")),), rates=(Rate(), *pauses))
    found = refused(ledger, facts, "01:00", "02:00", "03:00", "04:00", "05:00")

    assert list(found) == ["03:00"]
    assert "pool p has no licence rate from 2026-10-01T03:00:00Z to 2026-10-01T04:00:00Z" in found["03:00"]


def test_every_hole_of_an_hour_is_named(ledger) -> None:
    """Two pools, one sentence each."""
    facts = Facts(pools=(Pool(), Pool(id="q")))

    assert refused(ledger, facts, "01:00")["01:00"].count("has no accelerator rate") == 2


def test_a_resize_is_no_hole(ledger) -> None:
    """Rates that adjoin at a resize, or reach over it, leave nothing out; between two stays of a pool nothing is paid."""
    pools = (Pool(end=at("02:00")), Pool(gpus=2, start=at("02:00"), end=at("03:00")), Pool(start=at("05:00")))
    rates = (Rate(end=at("02:30")), Rate(start=at("02:30"), end=at("03:00")), Rate(start=at("05:00")))

    assert refused(ledger, Facts(pools=pools, rates=rates), "01:00", "02:00", "03:00", "04:00", "05:00") == {}


def test_years_of_hours_are_found_at_once(ledger) -> None:
    """Ten years without a rate for the last one: every hour of it, once."""
    end = at("2026-10-01")
    begin, hole = end - 3650 * 24 * HOUR, end - 365 * 24 * HOUR
    session = book(ledger, Facts(pools=(Pool(start=begin),), rates=(Rate(end=hole),)))
    found = due(session, now=moment(end))

    assert len(found) == 3650 * 24
    assert len(gaps(session, found)) == 365 * 24
