"""Idle of whatever cause: whose it is, and that settlement moves it as one."""

from __future__ import annotations

import pytest

from tests.steps.attribution.test_charge_hourly import lines

CAUSES = ("below_capacity", "below_saturation", "draining", "inactive", "loading", "lost", "no_requests")


def test_an_owner_bears_idle_of_every_cause(books):
    """A dedicated deployment that loads, drains or waits does so at its owner's cost; another's stays __idle__, cause by cause."""
    books.deployment("own", "p", owner="search")
    for nano, cause in enumerate(CAUSES, 1):
        books.idle(0, nano, deployment="own", cause=cause)
        books.idle(0, 10 * nano, cause=cause)
    books.idle(0, 1000, deployment="", cause="unscheduled")
    books.idle(0, 3000, deployment="", cause="unused_asset")
    books.idle(0, 2000, deployment="", cause="unused_commitment")
    books.run()

    assert lines(books, "team, cause, effective_cost_nano") == [
        *(("__idle__", cause, 10 * nano) for nano, cause in enumerate(CAUSES, 1)),
        ("__idle__", "unscheduled", 1000),
        ("__idle__", "unused_asset", 3000),
        ("__idle__", "unused_commitment", 2000),
        *(("search", cause, nano) for nano, cause in enumerate(CAUSES, 1)),
    ]


@pytest.mark.parametrize("over", ["month", "hour"])
def test_causes_settle_together(books, over):
    """What teams bear of a pool's idle is split once, not once for each cause: one remainder, one row that gives it up."""
    books.policy("proportional", over)
    books.rule(1, "ads", principal="a")
    books.rule(2, "search", principal="s")
    books.charge(0, 10, tokens=1, caller=books.caller("a"))
    books.charge(0, 20, tokens=1, caller=books.caller("s"))
    for cause in CAUSES:
        books.idle(0, 1, cause=cause)
    books.run()

    moved = books.session.rows(
        "SELECT team, cause, effective_cost_nano FROM attribution.settlement ORDER BY effective_cost_nano"
    )
    assert moved == [("__idle__", "settled", -7), ("ads", "settled", 2), ("search", "settled", 5)]
