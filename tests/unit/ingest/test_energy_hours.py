"""Hours over which the growth of an energy counter is spread are metered again where energy is paid for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.ingest.desk import Desk

RATE = """
INSERT INTO book.energy_rate VALUES (0, 100000000, 1000000, 700, TIMESTAMP '2026-10-01', TIMESTAMP '9999-12-31')
"""


@pytest.fixture
def paying(desk: Desk) -> Iterator[Desk]:
    """A desk whose ledger has an energy rate."""
    with desk.ledger.transaction() as session:
        session.do(RATE)
    yield desk
    with desk.ledger.transaction() as session:
        session.do("DELETE FROM book.energy_rate")


def reading(clock: str, energy: float | None = 1.0, gpu: str = "GPU-1") -> dict[str, object]:
    """A GPU sample at a time of 2026-10-15, with a counter in joules."""
    found: dict[str, object] = {"sampled_at": f"2026-10-15T{clock}Z", "gpu_uuid": gpu, "node": "n1", "power_watts": 1}
    return found if energy is None else {**found, "energy_joules": energy}


def hours(*numbers: int) -> list[str]:
    """Hours of the day as `dirty` writes them."""
    return [f"2026-10-15T{number:02d}" for number in numbers]


def land(desk: Desk, *samples: dict[str, object]) -> list[str]:
    """What samples make dirty, besides their own holds."""
    desk.clear_dirty()
    desk.hand_in(*samples, format_name="gpu")
    return desk.dirty()


def test_a_gap_between_counters_is_dirty_throughout(paying: Desk) -> None:
    """From the reading before to the landed one, whichever batch each came in; the first of all reaches nowhere."""
    assert land(paying, reading("03:10:00")) == hours(3)
    assert land(paying, reading("07:10:00", 5.0)) == hours(3, 4, 5, 6, 7)
    assert land(paying, reading("07:20:00", 6.0)) == hours(7)


def test_a_late_counter_changes_both_sides(paying: Desk) -> None:
    """A reading between two changes how each side is spread; a reading on the hour leaves that hour's beginning alone."""
    land(paying, reading("03:10:00"), reading("08:00:00", 9.0))

    assert land(paying, reading("05:10:00", 2.0)) == hours(3, 4, 5, 6, 7)


def test_devices_and_readings_without_a_counter_reach_nowhere(paying: Desk) -> None:
    """Another device's counter is no neighbour, and power alone holds for a moment only."""
    land(paying, reading("03:10:00"))

    assert land(paying, reading("06:10:00", gpu="GPU-2"), reading("05:10:00", None)) == hours(5, 6)


def test_without_energy_rates_only_the_hours_of_the_samples_are_dirty(desk: Desk) -> None:
    """Nothing reads the counters then."""
    land(desk, reading("03:10:00"))

    assert land(desk, reading("07:10:00", 5.0)) == hours(7)
