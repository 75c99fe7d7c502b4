"""Pools as configured against GPUs as seen: what differs since when, and the rows that would say so."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from apportion.ledger.connection import Ledger, Session, read_only
from exporters import inventory
from exporters.results import publish
from metering.meter import meter
from tests.frozen import FrozenClock
from tests.steps.metering.facts import HOUR, Deployment, Facts, Pool, Rate, Sample, at, load, moment
from tests.steps.metering.reading import nothing

START = at("00:00")
H100 = "NVIDIA H100 80GB HBM3"
Published = Callable[..., Session]


@pytest.fixture
def published(ledger: Ledger, clock: FrozenClock) -> Published:
    """Facts, metered for some hours, as results."""

    def answer(facts: Facts, hours: int) -> Session:
        with ledger.transaction() as session:
            load(session, facts)
            session.do("UPDATE book.pool SET gpu = 'H100_SXM'")
        clock.set(moment(START + hours * HOUR))
        meter(ledger, clock, settle=nothing, since=moment(START), until=moment(START + hours * HOUR))
        publish(ledger, clock)
        return read_only(ledger.results)

    return answer


def fleet(*counts: int, gpus: int = 2, product: str = H100, deployment: str = "d") -> Facts:
    """A pool of some GPUs, and how many of them telemetry sees in each hour."""
    samples = tuple(
        Sample(at=START + hour * HOUR, ppm=0, gpu=f"g{number}", deployment=deployment, node="n1", product=product)
        for hour, count in enumerate(counts)
        for number in range(count)
    )
    return Facts(pools=(Pool(gpus=gpus),), deployments=(Deployment(gpus=gpus),), rates=(Rate(),), samples=samples)


def shown(stretches: list[inventory.Stretch]) -> str:
    """What people see."""
    out = StringIO()
    inventory.show(stretches, Console(file=out, width=200))
    return out.getvalue()


def test_a_pool_that_telemetry_agrees_with_has_nothing_to_say(published: Published) -> None:
    """Hours without telemetry are no difference either."""
    found = inventory.compared(published(fleet(2, 0, 2), 3))

    assert [(one.gpus, one.devices, one.differs) for one in found] == [(2, 2, False), (2, 0, False), (2, 2, False)]
    assert inventory.pool_rows(found) == ""
    assert shown(found) == "Every pool has the GPUs that telemetry sees.\n"


def test_a_pool_that_grew_gets_dated_rows(published: Published) -> None:
    """From the hour in which more were seen; silence keeps what was configured; the last row stays open."""
    found = inventory.compared(published(fleet(2, 2, 3, 3, 0, 2), 6))
    rows = tomllib.loads(inventory.pool_rows(found))["pools"]

    assert [
        (row["gpus"], row["effective_from"].hour, row.get("effective_to") and row["effective_to"].hour) for row in rows
    ] == [
        (2, 0, 2),
        (3, 2, 4),
        (2, 4, None),
    ]
    assert {(row["id"], row["gpu"]) for row in rows} == {("p", "H100_SXM")}
    assert [(one.gpus, one.devices) for one in found if one.differs] == [(2, 3)]
    assert "3 NVIDIA H100 80GB HBM3" in shown(found)
    assert "give the last one the effective_to that the pool has" in shown(found)
    assert inventory.as_records(found)[1]["differs"] is True


def test_another_product_is_a_difference(published: Published) -> None:
    """As many GPUs, but not those that are configured."""
    found = inventory.compared(published(fleet(2, product="NVIDIA L4"), 1))

    assert [(one.differs, one.real_gpu) for one in found] == [(True, "L4")]
    assert 'gpu = "L4"' in inventory.pool_rows(found)


def test_gpus_of_no_pool_are_shown(published: Published) -> None:
    """They get no rows, but a sentence on what to do."""
    found = inventory.compared(published(fleet(1, gpus=1, deployment="elsewhere"), 1))

    assert [(one.pool, one.gpus, one.devices) for one in found] == [("", 0, 1), ("p", 1, 0)]
    assert inventory.pool_rows(found) == ""
    assert "claimed by no deployment" in shown(found)


def test_a_window_and_no_telemetry(published: Published) -> None:
    """Only the hours asked for; where nothing was seen, what to do is said."""
    results = published(fleet(2, 3, 0), 3)

    assert len(inventory.compared(results, since=moment(START + HOUR), until=moment(START + 2 * HOUR))) == 1
    assert "as a [[sources]] table" in shown(inventory.compared(results, since=moment(START + 2 * HOUR)))
